//! Folders over HTTP: names, JSON, a page for people, the redirect to the slash, `index.html`.

use crate::support::{Server, noise};
use std::path::Path;

/// The status, the head and the body of the answer to a request on a connection of its own.
fn ask(server: &Server, method: &str, target: &str, fields: &str) -> (u16, String, String) {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    let answer = server.ask("http", format!("{head}{fields}\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    (status.expect("a status"), head.to_owned(), body.to_owned())
}

fn get(server: &Server, target: &str, fields: &str) -> (u16, String, String) {
    ask(server, "GET", target, fields)
}

/// A server with a file and a folder, both changed at the same known time.
fn prepared(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    server.put("a <b>", "12345");
    std::fs::create_dir(server.root().join("folder")).expect("a folder");
    std::fs::write(server.root().join(".loket-1-1.part"), "hidden").expect("a file");
    for name in ["a <b>", "folder"] {
        changed_at(&server.root().join(name), 784_111_777);
    }
    server
}

fn changed_at(path: &Path, seconds: u64) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let file = std::fs::File::open(path).expect("it exists");
    file.set_modified(time).expect("it is ours");
}

#[test]
fn a_folder_is_a_list_of_names_for_a_tool() {
    let server = prepared(&[]);
    for fields in [
        "",
        "Accept: */*\r\n",
        "User-Agent: curl/7.88.1\r\nAccept: */*\r\n",
    ] {
        let (status, head, body) = get(&server, "/", fields);
        assert_eq!((status, &*body), (200, "a <b>\nfolder/\n"));
        assert!(
            head.contains("Content-Type: text/plain; charset=utf-8"),
            "{head}"
        );
        assert!(head.contains("Vary: Accept"), "{head}");
    }
    assert_eq!(get(&server, "/folder/", "").2, "");
    assert_eq!(get(&server, "/missing/", "").0, 404);
    assert_eq!(get(&server, "/a%20%3Cb%3E/", "").0, 404);
}

/// What browsers send.
const BROWSER: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";

#[test]
fn a_folder_is_json_for_a_program() {
    let server = prepared(&[]);
    let wanted = "{\"path\":\"/\",\"entries\":[\n\
        {\"name\":\"a <b>\",\"dir\":false,\"size\":5,\"mtime\":784111777},\n\
        {\"name\":\"folder\",\"dir\":true,\"size\":0,\"mtime\":784111777}]}\n";
    for (target, fields) in [
        ("/?json", ""),
        ("/?json", "Accept: text/html\r\n"),
        ("/", "Accept: application/json\r\n"),
    ] {
        let (status, head, body) = get(&server, target, fields);
        assert_eq!((status, &*body), (200, wanted));
        assert!(head.contains("Content-Type: application/json"), "{head}");
        let (_, of_head, none) = ask(&server, "HEAD", target, fields);
        assert_eq!(
            (of_head.lines().count(), &*none),
            (head.lines().count(), "")
        );
        assert!(
            of_head.contains(&format!("Content-Length: {}", body.len())),
            "{of_head}"
        );
    }
    let empty = get(&server, "/folder/?json", "").2;
    assert_eq!(empty, "{\"path\":\"/folder/\",\"entries\":[]}\n");
}

#[test]
fn a_folder_is_a_list_without_scripts_for_a_browser_that_asks_for_it() {
    let server = prepared(&[]);
    let (status, head, page) = get(&server, "/?list", BROWSER);
    assert_eq!(status, 200);
    assert!(
        head.contains("Content-Type: text/html; charset=utf-8"),
        "{head}"
    );
    assert!(
        head.contains("Content-Security-Policy: default-src 'none';"),
        "{head}"
    );
    for wanted in [
        "<a href=\"a%20%3Cb%3E\">a &lt;b&gt;</a><td>5<td>Sun, 06 Nov 1994 08:49:37 GMT",
        "<a href=\"folder/\">folder/</a>",
    ] {
        assert!(page.contains(wanted), "{page}");
    }
    assert!(
        !page.contains("<script") && !page.contains("loket-1-1"),
        "{page}"
    );
    assert!(!page.contains("../"), "{page}");
    let below = get(&server, "/folder/?list", BROWSER).2;
    assert!(below.contains("<a href=\"../\">"), "{below}");
}

#[test]
fn a_browser_gets_the_page_for_every_folder_that_exists() {
    let server = prepared(&["--index"]);
    std::fs::create_dir(server.root().join("own")).expect("a folder");
    server.put("own/index.html", "<p>own");
    let (status, head, page) = get(&server, "/-/app/", "");
    assert_eq!(status, 200);
    for target in ["/", "/folder/"] {
        let (status, of_folder, body) = get(&server, target, BROWSER);
        assert_eq!((status, &body), (200, &page), "{target}");
        for field in [
            "Content-Type: text/html; charset=utf-8",
            "Vary: Accept, User-Agent",
            "Cache-Control: no-cache",
            "X-Content-Type-Options: nosniff",
            "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
             connect-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
             form-action 'none'",
        ] {
            assert!(of_folder.lines().any(|line| line == field), "{of_folder}");
        }
        let (_, _, none) = ask(&server, "HEAD", target, BROWSER);
        assert_eq!(none, "");
    }
    let etag = head.lines().find(|line| line.starts_with("ETag: "));
    let etag = etag.expect("a tag").replace("ETag", "If-None-Match");
    let known = format!("{BROWSER}{etag}\r\n");
    assert_eq!(get(&server, "/folder/", &known).0, 304);
    assert_eq!(get(&server, "/own/", BROWSER).2, "<p>own");
    let of_file = "/a%20%3Cb%3E/";
    for (target, status) in [("/none/", 404), (of_file, 404), ("/-/app/none", 404)] {
        assert_eq!(get(&server, target, BROWSER).0, status, "{target}");
    }
    // Programs that follow links, and the parts of the page.
    let list = get(&server, "/", "User-Agent: Wget/1\r\nAccept: text/html\r\n").2;
    assert!(list.contains("<a href=\"folder/\">"), "{list}");
    for (part, media_type) in [("style.css", "text/css"), ("app.js", "text/javascript")] {
        let (status, head, _) = get(&server, &format!("/-/app/{part}"), "");
        let field = format!("Content-Type: {media_type}; charset=utf-8");
        assert!(status == 200 && head.contains(&field), "{head}");
    }
}

#[test]
fn a_list_shows_every_change_that_was_confirmed() {
    let server = prepared(&[]);
    for length in 0..20 {
        let name = server.root().join("grows");
        std::fs::write(name, noise(length)).expect("a file");
        let list = get(&server, "/?json", "").2;
        let wanted = format!("\"grows\",\"dir\":false,\"size\":{length},");
        assert!(list.contains(&wanted), "{list}");
    }
}

#[test]
fn a_large_folder_is_listed_completely() {
    let server = Server::start(&[]);
    for number in 0..3_000 {
        server.put(format!("{number:04}"), "x");
    }
    for (target, line) in [
        ("/?list", "<tr><td><a href=\"0"),
        ("/?json", "{\"name\":\"0"),
        ("/", "0"),
    ] {
        let (status, _, body) = get(&server, target, "");
        let lines = body.lines().filter(|found| found.starts_with(line)).count();
        assert_eq!((status, lines), (200, 1_000), "{target}");
    }
}

#[test]
fn a_folder_without_its_slash_is_redirected() {
    let server = Server::start(&[]);
    std::fs::create_dir_all(server.root().join("a/é")).expect("folders");
    for (target, location) in [
        ("/a", "/a/"),
        ("/a?json", "/a/?json"),
        ("/a?list", "/a/?list"),
        ("/a/%C3%A9", "/a/%C3%A9/"),
    ] {
        for method in ["GET", "HEAD"] {
            let (status, head, _) = ask(&server, method, target, "");
            assert_eq!(status, 301, "{target}");
            let field = format!("Location: {location}");
            assert!(head.lines().any(|line| line == field), "{head}");
        }
    }
}

#[test]
fn a_file_is_saved_if_the_client_asks_for_it() {
    let server = prepared(&[]);
    let (status, head, body) = get(&server, "/a%20%3Cb%3E?download", "");
    assert_eq!((status, &*body), (200, "12345"));
    assert!(head.contains("Content-Disposition: attachment"), "{head}");
}

#[test]
fn index_html_answers_for_its_folder_only_with_the_flag() {
    for (flags, wanted) in [(&["--index"][..], "<p>index"), (&[], "index.html\n")] {
        let server = Server::start(flags);
        std::fs::create_dir_all(server.root().join("a/b")).expect("folders");
        server.put("index.html", "<p>index");
        server.put("a/index.html", "<p>index");
        let (status, head, body) = get(&server, "/a/", "");
        assert_eq!(status, 200);
        let is_file = body == "<p>index";
        assert!(body.contains(wanted), "{body}");
        assert_eq!(
            head.contains("Content-Security-Policy: sandbox"),
            is_file,
            "{head}"
        );
        assert_eq!(head.contains("Content-Type: text/html"), is_file, "{head}");
        assert!(get(&server, "/", "").2.contains(wanted));
        // A folder without such a file, and a program that asks for the list.
        assert_eq!(get(&server, "/a/b/", "").2, "");
        assert!(
            get(&server, "/a/?json", "")
                .2
                .contains("\"name\":\"index.html\"")
        );
    }
}
