//! Servers with `--reuse-port` share their TCP ports, and no other program joins them.

use crate::support::python::python;
use crate::support::{Client, Prepared, Server, eventually, skip};
use rustix::process::Signal;
use rustix::thread::UnshareFlags;
use std::process::Command;

/// A server of echo on this port.
fn shared(echo: &str, flags: &[&str]) -> Prepared {
    let mut prepared = Prepared::without_ports(&[]);
    let off = ["--talk=off", "--transfer=off", "--files=off", "--http=off"];
    prepared.command.arg(format!("--echo={echo}"));
    prepared.command.args(off).args(flags);
    prepared
}

/// Why a server does not start.
fn refused(mut command: Command) -> String {
    let output = command.stderr(std::process::Stdio::piped()).output();
    let output = output.expect("loket runs");
    assert!(!output.status.success());
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn servers_share_a_tcp_port_and_each_has_its_own_room() {
    const FLAGS: [&str; 2] = ["--reuse-port", "--room-password=sesame"];
    let first = shared("0", &[&FLAGS[..], &["--room=0"]].concat()).launch();
    let echo = first.address("echo").port().to_string();
    let room = format!("--room={}", first.address("room").port());
    let why = refused(shared(&echo, &[&FLAGS[..], &[&room]].concat()).command);
    assert!(why.contains("--reuse-port shares no UDP port"), "{why}");
    let second = shared(&echo, &[&FLAGS[..], &["--room=0"]].concat()).launch();
    let before = [&first, &second].map(Server::descriptors);
    let mut clients: Vec<Client> = (0..64).map(|_| first.connect("echo")).collect();
    for client in &mut clients {
        client.send("hi").expect("hi");
    }
    let accepted = [&first, &second].map(Server::descriptors);
    assert!(accepted[0] > before[0] && accepted[1] > before[1]);
}

#[test]
fn a_port_is_shared_with_servers_of_the_same_user_and_flag_only() {
    let alone = shared("0", &["--room=off"]).launch();
    let open = shared("0", &["--room=off", "--reuse-port"]).launch();
    let port = |server: &Server| server.address("echo").port().to_string();
    let (alone, open) = (port(&alone), port(&open));
    let why = refused(shared(&alone, &["--room=off", "--reuse-port"]).command);
    assert!(why.contains("without --reuse-port or of another"), "{why}");
    let why = refused(shared(&open, &["--room=off"]).command);
    assert!(why.contains("stop the program that has it"), "{why}");
    let test = "a_port_is_shared_with_servers_of_the_same_user_and_flag_only";
    if !python(test) {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return skip(test, "only root can start a server of another user");
    }
    let python = "import os, socket, sys\n\
        os.setuid(65534)\n\
        s = socket.socket()\n\
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n\
        s.bind(('127.0.0.1', int(sys.argv[1])))";
    let mut thief = Command::new("python3");
    let why = refused({
        thief.args(["-c", python, &open]);
        thief
    });
    assert!(why.contains("Address already in use"), "{why}");
}

#[test]
fn clients_in_the_queue_of_a_server_that_is_killed_go_to_the_others() {
    let test = "clients_in_the_queue_of_a_server_that_is_killed_go_to_the_others";
    // The setting of the kernel belongs to a network.
    let network = std::thread::spawn(move || {
        #[expect(deprecated, reason = "the test needs nothing that the threads share")]
        let apart = rustix::thread::unshare(UnshareFlags::NEWNET);
        let up = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        if apart.is_err() || !up.is_ok_and(|up| up.success()) {
            return skip(test, "no network namespace, or no ip(8)");
        }
        let flags = ["--room=off", "--reuse-port"];
        let warned = shared("0", &flags).launch();
        if std::fs::write("/proc/sys/net/ipv4/tcp_migrate_req", "1").is_err() {
            return skip(test, "the kernel has no tcp_migrate_req");
        }
        let echo = warned.address("echo").port().to_string();
        let mut killed = shared(&echo, &flags).launch();
        let warning = "tcp_migrate_req=1";
        assert!(warned.log().contains(warning) && !killed.log().contains(warning));
        killed.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", killed.id());
        eventually("it has stopped", || {
            std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "))
        });
        let mut clients: Vec<Client> = (0..64).map(|_| warned.connect("echo")).collect();
        killed.kill();
        for client in &mut clients {
            client.send("hi").expect("hi");
        }
    });
    network.join().expect("the thread has not panicked");
}
