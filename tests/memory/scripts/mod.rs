//! Lists conversations of every protocol in both dialects, good and refused.
//! Says what each must answer; how the bytes are cut is the tests' choice.

mod files_service;
mod transfer;

use super::store::{Faults, Files};
use super::{Service, Step, reply, send};
use loket::wire::pause::Delay;

/// One conversation.
#[derive(Debug, Clone)]
pub struct Script {
    pub name: &'static str,
    pub service: Service,
    pub faults: Faults,
    pub steps: Vec<Step>,
    /// A file that must be there afterwards, with its content; `None`: the store is as it was.
    pub stored: Option<(&'static str, Vec<u8>)>,
    /// Every name and size is announced, so that half a conversation can store no half file.
    pub announced: bool,
}

/// The files that every conversation begins with.
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

fn script(service: Service, name: &'static str, steps: Vec<Step>) -> Script {
    Script {
        name,
        service,
        faults: Faults::default(),
        steps,
        stored: None,
        announced: false,
    }
}

impl Script {
    fn stores(mut self, name: &'static str, content: impl AsRef<[u8]>) -> Script {
        self.stored = Some((name, content.as_ref().to_vec()));
        self
    }

    fn announced(mut self) -> Script {
        self.announced = true;
        self
    }

    fn with(mut self, faults: Faults) -> Script {
        self.faults = faults;
        self
    }
}

/// All of them.
pub fn all() -> Vec<Script> {
    let mut all = echo();
    all.extend(files_service::line());
    all.extend(files_service::refused());
    all.extend(files_service::broken_off());
    all.extend(files_service::bare());
    all.extend(files_service::healing());
    all.extend(transfer::line());
    all.extend(transfer::refused());
    all.extend(transfer::bare_names());
    all.extend(transfer::bare());
    all.extend(transfer::bare_downloads());
    all.extend(transfer::puzzles());
    all.extend(failing_uploads());
    all.extend(failing_stores());
    all
}

fn echo() -> Vec<Script> {
    let steps = vec![
        send("one\n"),
        reply("one\n"),
        send([0, 255, 10, 13]),
        reply([0, 255, 10, 13]),
        send("last"),
        Step::End,
        reply("last"),
    ];
    vec![script(Service::Echo, "echo", steps)]
}

fn failing_uploads() -> Vec<Script> {
    let upload = |name, faults, why: &str| {
        let line = vec![
            send("upload a.bin 9\n123456789ls\n"),
            reply(format!("OK\nERROR {why}\n")),
        ];
        script(Service::Files, name, line).with(faults).announced()
    };
    let bare_send = |name, faults, why: &str| {
        let steps = vec![
            send("SEND"),
            reply("OK"),
            send("a.bina.bin<SEPARATOR>912345 789"),
            Step::End,
            reply(format!("ERROR: {why}")),
        ];
        script(Service::Transfer, name, steps).with(faults)
    };
    let refuses = |byte| Faults {
        refuses_byte: Some(byte),
        ..Faults::default()
    };
    let commit_fails = Faults {
        commit_fails: true,
        ..Faults::default()
    };
    let no_space = "there is no space left for the file";
    let denied = "the server has no permission for it";
    vec![
        upload("no room for the first byte", refuses(0), no_space),
        upload("no room for the fifth byte", refuses(4), no_space),
        upload("no room for the last byte", refuses(8), no_space),
        upload(
            "a line upload cannot be committed",
            commit_fails.clone(),
            denied,
        ),
        bare_send("no room while guessing", refuses(2), no_space),
        bare_send("no room while aligning", refuses(8), no_space),
        bare_send("a bare upload cannot be committed", commit_fails, denied),
    ]
}

fn failing_stores() -> Vec<Script> {
    let no_space = "there is no space left for the file";
    let fails = Faults {
        listing_fails: true,
        ..Faults::default()
    };
    let busy = "ERROR too much is open at this moment; try again later\n";
    vec![
        script(
            Service::Files,
            "an announced size that does not fit",
            vec![
                send("upload a.bin 9\n123456789"),
                reply(format!("ERROR {no_space}\n")),
            ],
        )
        .with(Faults {
            no_space: true,
            ..Faults::default()
        }),
        script(
            Service::Files,
            "larger than is taken",
            vec![
                send("upload big"),
                Step::Quiet(Delay::Settle),
                send("123456"),
                reply("ERROR the file is too large; at most 5 bytes are taken"),
            ],
        )
        .with(Faults {
            largest: Some(5),
            ..Faults::default()
        }),
        script(
            Service::Files,
            "a file that shrinks",
            vec![
                send("size a.bin\ndownload a.bin\nls\n"),
                reply("OK 10 0.00 MB\nOK 10\n0123"),
            ],
        )
        .with(Faults {
            shrinks_to: Some(4),
            ..Faults::default()
        }),
        script(
            Service::Files,
            "a folder that cannot be read",
            vec![send("ls\nls\n"), reply(format!("{busy}{busy}"))],
        )
        .with(fails),
    ]
}
