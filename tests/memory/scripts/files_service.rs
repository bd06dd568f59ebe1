//! Lists conversations of the files service.
//! Cuts nothing and plays nothing.

use super::super::{Service, Step, reply, send};
use super::{Script, script};
use loket::wire::pause::Delay;

/// What a bare upload without a byte of data is answered.
const NO_DATA: &str = "ERROR no data came, nothing is stored; send the file's bytes a moment after \
                       the command, and then shut down your sending side (SHUT_WR)";

pub fn line() -> Vec<Script> {
    let line = |name, steps| script(Service::Files, name, steps);
    let all_words = "size a.bin\r\nls\nls photos\ndownload a.bin\ndownload a.bin 7\n\
                     download a.bin 10\ndownload empty\nsize with blank 1\n\
                     download \"with blank 1\"\n\n";
    let answers = "OK 10 0.00 MB\nOK 33\na.bin\nempty\nphotos/\nwith blank 1\nOK 11\nb.jpg\nold/\n\
                   OK 10\n0123456789OK 3\n789OK 0\nOK 0\nOK 5 0.00 MB\nOK 5\nblank";
    vec![
        line("every question on lines", vec![send(all_words), reply(answers)]),
        line("a plain no does not end the conversation", vec![
            send("size x\nrm x\ndownload x\nls nowhere\ndownload a.bin 11\nsize empty\n"),
            reply(
                "ERROR File Tidak Ditemukan\nERROR File Tidak Ditemukan\n\
                 ERROR File Tidak Ditemukan\nERROR there is no such folder\n\
                 ERROR the file has only 10 bytes\nOK 0 0.00 MB\n",
            ),
        ]),
        line("an upload and commands behind it", vec![
            send("upload new.bin 7\nab\ncd\n!size new.bin\nupload none 0\nsize none\nbyebye\nls\n"),
            reply(
                "OK\nOK File Berhasil Dibuat\nOK 7 0.00 MB\nOK\nOK File Berhasil Dibuat\n\
                 OK 0 0.00 MB\nOK\n",
            ),
        ])
        .announced(),
        line("an upload replaces", vec![
            send("upload a.bin 3\nnew"),
            reply("OK\nOK File Berhasil Dibuat\n"),
            Step::End,
        ])
        .stores("a.bin", "new")
        .announced(),
        line("a slow line client stays one", vec![
            send("ls photos\n"),
            reply("OK 11\nb.jpg\nold/\n"),
            send("size a.b"),
            Step::Quiet(Delay::FirstByte),
            send("in\n"),
            reply("OK 10 0.00 MB\n"),
            Step::End,
            reply(""),
        ]),
        line("a first command in pieces", vec![
            send("rm "),
            Step::Quiet(Delay::Settle),
            send("nobody\n"),
            reply("ERROR File Tidak Ditemukan\n"),
        ]),
        line("a number settles late", vec![
            send("upload late.bin 5"),
            Step::Quiet(Delay::Settle),
            send("\nhello"),
            reply("OK\nOK File Berhasil Dibuat\n"),
        ])
        .stores("late.bin", "hello"),
    ]
}

pub fn refused() -> Vec<Script> {
    let one = |name, asked: &str, answer: &str| {
        let steps = vec![
            send(asked),
            reply(answer),
            send("ls\n"),
            reply(""),
            Step::End,
        ];
        script(Service::Files, name, steps).announced()
    };
    let too_long = format!("size {}\n", "n".repeat(4092));
    let endless = "n".repeat(4200);
    vec![
        one(
            "an unknown word",
            "delete a.bin\n",
            "ERROR unknown command delete; the words are ls, size, rm, download, upload, byebye\n",
        ),
        one(
            "no name",
            "rm\n",
            "ERROR the command needs a name behind it\n",
        ),
        one(
            "an upload without its size",
            "upload a.bin\n",
            "ERROR the size is missing; write: upload NAME BYTES, then the bytes\n",
        ),
        one(
            "an upload with an absurd size",
            "upload a.bin 99999999999999999999\n",
            "ERROR the size is missing; write: upload NAME BYTES, then the bytes\n",
        ),
        one(
            "a NUL in a name",
            "rm a\0b\n",
            "ERROR the name holds a control character: ab\n",
        ),
        one(
            "a line too long",
            &too_long,
            "ERROR more than 4096 bytes without a line end\n",
        ),
        one(
            "no line end at all",
            &endless,
            "ERROR more than 4096 bytes without a line end\n",
        ),
    ]
}

/// Conversations that break off, by silence or by the end of the stream.
pub fn broken_off() -> Vec<Script> {
    vec![
        script(
            Service::Files,
            "half a word and silence",
            vec![
                send("downl"),
                reply("ERROR the command is not finished; end it with a line feed\n"),
            ],
        ),
        script(
            Service::Files,
            "the end in the middle of a body",
            vec![
                send("upload a.bin 9\n12345"),
                Step::End,
                reply("OK\nERROR only 5 of 9 bytes came; nothing is stored\n"),
            ],
        )
        .announced(),
        script(
            Service::Files,
            "the end in the middle of a line",
            vec![
                send("ls photos\nrm a.bin"),
                Step::End,
                reply(
                    "OK 11\nb.jpg\nold/\n\
                 ERROR the connection ended in the middle; nothing was done\n",
                ),
            ],
        ),
    ]
}

pub fn bare() -> Vec<Script> {
    let bare = |name, steps| script(Service::Files, name, steps);
    vec![
        bare(
            "the textbook shell asks",
            vec![
                send("ls"),
                reply("a.bin\nempty\nphotos/\nwith blank 1"),
                send("size a.bin"),
                reply("0.00 MB"),
                send("size nobody"),
                reply("File Tidak Ditemukan"),
                send("download photos/b.jpg"),
                reply("jpeg\nlines\n"),
                send("download with blank 1"),
                reply("blank"),
                send("ls photos/old"),
                reply("c.jpg"),
                send("byebye"),
                Step::Quiet(Delay::Settle),
                reply(""),
            ],
        ),
        bare(
            "the textbook shell removes",
            vec![
                send("rm nobody"),
                reply("File Tidak Ditemukan"),
                send("rm photos/"),
                reply("ERROR the command is not finished; end it with a line feed"),
            ],
        ),
        bare(
            "a bare upload",
            vec![
                send("upload new.txt"),
                Step::Quiet(Delay::Settle),
                send("\nsize a.bin\nand more"),
                Step::Quiet(Delay::FirstByte),
                send("!"),
                Step::End,
                reply("File Berhasil Dibuat"),
            ],
        )
        .stores("new.txt", "\nsize a.bin\nand more!"),
        bare(
            "a bare upload of nothing",
            vec![
                send("upload nothing"),
                Step::Quiet(Delay::Settle),
                Step::End,
                reply("File Berhasil Dibuat"),
            ],
        )
        .stores("nothing", ""),
        bare(
            "a bare upload glued to its data",
            vec![send("upload a.binnilai budi 90"), Step::End, reply(NO_DATA)],
        ),
        bare(
            "a bare upload that never begins",
            vec![send("upload a.bin"), reply(NO_DATA)],
        ),
    ]
}

/// Bare units of which the end comes in another way than by silence.
pub fn healing() -> Vec<Script> {
    let bare = |name, steps| script(Service::Files, name, steps);
    vec![
        bare(
            "healing",
            vec![
                send("ls photos/old"),
                Step::Quiet(Delay::Settle),
                send("\r\nsize a.bin\n"),
                reply("c.jpg\nOK 10 0.00 MB\n"),
            ],
        ),
        bare(
            "a lone CR heals nothing",
            vec![
                send("ls photos/old"),
                Step::Quiet(Delay::Settle),
                send("\r"),
                reply("c.jpgERROR the command is not finished; end it with a line feed"),
            ],
        ),
        bare(
            "the end of the stream completes a unit",
            vec![send("size a.bin"), Step::End, reply("0.00 MB")],
        ),
    ]
}
