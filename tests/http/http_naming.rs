//! MKCOL, MOVE and Repr-Digest of the HTTP service.

use crate::support::{Server, noise};
use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};

/// The answer to one request with these fields.
#[track_caller]
fn ask(server: &Server, method: &str, target: &str, fields: &str) -> String {
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n"
    );
    server.ask("http", request)
}

#[track_caller]
fn status(server: &Server, method: &str, target: &str, fields: &str) -> u16 {
    let answer = ask(server, method, target, fields);
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    status.unwrap_or_else(|| panic!("no status in {answer}"))
}

#[test]
fn mkcol_makes_a_folder() {
    let server = Server::start(&[]);
    std::fs::write(server.root().join("file"), "").expect("room");
    let answer = ask(&server, "MKCOL", "/a%20b/", "");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert!(answer.contains("\r\nLocation: /a%20b/\r\n"), "{answer}");
    for (target, fields, wanted) in [
        ("/a%20b/c", "", 201),
        ("/a%20b", "", 405),
        ("/file", "", 405),
        ("/", "", 405),
        ("/-/x", "", 405),
        ("/none/c", "", 409),
        ("/../c", "", 400),
        ("/d", "Content-Length: 1\r\n", 415),
        ("/d", "If-Match: *\r\n", 412),
        ("/file", "If-Match: \"x\"\r\n", 405),
        ("/a%20b/", "If-Match: *\r\n", 405),
        ("/new", "If-None-Match: *\r\n", 201),
        ("/d", "Origin: http://evil.test\r\n", 403),
    ] {
        assert_eq!(
            status(&server, "MKCOL", target, fields),
            wanted,
            "{target} {fields}"
        );
    }
    assert!(server.root().join("a b/c").is_dir());
    assert!(!server.root().join("d").exists());
}

#[test]
fn move_renames_and_replaces_nothing() {
    let server = Server::start(&[]);
    std::fs::create_dir(server.root().join("dir")).expect("a folder");
    for name in ["a", "b", "dir/c"] {
        std::fs::write(server.root().join(name), name).expect("room");
    }
    for (target, destination, wanted) in [
        ("/a", "/x%20y", 201),
        ("/x%20y", "http://localhost/dir/d", 201),
        ("/dir/", "/moved/", 201),
        ("/b", "/moved/c", 412),
        ("/b", "/b", 412),
        ("/b", "/moved/", 412),
        ("/b", "/", 412),
        ("/b/", "/new", 404),
        ("/b", "/new/", 409),
        ("/moved", "/moved/deeper/", 409),
        ("/b", "/none/b", 409),
        ("/none", "/new", 404),
        ("/b", "http://other.test/new", 400),
        ("/b", "ftp://localhost/new", 400),
        ("/b", "new", 400),
        ("/b", "/a/../new", 400),
        ("/b", "/new?x", 400),
        ("/b", "/-/new", 405),
        ("/", "/new", 405),
    ] {
        for overwrite in ["Overwrite: F\r\n", "Overwrite: T\r\n"] {
            let fields = format!("Destination: {destination}\r\n{overwrite}");
            if wanted != 201 || overwrite.contains('F') {
                let found = status(&server, "MOVE", target, &fields);
                assert_eq!(found, wanted, "{target} {destination}");
            }
        }
    }
    assert_eq!(status(&server, "MOVE", "/b", ""), 400);
    let content = |name: &str| std::fs::read(server.root().join(name)).expect(name);
    assert_eq!(content("moved/d"), b"a");
    assert_eq!(content("moved/c"), b"dir/c");
    assert_eq!(content("b"), b"b");
}

#[test]
fn the_new_address_of_a_folder_ends_with_a_slash_if_an_old_one_does() {
    let server = Server::start(&[]);
    std::fs::create_dir(server.root().join("a")).expect("a folder");
    std::fs::write(server.root().join("file"), "").expect("room");
    for (target, destination, location) in [
        ("/a/", "/b", "/b/"),
        ("/b", "/c%20d/", "/c%20d/"),
        ("/c%20d/", "/e/", "/e/"),
        ("/file", "/e/file", "/e/file"),
    ] {
        let destination = format!("Destination: {destination}\r\n");
        let answer = ask(&server, "MOVE", target, &destination);
        let field = format!("\r\nLocation: {location}\r\n");
        assert!(answer.contains(&field), "{answer}");
    }
}

#[test]
fn a_move_has_the_conditions_of_what_is_moved() {
    let server = Server::start(&[]);
    std::fs::write(server.root().join("a"), "a").expect("room");
    std::fs::create_dir(server.root().join("dir")).expect("a folder");
    let head = ask(&server, "HEAD", "/a", "");
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: "));
    let tag = tag.expect("a tag").to_owned();
    let old = "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT".to_owned();
    let if_match = |tag: &str| format!("If-Match: {tag}");
    let if_none = |tag: &str| format!("If-None-Match: {tag}");
    for (target, condition, wanted) in [
        ("/a", if_match("\"x\""), 412),
        ("/a", if_none("*"), 412),
        ("/a", if_none(&tag), 412),
        ("/a", old.clone(), 412),
        ("/dir/", if_match("\"x\""), 412),
        ("/dir", if_none("*"), 412),
        ("/none", if_match("*"), 404),
        ("/a", if_match(&tag), 201),
        ("/dir/", if_match("*"), 201),
        ("/new", if_none("\"x\""), 201),
        // A folder has no date.
        ("/newer", old, 201),
    ] {
        let destination = match target {
            "/new" => "/newer",
            "/newer" => "/newest",
            "/dir/" => "/new",
            _ => "/b",
        };
        let fields = format!("Destination: {destination}\r\n{condition}\r\n");
        let found = status(&server, "MOVE", target, &fields);
        assert_eq!(found, wanted, "{target} {condition}");
    }
}

#[test]
fn a_client_that_wants_the_digest_of_a_file_gets_it() {
    let server = Server::start(&[]);
    let data = noise(3_000_000);
    std::fs::write(server.root().join("a"), &data).expect("room");
    let digest = Base64::encode_string(&Sha256::digest(&data));
    let field = format!("\r\nRepr-Digest: sha-256=:{digest}:\r\n");
    for (wants, has) in [
        ("Want-Repr-Digest: sha-256=10\r\n", true),
        ("Want-Repr-Digest: sha-512=3, sha-256=1\r\n", true),
        ("Want-Repr-Digest: sha-256=1;a=0\r\n", true),
        ("Want-Repr-Digest: sha-256=x, sha-256=1\r\n", true),
        ("Want-Repr-Digest: sha-256=0\r\n", false),
        ("Want-Repr-Digest: sha-256=0;a\r\n", false),
        ("Want-Repr-Digest: sha-256=1, sha-256=0\r\n", false),
        ("Want-Repr-Digest: sha-256=x\r\n", false),
        ("Want-Repr-Digest: sha-256\r\n", false),
        ("Want-Repr-Digest: sha-256=\r\n", false),
        ("Want-Repr-Digest: sha-256=+1\r\n", false),
        ("Want-Repr-Digest: sha-256=11\r\n", false),
        ("Want-Repr-Digest: sha-256-x=1\r\n", false),
        ("Want-Repr-Digest: md5=1\r\n", false),
        ("", false),
    ] {
        let answer = ask(&server, "HEAD", "/a", wants);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(answer.contains(&field), has, "{wants} {answer}");
    }
    // It is that of the whole file, also with a part of it.
    let range = "Range: bytes=0-0\r\nWant-Repr-Digest: sha-256=1\r\n";
    let mut client = server.connect("http");
    client.send(format!(
        "GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{range}\r\n"
    ));
    let answer = client.rest();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 206 ") && answer.contains(&field));
    assert_eq!(status(&server, "GET", "/none", range), 404);
}
