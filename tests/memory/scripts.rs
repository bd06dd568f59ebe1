//! Conversations of every protocol in both dialects, accepted and refused, with their answers.
//! The tests decide how the bytes are cut.

use super::Service::{self, Echo, Files as FilesService, Transfer};
use super::store::{Fault, Faults, Files};
use super::{Step, reply, send};
use Move::{End, Expect, Quiet, Say};
use loket::wire::follows::Timer::{self, FirstByte, HeaderGap, PartialCommand, Settle};

/// One conversation.
#[derive(Debug, Clone)]
pub struct Script {
    pub name: &'static str,
    pub service: Service,
    pub faults: Faults,
    pub steps: Vec<Step>,
    /// The file that must exist afterwards, with its content; `None`: no check.
    pub stored: Option<(&'static str, Vec<u8>)>,
    /// Every name and size is announced, so that a cut conversation stores no partial file.
    pub announced: bool,
}

/// The initial files of every conversation.
pub fn files() -> Files {
    [
        ("a.bin", &b"0123456789"[..]),
        ("empty", b""),
        ("with blank 1", b"blank"),
        ("photos/b.jpg", b"jpeg\nlines\n"),
        ("photos/old/c.jpg", b"c"),
    ]
    .into_iter()
    .map(|(name, content)| (name.to_owned(), content.to_vec()))
    .collect()
}

/// A step in a table.
enum Move {
    Say(&'static str),
    Expect(&'static str),
    Quiet(Timer),
    End,
}

/// A name, the service, the steps, and a file that exists afterwards.
type Row = (
    &'static str,
    Service,
    &'static [Move],
    Option<(&'static str, &'static str)>,
);

/// The answer to a bare upload without data.
const NO_DATA: &str = "ERROR no data came, nothing is stored; send the file's bytes a moment after \
                       the command, and then shut down your sending side (SHUT_WR)";

#[rustfmt::skip] // a table
const LINES: &[Row] = &[
    ("an upload and commands after it", FilesService, &[
        Say("upload new.bin 7\nab\ncd\n!size new.bin\nupload none 0\nsize none\nbyebye\nls\n"),
        Expect("OK\nOK File Berhasil Dibuat\nOK 7 0.00 MB\nOK\nOK File Berhasil Dibuat\n\
              OK 0 0.00 MB\nOK\n")], None),
    ("an upload replaces", FilesService, &[
        Say("upload a.bin 3\nnew"), Expect("OK\nOK File Berhasil Dibuat\n"), End],
        Some(("a.bin", "new"))),
    ("the end in the middle of a body", FilesService, &[
        Say("upload a.bin 9\n12345"), End,
        Expect("OK\nERROR only 5 of 9 bytes came; nothing is stored\n")], None),
    ("lines, pipelined", Transfer, &[
        Say("SEND\nx.bin\nx.bin<SEPARATOR>6\nSEND\nxRECEIVE\r\nx.bin\r\n\
             SEND\nempty2\nempty2<SEPARATOR>0\nRECEIVE\nempty2\nRECEIVE\nnobody\n\n\
             RECEIVE\na.bin\n"),
        Expect("OK\nOK 6\nOK\nx.bin<SEPARATOR>6\nSEND\nxOK\nOK 0\nOK\nempty2<SEPARATOR>0\n\
              OK\nERROR: File not found\nOK\na.bin<SEPARATOR>10\n0123456789"),
        End, Expect("")], None),
    ("lines, each awaited", Transfer, &[
        Say("SEND\n"), Expect("OK\n"), Say("x.bin\n"), Quiet(PartialCommand),
        Say("folder/y.bin<SEPARATOR>5\n"), Quiet(PartialCommand), Say("hello"), Expect("OK 5\n"),
        End, Expect("")], Some(("y.bin", "hello"))),
    ("the end in the middle of a body", Transfer, &[
        Say("SEND\na.bin\na.bin<SEPARATOR>9\n12345"), End,
        Expect("OK\nERROR: only 5 of 9 bytes came; nothing is stored\n")], None),
];

#[rustfmt::skip] // a table
const OTHERS: &[Row] = &[
    ("every read command on lines", FilesService, &[
        Say("size a.bin\r\nls\nls photos\ndownload a.bin\ndownload a.bin 7\n\
             download a.bin 10\ndownload empty\nsize with blank 1\n\
             download \"with blank 1\"\n\n"),
        Expect("OK 10 0.00 MB\nOK 33\na.bin\nempty\nphotos/\nwith blank 1\nOK 11\nb.jpg\nold/\n\
              OK 10\n0123456789OK 3\n789OK 0\nOK 0\nOK 5 0.00 MB\nOK 5\nblank")], None),
    ("an error for a missing file does not end the conversation", FilesService, &[
        Say("size x\nrm x\ndownload x\nls nowhere\ndownload a.bin 11\nsize empty\n"),
        Expect("ERROR File Tidak Ditemukan\nERROR File Tidak Ditemukan\n\
              ERROR File Tidak Ditemukan\nERROR there is no such folder\n\
              ERROR the file has only 10 bytes\nOK 0 0.00 MB\n")], None),
    ("a slow line client remains a line client", FilesService, &[
        Say("ls photos\n"), Expect("OK 11\nb.jpg\nold/\n"), Say("size a.b"), Quiet(FirstByte),
        Say("in\n"), Expect("OK 10 0.00 MB\n"), End, Expect("")], None),
    ("a first command in pieces", FilesService, &[
        Say("rm "), Quiet(Settle), Say("nobody\n"), Expect("ERROR File Tidak Ditemukan\n")], None),
    ("a first name in pieces", FilesService, &[
        Say("rm photos/"), Quiet(Settle), Say("nobody\n"), Expect("ERROR File Tidak Ditemukan\n"),
        Say("size a.bin\n"), Expect("OK 10 0.00 MB\n")], None),
    ("a first word in pieces", FilesService, &[
        Say("rm"), Quiet(Settle), Say(" \"nobody\"\n"), Expect("ERROR File Tidak Ditemukan\n")],
        None),
    ("a pause after the size of an upload", FilesService, &[
        Say("upload late.bin 5"), Quiet(Settle), Say("\nhello"),
        Expect("OK\nOK File Berhasil Dibuat\n")], Some(("late.bin", "hello"))),
    ("half a word and silence", FilesService, &[
        Say("downl"), Expect("ERROR the command is not finished; end it with a line feed\n")],
        None),
    ("half a word and the end", FilesService, &[
        Say("siz"), End, Expect("ERROR the connection ended in the middle; nothing was done\n")],
        None),
    ("half a command and the end", FilesService, &[
        Say("rm "), End, Expect("ERROR the connection ended in the middle; nothing was done\n")],
        None),
    ("half a name and the end", FilesService, &[
        Say("rm photos/"), End,
        Expect("ERROR the connection ended in the middle; nothing was done\n")], None),
    ("half a folder and the end", FilesService, &[
        Say("ls photos/"), End,
        Expect("ERROR the connection ended in the middle; nothing was done\n")], None),
    ("half a command and silence", FilesService, &[
        Say("rm "), Expect("ERROR the command is not finished; end it with a line feed\n")], None),
    ("the end in the middle of a line", FilesService, &[
        Say("ls photos\nrm a.bin"), End,
        Expect("OK 11\nb.jpg\nold/\n\
              ERROR the connection ended in the middle; nothing was done\n")], None),
    ("the textbook shell asks", FilesService, &[
        Say("ls"), Expect("a.bin\nempty\nphotos/\nwith blank 1"),
        Say("size a.bin"), Expect("0.00 MB"), Say("size nobody"), Expect("File Tidak Ditemukan"),
        Say("download photos/b.jpg"), Expect("jpeg\nlines\n"),
        Say("download with blank 1"), Expect("blank"), Say("ls photos/old"), Expect("c.jpg"),
        Say("byebye"), Quiet(Settle), Expect("")], None),
    ("the textbook shell removes", FilesService, &[
        Say("rm nobody"), Expect("File Tidak Ditemukan"), Say("rm photos/"),
        Expect("ERROR the command is not finished; end it with a line feed")], None),
    ("a bare upload", FilesService, &[
        Say("upload new.txt"), Quiet(Settle), Say("\nsize a.bin\nand more"), Quiet(FirstByte),
        Say("!"), End, Expect("File Berhasil Dibuat")],
        Some(("new.txt", "\nsize a.bin\nand more!"))),
    ("a bare upload with a number in its name", FilesService, &[
        Say("upload a 5"), Quiet(Settle), Say("1234567"), End, Expect("File Berhasil Dibuat")],
        Some(("a 5", "1234567"))),
    ("a bare upload of an empty file", FilesService, &[
        Say("upload nothing"), Quiet(Settle), End, Expect("File Berhasil Dibuat")],
        Some(("nothing", ""))),
    ("a bare upload without a pause before its data", FilesService, &[
        Say("upload a.binnilai budi 90"), End, Expect(NO_DATA)], None),
    ("a bare upload that never begins", FilesService, &[
        Say("upload a.bin"), Expect(NO_DATA)], None),
    ("a late line end", FilesService, &[
        Say("ls photos/old"), Quiet(Settle), Say("\r\nsize a.bin\n"),
        Expect("c.jpg\nOK 10 0.00 MB\n")], None),
    ("a late line end after the answer", FilesService, &[
        Say("rm nobody"), Expect("File Tidak Ditemukan"), Say("\n"), Expect("\n"),
        Say("size photos/b.jpg\nbyebye\n"), Expect("OK 11 0.00 MB\nOK\n")], None),
    ("an empty line after a line is not a late line end", FilesService, &[
        Say("size a.bin"), Expect("0.00 MB"), Say("size a.bin\n"), Expect("OK 10 0.00 MB\n"),
        Say("\nsize a.bin\n"), Expect("OK 10 0.00 MB\n")], None),
    ("a CR alone is not a late line end", FilesService, &[
        Say("ls photos/old"), Quiet(Settle), Say("\r"),
        Expect("c.jpgERROR the command is not finished; end it with a line feed")], None),
    ("the end of the stream completes a unit", FilesService, &[
        Say("size a.bin"), End, Expect("0.00 MB")], None),
    ("a late line end after a command word", Transfer, &[
        Say("RECEIVE"), Expect("OK"), Say("\n"), Expect("\n"), Say("a.bin\nRECEIVE\nempty\n"),
        Expect("a.bin<SEPARATOR>10\n0123456789OK\nempty<SEPARATOR>0\n")], None),
    ("a late line end after the command word of an upload", Transfer, &[
        Say("SEND"), Expect("OK"), Say("\r\n"), Expect("\n"),
        Say("n.bin\nn.bin<SEPARATOR>5\n1\n234RECEIVE\nn.bin\n"),
        Expect("OK 5\nOK\nn.bin<SEPARATOR>5\n1\n234")], Some(("n.bin", "1\n234"))),
    ("a late line end and the rest of an upload at once", Transfer, &[
        Say("SEND"), Expect("OK"), Say("\nn.bin\nn.bin<SEPARATOR>3\nabc"), Expect("\nOK 3\n")],
        Some(("n.bin", "abc"))),
    ("a late line end in the header gap", Transfer, &[
        Say("RECEIVE"), Expect("OK"), Say("a.bin"), Expect("a.bin<SEPARATOR>10"),
        Say("\r\nRECEIVE\nempty\n"), Expect("\n0123456789OK\nempty<SEPARATOR>0\n")], None),
    ("half a word and the end", Transfer, &[
        Say("SEN"), End,
        Expect("ERROR: the connection ended in the middle; nothing was done\n")], None),
    ("half a word and silence", Transfer, &[
        Say("RECEIV"), Expect("ERROR: the command is not finished; end it with a line feed\n")],
        None),
    ("the rest of a file and the sum of its front", Transfer, &[
        Say("RESUME\na.bin<SEPARATOR>7\nSUM\na.bin<SEPARATOR>3\nRESUME\r\na.bin<SEPARATOR>10\r\n\
             RESUME\na.bin<SEPARATOR>11\nSUM\na.bin<SEPARATOR>11\nRESUME\nx<SEPARATOR>1\n\
             SUM\nx<SEPARATOR>1\nRECEIVE\nempty\n"),
        Expect("OK\na.bin<SEPARATOR>3\n789OK\n\
              OK bf6aaaab7c143ca12ae448c69fb72bb4cf1b29154b9086a927a0a91ae334cdf7\n\
              OK\na.bin<SEPARATOR>0\nOK\nERROR: the file has only 10 bytes\n\
              OK\nERROR: the file has only 10 bytes\nOK\nERROR: File not found\n\
              OK\nERROR: File not found\nOK\nempty<SEPARATOR>0\n")], None),
    ("a word that needs a line and silence", Transfer, &[
        Say("RESUME"), Expect("ERROR: the command is not finished; end it with a line feed\n")],
        None),
    ("a word that needs a line and the end", Transfer, &[
        Say("SUM"), End,
        Expect("ERROR: the connection ended in the middle; nothing was done\n")], None),
    ("a word that needs a line in pieces", Transfer, &[
        Say("RES"), Quiet(Settle), Say("UME"), Quiet(Settle), Say("\na.bin<SEPARATOR>9\n"),
        Expect("OK\na.bin<SEPARATOR>1\n9")], None),
    ("a textbook download", Transfer, &[
        Say("RECEIVE"), Expect("OK"), Say("photos/../a.bin"), Quiet(Settle),
        Expect("a.bin<SEPARATOR>10"), Quiet(HeaderGap), Expect("0123456789")], None),
    ("a download after the end of the stream", Transfer, &[
        Say("RECEIVE"), Expect("OK"), Say("a.bin"), End, Expect("a.bin<SEPARATOR>10"),
        Quiet(HeaderGap), Expect("0123456789")], None),
    ("a command in the header gap", Transfer, &[
        Say("RECEIVE"), Expect("OK"), Say("a.bin"), Expect("a.bin<SEPARATOR>10"), Say("RECEIVE\n"),
        Expect("0123456789")], None),
    ("a download of a missing file", Transfer, &[
        Say("RECEIVE"), Expect("OK"), Say("nobody"), Expect("ERROR: File not found")], None),
];

/// What textbook clients send after the OK to SEND, the answer, and the stored file.
type SendRow = (
    &'static str,
    &'static [Move],
    &'static str,
    Option<(&'static str, &'static str)>,
);

const HELLO: Option<(&str, &str)> = Some(("x.bin", "hello"));

#[rustfmt::skip] // a table
const SENDS: &[SendRow] = &[
    ("a textbook upload", &[Say("x.binx.bin<SEPARATOR>5hello"), End], "", HELLO),
    ("a pause marks the end of the name", &[
        Say("x.bin"), Quiet(Settle), Say("photos/y.bin<SEPARATOR>5hello"), End],
        "", Some(("y.bin", "hello"))),
    ("pauses after the name and in the digits", &[
        Say("x.bin"), Quiet(Settle), Quiet(Settle), Say("x.bin<SEPARATOR>1"), Quiet(Settle),
        Say("1123"), Quiet(Settle), Say("45 hello"), End], "", Some(("x.bin", "12345 hello"))),
    ("a name sent once", &[Say("x.bin<SEPARATOR>5hello"), End], "", HELLO),
    ("a path and its last component", &[Say("C:\\photos\\y.biny.bin<SEPARATOR>5hello"), End],
        "", Some(("y.bin", "hello"))),
    ("a typed size and a name sent once", &[
        Say("x.bin<SEPARATOR>"), Quiet(PartialCommand), Say("5"), Quiet(PartialCommand),
        Say("hello"), End], "", HELLO),
    ("a pause before the name does not end it", &[
        Quiet(PartialCommand), Say("x.bin<SEPARATOR>5hello"), End], "", HELLO),
    ("pauses that leave the name open", &[
        Say("x"), Quiet(Settle), Say(".b"), Quiet(Settle), Say("in<SEPARATOR>5hello"), End],
        "ERROR: the name must come twice, the second time before the separator", None),
    ("a name without a size", &[Say("x.binx.bin<SEPARATOR>hello")],
        "ERROR: the size is not a number of bytes", None),
    ("the end before the separator", &[Say("x.binx.bin<SEPARAT"), End],
        "ERROR: the connection ended in the middle; nothing was done", None),
    ("a size that is too large", &[Say("a.bina.bin<SEPARATOR>12hello"), End],
        "ERROR: the size does not fit what came; nothing is stored", None),
    ("a size that is too small", &[Say("a.bina.bin<SEPARATOR>2hello"), End],
        "ERROR: more came than the size says; nothing is stored", None),
    ("a short body after a name sent once", &[
        Say("a.bin<SEPARATOR>5hell"), End],
        "ERROR: the size does not fit what came; nothing is stored", None),
    ("separators", &[Say("x.binx.bin<SEPARATOR>23<SEPARATOR>3<SEPARATOR>"), End],
        "", Some(("x.bin", "<SEPARATOR>3<SEPARATOR>"))),
    ("line ends", &[Say("a b.txta b.txt<SEPARATOR>5\n\r\n1\n"), End],
        "", Some(("a b.txt", "\n\r\n1\n"))),
    ("12345 hello", &[Say("x.binx.bin<SEPARATOR>1112345 hello"), End],
        "", Some(("x.bin", "12345 hello"))),
    ("0000", &[Say("x.binx.bin<SEPARATOR>40000"), End], "", Some(("x.bin", "0000"))),
    ("nothing", &[Say("x.binx.bin<SEPARATOR>0"), End], "", Some(("x.bin", ""))),
    ("a digit and a line end", &[Say("x.binx.bin<SEPARATOR>27\n"), End],
        "", Some(("x.bin", "7\n"))),
];

/// Units that end the conversation, with their answers; later commands are not executed.
#[rustfmt::skip] // a table
const REFUSED: &[(&str, Service, &str, &str)] = &[
    ("an unknown word", FilesService, "delete a.bin\n",
        "ERROR unknown command delete; the words are \
        ls, size, sum, rm, mv, mkdir, download, upload, byebye\n"),
    ("no name", FilesService, "rm\n", "ERROR the command needs a name behind it\n"),
    ("an upload without its size", FilesService, "upload a.bin\n",
        "ERROR the size is missing; write: upload NAME BYTES, then the bytes\n"),
    ("an upload with an absurd size", FilesService, "upload a.bin 99999999999999999999\n",
        "ERROR the size is missing; write: upload NAME BYTES, then the bytes\n"),
    ("a NUL in a name", FilesService, "rm a\0b\n",
        "ERROR the name holds a control character: ab\n"),
    ("a wrong word on a line", Transfer, "GET\n",
        "ERROR: unknown command GET; the words are SEND, RECEIVE, RESUME and SUM\n"),
    ("a header without its separator", Transfer, "SEND\nx\nx 5\nhello",
        "OK\nERROR: write the header as NAME<SEPARATOR>BYTES, not as x 5\n"),
    ("a header without a size", Transfer, "SEND\nx\nx<SEPARATOR>-5\nhello",
        "OK\nERROR: the size is not a number of bytes: -5\n"),
    ("no offset", Transfer, "RESUME\na.bin\n",
        "OK\nERROR: write the header as NAME<SEPARATOR>BYTES, not as a.bin\n"),
    ("a wrong length", Transfer, "SUM\na.bin<SEPARATOR>-1\n",
        "OK\nERROR: the size is not a number of bytes: -1\n"),
    ("an upload to a folder", Transfer, "SEND\nx\nx/<SEPARATOR>5\nhello",
        "OK\nERROR: it is not a regular file\n"),
    ("a control character in a name", Transfer, "RECEIVE\na\x1b[2J\n",
        "OK\nERROR: the name holds a control character: a[2J\n"),
];

/// All scripts.
pub fn all() -> Vec<Script> {
    let mut all = sound();
    all.extend(failing_uploads());
    all.extend(failing_stores());
    all
}

/// The scripts in which the store has no fault.
pub fn sound() -> Vec<Script> {
    let mut all: Vec<Script> = LINES.iter().map(|row| script(row, true)).collect();
    all.extend(OTHERS.iter().map(|row| script(row, false)));
    all.extend(SENDS.iter().map(|(name, moves, answer, stored)| {
        let before = [send("SEND"), reply("OK")].into_iter();
        let steps = before.chain(steps(moves)).chain([reply(answer)]);
        conversation(name, Transfer, steps.collect(), *stored)
    }));
    let refused = |&(name, service, asked, answer)| refused(name, service, asked, answer);
    all.extend(REFUSED.iter().map(refused));
    all.extend(made());
    all
}

fn steps(moves: &[Move]) -> impl Iterator<Item = Step> {
    moves.iter().map(|step| match step {
        Say(text) => send(text),
        Expect(text) => reply(text),
        Quiet(delay) => Step::Quiet(*delay),
        End => Step::End,
    })
}

fn conversation(
    name: &'static str,
    service: Service,
    steps: Vec<Step>,
    stored: Option<(&'static str, &'static str)>,
) -> Script {
    Script {
        name,
        service,
        faults: Faults::default(),
        steps,
        stored: stored.map(|(name, content)| (name, content.into())),
        announced: false,
    }
}

fn script(&(name, service, moves, stored): &Row, announced: bool) -> Script {
    Script {
        announced,
        ..conversation(name, service, steps(moves).collect(), stored)
    }
}

fn refused(name: &'static str, service: Service, asked: &str, answer: &str) -> Script {
    let behind = if service == Transfer {
        "SEND\n"
    } else {
        "ls\n"
    };
    let steps = vec![
        send(asked),
        reply(answer),
        send(behind),
        reply(""),
        Step::End,
    ];
    Script {
        announced: true,
        ..conversation(name, service, steps, None)
    }
}

/// Conversations with binary data, or too long for a table.
fn made() -> Vec<Script> {
    let no_end = "ERROR more than 4096 bytes without a line end\n";
    let too_long = format!("size {}\n", "n".repeat(4092));
    let endless = format!("{}<SEPARATOR>5hello", "n".repeat(4200));
    let why = "ERROR: more than 4096 bytes without a line end";
    let nameless = vec![send("SEND"), reply("OK"), send(endless), reply(why)];
    let bytes = [0, 255, 10, 13];
    let (line, last) = ("one\n", "last");
    let echo = vec![
        send(line),
        reply(line),
        send(bytes),
        reply(bytes),
        send(last),
        Step::End,
        reply(last),
    ];
    let digits: Vec<u8> = (0..300_u32).map(|at| b'0' + (at * 7 % 10) as u8).collect();
    let numbers = [b"x.binx.bin<SEPARATOR>300", &digits[..]].concat();
    let numbers = vec![
        send("SEND"),
        reply("OK"),
        send(numbers),
        Step::End,
        reply(""),
    ];
    vec![
        conversation("echo", Echo, echo, None),
        refused("a line that is too long", FilesService, &too_long, no_end),
        refused("no line end", FilesService, &"n".repeat(4200), no_end),
        conversation("a name without end", Transfer, nameless, None),
        Script {
            stored: Some(("x.bin", digits)),
            ..conversation("a body of digits", Transfer, numbers, None)
        },
    ]
}

fn failing_uploads() -> Vec<Script> {
    let upload = |name, faults, why: &str| {
        let wanted = format!("OK\nERROR {why}\n");
        let steps = vec![send("upload a.bin 9\n123456789ls\n"), reply(wanted)];
        Script {
            faults,
            announced: true,
            ..conversation(name, FilesService, steps, None)
        }
    };
    let bare_send = |name, faults, why: &str| {
        let (ok, data) = (reply("OK"), send("a.bina.bin<SEPARATOR>912345 789"));
        let steps = vec![
            send("SEND"),
            ok,
            data,
            Step::End,
            reply(format!("ERROR: {why}")),
        ];
        Script {
            faults,
            ..conversation(name, Transfer, steps, None)
        }
    };
    let refuses = |byte| Faults {
        every: Some(Fault::Full(byte)),
        ..Faults::default()
    };
    let commit_fails = Faults {
        every: Some(Fault::Denied),
        ..Faults::default()
    };
    let no_space = "there is no space left for the file";
    let denied = "the server has no permission for it";
    vec![
        upload("no space for the first byte", refuses(0), no_space),
        upload("no space for the fifth byte", refuses(4), no_space),
        upload("no space for the last byte", refuses(8), no_space),
        upload(
            "a line upload cannot be committed",
            commit_fails.clone(),
            denied,
        ),
        bare_send("no space while the size is ambiguous", refuses(2), no_space),
        bare_send("no space while the body is moved", refuses(8), no_space),
        bare_send("a bare upload cannot be committed", commit_fails, denied),
    ]
}

fn failing_stores() -> Vec<Script> {
    let faults = Faults::default;
    let failing = |name, faults, moves| Script {
        faults,
        ..script(&(name, FilesService, moves, None), false)
    };
    let no_space = Faults {
        no_space: true,
        ..faults()
    };
    let largest = Faults {
        largest: Some(5),
        ..faults()
    };
    let shrinks = Faults {
        every: Some(Fault::Ends(4)),
        ..faults()
    };
    let no_list = Faults {
        listing_fails: true,
        ..faults()
    };
    vec![
        failing(
            "an announced size that does not fit",
            no_space,
            &[
                Say("upload a.bin 9\n123456789"),
                Expect("ERROR there is no space left for the file\n"),
            ],
        ),
        failing(
            "larger than the maximum",
            largest,
            &[
                Say("upload big"),
                Quiet(Settle),
                Say("123456"),
                Expect("ERROR the file is too large; at most 5 bytes are taken"),
            ],
        ),
        failing(
            "a file that shrinks",
            shrinks,
            &[
                Say("size a.bin\ndownload a.bin\nls\n"),
                Expect("OK 10 0.00 MB\nOK 10\n0123"),
            ],
        ),
        failing(
            "a folder that cannot be read",
            no_list,
            &[
                Say("ls\nls\n"),
                Expect(
                    "ERROR too much is open at this moment; try again later\n\
                 ERROR too much is open at this moment; try again later\n",
                ),
            ],
        ),
    ]
}
