//! `scripts/cluster` starts three linked servers and ends what it has started.

use crate::support::guest::Guest;
use crate::support::{Client, skip};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The script, which is killed if the test fails: its processes end with it.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The processes whose command lines have this text.
fn running(text: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("a folder").flatten();
    let lines = processes.map(|process| std::fs::read(process.path().join("cmdline")));
    let lines = lines.flatten();
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(text)).collect()
}

/// Addresses of loopback that no other test has, also not in another run.
fn net(number: u32) -> String {
    let id = std::process::id() * 2 + number;
    format!("127.{}.{}", 1 + id / 250 % 250, 1 + id % 250)
}

/// Starts the script with this program. Its folder is below the given one.
fn start(program: &str, net: &str, folder: &Path) -> Script {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/cluster");
    let mut command = Command::new(script);
    command.args([program, net]).env("TMPDIR", folder);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Script(command.spawn().expect("a shell"))
}

#[track_caller]
fn nothing_is_left(net: &str, folder: &Path) {
    assert_eq!(running(&format!("{net}.")), [""; 0]);
    let left = std::fs::read_dir(folder).expect("a folder").count();
    assert_eq!(left, 0);
}

#[test]
fn scripts_cluster_links_three_servers_and_leaves_nothing() {
    let (net, folder) = (net(0), tempfile::tempdir().expect("a folder"));
    let mut script = start(env!("CARGO_BIN_EXE_loket"), &net, folder.path());
    let lines = BufReader::new(script.0.stdout.take().expect("piped")).lines();
    let lines = lines.map(|line| line.expect("text"));
    let shown: Vec<String> = lines
        .take_while(|line| !line.contains("Ctrl-C ends all"))
        .collect();
    if shown.is_empty() {
        let errors = std::io::read_to_string(script.0.stderr.take().expect("piped"));
        let errors = errors.expect("text");
        let may_fail = [" is not installed", " in use: "].map(|why| errors.contains(why));
        assert!(may_fail.contains(&true), "{errors}");
        let test = "scripts_cluster_links_three_servers_and_leaves_nothing";
        return skip(test, errors.trim());
    }
    let at = |box_: u8, port| -> SocketAddr {
        format!("{net}.{box_}:{port}").parse().expect("an address")
    };
    let guests = [(11, "ani"), (13, "budi")].map(|(box_, name)| {
        let guest = Guest::between(([127, 0, 0, 1], 0).into(), at(box_, 1234));
        guest.send("PASSWORD secret").expect("PASSWORD OK");
        guest.send(format!("USERNAME {name}")).expect("USERNAME OK");
        guest.expect(&format!("{name} bergabung ke chatroom."));
        guest
    });
    guests[0].expect("budi bergabung ke chatroom.");
    guests[0].send("hello");
    // It learns of ani late if its server has started after ani's join.
    while guests[1].message() != "ani: hello" {}
    let stored = Client::connect(at(11, 9999))
        .send("upload a 3\nabc")
        .finish()
        .text();
    assert!(stored.contains("OK"), "{stored}");
    let read = Client::connect(at(12, 9999))
        .send("size a\n")
        .finish()
        .text();
    assert_eq!(read, "OK 3 0.00 MB\n");

    assert!(running(&format!("{net}.")).len() >= 6);
    kill_process(Pid::from_child(&script.0), Signal::TERM).expect("it runs");
    assert!(script.0.wait().expect("our child").success());
    nothing_is_left(&net, folder.path());
}

#[test]
fn scripts_cluster_says_which_process_does_not_start_and_leaves_nothing() {
    let (net, folder) = (net(1), tempfile::tempdir().expect("a folder"));
    let mut script = start("/bin/false", &net, folder.path());
    let errors = std::io::read_to_string(script.0.stderr.take().expect("piped"));
    let errors = errors.expect("text");
    assert!(!script.0.wait().expect("our child").success());
    if !errors.contains(" is not installed") {
        assert!(errors.contains("loket-11 does not start"), "{errors}");
    }
    nothing_is_left(&net, folder.path());
}
