//! The HTTP service as people use it: curl, wget, aria2c, rclone, git and Python's urllib.
//! `tests/browser` has the tests in Chromium.

use crate::support::{Server, eventually, skip};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Larger than the buffers of sockets and pipes, so that a cut lies within it.
const LARGE: usize = 3_000_000;

/// A server, and a folder in which the tools run.
struct Tools {
    server: Server,
    folder: tempfile::TempDir,
}

impl Tools {
    /// `None` if the tool is missing; then the test is reported as skipped.
    fn new(tool: &str, test: &str) -> Option<Tools> {
        Tools::with_flags(tool, test, &[])
    }

    fn with_flags(tool: &str, test: &str, flags: &[&str]) -> Option<Tools> {
        let found = Command::new(tool)
            .arg("--version")
            .stdin(Stdio::null())
            .output();
        if found.is_err() {
            skip(test, &format!("no {tool}"));
            return None;
        }
        Some(Tools {
            server: Server::start(flags),
            folder: tempfile::tempdir().expect("a folder"),
        })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address("http"))
    }

    /// Runs a tool. In `line`, words are separated by blanks, and `URL/` is the root of the server.
    fn run(&self, line: &str) -> Output {
        let line = line.replace("URL/", &self.url("/"));
        let mut words = line.split_whitespace();
        Command::new(words.next().expect("a tool"))
            .args(words)
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            // Proxies of the environment do not reach this server.
            .env("no_proxy", "*")
            .env("NO_PROXY", "*")
            .stdin(Stdio::null())
            .output()
            .expect("the tool starts")
    }

    /// Runs a tool that must succeed; returns its output.
    #[track_caller]
    fn out(&self, line: &str) -> String {
        let output = self.run(line);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A file that a tool has written.
    #[track_caller]
    fn local(&self, name: &str) -> Vec<u8> {
        let path = self.folder.path().join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn write_local(&self, name: &str, data: &[u8]) {
        std::fs::write(self.folder.path().join(name), data).expect("room");
    }
}

/// Bytes that differ at every cut.
fn content(length: usize) -> Vec<u8> {
    let words = (0..length / 4 + 1).flat_map(|word| (word as u32).to_le_bytes());
    words.take(length).collect()
}

#[test]
fn curl_downloads_and_resumes() {
    let Some(tools) = Tools::new("curl", "curl_downloads_and_resumes") else {
        return;
    };
    let data = content(LARGE);
    tools.server.put("file.bin", &data);
    tools.out("curl -sSf -O URL/file.bin");
    assert!(tools.local("file.bin") == data);
    tools.write_local("file.bin", &data[..1_000_001]);
    tools.out("curl -sSf -C - -O URL/file.bin");
    assert!(tools.local("file.bin") == data);
    // The file is complete: the range is not satisfiable, and curl takes that for success.
    tools.run("curl -sS -C - -O URL/file.bin");
    assert!(tools.local("file.bin") == data);
    for option in ["--http1.0", "--raw", "--compressed"] {
        tools.out(&format!("curl -sSf {option} -o out URL/file.bin"));
        assert!(tools.local("out") == data, "{option}");
    }
    let head = tools.out("curl -sSf -I URL/file.bin");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains(&format!("Content-Length: {LARGE}\r\n")),
        "{head}"
    );
    let two = tools.out("curl -sSf -w %{num_connects} -o a -o b URL/file.bin URL/file.bin");
    assert_eq!(
        two, "10",
        "the second request uses the connection of the first"
    );
}

#[test]
fn curl_uploads_with_a_length_and_in_chunks_and_deletes() {
    let test = "curl_uploads_with_a_length_and_in_chunks_and_deletes";
    let Some(tools) = Tools::new("curl", test) else {
        return;
    };
    let data = content(LARGE);
    tools.write_local("file.bin", &data);
    let code = "-sSf -o answer -w %{http_code}";
    assert_eq!(tools.out(&format!("curl {code} -T file.bin URL/")), "201");
    assert!(tools.server.got("file.bin") == data);
    assert_eq!(
        tools.out(&format!("curl {code} -T file.bin URL/file.bin")),
        "204"
    );
    let chunked = "-H Transfer-Encoding:chunked -T file.bin";
    assert_eq!(
        tools.out(&format!("curl {code} {chunked} URL/chunked")),
        "201"
    );
    assert!(tools.server.got("chunked") == data);
    let url = tools.url("/piped");
    let line = format!("(printf pip; printf ed) | curl -sSf -T - {url}");
    let status = Command::new("sh").args(["-c", &line]).status();
    assert!(status.expect("sh starts").success());
    assert_eq!(tools.server.got("piped"), b"piped");
    assert_eq!(
        tools.out(&format!("curl {code} -X DELETE URL/piped")),
        "204"
    );
    assert!(!tools.server.root().join("piped").exists());
    let twice = tools.run("curl -sS -w %{http_code} -o answer -X DELETE URL/piped");
    assert_eq!(twice.stdout, b"404");
}

#[test]
fn curl_needs_the_token_that_the_start_printed_beyond_loopback() {
    let test = "curl_needs_the_token_that_the_start_printed_beyond_loopback";
    let Some(tools) = Tools::with_flags("curl", test, &["--host", "0.0.0.0"]) else {
        return;
    };
    let port = tools.server.address("http").port();
    let url = format!("http://127.0.0.1:{port}/");
    let token = tools.server.made_token.as_deref().expect("it is printed");
    tools.write_local("file", b"text");
    let code = |options: &str| {
        let line = format!("curl -sS -o answer -w %{{http_code}} {options} {url}file");
        tools.out(&line)
    };
    assert_eq!(code("-T file"), "401");
    assert_eq!(code("-u :wrong -T file"), "401");
    assert_eq!(code(&format!("-u :{token} -T file")), "201");
    assert_eq!(code(""), "200");
    assert_eq!(code(&format!("--oauth2-bearer {token} -T file")), "204");
    assert_eq!(code("-X DELETE"), "401");
    assert_eq!(code(&format!("-u me:{token} -X DELETE")), "204");
    assert_eq!(code("-H Host:evil.example"), "421");
    assert!(!tools.server.log().contains(token));
}

#[test]
fn wget_resumes() {
    let Some(tools) = Tools::new("wget", "wget_resumes") else {
        return;
    };
    let data = content(LARGE);
    tools.server.put("file.bin", &data);
    tools.write_local("file.bin", &data[..999_999]);
    tools.out("wget -q -c URL/file.bin");
    assert!(tools.local("file.bin") == data);
    tools.out("wget -q -c URL/file.bin");
}

#[test]
fn wget_mirrors_a_folder() {
    let Some(tools) = Tools::new("wget", "wget_mirrors_a_folder") else {
        return;
    };
    std::fs::create_dir_all(tools.server.root().join("dir/sub")).expect("a folder");
    tools.server.put("dir/one & two.txt", "1");
    tools.server.put("dir/sub/three #%.txt", "3");
    tools.out("wget -q -r -np -nH URL/dir/");
    assert_eq!(tools.local("dir/one & two.txt"), b"1");
    assert_eq!(tools.local("dir/sub/three #%.txt"), b"3");
}

#[test]
fn curl_lists_a_folder_and_follows_the_redirect_to_it() {
    let test = "curl_lists_a_folder_and_follows_the_redirect_to_it";
    let Some(tools) = Tools::new("curl", test) else {
        return;
    };
    std::fs::create_dir(tools.server.root().join("dir")).expect("a folder");
    tools.server.put("dir/a b", "1");
    tools.server.put("dir/c", "2");
    assert_eq!(tools.out("curl -sSf URL/dir/"), "a b\nc\n");
    assert_eq!(tools.out("curl -sSf -L URL/dir"), "a b\nc\n");
    let json = tools.out("curl -sSf URL/dir/?json");
    assert!(json.contains("\"name\":\"a b\""), "{json}");
}

#[test]
fn rclone_lists_and_copies_a_tree() {
    let Some(tools) = Tools::new("rclone", "rclone_lists_and_copies_a_tree") else {
        return;
    };
    std::fs::create_dir_all(tools.server.root().join("dir/sub")).expect("a folder");
    tools.server.put("dir/a b.txt", "1");
    tools.server.put("dir/sub/c.bin", content(LARGE));
    let remote = "--http-url URL/ :http:dir";
    let listed = tools.out(&format!("rclone ls {remote}"));
    let mut lines: Vec<_> = listed.lines().map(str::trim).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1 a b.txt", "3000000 sub/c.bin"]);
    tools.out(&format!("rclone copy {remote} copied"));
    assert_eq!(tools.local("copied/a b.txt"), b"1");
    assert!(tools.local("copied/sub/c.bin") == content(LARGE));
}

#[test]
fn aria2c_downloads_by_four_connections() {
    let Some(tools) = Tools::new("aria2c", "aria2c_downloads_by_four_connections") else {
        return;
    };
    let data = content(8 * LARGE);
    tools.server.put("file.bin", &data);
    let split = "-x 4 -s 4 -k 1M --file-allocation=none";
    tools.out(&format!("aria2c -q {split} URL/file.bin"));
    assert!(tools.local("file.bin") == data);
}

#[test]
fn git_clones_a_bare_repository() {
    let Some(tools) = Tools::new("git", "git_clones_a_bare_repository") else {
        return;
    };
    tools.out("git init -q work");
    tools.write_local("work/file", b"text");
    tools.out("git -C work add file");
    tools.out("git -C work -c user.name=n -c user.email=e@x commit -q -m first");
    let bare = tools.server.root().join("work.git");
    let bare = bare.to_str().expect("text");
    tools.out(&format!("git clone -q --bare work {bare}"));
    // Dumb HTTP reads lists of refs and packs.
    tools.out(&format!("git -C {bare} update-server-info"));
    tools.out("git clone -q URL/work.git cloned");
    assert_eq!(tools.local("cloned/file"), b"text");
}

#[test]
fn urllib_downloads_uploads_and_deletes() {
    let Some(tools) = Tools::new("python3", "urllib_downloads_uploads_and_deletes") else {
        return;
    };
    tools.server.put("name", "text");
    tools.write_local(
        "run.py",
        b"import sys
from urllib.request import Request, urlopen
from urllib.error import HTTPError
url = sys.argv[1]
assert urlopen(url + 'name').read() == b'text'
part = urlopen(Request(url + 'name', headers={'Range': 'bytes=1-2'}))
assert (part.status, part.read()) == (206, b'ex')
assert urlopen(Request(url + 'new', b'data', method='PUT')).status == 201
assert urlopen(url + 'new').read() == b'data'
assert urlopen(Request(url + 'new', method='DELETE')).status == 204
try:
    urlopen(url + 'new')
    raise SystemExit('it is still there')
except HTTPError as error:
    assert error.code == 404
",
    );
    tools.out("python3 run.py URL/");
}

#[test]
fn promtool_finds_no_fault_in_the_metrics() {
    const TEST: &str = "promtool_finds_no_fault_in_the_metrics";
    let Some(tools) = Tools::with_flags("promtool", TEST, &["--max-total", "1000000"]) else {
        return;
    };
    let asked = "GET /name HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    tools.server.ask("http", asked);
    let text = tools.server.ask("http", asked.replace("name", "-/metrics"));
    let (_, page) = text.split_once("\r\n\r\n").expect("a head");
    tools.write_local("page", page.as_bytes());
    let page = std::fs::File::open(Path::new(tools.folder.path()).join("page")).expect("a file");
    let output = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(page)
        .output()
        .expect("promtool starts");
    let found = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && found.is_empty(), "{found}");
    eventually("the request is counted", || {
        page_has(&tools.server, "status=\"4xx\"} 1")
    });
}

fn page_has(server: &Server, text: &str) -> bool {
    let asked = "GET /-/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    server.ask("http", asked).contains(text)
}
