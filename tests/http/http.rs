//! Answers of the HTTP service over real sockets: files, ranges, conditions, uploads, removal.
//! Folders are in `http_folders.rs`, refused requests in `http_refused.rs`.

use crate::support::{BOTH_WAYS, Client, Server, noise};
use std::io::Read;
use std::os::unix::fs::symlink;

const FILE_METHODS: &str = "GET, HEAD, PUT, DELETE, MKCOL, MOVE, OPTIONS";

/// An answer.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    /// The next answer on a connection. `is_head` is true if it has no body.
    #[track_caller]
    fn next(client: &mut Client, is_head: bool) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.0.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut answer = Answer {
            status: status.unwrap_or_else(|| panic!("no status in {head}")),
            head,
            body: Vec::new(),
        };
        let length = answer.find("Content-Length");
        let length: usize = length.map_or(0, |length| length.parse().expect("a length"));
        if !is_head {
            answer.body.resize(length, 0);
            client.0.read_exact(&mut answer.body).expect("a body");
        }
        answer
    }

    fn find(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    #[track_caller]
    fn field(&self, name: &str) -> &str {
        let value = self.find(name);
        value.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }
}

/// Sends a request with these fields and this body on an open connection.
#[track_caller]
fn ask(client: &mut Client, method: &str, target: &str, fields: &str, body: &[u8]) -> Answer {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    client.send([head.as_bytes(), body].concat());
    Answer::next(client, method == "HEAD")
}

#[track_caller]
fn get(client: &mut Client, target: &str, fields: &str) -> Answer {
    ask(client, "GET", target, fields, b"")
}

#[track_caller]
fn put(client: &mut Client, target: &str, fields: &str, body: &[u8]) -> Answer {
    let fields = format!("{fields}Content-Length: {}\r\n", body.len());
    ask(client, "PUT", target, &fields, body)
}

#[test]
fn a_file_comes_with_its_length_type_time_and_tag() {
    for flags in BOTH_WAYS {
        let server = Server::start(flags);
        // Copied into the answer, and sent by sendfile.
        for length in [0, 5, 3_000_000] {
            let content = noise(length);
            server.put("a.txt", &content);
            let mut client = server.connect("http");
            let answer = get(&mut client, "/a.txt", "");
            assert_eq!((answer.status, answer.body == content), (200, true));
            assert_eq!(answer.field("Content-Type"), "text/plain; charset=utf-8");
            assert_eq!(answer.field("Accept-Ranges"), "bytes");
            assert_eq!(answer.field("X-Content-Type-Options"), "nosniff");
            assert_eq!(answer.field("Content-Security-Policy"), "sandbox");
            assert_eq!(answer.field("Server"), "loket");
            for date in ["Date", "Last-Modified"] {
                let date = answer.field(date);
                assert!(httpdate::parse_http_date(date).is_ok(), "{date}");
            }
            let tag = answer.field("ETag");
            assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        }
    }
}

#[test]
fn head_has_the_fields_of_get_and_no_body_and_ignores_a_range() {
    let server = Server::start(&[]);
    server.put("a", noise(100_000));
    let mut client = server.connect("http");
    let got = get(&mut client, "/a", "");
    let without_date = |answer: &Answer| {
        let lines = answer.head.lines().filter(|line| !line.starts_with("Date"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let head = ask(&mut client, "HEAD", "/a", "Range: bytes=1-2\r\n", b"");
    assert_eq!(without_date(&head), without_date(&got));
    let head = ask(&mut client, "HEAD", "/missing", "", b"");
    assert_eq!(head.status, 404);
    // The connection is at the beginning of the next answer.
    assert_eq!(get(&mut client, "/a", "").body, got.body);
}

#[test]
fn a_range_of_bytes_is_sent() {
    for flags in BOTH_WAYS {
        let server = Server::start(flags);
        let content = noise(100_000);
        server.put("a", &content);
        let mut client = server.connect("http");
        for (range, first, last) in [
            ("0-0", 0, 0),
            ("5-9", 5, 9),
            ("99990-", 99_990, 99_999),
            ("10-99999999999999999999999", 10, 99_999),
            ("-7", 99_993, 99_999),
            ("-200000", 0, 99_999),
        ] {
            let answer = get(&mut client, "/a", &format!("Range: bytes={range}\r\n"));
            assert_eq!(answer.status, 206, "{range}");
            let wanted = format!("bytes {first}-{last}/100000");
            assert_eq!(answer.field("Content-Range"), wanted);
            assert_eq!(answer.body, content[first..=last], "{range}");
        }
    }
}

#[test]
fn a_range_outside_the_file_is_416_and_several_ranges_are_the_whole_file() {
    let server = Server::start(&[]);
    server.put("a", "0123456789");
    server.put("empty", "");
    let mut client = server.connect("http");
    for (target, range, size) in [("/a", "10-", 10), ("/a", "-0", 10), ("/empty", "0-", 0)] {
        let answer = get(&mut client, target, &format!("Range: bytes={range}\r\n"));
        assert_eq!(answer.status, 416, "{range}");
        assert_eq!(answer.field("Content-Range"), format!("bytes */{size}"));
    }
    for range in ["bytes=0-1,4-5", "lines=1-2"] {
        let answer = get(&mut client, "/a", &format!("Range: {range}\r\n"));
        assert_eq!((answer.status, &*answer.body), (200, &b"0123456789"[..]));
    }
}

#[test]
fn if_range_sends_the_whole_file_after_a_change() {
    let server = Server::start(&[]);
    server.put("a", "0123456789");
    let mut client = server.connect("http");
    let now = get(&mut client, "/a", "");
    let (tag, date) = (now.field("ETag"), now.field("Last-Modified"));
    let old_date = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (version, status) in [(tag, 206), (date, 206), ("\"other\"", 200), (old_date, 200)] {
        let fields = format!("Range: bytes=2-3\r\nIf-Range: {version}\r\n");
        assert_eq!(get(&mut client, "/a", &fields).status, status, "{version}");
    }
}

#[test]
fn a_file_that_the_client_has_is_304() {
    let server = Server::start(&[]);
    server.put("a", "text");
    let mut client = server.connect("http");
    let now = get(&mut client, "/a", "");
    let (tag, date) = (now.field("ETag"), now.field("Last-Modified"));
    let old = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (fields, status) in [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-None-Match: \"x\", W/{tag}\r\n"), 304),
        ("If-None-Match: *\r\n".to_owned(), 304),
        ("If-None-Match: \"x\"\r\n".to_owned(), 200),
        (format!("If-Modified-Since: {date}\r\n"), 304),
        (format!("If-Modified-Since: {old}\r\n"), 200),
        // The date counts only without a tag.
        (
            format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n"),
            200,
        ),
        (format!("If-Match: {tag}\r\n"), 200),
        ("If-Match: \"x\"\r\n".to_owned(), 412),
        (format!("If-Unmodified-Since: {date}\r\n"), 200),
        (format!("If-Unmodified-Since: {old}\r\n"), 412),
    ] {
        let answer = get(&mut client, "/a", &fields);
        assert_eq!(answer.status, status, "{fields}");
        if status == 304 {
            assert_eq!(
                (answer.field("ETag"), answer.find("Content-Length")),
                (tag, None)
            );
        }
    }
    server.put("b", "other text");
    std::fs::rename(server.root().join("b"), server.root().join("a")).expect("a file");
    let changed = get(&mut client, "/a", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((changed.status, &*changed.body), (200, &b"other text"[..]));
}

#[test]
fn put_answers_201_for_a_new_name_and_204_for_another_file() {
    for flags in BOTH_WAYS {
        let server = Server::start(flags);
        for length in [0, 5, 3_000_000] {
            let (first, second) = (noise(length), noise(length + 1));
            let mut client = server.connect("http");
            let created = put(&mut client, "/a%20b", "", &first);
            assert_eq!((created.status, created.field("Location")), (201, "/a%20b"));
            assert_eq!(server.got("a b"), first);
            assert_eq!(put(&mut client, "/a%20b", "", &second).status, 204);
            assert_eq!(server.got("a b"), second);
            assert_eq!(ask(&mut client, "DELETE", "/a%20b", "", b"").status, 204);
        }
    }
}

#[test]
fn a_chunked_body_is_stored_without_its_framing() {
    for flags in BOTH_WAYS {
        let server = Server::start(flags);
        let content = noise(2_000_000);
        let mut client = server.connect("http");
        for length in [1_999, 64 * 1024, 1_500_000] {
            let mut body = Vec::new();
            for chunk in content.chunks(length) {
                body.extend_from_slice(format!("{:x};a=b\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\nTrailer: yes\r\n\r\n");
            let fields = "Transfer-Encoding: chunked\r\n";
            let answer = ask(&mut client, "PUT", "/a", fields, &body);
            assert!(matches!(answer.status, 201 | 204), "{}", answer.head);
            assert!(server.got("a") == content, "chunks of {length}");
        }
    }
}

#[test]
fn an_upload_that_ends_early_stores_nothing_and_is_400() {
    let server = Server::start(&[]);
    for request in [
        "Content-Length: 10\r\n\r\n12345",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n123",
    ] {
        let mut client = server.connect("http");
        let head = "PUT /a HTTP/1.1\r\nHost: localhost\r\n";
        client.send(format!("{head}{request}")).finish();
        assert_eq!(Answer::next(&mut client, false).status, 400, "{request}");
        assert!(server.files().is_empty());
    }
}

#[test]
fn put_keeps_a_file_that_does_not_meet_the_conditions() {
    let server = Server::start(&[]);
    server.put("a", "old");
    let mut client = server.connect("http");
    let tag = get(&mut client, "/a", "").field("ETag").to_owned();
    let old = "Sun, 06 Nov 1994 08:49:37 GMT";
    for fields in [
        "If-None-Match: *\r\n".to_owned(),
        format!("If-None-Match: {tag}\r\n"),
        "If-Match: \"x\"\r\n".to_owned(),
        format!("If-Unmodified-Since: {old}\r\n"),
    ] {
        let mut client = server.connect("http");
        let answer = put(&mut client, "/a", &fields, b"new");
        assert_eq!((answer.status, answer.field("Connection")), (412, "close"));
        assert_eq!(server.got("a"), b"old", "{fields}");
        let removed = ask(&mut server.connect("http"), "DELETE", "/a", &fields, b"");
        assert_eq!(removed.status, 412, "{fields}");
    }
    let missing = put(&mut client, "/b", "If-Match: *\r\n", b"new");
    assert_eq!(missing.status, 412);
    let mut client = server.connect("http");
    let replaced = put(&mut client, "/a", &format!("If-Match: {tag}\r\n"), b"new");
    assert_eq!((replaced.status, server.got("a")), (204, b"new".to_vec()));
    let created = put(&mut client, "/b", "If-None-Match: *\r\n", b"new");
    assert_eq!((created.status, server.got("b")), (201, b"new".to_vec()));
    let removed = ask(&mut client, "DELETE", "/b", "If-Match: *\r\n", b"");
    assert_eq!(removed.status, 204);
}

#[test]
fn an_upload_that_must_be_new_does_not_replace_a_file_that_came_meanwhile() {
    let server = Server::start(&[]);
    let mut client = server.connect("http");
    let head = "PUT /a HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\n";
    client.send(format!(
        "{head}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    ));
    assert_eq!(Answer::next(&mut client, true).status, 100);
    server.put("a", "other");
    client.send("new");
    assert_eq!(Answer::next(&mut client, false).status, 412);
    assert_eq!(server.got("a"), b"other");
    assert_eq!(server.files().len(), 1);
}

#[test]
fn put_is_refused_before_its_body_with_the_reason() {
    let server = Server::start(&["--max-file-size", "10"]);
    std::fs::create_dir(server.root().join("folder")).expect("a folder");
    for (target, fields, status) in [
        ("/a", "Content-Length: 11\r\n", 413),
        (
            "/a",
            "Content-Length: 5\r\nContent-Range: bytes 0-4/9\r\n",
            400,
        ),
        ("/a", "", 411),
        ("/missing/a", "Content-Length: 5\r\n", 409),
        ("/folder", "Content-Length: 5\r\n", 409),
        ("/folder/", "Content-Length: 5\r\n", 405),
        ("/-/a", "Content-Length: 5\r\n", 405),
        ("/a", "Content-Length: 5\r\nExpect: a-miracle\r\n", 417),
    ] {
        let mut client = server.connect("http");
        // No byte of a body is sent.
        let answer = ask(&mut client, "PUT", target, fields, b"");
        assert_eq!(answer.status, status, "{target} {fields}");
        assert!(answer.body.ends_with(b"\n"));
        if fields.starts_with("Content-Length") {
            assert_eq!(client.rest(), b"", "{target} {fields}");
        }
    }
    let mut client = server.connect("http");
    let body = b"6\r\n123456\r\n6\r\n123456\r\n0\r\n\r\n";
    let chunked = ask(
        &mut client,
        "PUT",
        "/a",
        "Transfer-Encoding: chunked\r\n",
        body,
    );
    assert_eq!(chunked.status, 413);
    assert!(server.files().is_empty());
}

#[test]
fn continue_is_sent_once_the_upload_is_accepted() {
    let server = Server::start(&[]);
    let expects = "Expect: 100-continue\r\n";
    for framing in ["Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut client = server.connect("http");
        let fields = format!("{framing}{expects}");
        assert_eq!(ask(&mut client, "PUT", "/a", &fields, b"").status, 100);
        let is_chunked = framing.starts_with('T');
        client.send(if is_chunked {
            "4\r\ntext\r\n0\r\n\r\n"
        } else {
            "text"
        });
        assert!(matches!(Answer::next(&mut client, false).status, 201 | 204));
        assert_eq!(server.got("a"), b"text");
        // The final answer comes at once.
        let refused = ask(&mut client, "PUT", "/missing/a", &fields, b"");
        assert_eq!(refused.status, 409);
    }
}

#[test]
fn delete_answers_204_404_and_409_for_a_folder() {
    let server = Server::start(&[]);
    server.put("a", "text");
    server.put("target", "text");
    std::fs::create_dir(server.root().join("folder")).expect("a folder");
    symlink("target", server.root().join("link")).expect("a link");
    let mut client = server.connect("http");
    for (target, status) in [
        ("/a", 204),
        ("/a", 404),
        ("/missing/a", 404),
        ("/folder", 409),
        ("/folder/", 405),
        ("/link", 204),
    ] {
        let answer = ask(&mut client, "DELETE", target, "", b"");
        assert_eq!(answer.status, status, "{target}");
    }
    assert_eq!(server.got("target"), b"text");
}

#[test]
fn unknown_methods_are_501_and_others_405_with_the_allowed_ones() {
    let server = Server::start(&[]);
    let mut client = server.connect("http");
    assert_eq!(ask(&mut client, "BREW", "/a", "", b"").status, 501);
    for (method, target, allowed) in [
        ("POST", "/a", FILE_METHODS),
        ("PATCH", "/a", FILE_METHODS),
        ("TRACE", "/a/", "GET, HEAD, MKCOL, MOVE, OPTIONS"),
    ] {
        let answer = ask(&mut client, method, target, "", b"");
        assert_eq!((answer.status, answer.field("Allow")), (405, allowed));
    }
    for (target, allowed) in [
        ("/a", FILE_METHODS),
        ("/a/", "GET, HEAD, MKCOL, MOVE, OPTIONS"),
        ("*", FILE_METHODS),
    ] {
        let answer = ask(&mut client, "OPTIONS", target, "", b"");
        assert_eq!((answer.status, answer.field("Allow")), (204, allowed));
    }
}

#[test]
fn read_only_refuses_changes_with_403() {
    let server = Server::start(&["--read-only"]);
    server.put("a", "text");
    let mut client = server.connect("http");
    assert_eq!(ask(&mut client, "DELETE", "/a", "", b"").status, 403);
    assert_eq!(put(&mut client, "/b", "", b"text").status, 403);
    assert_eq!(server.files().len(), 1);
}

#[test]
fn a_disk_that_is_full_is_507() {
    let server = Server::start(&[]);
    let mut client = server.connect("http");
    let fields = format!("Content-Length: {}\r\n", i64::MAX);
    assert_eq!(ask(&mut client, "PUT", "/a", &fields, b"").status, 507);
    assert!(server.files().is_empty());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    for flags in BOTH_WAYS {
        let server = Server::start(flags);
        let big = noise(1_000_000);
        server.put("big", &big);
        let mut client = server.connect("http");
        let mut sent = Vec::new();
        for number in 0..20 {
            let host = "Host: localhost\r\n";
            let length = format!("Content-Length: {}\r\n", 1_000 + number);
            let put = format!("PUT /{number} HTTP/1.1\r\n{host}{length}\r\n");
            sent.extend_from_slice(put.as_bytes());
            sent.extend_from_slice(&noise(1_000 + number));
            sent.extend_from_slice(format!("GET /{number} HTTP/1.1\r\n{host}\r\n").as_bytes());
            sent.extend_from_slice(format!("GET /big HTTP/1.1\r\n{host}\r\n").as_bytes());
        }
        let mut writer = Client(client.0.try_clone().expect("a descriptor"));
        let writing = std::thread::spawn(move || {
            writer.send(sent);
        });
        for number in 0..20 {
            assert_eq!(Answer::next(&mut client, false).status, 201);
            assert_eq!(Answer::next(&mut client, false).body, noise(1_000 + number));
            assert!(Answer::next(&mut client, false).body == big);
        }
        writing.join().expect("it has sent all");
    }
}

#[test]
fn a_connection_is_kept_as_the_client_wants_and_closed_after_a_request_that_has_a_body() {
    let server = Server::start(&[]);
    server.put("a", "text");
    for (request, kept) in [
        ("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n", Some("")),
        (
            "GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            None,
        ),
        ("GET /a HTTP/1.0\r\n\r\n", None),
        (
            "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            Some("keep-alive"),
        ),
        (
            "GET /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
            Some(""),
        ),
        (
            "GET /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody",
            None,
        ),
    ] {
        let mut client = server.connect("http");
        let answer = Answer::next(client.send(request), false);
        let connection = answer.find("Connection");
        match kept {
            Some(value) => {
                assert_eq!(connection.unwrap_or(""), value, "{request}");
                assert_eq!(get(&mut client, "/a", "").body, b"text", "{request}");
            }
            None => {
                assert_eq!(connection, Some("close"), "{request}");
                assert_eq!(client.rest(), b"", "{request}");
            }
        }
    }
}

#[test]
fn a_client_that_ends_its_stream_gets_its_answers() {
    let server = Server::start(&[]);
    server.put("a", noise(1_000_000));
    let mut client = server.connect("http");
    let request = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.send(format!("{request}{request}GET /a")).finish();
    for _ in 0..2 {
        assert!(Answer::next(&mut client, false).body == noise(1_000_000));
    }
    assert_eq!(client.rest(), b"");
}

#[test]
fn the_body_of_a_refused_upload_is_read_away_so_that_the_client_gets_the_reason() {
    let server = Server::start(&["--max-file-size", "10"]);
    for _ in 0..20 {
        let mut client = server.connect("http");
        let answer = put(&mut client, "/a", "", &noise(900_000));
        assert_eq!((answer.status, answer.field("Connection")), (413, "close"));
        assert_eq!(client.rest(), b"");
    }
    assert!(server.files().is_empty());
}

#[test]
fn a_connection_above_the_limit_of_its_address_is_503() {
    let server = Server::start(&["--max-per-address", "1"]);
    let mut first = server.connect("http");
    assert_eq!(get(&mut first, "/-/health", "").body, b"ok\n");
    let mut second = server.connect("http");
    let refused = Answer::next(&mut second, false);
    assert_eq!(
        (refused.status, refused.field("Connection")),
        (503, "close")
    );
    assert!(refused.body.ends_with(b"close one first\n"));
    assert_eq!(second.rest(), b"");
}

#[test]
fn names_are_decoded_once_and_stay_below_the_root() {
    let server = Server::start(&[]);
    server.put("a%20b", "encoded");
    server.put("é \"#?", "special");
    std::fs::write(server.root().join("../secret"), "outside").expect("a file");
    symlink("../secret", server.root().join("out")).expect("a link");
    symlink("a%20b", server.root().join("in")).expect("a link");
    let mut client = server.connect("http");
    for (target, status, body) in [
        ("/a%2520b", 200, "encoded"),
        ("/%C3%A9%20%22%23%3F", 200, "special"),
        ("/in", 200, "encoded"),
        ("/out", 404, "there is no such file\n"),
        ("/.loket-1-1.part", 404, "there is no such file\n"),
    ] {
        let answer = get(&mut client, target, "");
        let text = String::from_utf8(answer.body).expect("text");
        assert_eq!((answer.status, &*text), (status, body), "{target}");
    }
}
