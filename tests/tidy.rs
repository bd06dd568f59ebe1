//! Rules for the source: imports between rooms, no import circles, short files, plain words.
//! The tests read the source as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// A room and the rooms that it may import. Files in no room (the server, the command line) may
/// import all of them.
const ROOMS: &[(&str, &str)] = &[
    ("wire", ""),
    ("session", "wire"),
    ("store", "session wire"),
    ("terminal", "wire"),
    ("services", "session store terminal wire"),
    ("reactor", "session terminal wire"),
    ("setup", "store wire"),
    ("client", "terminal wire"),
    ("load", "reactor session wire"),
];

/// Names that only these files and rooms of `src` may use: the rest runs in the simulator without
/// sockets, files and clocks, so that a seed always gives the same run.
const RESTRICTED: &[(&str, &str)] = &[
    ("mio", "reactor setup load"),
    ("landlock", "setup"),
    ("seccompiler", "setup"),
    ("socket2", "reactor setup server config client load"),
    ("TcpStream", "reactor client load"),
    ("TcpListener", "reactor setup"),
    ("UdpSocket", "reactor client"),
    ("cap_std", "store"),
    ("std::fs", "store setup client main reactor/signals load"),
    (
        "Instant",
        "reactor/clock client store/lanes store/digest store/quota store/walk store/file_store",
    ),
    ("SystemTime", ""),
    ("thread::sleep", "client"),
    ("thread", "client main store/lanes store/workers setup"),
];

/// The files to read first, in this order: see `src/lib.rs`.
const ENTRY_PATH: [&str; 9] = [
    "benches/bare_loop/echo.rs",
    "src/services/echo.rs",
    "src/session/protocol.rs",
    "src/session/session.rs",
    "src/reactor/event_loop.rs",
    "src/reactor/dispatcher.rs",
    "src/reactor/turn.rs",
    "src/reactor/connection.rs",
    "src/reactor/run_queue.rs",
];

/// Numbers outside `config` that are not limits: they follow from a format or from arithmetic.
const NO_LIMITS: &[&str] = &[
    "src/wire/ambiguous_size.rs MOST_DIGITS",
    "src/reactor/token.rs KIND_SHIFT",
    "src/session/session_id.rs SERIAL_SHIFT",
    "src/session/session_id.rs SERIAL_MASK",
    "src/reactor/timers.rs NEVER",
    "src/reactor/clock.rs SECOND",
    "src/session/log_limit.rs SECOND",
    "src/services/room/token_bucket.rs MESSAGE",
    "src/session/trace.rs SHOWN",
    "src/wire/text.rs EXCERPT",
    "src/store/part_name.rs LONGEST_NODE",
    "src/wire/proxy_header.rs FIXED",
    "src/wire/proxy_header.rs CHECKSUM",
    "src/wire/http/date.rs LAST",
    "src/services/http/tabs.rs SECRET",
    "src/main.rs USAGE",
];

/// A source file as text.
struct Source {
    /// The path from the top of the repository.
    path: String,
    text: String,
}

/// Phrases that comments avoid, and the plain words for them.
const PLAIN_WORDS: &[&str] = &[
    "nobody, somebody, everybody, anybody, who, whom, whoever: no client, a client that",
    "so many, so much, so long, so often: this number of, this time",
    "is told, are told, was told, hears, heard: is notified, receives",
    "on its way, one by one, of no use, at hand: in flight, in order, unused, available",
    "the person: the user, the operator",
    "stands: is",
];

/// All findings in one message.
#[derive(Default)]
struct Findings(String);

impl Findings {
    fn at(&mut self, source: &Source, what: impl std::fmt::Display) {
        writeln!(self.0, "{}: {what}", source.path).expect("memory");
    }

    #[track_caller]
    fn none(self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| top.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                let path = path.strip_prefix(top).expect("below");
                let path = path.display().to_string();
                found.push(Source { path, text });
            }
        }
    }
    found
}

impl Source {
    /// The lines up to the unit tests, without comments and the texts of strings.
    fn code(&self) -> Vec<String> {
        let lines = self.text.lines().take_while(|line| *line != "#[cfg(test)]");
        lines.map(|line| split_line(line).0).collect()
    }

    /// The module path of the file, from the top folder on.
    fn module(&self) -> Vec<&str> {
        let path = self.path.strip_suffix(".rs").expect("a source");
        let mut module: Vec<&str> = path.split('/').collect();
        if module.last() == Some(&"mod") || ["src/lib", "src/main"].contains(&path) {
            module.pop();
        }
        module
    }

    /// The paths of the crate that the code names, as `src::reactor::turn::Turn`. Paths to modules
    /// below the file do not count.
    fn imports(&self) -> Vec<Vec<String>> {
        let module = self.module();
        let mut found = Vec::new();
        for path in written_paths(&self.code().join("\n")) {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let (base, rest) = match path[0].as_str() {
                "crate" => (&module[..1], &path[1..]),
                "loket" => (&["src"][..], &path[1..]),
                "super" => (&module[..module.len() - ups], &path[ups..]),
                _ => continue,
            };
            let base = base.iter().map(|part| (*part).to_owned());
            found.push(base.chain(rest.iter().cloned()).collect());
        }
        found
    }
}

/// The code of the line without the texts of strings, and its comment.
fn split_line(line: &str) -> (String, &str) {
    let mut code = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in line.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if !line[..at].ends_with('\'') => quoted = !quoted,
            '/' if !quoted && line[at..].starts_with("//") => return (code, &line[at..]),
            _ if !quoted => code.push(character),
            _ => {}
        }
    }
    (code, "")
}

/// Every `a::b::c` of the code; `a::{b, c::d}` gives two.
fn written_paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut prefixes: Vec<Vec<String>> = Vec::new();
    let (mut path, mut goes_on) = (Vec::new(), false);
    let mut rest = code.trim_start();
    while let Some(character) = rest.chars().next() {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let word = rest.find(|character| !is_word(character));
        let (word, behind) = rest.split_at(word.unwrap_or(rest.len()));
        if !word.is_empty() {
            if !goes_on {
                found.push(std::mem::take(&mut path));
                path.extend(prefixes.last().into_iter().flatten().cloned());
            }
            path.push(word.to_owned());
            (goes_on, rest) = (false, behind);
        } else if let Some(behind) = rest.strip_prefix("::") {
            (goes_on, rest) = (true, behind);
        } else {
            match character {
                '{' if goes_on => prefixes.push(std::mem::take(&mut path)),
                '{' => prefixes.push(Vec::new()),
                '}' => drop(prefixes.pop()),
                _ => {}
            }
            (goes_on, rest) = (false, &rest[character.len_utf8()..]);
        }
        rest = rest.trim_start();
    }
    found.push(path);
    found.retain(|path| path.len() > 1);
    found
}

/// Whether the source is the file or in the room of that name.
fn is_below(source: &Source, name: &str) -> bool {
    let rest = source.path.strip_prefix(&format!("src/{name}"));
    rest.is_some_and(|rest| rest.starts_with(['.', '/']))
}

#[test]
fn every_room_imports_only_lower_layers() {
    let mut findings = Findings::default();
    let sources = sources(&["src"]);
    let is_room = |name: &str| sources.iter().any(|source| is_below(source, name));
    for source in &sources {
        let is_own = |(room, _): &&(&str, &str)| source.path.starts_with(&format!("src/{room}/"));
        let Some((own, below)) = ROOMS.iter().find(is_own) else {
            continue;
        };
        let may = |room: &str| room == *own || below.split(' ').any(|name| name == room);
        for path in source.imports() {
            if path[0] == "src" && is_room(&path[1]) && !may(&path[1]) {
                findings.at(source, format!("imports {}", path.join("::")));
            }
        }
    }
    findings.none();
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources = sources(EVERYWHERE);
    let named = |source| (Source::module(source), source.path.as_str());
    let files: BTreeMap<Vec<&str>, &str> = sources.iter().map(named).collect();
    // The imported file is the longest prefix of the path that is a file.
    let mut imports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in &sources {
        for path in source.imports() {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let file = (2..=path.len())
                .rev()
                .find_map(|end| files.get(&path[..end]));
            let Some(&file) = file.filter(|file| **file != source.path) else {
                continue;
            };
            imports.entry(&source.path).or_default().insert(file);
        }
    }
    // A file without imports, or that no file imports, is in no circle.
    loop {
        let before = imports.len();
        let left: BTreeSet<&str> = imports.keys().copied().collect();
        let imported: BTreeSet<&str> = imports.values().flatten().copied().collect();
        imports.retain(|file, files| {
            files.retain(|file| left.contains(file));
            imported.contains(file) && !files.is_empty()
        });
        if imports.len() == before {
            break;
        }
    }
    assert!(imports.is_empty(), "circles: {imports:#?}");
}

const EVERYWHERE: &[&str] = &["src", "benches", "tests"];

#[test]
fn files_functions_and_lines_are_short() {
    let mut findings = Findings::default();
    for source in sources(EVERYWHERE) {
        let lines: Vec<&str> = source.text.lines().collect();
        let is_test = source.path.starts_with("tests/");
        let most = if is_test { 600 } else { 500 };
        if lines.len() > most {
            findings.at(&source, format!("more than {most} lines"));
        }
        if !lines.first().is_some_and(|line| line.starts_with("//! ")) {
            findings.at(&source, "has no `//!` in its first line");
        }
        for (at, line) in lines.iter().enumerate() {
            if line.chars().count() > 100 {
                findings.at(&source, format!("more than 100 columns: {line}"));
            }
            if is_function(line) && function_length(&lines[at..]) > 70 {
                findings.at(&source, format!("more than 70 lines: {line}"));
            }
        }
    }
    findings.none();
}

fn is_function(line: &str) -> bool {
    let before = ["pub", "pub(crate)", "pub(super)", "const", "async"];
    let mut words = line.split_whitespace();
    words.find(|word| !before.contains(word)) == Some("fn")
}

/// The lines up to the closing brace at the depth of the first one.
fn function_length(lines: &[&str]) -> usize {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let is_end = |line: &&str| {
        let line = line.trim_end();
        let is_out = !line.is_empty() && depth(line) <= depth(lines[0]);
        is_out && (line.contains('}') || line.ends_with(';'))
    };
    lines.iter().position(is_end).expect("an end") + 1
}

#[test]
fn sockets_files_and_clocks_are_used_only_where_listed() {
    let mut findings = Findings::default();
    for source in sources(&["src", "tests"]) {
        for line in source.code() {
            for (name, places) in RESTRICTED {
                let held = source.path.starts_with("src/") || *name == "thread::sleep";
                let may = places.split(' ').any(|place| is_below(&source, place));
                if held && !may && names(&line, name) {
                    findings.at(&source, format!("uses {name}"));
                }
            }
        }
    }
    findings.none();
}

/// Whether the word is in the line as a whole.
fn names(line: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].ends_with(is_part);
        let behind = line[at + word.len()..].starts_with(is_part);
        !before && !behind
    })
}

#[test]
fn comments_use_plain_words() {
    let mut findings = Findings::default();
    for source in sources(EVERYWHERE) {
        let mut before = String::new();
        for (at, line) in source.text.lines().enumerate() {
            let comment = split_line(line).1.replace(['/', '!'], "").to_lowercase();
            let with_line_before = format!("{before}{comment}");
            for (phrases, plain) in PLAIN_WORDS.iter().filter_map(|row| row.split_once(": ")) {
                for phrase in phrases.split(", ") {
                    if names(&with_line_before, phrase) && !names(&before, phrase) {
                        let what = format!("`{phrase}` in a comment; plain words: {plain}");
                        writeln!(findings.0, "{}:{}: {what}", source.path, at + 1).expect("memory");
                    }
                }
            }
            before = comment;
        }
    }
    findings.none();
}

#[test]
fn limits_are_in_config() {
    let types = "usize u64 u32 u16 u8 i32 i64 f64 Duration";
    let mut findings = Findings::default();
    for source in sources(&["src"]) {
        for line in source.code() {
            let Some((before, rest)) = line.trim_start().split_once("const ") else {
                continue;
            };
            let (name, rest) = rest.split_once(": ").unwrap_or((rest, ""));
            let kind = rest.split(" =").next().unwrap_or(rest);
            let is_number = types.split(' ').any(|name| name == kind);
            let is_own = before.is_empty() || before.starts_with("pub");
            let known = NO_LIMITS.contains(&format!("{} {name}", source.path).as_str());
            let in_config = source.path.starts_with("src/config");
            if is_own && is_number && !known && !in_config && name != "_" {
                findings.at(&source, format!("{name} belongs into src/config.rs"));
            }
        }
    }
    findings.none();
}

#[test]
fn the_entry_path_is_short_and_explains_what_it_imports() {
    let mut findings = Findings::default();
    let sources = sources(&["src", "benches"]);
    let mut length = 0;
    for path in ENTRY_PATH {
        let source = sources.iter().find(|source| source.path == path);
        let source = source.unwrap_or_else(|| panic!("{path} is gone"));
        // The setup of the loop is not on the path.
        let on_path = source.text.split("/// Before the loop runs.").next();
        length += on_path.map_or(0, |text| text.lines().count());
        for line in source.text.lines().filter(|line| line.starts_with("use ")) {
            let is_known = line.starts_with("use std::") || line.starts_with("use mio::");
            if !is_known && !line.contains("; // ") {
                findings.at(source, format!("does not explain {line}"));
            }
        }
    }
    assert!(length < 2_000, "the entry path has {length} lines");
    findings.none();
}

#[test]
fn the_map_shows_every_room_and_the_compiler_sees_every_file() {
    let mut findings = Findings::default();
    let sources = sources(&["src"]);
    let map = include_str!("../src/lib.rs");
    for source in &sources {
        let module = source.module();
        let [parents @ .., name] = &module[..] else {
            continue;
        };
        let is_declared = |other: &Source| {
            let mut lines = other.text.lines();
            other.module() == parents && lines.any(|line| line.ends_with(&format!("mod {name};")))
        };
        if !parents.is_empty() && !sources.iter().any(is_declared) {
            findings.at(source, "is in no `mod` line above it");
        }
        if source.path.ends_with("/mod.rs") && !map.contains(&format!("{name} ─")) {
            findings.at(source, "its room is not in the drawing of src/lib.rs");
        }
    }
    findings.none();
}

#[test]
fn every_test_file_is_in_a_program() {
    let mut findings = Findings::default();
    let sources = sources(&["tests"]);
    for source in &sources {
        let [_, area, name] = source.module()[..] else {
            continue;
        };
        let is_above = |other: &Source| {
            let mut lines = other.text.lines();
            let ends = ["main", "mod"].map(|file| format!("tests/{area}/{file}.rs"));
            ends.contains(&other.path) && lines.any(|line| line.ends_with(&format!("mod {name};")))
        };
        if name != "main" && !sources.iter().any(is_above) {
            findings.at(source, "is in no `mod` line, so that it does not run");
        }
    }
    findings.none();
}

#[test]
fn the_legend_of_the_loop_view_names_what_exists() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = sources(&["tests"]);
    let mut named = 0;
    for code in include_str!("../src/web/index.html")
        .split("<code>")
        .skip(1)
    {
        let code = code.split("</code>").next().expect("an end");
        let test = format!("fn {code}() {{");
        let is_test = tests.iter().any(|source| source.text.contains(&test));
        assert!(is_test || top.join(code).is_file(), "{code} does not exist");
        named += 1;
    }
    assert_eq!(named, 18, "a file and a test for each row");
}

#[test]
fn the_page_has_at_most_60_kib() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    let files = std::fs::read_dir(web).expect("a folder");
    let files = files.map(|entry| entry.expect("an entry").path());
    // The picture is for the README.
    let parts = files.filter(|path| path.extension().is_some_and(|end| end != "png"));
    let size = parts.map(|path| path.metadata().expect("a file").len());
    let size: u64 = size.sum();
    assert!(size <= 60 * 1024, "the page has {size} bytes");
}
