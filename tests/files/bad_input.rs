//! Any input gets the documented answer and leaves no file, descriptor or connection behind.

use crate::support::file_service::{FILE_SERVICES, FileService};
use crate::support::target::Target;
use crate::support::{BOTH_WAYS, NO_FILE, NO_FOLDER, NOT_REGULAR, REMOVED, noise, pause};

/// How a conversation continues after the reply.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    /// The server ends it.
    Closed,
    /// A question on the same connection is answered.
    Open,
    /// The client ends its stream first; then the server ends it.
    AfterEnd,
}
use Then::{AfterEnd, Closed, Open};

/// Name, service, the bytes in steps, the reply (or its beginning), and what follows.
/// Steps are sent a pause apart that is longer than the settle window.
type Row = (
    &'static str,
    &'static str,
    &'static [&'static [u8]],
    &'static str,
    Then,
);

fn question(service: &str) -> (&'static str, &'static str) {
    match service {
        "files" => ("size empty\n", "OK 0 0.00 MB\n"),
        _ => ("RECEIVE\nempty\n", "OK\nempty<SEPARATOR>0\n"),
    }
}

/// A row of a table, or a generated case.
struct Case {
    name: String,
    service: &'static str,
    steps: Vec<Vec<u8>>,
    reply: &'static str,
    then: Then,
}

fn row(&(name, service, steps, reply, then): &Row) -> Case {
    let name = name.to_owned();
    let steps = steps.iter().map(|step| step.to_vec()).collect();
    Case {
        name,
        service,
        steps,
        reply,
        then,
    }
}

fn made<Bytes: AsRef<[u8]>>(
    service: &'static str,
    steps: &[Bytes],
    reply: &'static str,
    then: Then,
) -> Case {
    let steps: Vec<Vec<u8>> = steps.iter().map(|step| step.as_ref().to_vec()).collect();
    let bytes = steps.concat();
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
    let name = format!("{shown} ({} bytes)", bytes.len());
    Case {
        name,
        service,
        steps,
        reply,
        then,
    }
}

fn run(target: &Target, case: &Case) {
    let mut client = target.connect(case.service);
    for (number, step) in case.steps.iter().enumerate() {
        if number > 0 {
            pause();
        }
        client.send(step);
    }
    if case.then == Open {
        let (ask, answer) = question(case.service);
        client.expect(case.reply).send(ask).expect(answer).finish();
        assert_eq!(client.text(), "", "{}", case.name);
        return;
    }
    if case.then == AfterEnd {
        client.finish();
    }
    let answer = String::from_utf8_lossy(&client.rest()).into_owned();
    // `OK` may go before an error; the reply itself must begin as the table says.
    let reply = case.reply;
    assert!(
        answer.starts_with(reply),
        "{}: {answer:?} instead of {reply:?}",
        case.name
    );
    let Some(error) = answer.find("ERROR").map(|at| &answer[at..]) else {
        return;
    };
    let clean = !error.trim_end_matches('\n').contains(char::is_control);
    let short = error.len() < 300 && error.matches("ERROR").count() == 1;
    assert!(clean && short, "{}: {answer:?}", case.name);
}

#[track_caller]
fn run_all(cases: &[Case]) {
    for way in BOTH_WAYS {
        let target = Target::start(way);
        std::thread::scope(|scope| {
            let play = |case| {
                scope.spawn({
                    let target = &target;
                    move || run(target, case)
                })
            };
            let running: Vec<_> = cases.iter().map(play).collect();
            for (case, running) in cases.iter().zip(running) {
                assert!(running.join().is_ok(), "`{}` failed", case.name);
            }
        });
        target.is_as_it_was();
    }
}

#[track_caller]
fn run_table(rows: &[Row]) {
    run_all(&rows.iter().map(row).collect::<Vec<_>>());
}

const FILES: &str = "files";
const TRANSFER: &str = "transfer";
const TOO_FAR: &str = "ERROR the file has only 6 bytes\n";

const NOT_FOUND: &str = "OK\nERROR: File not found\n";
const OVER: &str = "OK 0 0.00 MB\nERROR more than 4096 bytes without";

#[rustfmt::skip] // a table
const ESCAPES: &[Row] = &[
    ("download ..", FILES, &[b"download ../secret\n"], NO_FILE, Open),
    ("download absolute", FILES, &[b"download /etc/passwd\n"], NO_FILE, Open),
    ("download through", FILES, &[b"download dir/../../secret\n"], NO_FILE, Open),
    ("download //", FILES, &[b"download //etc/passwd\n"], NO_FILE, Open),
    ("download quoted", FILES, &[b"download \"../secret\"\n"], NO_FILE, Open),
    ("download loop", FILES, &[b"download loop\n"], NO_FILE, Open),
    ("download inside", FILES, &[b"download dir/../in\n"], "OK 6\ninside", Open),
    ("size ..", FILES, &[b"size ../secret\n"], NO_FILE, Open),
    ("size root", FILES, &[b"size .\n"], NOT_REGULAR, Open),
    ("size up", FILES, &[b"size ..\n"], NO_FILE, Open),
    ("rm ..", FILES, &[b"rm ../secret\n"], NO_FILE, Open),
    ("rm absolute", FILES, &[b"rm /etc/passwd\n"], NO_FILE, Open),
    ("rm root", FILES, &[b"rm ..\n"], NOT_REGULAR, Open),
    ("rm a folder", FILES, &[b"rm dir\n"], NOT_REGULAR, Open),
    ("ls ..", FILES, &[b"ls ..\n"], NO_FOLDER, Open),
    ("ls file", FILES, &[b"ls a\n"], NO_FOLDER, Open),
    ("upload ..", FILES, &[b"upload ../new 1\nx"], "ERROR ", Closed),
    ("upload absolute", FILES, &[b"upload /tmp/loket-new 1\nx"], "ERROR ", Closed),
    ("upload through", FILES, &[b"upload dir/../../new 1\nx"], "ERROR ", Closed),
    ("upload a folder", FILES, &[b"upload dir 1\nx"], NOT_REGULAR, Closed),
    ("upload slash", FILES, &[b"upload dir/ 1\nx"], NOT_REGULAR, Closed),
    ("upload dots", FILES, &[b"upload .. 1\nx"], NOT_REGULAR, Closed),
    ("upload nowhere", FILES, &[b"upload no/x 1\nx"], NO_FOLDER, Closed),
    ("bare download ..", FILES, &[b"download ../secret"], "File Tidak Ditemukan", AfterEnd),
    ("bare size link", FILES, &[b"size out"], "File Tidak Ditemukan", AfterEnd),
    ("bare rm ..", FILES, &[b"rm ../secret"], "File Tidak Ditemukan", AfterEnd),
    ("bare ls ..", FILES, &[b"ls .."], "ERROR there is no such folder", AfterEnd),
    ("bare upload ..", FILES, &[b"upload ../new", b"x"], "ERROR ", Closed),
    ("SEND ..", TRANSFER, &[b"SEND\n..\n..<SEPARATOR>1\nx"], "OK\nERROR: it is not", Closed),
    ("SEND slash", TRANSFER, &[b"SEND\nd/\nd/<SEPARATOR>1\nx"], "OK\nERROR: it is not", Closed),
    ("SEND own", TRANSFER, &[b"SEND\nn\n.loket-.part<SEPARATOR>1\n"], "OK\nERROR: the", Closed),
    ("RECEIVE ..", TRANSFER, &[b"RECEIVE\n../secret\n"], NOT_FOUND, Open),
    ("RECEIVE link", TRANSFER, &[b"RECEIVE\nout\n"], NOT_FOUND, Open),
    ("RECEIVE dots", TRANSFER, &[b"RECEIVE\n..\n"], "OK\nERROR: ", AfterEnd),
    ("bare RECEIVE ..", TRANSFER, &[b"RECEIVE", b"../secret"], "OKERROR: File not found", Closed),
    ("bare RECEIVE link", TRANSFER, &[b"RECEIVE", b"out"], "OKERROR: File not found", Closed),
];

#[test]
fn no_name_leads_out_of_the_root() {
    run_table(ESCAPES);
}

#[rustfmt::skip] // a table
const WRONG_WORDS: &[Row] = &[
    ("upper case", FILES, &[b"LS\n"], "ERROR unknown command", Closed),
    ("mixed case", FILES, &[b"Download a\n"], "ERROR unknown command", Closed),
    ("word too long", FILES, &[b"lsx\n"], "ERROR unknown command", Closed),
    ("blank before", FILES, &[b" ls\n"], "ERROR unknown command", Closed),
    ("tab for blank", FILES, &[b"size\ta\n"], "ERROR unknown command", Closed),
    ("goodbye and more", FILES, &[b"byebye now\n"], "ERROR unknown command", Closed),
    ("blank name", FILES, &[b"rm   \n"], "ERROR the command needs a name", Closed),
    ("download no name", FILES, &[b"download\n"], "ERROR the command needs", Closed),
    ("upload no name", FILES, &[b"upload\n"], "ERROR the command needs", Closed),
    ("upload size only", FILES, &[b"upload 5\n"], "ERROR the size is missing", Closed),
    ("empty quotes", FILES, &[b"size \"\"\n"], "ERROR the name is empty", Closed),
    ("blank lines mean nothing", FILES, &[b"\n\r\n\n"], "", Open),
    ("half a name", FILES, &[b"size dir/"], "ERROR the command is not", Closed),
    ("offset too far", FILES, &[b"download a 7\n"], TOO_FAR, Open),
    ("offset 2^63", FILES, &[b"download a 9223372036854775808\n"], TOO_FAR, Open),
    ("offset 2^64", FILES, &[b"download a 18446744073709551616\n"], NO_FILE, Open),
    ("offset at the end", FILES, &[b"download a 6\n"], "OK 0\n", Open),
    ("bare unknown", FILES, &[b"lss"], "ERROR unknown command lss; the words are ls, size", Closed),
    ("bare unknown, end", FILES, &[b"lss"], "ERROR unknown command lss; ", AfterEnd),
    ("bare upper case", FILES, &[b"LS"], "ERROR unknown command LS; ", Closed),
    ("bare upper case, CR", FILES, &[b"LS\r"], "ERROR unknown command LS; ", AfterEnd),
    ("bare connme", FILES, &[b"connme"], "ERROR unknown command connme; ", Closed),
    ("bare with names", FILES, &[b"get a b"], "ERROR unknown command get; ", Closed),
    ("bare goodbye and more", FILES, &[b"byebye now"],
        "ERROR unknown command byebye now; ", Closed),
    ("bare escape", FILES, &[b"\x1b[2Jdir\x07"], "ERROR unknown command [2Jdir; ", Closed),
    ("typed upper case", FILES, &[b"L", b"S", b"\r\n"], "ERROR unknown command LS; ", Closed),
    ("served before", FILES, &[b"size empty", b"exit"],
        "0.00 MBERROR unknown command exit; ", Closed),
    ("half a goodbye", FILES, &[b"byeb"],
        "ERROR the command is not finished; end it with a", Closed),
    ("half a folder, CR", FILES, &[b"ls dir/\r"], "ERROR the command is not finished", Closed),
    ("half a name, UTF-8", FILES, &[b"size caf\xc3\xa9/"], "ERROR the command is not fin", Closed),
    ("http", FILES, &[b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], "ERROR unknown", Closed),
    ("tls", FILES, &[b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], "ERROR ", Closed),
    ("lower case", TRANSFER, &[b"send\n"], "ERROR: unknown command", Closed),
    ("word too long", TRANSFER, &[b"SENDER\n"], "ERROR: unknown command", Closed),
    ("blank behind", TRANSFER, &[b"SEND \n"], "ERROR: unknown command", Closed),
    ("blank lines mean nothing", TRANSFER, &[b"\n\r\n\n"], "", Open),
    ("empty name", TRANSFER, &[b"RECEIVE\n\n"], "OK\nERROR: the name is empty", Closed),
    ("no name", TRANSFER, &[b"SEND\nn\n<SEPARATOR>1\nx"], "OK\nERROR: the name is", Closed),
    ("no size", TRANSFER, &[b"SEND\nn\nn<SEPARATOR>\n"], "OK\nERROR: the size", Closed),
    ("half a header, end", TRANSFER, &[b"SEND\nn\nn<SEP"], "OK\nERROR: the conn", AfterEnd),
    ("name once", TRANSFER, &[b"SEND", b"n<SEPARATOR>2x"], "OKERROR: the size does", AfterEnd),
    ("pause in separator", TRANSFER, &[b"SEND", b"ab<SEP", b"ARATOR>2x"], "OKERROR: ", AfterEnd),
    ("pause behind <", TRANSFER, &[b"SEND", b"ab<", b"SEPARATOR>2x"], "OKERROR: ", AfterEnd),
    ("no name, bare", TRANSFER, &[b"SEND", b"<SEPARATOR>1x"], "OKERROR: ", Closed),
    ("no size, bare", TRANSFER, &[b"SEND", b"nn<SEPARATOR>x"], "OKERROR: the size", Closed),
    ("minus, bare", TRANSFER, &[b"SEND", b"nn<SEPARATOR>-1x"], "OKERROR: the size", Closed),
    ("2^64, bare", TRANSFER, &[b"SEND", b"nn<SEPARATOR>99999999999999999999"], "OKERROR", AfterEnd),
    ("only SEND, end", TRANSFER, &[b"SEND"], "OKERROR: the connection", AfterEnd),
    ("only RECEIVE, end", TRANSFER, &[b"RECEIVE"], "OKERROR: the connection", AfterEnd),
    ("bare unknown", TRANSFER, &[b"send"],
        "ERROR: unknown command send; the words are SEND, RECEIVE, RESUME and", Closed),
    ("bare unknown, end", TRANSFER, &[b"receive"], "ERROR: unknown command receive; ", AfterEnd),
    ("bare with a name", TRANSFER, &[b"SENDa.txt"], "ERROR: unknown command SENDa.txt; ", Closed),
    ("bare escape", TRANSFER, &[b"\x1b]0;x"], "ERROR: unknown command ]0;x; ", Closed),
    ("typed unknown", TRANSFER, &[b"e", b"xit"], "ERROR: unknown command exit; ", Closed),
    ("half a word, CR", TRANSFER, &[b"SEN\r"], "ERROR: the command is not finished", Closed),
    ("http", TRANSFER, &[b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], "ERROR: unknown", Closed),
    ("tls", TRANSFER, &[b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], "ERROR: ", Closed),
];

#[test]
fn unknown_and_malformed_commands_are_refused_in_one_line() {
    run_table(WRONG_WORDS);
}

#[rustfmt::skip] // a table
const CONTROLS: &[Row] = &[
    ("nul", FILES, &[b"size a\0\n"], "ERROR the name holds a control", Closed),
    ("nul in the word", FILES, &[b"si\0ze a\n"], "ERROR unknown command", Closed),
    ("tab", FILES, &[b"rm a\tb\n"], "ERROR the name holds a control", Closed),
    ("cr inside", FILES, &[b"download a\rb\n"], "ERROR the name holds", Closed),
    ("two crs", FILES, &[b"download a\r\r\n"], "ERROR the name holds", Closed),
    ("escape sequence", FILES, &[b"size \x1b[2Ja\n"], "ERROR the name holds", Closed),
    ("delete", FILES, &[b"size a\x7f\n"], "ERROR the name holds", Closed),
    ("c1", FILES, &[b"size a\xc2\x9b\n"], "ERROR the name holds", Closed),
    ("not utf-8", FILES, &[b"size \xff\xfe\n"], "ERROR the name is not UTF-8", Closed),
    ("overlong slash", FILES, &[b"size ..\xc0\xafa\n"], "ERROR the name is not", Closed),
    ("surrogate", FILES, &[b"ls \xed\xa0\x80\n"], "ERROR the name is not UTF-8", Closed),
    ("upload nul", FILES, &[b"upload n\0m 1\nx"], "ERROR the name holds", Closed),
    ("upload not utf-8", FILES, &[b"upload \x80 1\nx"], "ERROR the name is not", Closed),
    ("not utf-8, named", FILES, &[b"size caf\xe9.txt\n"],
        "ERROR the name is not UTF-8 text: caf\u{fffd}.txt", Closed),
    ("bare not utf-8, named", FILES, &[b"rm caf\xe9"],
        "ERROR the name is not UTF-8 text: caf\u{fffd}", Closed),
    ("bare escape, named", FILES, &[b"download a\x1b[2Jb"],
        "ERROR the name holds a control character: a[2Jb", Closed),
    ("bare nul, named", FILES, &[b"ls a\0b"],
        "ERROR the name holds a control character: ab", Closed),
    ("bare upload not utf-8", FILES, &[b"upload \xe9"],
        "ERROR the name is not UTF-8 text: \u{fffd}", Closed),
    ("bare nul", FILES, &[b"size a\0"], "ERROR the name holds", Closed),
    ("bare not utf-8", FILES, &[b"size \xff"], "ERROR the name is not", Closed),
    ("nul", TRANSFER, &[b"RECEIVE\na\0\n"], "OK\nERROR: the name holds", Closed),
    ("nul in the word", TRANSFER, &[b"SEND\0\n"], "ERROR: unknown command", Closed),
    ("not utf-8", TRANSFER, &[b"RECEIVE\n\xff\n"], "OK\nERROR: the name is not", Closed),
    ("escape", TRANSFER, &[b"SEND\nn\n\x1b]0;x<SEPARATOR>1\nx"], "OK\nERROR: the name", Closed),
    ("send nul", TRANSFER, &[b"SEND\nn\nn\0<SEPARATOR>1\nx"], "OK\nERROR: the name", Closed),
    ("not utf-8, named", TRANSFER, &[b"RECEIVE\ncaf\xe9.txt\n"],
        "OK\nERROR: the name is not UTF-8 text: caf\u{fffd}.txt", Closed),
    ("bare not utf-8, named", TRANSFER, &[b"RECEIVE", b"caf\xe9"],
        "OKERROR: the name is not UTF-8 text: caf\u{fffd}", Closed),
    ("bare nul, named", TRANSFER, &[b"RECEIVE", b"a\0b"],
        "OKERROR: the name holds a control character: ab", Closed),
    ("bare send nul", TRANSFER, &[b"SEND", b"\0\0<SEPARATOR>1x"], "OKERROR: the name", Closed),
    ("bare not utf-8", TRANSFER, &[b"RECEIVE", b"\xff"], "OKERROR: the name is not", Closed),
];

#[test]
fn control_characters_and_invalid_utf_8_are_refused() {
    run_table(CONTROLS);
}

#[test]
fn impossible_sizes_are_refused() {
    let mut cases = Vec::new();
    let huge = [
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
        "123456789012345678901234567890",
    ];
    let wrong = [
        "-1", "+1", "", " ", "0x10", "1e3", "1.0", "1_000", "\u{663}", "1 x", "x",
    ];
    for size in huge.into_iter().chain(wrong) {
        let (upload, header) = (
            format!("upload n {size}\nxyz"),
            format!("<SEPARATOR>{size}"),
        );
        cases.push(made(FILES, &[upload], "ERROR ", Closed));
        let send = format!("SEND\nn\nn{header}\nxyz");
        cases.push(made(TRANSFER, &[send], "OK\nERROR: ", Closed));
        let bare = ["SEND".to_owned(), format!("nn{header}xyz")];
        cases.push(made(TRANSFER, &bare, "OKERROR: ", AfterEnd));
    }
    for (size, sent) in [(3, 2), (1, 0), (100_000, 99_999), (5_000_000, 200_000)] {
        let body = noise(sent);
        let with_body = |head: String| [head.as_bytes(), &body].concat();
        let upload = [with_body(format!("upload n {size}\n"))];
        cases.push(made(FILES, &upload, "OK\nERROR only", AfterEnd));
        let send = [with_body(format!("SEND\nn\nn<SEPARATOR>{size}\n"))];
        cases.push(made(TRANSFER, &send, "OK\nERROR: only", AfterEnd));
        let bare = [b"SEND".to_vec(), with_body(format!("nn<SEPARATOR>{size}"))];
        cases.push(made(TRANSFER, &bare, "OKERROR: the size", AfterEnd));
    }
    run_all(&cases);
}

#[test]
fn line_length_limits_are_exact() {
    const TOO_LONG: &str = "ERROR more than 4096 bytes";
    let mut cases = Vec::new();
    let long = |word: &str, length: usize, end: &str| {
        let blanks = " ".repeat(length - word.len());
        [format!("{word}{blanks}{end}")]
    };
    for end in ["\n", "\r\n"] {
        let ask = "size empty";
        cases.push(made(FILES, &long(ask, 4096, end), "OK 0 0.00 MB\n", Open));
        cases.push(made(FILES, &long(ask, 4097, end), TOO_LONG, Closed));
        let word = ["y".repeat(4096) + end];
        cases.push(made(TRANSFER, &word, "ERROR: unknown command", Closed));
    }
    for length in [4097, 4098, 5000, 65_536, 70_000, 1_000_000] {
        cases.push(made(FILES, &long("size a", length, ""), TOO_LONG, Closed));
        let behind = long("size empty\nsize a", length + 11, "");
        cases.push(made(FILES, &behind, OVER, Closed));
        let word = long("SEND", length, "");
        cases.push(made(TRANSFER, &word, "ERROR: more than 4096", Closed));
        let name = "n".repeat(length);
        let bare = ["SEND", &name];
        cases.push(made(TRANSFER, &bare, "OKERROR: more than 4096", Closed));
        let line = [format!("RECEIVE\n{name}")];
        cases.push(made(TRANSFER, &line, "OK\nERROR: more than 4096", Closed));
    }
    run_all(&cases);
}

#[test]
fn name_length_limits_are_exact() {
    const PART: &str = "ERROR a part of the name is longer than 255";
    const NAME: &str = "ERROR the name is longer than 1024 bytes";
    let mut cases = Vec::new();
    let name = |length: usize| "n".repeat(length);
    let path = |length: usize| {
        let path = ["d".repeat(127), "/".to_owned()].concat().repeat(8);
        format!("{}{}", &path[..1023], name(length - 1023))
    };
    for (name, reply, then) in [
        (name(255), NO_FILE, Open),
        (name(256), PART, Closed),
        (path(1024), NO_FILE, Open),
        (path(1025), NAME, Closed),
    ] {
        for word in ["size", "rm", "download"] {
            let line = [format!("{word} {name}\n")];
            cases.push(made(FILES, &line, reply, then));
        }
    }
    for length in [256, 1025] {
        let send = [format!("SEND\nn\n{}<SEPARATOR>1\nx", name(length))];
        cases.push(made(TRANSFER, &send, "OK\nERROR: ", Closed));
        let upload = [format!("upload {} 1\nx", name(length))];
        cases.push(made(FILES, &upload, "ERROR ", Closed));
    }
    run_all(&cases);
}

#[test]
fn binary_garbage_of_any_length_is_refused() {
    let mut cases = Vec::new();
    for length in [
        1, 2, 3, 7, 31, 100, 1_000, 4_095, 4_096, 4_097, 10_000, 65_536, 100_000,
    ] {
        for seed in 0..3 {
            let garbage = &noise(length + seed)[seed..];
            cases.push(made(FILES, &[garbage], "ERROR ", AfterEnd));
            cases.push(made(TRANSFER, &[garbage], "ERROR: ", AfterEnd));
            for word in [&b"SEND"[..], b"RECEIVE"] {
                cases.push(made(TRANSFER, &[word, garbage], "OK", AfterEnd));
            }
        }
    }
    run_all(&cases);
}

#[test]
fn garbage_after_a_body_is_not_part_of_the_body() {
    on_each_target(|target, service| {
        for length in [0, 1, 3, 20_000, 300_000] {
            let body = noise(length);
            let garbage = [b"\xff\0garbage\n", &noise(1_000)[..]].concat();
            let mut client = target.connect(service.name());
            client.send([service.upload("n", &body), garbage].concat());
            client.expect(format!("OK\n{}", service.stored(length)));
            client.expect(service.error("unknown command")).rest();
            assert_eq!(target.server.got("n"), body);
            let mut files = target.connect(FILES);
            files.send("rm n\n").expect(REMOVED);
        }
    });
}

fn on_each_target(test: impl Fn(&Target, FileService)) {
    for way in BOTH_WAYS {
        let target = Target::start(way);
        for service in FILE_SERVICES {
            test(&target, service);
        }
        target.is_as_it_was();
    }
}
