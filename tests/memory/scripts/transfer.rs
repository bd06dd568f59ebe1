//! Lists conversations of the transfer service.
//! Cuts nothing and plays nothing.

use super::super::{Service, Step, reply, send};
use super::{Script, script};
use loket::wire::pause::Delay;

pub fn line() -> Vec<Script> {
    let line = |name, steps| script(Service::Transfer, name, steps);
    vec![
        line(
            "lines, pipelined",
            vec![
                send(
                    "SEND\nx.bin\nx.bin<SEPARATOR>6\nSEND\nxRECEIVE\r\nx.bin\r\n\
                 SEND\nempty2\nempty2<SEPARATOR>0\nRECEIVE\nempty2\nRECEIVE\nnobody\n\n\
                 RECEIVE\na.bin\n",
                ),
                reply(
                    "OK\nOK 6\nOK\nx.bin<SEPARATOR>6\nSEND\nxOK\nOK 0\nOK\nempty2<SEPARATOR>0\n\
                 OK\nERROR: File not found\nOK\na.bin<SEPARATOR>10\n0123456789",
                ),
                Step::End,
                reply(""),
            ],
        )
        .announced(),
        line(
            "lines, each awaited",
            vec![
                send("SEND\n"),
                reply("OK\n"),
                send("x.bin\n"),
                Step::Quiet(Delay::Word),
                send("folder/y.bin<SEPARATOR>5\n"),
                Step::Quiet(Delay::Word),
                send("hello"),
                reply("OK 5\n"),
                Step::End,
                reply(""),
            ],
        )
        .stores("y.bin", "hello")
        .announced(),
        line(
            "healing a word",
            vec![
                send("RECEIVE"),
                reply("OK"),
                send("\n"),
                reply("\n"),
                send("a.bin\nRECEIVE\nempty\n"),
                reply("a.bin<SEPARATOR>10\n0123456789OK\nempty<SEPARATOR>0\n"),
            ],
        ),
        line(
            "healing a header in its gap",
            vec![
                send("RECEIVE"),
                reply("OK"),
                send("a.bin"),
                reply("a.bin<SEPARATOR>10"),
                send("\r\nRECEIVE\nempty\n"),
                reply("\n0123456789OK\nempty<SEPARATOR>0\n"),
            ],
        ),
    ]
}

pub fn refused() -> Vec<Script> {
    let one = |name, asked: &str, answer: &str| {
        let steps = vec![
            send(asked),
            reply(answer),
            send("SEND\n"),
            reply(""),
            Step::End,
        ];
        script(Service::Transfer, name, steps).announced()
    };
    vec![
        one(
            "a wrong word on a line",
            "GET\n",
            "ERROR: unknown command GET; the words are SEND and RECEIVE\n",
        ),
        one(
            "a header without its separator",
            "SEND\nx\nx 5\nhello",
            "OK\nERROR: write the header as NAME<SEPARATOR>BYTES, not as x 5\n",
        ),
        one(
            "a header without a size",
            "SEND\nx\nx<SEPARATOR>-5\nhello",
            "OK\nERROR: the size is not a number of bytes: -5\n",
        ),
        one(
            "an upload to a folder",
            "SEND\nx\nx/<SEPARATOR>5\nhello",
            "OK\nERROR: it is not a regular file\n",
        ),
        one(
            "a control character in a name",
            "RECEIVE\na\x1b[2J\n",
            "OK\nERROR: the name holds a control character: a[2J\n",
        ),
        script(
            Service::Transfer,
            "half a word and the end",
            vec![
                send("SEN"),
                Step::End,
                reply("ERROR: the connection ended in the middle; nothing was done\n"),
            ],
        ),
        script(
            Service::Transfer,
            "half a word and silence",
            vec![
                send("RECEIV"),
                reply("ERROR: the command is not finished; end it with a line feed\n"),
            ],
        ),
        script(
            Service::Transfer,
            "the end in the middle of a body",
            vec![
                send("SEND\na.bin\na.bin<SEPARATOR>9\n12345"),
                Step::End,
                reply("OK\nERROR: only 5 of 9 bytes came; nothing is stored\n"),
            ],
        )
        .announced(),
    ]
}

/// Textbook clients that say the name of their file in one way or another.
pub fn bare_names() -> Vec<Script> {
    let bare = |name, steps| script(Service::Transfer, name, steps);
    let sends = |data: &str| vec![send("SEND"), reply("OK"), send(data), Step::End, reply("")];
    vec![
        bare("a textbook upload", sends("x.binx.bin<SEPARATOR>5hello")).stores("x.bin", "hello"),
        bare(
            "a pause says where the name ends",
            vec![
                send("SEND"),
                reply("OK"),
                send("x.bin"),
                Step::Quiet(Delay::Settle),
                send("photos/y.bin<SEPARATOR>5hello"),
                Step::End,
                reply(""),
            ],
        )
        .stores("y.bin", "hello"),
        bare("a name that came once", sends("x.bin<SEPARATOR>5hello")).stores("x.bin", "hello"),
        bare(
            "a path and its last component",
            sends("C:\\photos\\y.biny.bin<SEPARATOR>5hello"),
        )
        .stores("y.bin", "hello"),
        bare(
            "a size that was typed and a name that came once",
            vec![
                send("SEND"),
                reply("OK"),
                send("x.bin<SEPARATOR>"),
                Step::Quiet(Delay::Word),
                send("5"),
                Step::Quiet(Delay::Word),
                send("hello"),
                Step::End,
                reply(""),
            ],
        )
        .stores("x.bin", "hello"),
        bare(
            "a pause before the name ends no name",
            vec![
                send("SEND"),
                reply("OK"),
                Step::Quiet(Delay::Word),
                send("x.bin<SEPARATOR>5hello"),
                Step::End,
                reply(""),
            ],
        )
        .stores("x.bin", "hello"),
        bare(
            "pauses that leave the name open",
            vec![
                send("SEND"),
                reply("OK"),
                send("x"),
                Step::Quiet(Delay::Settle),
                send(".b"),
                Step::Quiet(Delay::Settle),
                send("in<SEPARATOR>5hello"),
                Step::End,
                reply("ERROR: the name must come twice, the second time before the separator"),
            ],
        ),
    ]
}

pub fn bare() -> Vec<Script> {
    let bare = |name, steps| script(Service::Transfer, name, steps);
    vec![
        bare(
            "a name without a size",
            vec![
                send("SEND"),
                reply("OK"),
                send("x.binx.bin<SEPARATOR>hello"),
                reply("ERROR: the size is not a number of bytes"),
            ],
        ),
        bare(
            "the end before the separator",
            vec![
                send("SEND"),
                reply("OK"),
                send("x.binx.bin<SEPARAT"),
                Step::End,
                reply("ERROR: the connection ended in the middle; nothing was done"),
            ],
        ),
        bare(
            "a name without end",
            vec![
                send("SEND"),
                reply("OK"),
                send(format!("{}<SEPARATOR>5hello", "n".repeat(4200))),
                reply("ERROR: more than 4096 bytes without a line end"),
            ],
        ),
    ]
}

/// Textbook clients that fetch.
pub fn bare_downloads() -> Vec<Script> {
    let bare = |name, steps| script(Service::Transfer, name, steps);
    vec![
        bare(
            "a textbook download",
            vec![
                send("RECEIVE"),
                reply("OK"),
                send("photos/../a.bin"),
                Step::Quiet(Delay::Settle),
                reply("a.bin<SEPARATOR>10"),
                Step::Quiet(Delay::Gap),
                reply("0123456789"),
            ],
        ),
        bare(
            "a download by one who has finished",
            vec![
                send("RECEIVE"),
                reply("OK"),
                send("a.bin"),
                Step::End,
                reply("a.bin<SEPARATOR>10"),
                Step::Quiet(Delay::Gap),
                reply("0123456789"),
            ],
        ),
        bare(
            "talking in the gap",
            vec![
                send("RECEIVE"),
                reply("OK"),
                send("a.bin"),
                reply("a.bin<SEPARATOR>10"),
                send("RECEIVE\n"),
                reply("0123456789"),
            ],
        ),
        bare(
            "a download of nothing there",
            vec![
                send("RECEIVE"),
                reply("OK"),
                send("nobody"),
                reply("ERROR: File not found"),
            ],
        ),
    ]
}

pub fn puzzles() -> Vec<Script> {
    let numbers: Vec<u8> = (0..300_u32).map(|at| b'0' + (at * 7 % 10) as u8).collect();
    let bodies: Vec<(&'static str, Vec<u8>)> = vec![
        ("12345 hello", b"12345 hello".to_vec()),
        ("0000", b"0000".to_vec()),
        ("nothing", Vec::new()),
        ("nothing but digits", numbers),
        ("a digit and a line end", b"7\n".to_vec()),
    ];
    let mut scripts: Vec<Script> = bodies
        .into_iter()
        .map(|(name, body)| {
            let mut wire = format!("x.binx.bin<SEPARATOR>{}", body.len()).into_bytes();
            wire.extend_from_slice(&body);
            let steps = vec![send("SEND"), reply("OK"), send(wire), Step::End, reply("")];
            script(Service::Transfer, name, steps).stores("x.bin", body)
        })
        .collect();
    let unsolved = [
        (
            "a size that is too large",
            "12hello",
            "the size does not fit what came",
        ),
        (
            "a size that is too small",
            "2hello",
            "more came than the size says",
        ),
    ];
    for (name, data, why) in unsolved {
        scripts.push(script(
            Service::Transfer,
            name,
            vec![
                send("SEND"),
                reply("OK"),
                send(format!("a.bina.bin<SEPARATOR>{data}")),
                Step::End,
                reply(format!("ERROR: {why}; nothing is stored")),
            ],
        ));
    }
    scripts
}
