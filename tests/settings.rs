//! Settings of `loket serve` in flags, variables and a TOML file, and `--print-config`.

mod support;

use std::path::Path;
use std::process::{Command, Output};
use support::Prepared;

/// Runs `loket serve --print-config` with this file, these variables and these flags.
fn printed(file: Option<&Path>, variables: &[(&str, &str)], flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loket"));
    command.args(["serve", "--print-config"]).args(flags);
    command.env_remove("LOKET_ROOM_PASSWORD");
    command.envs(variables.iter().copied());
    if let Some(file) = file {
        command.arg("--config").arg(file);
    }
    command.output().expect("loket starts")
}

#[track_caller]
fn text(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The lines of the settings that are set, without comments.
fn set(text: &str) -> Vec<&str> {
    let lines = text.lines();
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

#[test]
fn flags_override_variables_which_override_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("loket.toml");
    let in_file = "host = '127.0.0.2'\nread-only = true\nspin = 1\nmin-rate = 0x10\necho = 'off'\n\
                   room-password = 'a'\nverbose = 2\n";
    std::fs::write(&file, in_file).expect("room");
    let variables = [
        ("LOKET_SPIN", "2"),
        ("LOKET_HOST", "127.0.0.3"),
        ("LOKET_ECHO", "7"),
    ];
    let flags = [
        "--host=127.0.0.4",
        "--read-only=false",
        "--room-password-file=b",
    ];
    let text = text(printed(Some(&file), &variables, &flags));
    let expected = [
        "host = \"127.0.0.4\"",
        "echo = 7",
        "room-password-file = \"b\"",
        "min-rate = 16",
        "read-only = false",
        "spin = 2",
        "verbose = 2",
    ];
    assert_eq!(set(&text), expected);
}

#[test]
fn a_setting_that_cannot_be_used_is_an_error_with_its_line_or_variable() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("loket.toml");
    for (content, why) in [
        (
            "# a comment\nhots = 'a'\n",
            "line 2: \"hots\": there is no such setting",
        ),
        ("config = 'a'\n", "line 1: \"config\": there is no such"),
        (
            "[serve]\nhost = 'a'\n",
            "line 1: \"serve\": there is no such",
        ),
        ("spin = '5'\n", "line 1: spin is a whole number"),
        ("spin = 5.0\n", "line 1: spin is a whole number"),
        ("\nspin = 5000\n", "line 2: invalid value '5000'"),
        ("http = true\n", "line 1: http is a port or \"off\""),
        ("http = 70000\n", "line 1: invalid value '70000'"),
        ("read-only = 'true'\n", "line 1: read-only is true or false"),
        ("http-name = 'a'\n", "line 1: http-name is a list of texts"),
        (
            "http-name = ['a', 1]\n",
            "line 1: http-name is a list of texts",
        ),
        ("host = 1\n", "line 1: host is a text in quotes"),
        ("log-format = 'xml'\n", "line 1: invalid value 'xml'"),
        ("host = 'a'\n\nhost = 'b'\n", "line 3: "),
        ("host = \n", "line 1: "),
        (
            "room-password = 'a'\nroom-password-file = 'b'\n",
            "line 2: room-password-file conflicts with room-password",
        ),
    ] {
        std::fs::write(&file, content).expect("room");
        let ended = printed(Some(&file), &[], &[]);
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{content}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        let named = error.contains("loket.toml: ");
        assert!(named && error.contains(why), "{content}: {error}");
    }
    for (file, variables, why) in [
        (
            None,
            &[("LOKET_SPIN", "x")][..],
            "cannot use the variable LOKET_SPIN: invalid value 'x' for spin: ",
        ),
        (
            None,
            &[("LOKET_VERBOSE", "yes")],
            "cannot use the variable LOKET_VERBOSE: it is a whole number",
        ),
        (
            None,
            &[
                ("LOKET_ROOM_PASSWORD", "a"),
                ("LOKET_ROOM_PASSWORD_FILE", "b"),
            ],
            "LOKET_ROOM_PASSWORD_FILE: room-password-file conflicts with room-password; remove one",
        ),
        (Some(Path::new("/nowhere")), &[], "/nowhere: No such file"),
    ] {
        let ended = printed(file, variables, &[]);
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(
            ended.status.code() == Some(2) && error.contains(why),
            "{error}"
        );
    }
}

#[test]
fn a_flag_decides_between_variables_that_conflict() {
    let both = [
        ("LOKET_ROOM_PASSWORD", "a"),
        ("LOKET_ROOM_PASSWORD_FILE", "b"),
    ];
    let text = text(printed(None, &both, &["--room-password-file=c"]));
    assert_eq!(set(&text), ["room-password-file = \"c\""]);
}

#[test]
fn a_count_is_a_number_in_variables() {
    let text = text(printed(None, &[("LOKET_VERBOSE", "2")], &[]));
    assert_eq!(set(&text), ["verbose = 2"]);
}

#[test]
fn the_printed_settings_are_read_back_and_a_server_starts_with_them() {
    let mut prepared = Prepared::without_ports(&[]);
    let file = prepared.folder().join("loket.toml");
    let flags = [
        "--host=::1",
        "--http=0",
        "--echo=0",
        "--files=off",
        "--transfer=off",
        "--talk=off",
        "--room=off",
        "--http-name=a.example",
        "--http-name=b.example",
        "--index",
        "--max-file-size=1000",
        "--max-total=2000",
        "--log-format=text",
        "--room-password=quote \" backslash \\ \u{202e} ñ",
        "-vv",
    ];
    let first = text(printed(None, &[], &flags));
    assert_eq!(set(&first).len(), flags.len() - 1, "{first}");
    std::fs::write(&file, &first).expect("room");
    assert_eq!(text(printed(Some(&file), &[], &[])), first);
    // What is printed as a default is a value that can be set.
    let defaults = text(printed(None, &[], &[]));
    assert_eq!(set(&defaults), [""; 0]);
    let is_default = |line: &&str| line.starts_with('#') && !line.starts_with("# ");
    let lines = defaults.lines().filter(is_default);
    // An empty list sets nothing, and `quiet` conflicts with `verbose`.
    let is_one = |line: &&str| {
        let end = line.ends_with('=') || line.ends_with("[]");
        !end && !line.starts_with("#quiet") && !line.starts_with("#verbose")
    };
    let lines = lines.filter(is_one);
    let all: String = lines.map(|line| format!("{}\n", &line[1..])).collect();
    let other = prepared.folder().join("all.toml");
    std::fs::write(&other, &all).expect("room");
    let all_set = text(printed(Some(&other), &[], &[]));
    assert_eq!(set(&all_set), all.lines().collect::<Vec<_>>());
    prepared.command.arg("--config").arg(&file);
    let server = prepared.launch();
    assert_eq!(server.services().collect::<Vec<_>>(), ["echo", "http"]);
    assert!(server.address("http").is_ipv6());
    assert_eq!(server.ask("echo", "hello"), "hello");
}
