//! The walls between the rooms hold: who may import whom, how long a file is, where limits stand.
//! Reads the source as text and knows no Rust beyond that; the compiler does the rest.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A source file as text.
struct Source {
    /// Its path from the top of the repository, with `/` between the components.
    path: String,
    lines: Vec<String>,
}

impl Source {
    fn room(&self) -> &str {
        let inner = self.path.strip_prefix("src/").unwrap_or("");
        inner.split_once('/').map_or("", |(room, _)| room)
    }

    /// The file without its unit tests, its comments, and the texts of its strings.
    fn code(&self) -> impl Iterator<Item = (usize, String)> + '_ {
        let lines = self.lines.iter().take_while(|line| *line != "#[cfg(test)]");
        lines
            .enumerate()
            .map(|(number, line)| (number + 1, without_text(line)))
    }
}

/// The line without what stands between quotes and behind `//`.
fn without_text(line: &str) -> String {
    let mut code = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in line.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if !line[..at].ends_with('\'') => quoted = !quoted,
            '/' if !quoted && line[at..].starts_with("//") => break,
            _ if !quoted => code.push(character),
            _ => {}
        }
    }
    code
}

/// What is wrong, told all at once.
#[derive(Default)]
struct Findings(String);

impl Findings {
    fn at(&mut self, source: &Source, line: usize, what: &str) {
        writeln!(self.0, "{}:{line}: {what}", source.path).expect("memory");
    }

    #[track_caller]
    fn none(self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        collect(&top().join(folder), &mut paths);
    }
    paths.sort();
    let read = |path: PathBuf| Source {
        path: path
            .strip_prefix(top())
            .expect("below")
            .to_str()
            .expect("text")
            .to_owned(),
        lines: std::fs::read_to_string(&path)
            .expect("text")
            .lines()
            .map(str::to_owned)
            .collect(),
    };
    paths.into_iter().map(read).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    // The benches may not exist yet.
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

const EVERYWHERE: &[&str] = &["src", "benches", "tests"];

#[test]
fn the_first_line_says_what_a_file_does_and_the_second_what_it_does_not() {
    let mut findings = Findings::default();
    for source in sources(EVERYWHERE) {
        let doc = |number: usize| {
            let line = source.lines.get(number).map_or("", String::as_str);
            line.strip_prefix("//! ").map(str::to_owned)
        };
        let is_sentence = |text: Option<String>| {
            text.is_some_and(|text| {
                let begins = text.starts_with(char::is_uppercase) || text.starts_with("loket");
                begins && text.ends_with('.')
            })
        };
        for number in [0, 1] {
            if !is_sentence(doc(number)) {
                findings.at(&source, number + 1, "a sentence behind `//!` is missing");
            }
        }
    }
    findings.none();
}

#[test]
fn files_functions_and_lines_are_short() {
    let mut findings = Findings::default();
    for source in sources(EVERYWHERE) {
        let most = if source.path.starts_with("tests/") {
            600
        } else {
            500
        };
        let length = source.lines.len();
        if length > most {
            findings.at(&source, length, &format!("more than {most} lines"));
        }
        for (number, line) in source.lines.iter().enumerate() {
            if line.chars().count() > 100 {
                findings.at(&source, number + 1, "more than 100 columns");
            }
            if is_function(line) && function_length(&source.lines[number..]) > 70 {
                findings.at(&source, number + 1, "a function of more than 70 lines");
            }
        }
    }
    findings.none();
}

fn is_function(line: &str) -> bool {
    let mut words = line
        .split_whitespace()
        .take_while(|word| !word.starts_with("//"));
    let before = ["pub", "pub(crate)", "pub(super)", "const", "async"];
    words.find(|word| !before.contains(word)) == Some("fn")
}

/// From its first line to the brace below it, at the same depth.
fn function_length(lines: &[String]) -> usize {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let first = &lines[0];
    if first.ends_with('}') || first.ends_with(';') {
        return 1;
    }
    let is_end = |line: &String| {
        depth(line) == depth(first) && (line.trim() == "}" || line.trim().ends_with(';'))
    };
    let end = lines[1..]
        .iter()
        .position(is_end)
        .expect("every function ends");
    end + 2
}

/// What a room may name of the crate. A path is allowed when it begins with one of these.
fn allowed(source: &Source) -> Option<&'static [&'static str]> {
    let own_services: &[&str] = match source.path.as_str() {
        // The second half of each ends its uploads.
        "src/services/transfer.rs" => &[
            "session",
            "wire",
            "services::limits",
            "services::refusal",
            "services::upload_report",
            "services::gap",
            "services::guess",
            "services::two_names",
            "services::transfer",
        ],
        "src/services/files.rs" => &[
            "session",
            "wire",
            "services::limits",
            "services::refusal",
            "services::upload_report",
            "services::list_reply",
            "services::files",
        ],
        "src/services/operator.rs" => &["services::limits", "services::line_editor"],
        path if path.starts_with("src/services/room") => &["services::room"],
        _ => &["session", "wire", "services::limits", "services::refusal"],
    };
    match source.room() {
        "wire" => Some(&["wire"]),
        "session" => Some(&["session", "store", "wire"]),
        "store" => Some(&["store", "session", "wire"]),
        "services" if source.path.ends_with("/mod.rs") => Some(&["services"]),
        "services" => Some(own_services),
        "reactor" => Some(&["reactor", "session", "wire"]),
        "start" => Some(&["start", "store::file_store"]),
        "client" => Some(&["client", "wire"]),
        "load" => Some(&["load", "reactor", "session", "store", "wire"]),
        // server, config and the command line put the rooms together.
        _ => None,
    }
}

/// The module that `super` and `self` stand for in a file, from the top of the crate.
fn module_of(source: &Source) -> Vec<&str> {
    let inner = source
        .path
        .trim_start_matches("src/")
        .trim_end_matches(".rs");
    let mut module: Vec<&str> = inner.split('/').collect();
    if module.last() == Some(&"mod") {
        module.pop();
    }
    module
}

/// Every path in the line that begins with `crate` or `super`, from the top of the crate.
fn crate_paths(line: &str, module: &[&str]) -> Vec<String> {
    let is_path = |character: char| character.is_alphanumeric() || "_:".contains(character);
    let mut paths = Vec::new();
    let line = line.replace("pub(super)", "").replace("pub(crate)", "");
    for text in line.split(|character: char| !is_path(character)) {
        let mut steps: Vec<&str> = text.split("::").filter(|step| !step.is_empty()).collect();
        let mut base = module.to_vec();
        match steps.first() {
            Some(&"crate") => base.clear(),
            Some(&"super") => {
                base.pop();
                while steps.get(1) == Some(&"super") {
                    steps.remove(1);
                    base.pop();
                }
            }
            _ => continue,
        }
        let path = [&base, &steps[1..]].concat().join("::");
        if !path.is_empty() {
            paths.push(path);
        }
    }
    paths
}

#[test]
fn every_room_imports_only_what_lies_below_it() {
    let mut findings = Findings::default();
    for source in sources(&["src"]) {
        let Some(allowed) = allowed(&source) else {
            continue;
        };
        let module = module_of(&source);
        let implied: &[&str] = match source.room() {
            "services" => &["session", "store", "wire"],
            _ => &[],
        };
        for (number, line) in source.code() {
            for path in crate_paths(&line, &module) {
                let own = path == module.join("::");
                let below = |wall: &&str| path == **wall || path.starts_with(&format!("{wall}::"));
                if !own && !allowed.iter().chain(implied).any(below) {
                    findings.at(&source, number, &format!("imports {path}"));
                }
            }
        }
    }
    findings.none();
}

/// Names of the world outside, and the rooms that may use them.
#[rustfmt::skip] // a short entry in a row
const DOORS: &[(&str, &[&str])] = &[
    ("mio", &["src/reactor/", "src/start/port.rs", "src/load/"]),
    ("landlock", &["src/start/enclosure.rs"]),
    ("seccompiler", &["src/start/seccomp.rs"]),
    ("UnixDatagram", &["src/start/supervisor.rs"]),
    ("signal_hook_mio", &["src/reactor/", "src/load/poller.rs"]),
    ("slab", &["src/reactor/"]),
    (
        "socket2",
        &[
            "src/reactor/",
            "src/start/port.rs",
            "src/server.rs",
            "src/client/",
            "src/load/dialer.rs",
        ],
    ),
    (
        "TcpStream",
        &[
            "src/reactor/",
            "src/client/",
            "src/load/dialer.rs",
            "src/load/calls.rs",
            "src/load/driver.rs",
        ],
    ),
    ("TcpListener", &["src/reactor/", "src/start/port.rs"]),
    ("UdpSocket", &["src/reactor/", "src/client/"]),
    (
        "cap_std",
        &[
            "src/store/",
        ],
    ),
    (
        "std::net",
        &[
            "src/reactor/",
            "src/start/",
            "src/server.rs",
            "src/client/",
            "src/cli.rs",
            "src/main.rs",
            "src/load/dialer.rs",
            "src/load/room.rs",
            "src/session/machine.rs",
        ],
    ),
    (
        "std::fs",
        &[
            "src/store/",
            "src/start/root.rs",
            "src/client/",
            "src/main.rs",
            "src/reactor/signals.rs",
            "src/load/results.rs",
            "src/load/watched.rs",
        ],
    ),
    // The clock is read in one place of the loop; clients block and measure for themselves.
    ("Instant", &["src/reactor/clock.rs", "src/client/"]),
    ("SystemTime", &[]),
    // One waits for a signal that ends a client, one for disks; capabilities are a thread's own.
    ("thread", &["src/client/", "src/main.rs", "src/store/workers.rs", "src/start/enclosure.rs"]),
];

#[test]
fn sockets_files_and_clocks_stay_behind_their_doors() {
    let mut findings = Findings::default();
    for source in sources(&["src"]) {
        for (number, line) in source.code() {
            for (name, rooms) in DOORS {
                let may = rooms.iter().any(|room| source.path.starts_with(room))
                    || *name == "std::net" && is_address(&line);
                if !may && names(&line, name) {
                    findings.at(&source, number, &format!("uses {name}"));
                }
            }
        }
    }
    findings.none();
}

/// Addresses are values, and anybody may hold one.
fn is_address(line: &str) -> bool {
    let names = [
        "std::net::SocketAddr;",
        "std::net::IpAddr;",
        "std::net::{IpAddr, SocketAddr};",
    ];
    names.iter().any(|name| line.ends_with(name))
}

/// Whether the word stands in the line as a whole.
fn names(line: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_part);
        let behind = line[at + word.len()..].chars().next().is_some_and(is_part);
        !before && !behind
    })
}

#[test]
fn nothing_unsafe_and_nothing_unfinished() {
    let mut findings = Findings::default();
    for source in sources(&["src", "benches"]) {
        let is_map = source.path == "src/lib.rs";
        let forbids = |line: &String| line == "#![forbid(unsafe_code)]";
        if is_map && !source.lines.iter().any(forbids) {
            findings.at(&source, 1, "does not forbid unsafe code");
        }
        for (number, line) in source.lines.iter().enumerate() {
            for mark in ["todo!", "unimplemented!", "dbg!", "FIXME", "TODO", "XXX"] {
                if line.contains(mark) {
                    findings.at(&source, number + 1, mark);
                }
            }
        }
    }
    findings.none();
}

/// Numbers that are no limits: they follow from a format or from arithmetic.
#[rustfmt::skip] // a row an exception
const NO_LIMITS: &[(&str, &str)] = &[
    ("src/wire/puzzle.rs MOST_DIGITS", "as many digits as u64::MAX has"),
    ("src/reactor/token.rs KIND_SHIFT", "the packing of a token"),
    ("src/reactor/token.rs SERIAL_SHIFT", "the packing of a token"),
    ("src/reactor/token.rs SERIAL_MASK", "the packing of a token"),
    ("src/reactor/deadlines.rs NEVER", "a mark, not a second"),
    ("src/reactor/clock.rs SECOND", "a unit of time"),
    ("src/services/room/credit.rs MESSAGE", "a unit of credit"),
    ("src/reactor/trace.rs SHOWN", "the width of a printed line"),
    ("src/wire/text.rs EXCERPT", "the width of a quotation"),
    ("src/main.rs USAGE", "an exit status"),
];

#[test]
fn limits_stand_in_the_one_file_for_them() {
    let types = [
        "usize", "u64", "u32", "u16", "u8", "i32", "i64", "f64", "Duration",
    ];
    let mut findings = Findings::default();
    let mut unused: BTreeSet<&str> = NO_LIMITS.iter().map(|(known, _)| *known).collect();
    for source in sources(&["src"]) {
        if source.path == "src/config.rs" || source.path.starts_with("src/config/") {
            continue;
        }
        for (number, line) in source.code() {
            let line = line.trim_start();
            let line = line
                .split_once("const ")
                .filter(|(before, _)| is_visibility(before));
            let Some((name, rest)) = line.and_then(|(_, line)| line.split_once(": ")) else {
                continue;
            };
            let kind = rest.split_once(" =").map_or(rest, |(kind, _)| kind);
            let known = format!("{} {name}", source.path);
            if unused.remove(known.as_str()) || name == "_" {
                continue;
            }
            if types.contains(&kind) {
                findings.at(
                    &source,
                    number,
                    &format!("{name} belongs into src/config.rs"),
                );
            }
        }
    }
    assert!(
        unused.is_empty(),
        "no longer needed in this test: {unused:?}"
    );
    findings.none();
}

fn is_visibility(before: &str) -> bool {
    before.is_empty() || before.starts_with("pub")
}

#[test]
fn every_file_is_reachable_from_the_map() {
    let mut findings = Findings::default();
    let sources = sources(&["src"]);
    for source in &sources {
        let module = module_of(source);
        let Some((name, parents)) = module.split_last() else {
            continue;
        };
        if parents.is_empty() && ["lib", "main"].contains(name) {
            continue;
        }
        let above = parents.join("/");
        let declared_in: &[String] = &if parents.is_empty() {
            ["src/lib.rs".to_owned(), "src/main.rs".to_owned()]
        } else {
            [format!("src/{above}/mod.rs"), format!("src/{above}.rs")]
        };
        let declares = |other: &&Source| {
            let line = |line: &String| {
                let line = line
                    .strip_suffix(';')
                    .and_then(|line| line.rsplit_once("mod "));
                line.is_some_and(|(before, found)| is_visibility(before) && found == *name)
            };
            declared_in.contains(&other.path) && other.lines.iter().any(line)
        };
        if !sources.iter().any(|other| declares(&other)) {
            findings.at(source, 1, "is in no `mod` line above it");
        }
    }
    findings.none();
}

#[test]
fn nobody_sleeps_but_a_client_that_keeps_pace() {
    let mut findings = Findings::default();
    let may_sleep = |source: &Source| source.path.starts_with("src/client/");
    for source in sources(&["tests", "src"])
        .into_iter()
        .filter(|source| !may_sleep(source))
    {
        for (number, line) in source.lines.iter().enumerate() {
            let line = without_text(line);
            if line.contains("thread::sleep") || line.contains("#[ignore") {
                findings.at(&source, number + 1, "sleeps or is ignored");
            }
        }
    }
    findings.none();
}

#[test]
fn the_top_level_holds_nothing_else() {
    let known = [
        ".ci",
        ".gitignore",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "benches",
        "scripts",
        "src",
        "tests",
    ];
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(top())
        .output()
        .expect("git runs");
    assert!(listed.status.success(), "this is a git checkout");
    let listed = String::from_utf8(listed.stdout).expect("text");
    let found: BTreeSet<&str> = listed
        .split_terminator('\0')
        .map(|path| path.split('/').next().unwrap_or(path))
        .collect();
    let known: BTreeSet<&str> = known.into();
    let strange: Vec<_> = found.difference(&known).collect();
    let missing: Vec<_> = known.difference(&found).collect();
    assert!(strange.is_empty(), "at the top level: {strange:?}");
    assert!(missing.is_empty(), "not at the top level: {missing:?}");
}

#[test]
fn no_file_is_a_drawer_for_anything() {
    let mut findings = Findings::default();
    for source in sources(EVERYWHERE) {
        let drawers = ["utils", "util", "common", "misc", "helpers", "helper"];
        let stem = source.path.trim_end_matches(".rs");
        if stem.split('/').any(|part| drawers.contains(&part)) {
            findings.at(&source, 1, "its name says nothing");
        }
    }
    findings.none();
}
