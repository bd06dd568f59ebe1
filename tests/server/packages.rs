//! The files of the packages: man pages, completions, and what the unit starts.

use crate::support;
use crate::support::skip;
use std::process::{Command, Stdio};
use toml::de::{DeTable, DeValue};

const TOP: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn man_pages_and_completions_are_complete_and_correct() {
    let folder = tempfile::tempdir().expect("a folder");
    let loket = Command::new(env!("CARGO_BIN_EXE_loket"))
        .arg("assets")
        .arg(folder.path())
        .status();
    assert!(loket.expect("it starts").success());
    let made = std::fs::read_dir(folder.path()).expect("a folder");
    let mut names: Vec<_> = made.map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect(name);
    assert!(text("loket-serve.1").contains("http\\-token\\-file"));
    for completions in ["loket.bash", "loket.fish", "_loket"] {
        assert!(
            text(completions).contains("http-token-file"),
            "{completions}"
        );
    }
    names.retain(|name| name.extension().is_some_and(|end| end == "1"));
    assert!(names.len() > 10, "{names:?}");
    let lint = Command::new("mandoc")
        .args(["-T", "lint"])
        .args(&names)
        .output();
    let Ok(lint) = lint else {
        return skip(
            "man_pages_and_completions_are_complete_and_correct",
            "no mandoc",
        );
    };
    assert_eq!(String::from_utf8_lossy(&lint.stdout), "");
}

/// The assets of a package: where each comes from, and where it is installed.
fn assets(package: &str) -> Vec<(String, String)> {
    let manifest = std::fs::read_to_string(format!("{TOP}/Cargo.toml")).expect("a manifest");
    let manifest = DeTable::parse(&manifest).expect("TOML");
    let metadata = &manifest.get_ref()["package"].get_ref()["metadata"].get_ref()[package];
    let assets = metadata.get_ref()["assets"].get_ref().as_array();
    let assets = assets.expect("a list").iter().map(|asset| {
        let text = |field: &DeValue<'_>| field.as_str().expect("a text").to_owned();
        match asset.get_ref() {
            DeValue::Array(fields) => (text(fields[0].get_ref()), text(fields[1].get_ref())),
            fields => (
                text(fields["source"].get_ref()),
                text(fields["dest"].get_ref()),
            ),
        }
    });
    let absolute = |(from, to): (String, String)| {
        let name = from.rsplit('/').next().expect("a name");
        let name = if to.ends_with('/') && !name.contains('*') {
            name
        } else {
            ""
        };
        (
            from.clone(),
            format!("/{}{name}", to.trim_start_matches('/')),
        )
    };
    assets.map(absolute).collect()
}

#[test]
fn both_packages_have_the_same_files_which_exist() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new(env!("CARGO_BIN_EXE_loket"))
        .arg("assets")
        .arg(folder.path())
        .status();
    assert!(made.expect("it starts").success());
    let (mut deb, mut rpm) = (assets("deb"), assets("generate-rpm"));
    for (from, _) in deb.iter().chain(&rpm) {
        let exists = match (from.strip_prefix("target/assets/"), from.as_str()) {
            (Some("*.1"), _) | (_, "target/release/loket") => true,
            (Some(made), _) => folder.path().join(made).exists(),
            (None, from) => std::fs::exists(format!("{TOP}/{from}")).expect("a folder"),
        };
        assert!(exists, "{from}");
    }
    // Each distribution has a place of its own for these.
    let own = |(from, _): &(String, String)| {
        ["lintian", "LICENSE", "_loket"]
            .iter()
            .any(|name| from.contains(name))
    };
    deb.retain(|asset| !own(asset));
    rpm.retain(|asset| !own(asset));
    deb.sort();
    rpm.sort();
    assert_eq!(deb, rpm);
}

#[test]
fn version_date_and_maintainer_are_the_same_everywhere() {
    let read = |path: &str| std::fs::read_to_string(format!("{TOP}/{path}")).expect(path);
    let (manifest, changelog) = (read("Cargo.toml"), read("scripts/debian/changelog"));
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        changelog.starts_with(&format!("loket ({version}-1) ")),
        "{changelog}"
    );
    let library = read("src/lib.rs");
    let (_, versions) = library.split_once("# Versions").expect("a section");
    let entry = versions
        .lines()
        .find_map(|line| line.strip_prefix("//! - "));
    let (listed, rest) = entry
        .and_then(|entry| entry.split_once(", "))
        .expect("a version");
    let (date, _) = rest.split_once(':').expect("a date");
    assert_eq!(listed, version);
    let page = read("src/cli/assets.rs");
    assert!(
        page.contains(&format!("const DATE: &str = \"{date}\";")),
        "{date}"
    );
    let signature = changelog.lines().find_map(|line| line.strip_prefix(" -- "));
    let (maintainer, signed) = signature
        .and_then(|line| line.split_once("  "))
        .expect("a name");
    assert!(
        manifest.contains(&format!("maintainer = \"{maintainer}\"")),
        "{maintainer}"
    );
    let made = Command::new("date")
        .args(["-u", "+%F", "-d", signed])
        .output();
    let made = String::from_utf8(made.expect("coreutils").stdout).expect("text");
    assert_eq!(made.trim(), date);
}

#[test]
fn the_settings_of_the_unit_change_nothing_and_need_no_token() {
    let folder = support::rooted();
    let file = std::fs::read_to_string(format!("{TOP}/scripts/loket.toml")).expect("a file");
    let unit = std::fs::read_to_string(format!("{TOP}/scripts/loket.service")).expect("a unit");
    assert!(unit.contains("\nExecStart=loket serve --config /etc/loket.toml\n"));
    let own = folder.path().join("loket.toml");
    std::fs::write(&own, file).expect("room");
    let mut child = Command::new(env!("CARGO_BIN_EXE_loket"))
        .args(["serve", "--config"])
        .arg(&own)
        .args([
            "--echo=0",
            "--transfer=0",
            "--files=0",
            "--http=0",
            "--root",
        ])
        .arg(folder.path().join("root"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let output = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let lines = std::io::BufRead::lines(output).map(|line| line.expect("text"));
    let lines: Vec<String> = lines.take_while(|line| line != "ready").collect();
    child.kill().expect("ours");
    child.wait().expect("ours");
    let names: Vec<_> = lines
        .iter()
        .map(|line| line.split(' ').next().expect("a word"))
        .collect();
    assert_eq!(
        names,
        ["echo", "transfer", "files", "http"],
        "no token: {lines:?}"
    );
}
