//! `--host` takes an address or a name.

use crate::support::{Client, Server, eventually};
use std::net::{IpAddr, Ipv4Addr, TcpListener, ToSocketAddrs};
use std::process::Command;

/// Expects that all services listen at this address.
#[track_caller]
fn check_address(host: &str, address: IpAddr) {
    let server = Server::start(&["--host", host]);
    for service in ["echo", "transfer", "files", "talk", "room"] {
        assert_eq!(server.address(service).ip(), address, "{host} {service}");
    }
    let mut client = server.connect("files");
    client.send("ls\n").expect("OK 0\n");
}

fn has_ipv6(name: &str) -> bool {
    let found = TcpListener::bind("[::1]:0").is_ok();
    if !found {
        println!("SKIPPED {name}: no IPv6");
    }
    found
}

#[test]
fn localhost_means_its_first_usable_address() {
    let found = ("localhost", 0)
        .to_socket_addrs()
        .expect("every machine has it");
    let usable = |address: &IpAddr| TcpListener::bind((*address, 0)).is_ok();
    let first = found.map(|address| address.ip()).find(usable);
    check_address("localhost", first.expect("a loopback address"));
}

#[test]
fn an_ipv6_address_may_be_in_brackets() {
    if has_ipv6("an_ipv6_address_may_be_in_brackets") {
        check_address("[::1]", "::1".parse().expect("an address"));
        check_address("::1", "::1".parse().expect("an address"));
    }
    check_address("127.0.1.1", IpAddr::from([127, 0, 1, 1]));
}

#[test]
fn a_client_over_ipv4_has_one_address_in_the_log_of_an_ipv6_listener() {
    let name = "a_client_over_ipv4_has_one_address_in_the_log_of_an_ipv6_listener";
    if !has_ipv6(name) {
        return;
    }
    let server = Server::start(&["--host", "::", "--max-per-address", "1"]);
    let files = (Ipv4Addr::LOCALHOST, server.address("files").port()).into();
    let mut client = Client::connect(files);
    client.send("upload big").finish();
    assert!(client.text().contains("ERROR"));
    let client = Client::connect(files);
    Client::connect(files).error();
    eventually("both are logged", || {
        let log = server.log();
        log.contains("upload \"big\" from 127.0.0.1:") && log.contains(": 127.0.0.1:")
    });
    assert!(!server.log().contains("ffff:"), "{}", server.log());
    drop(client);
}

#[test]
fn an_unusable_host_is_reported_before_anything_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    for host in ["nowhere.invalid", "[127.0.0.1]", "localhost:80", ""] {
        let ended = Command::new(env!("CARGO_BIN_EXE_loket"))
            .args(["serve", "--host", host, "--root", "root"])
            .current_dir(folder.path())
            .output()
            .expect("loket starts");
        assert_eq!(ended.status.code(), Some(2), "{host}");
        let message = String::from_utf8(ended.stderr).expect("text");
        assert!(message.contains(&format!("{host:?}")), "{message}");
        assert!(message.contains("--host HOST"), "{message}");
        assert!(!folder.path().join("root").exists());
    }
}
