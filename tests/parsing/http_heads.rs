//! Heads of HTTP requests that are valid, each with its raw bytes, and what is read from them. No
//! sockets.

use loket::config::HTTP;
use loket::wire::http::HttpLimits;
use loket::wire::http::conditions::Conditions;
use loket::wire::http::head::{Expect, Framing, Method, Parsed, Request, Version, parse};
use loket::wire::http::range::Range;
use proptest::prelude::*;

/// The request in these bytes, which it uses up. No beginning of them is a request, and bytes
/// behind them do not change it.
#[track_caller]
fn request(raw: &str) -> Request<'_> {
    let Parsed::Request(request, length) = parse(raw.as_bytes(), &HTTP) else {
        panic!("{:?} of {raw:?}", parse(raw.as_bytes(), &HTTP));
    };
    assert_eq!(length, raw.len(), "{raw:?}");
    for end in 0..raw.len() {
        assert_eq!(parse(&raw.as_bytes()[..end], &HTTP), Parsed::Partial);
    }
    for behind in [
        "\r\n",
        "\0",
        "GET /next HTTP/1.1\r\n\r\n",
        &"x".repeat(9000),
    ] {
        let raw = format!("{raw}{behind}");
        let found = parse(raw.as_bytes(), &HTTP);
        assert_eq!(found, Parsed::Request(request.clone(), length));
    }
    *request
}

/// The request with these fields, one a line, as `check` sees it.
#[track_caller]
fn with(fields: &str, check: impl Fn(&Request<'_>) -> bool) {
    let raw = format!("PUT /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
    assert!(check(&request(&raw)), "{:?}", request(&raw));
}

#[test]
fn a_request_has_a_method_a_path_and_a_query() {
    let found = request("GET /a/b%20c?json&x=y?z HTTP/1.1\r\nHost: localhost:8000\r\n\r\n");
    assert_eq!(found.method, Method::Get);
    assert_eq!((found.path, found.query), ("/a/b%20c", "json&x=y?z"));
    assert_eq!(found.version, Version::Http11);
    assert_eq!(found.host, Some("localhost:8000"));
    assert_eq!(found.framing, Framing::None);
    assert_eq!(found.expect, Expect::Nothing);
    assert_eq!(found.range, Range::Whole);
    assert_eq!(found.conditions, Conditions::default());
}

#[test]
fn methods_are_case_sensitive_and_unknown_ones_are_valid() {
    for (name, method) in [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("PUT", Method::Put),
        ("DELETE", Method::Delete),
        ("MKCOL", Method::Mkcol),
        ("MOVE", Method::Move),
        ("OPTIONS", Method::Options),
        ("POST", Method::Post),
        ("PATCH", Method::Patch),
        ("TRACE", Method::Trace),
        ("get", Method::Unknown),
        ("PROPFIND", Method::Unknown),
        ("M-SEARCH", Method::Unknown),
        ("!#$%&'*+-.^_`|~09azAZ", Method::Unknown),
    ] {
        let raw = format!("{name} / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(request(&raw).method, method, "{name}");
    }
}

#[test]
fn an_absolute_target_replaces_the_host() {
    for (target, host, path, query) in [
        ("http://b/c?d", "b", "/c", "d"),
        ("http://b:81/c", "b:81", "/c", ""),
        ("HTTP://b", "b", "/", ""),
        ("http://b?d", "b", "/", "d"),
        ("http://[::1]:80/", "[::1]:80", "/", ""),
    ] {
        let raw = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let found = request(&raw);
        assert_eq!((found.path, found.query), (path, query));
        assert_eq!(found.host, Some(host));
    }
}

#[test]
fn options_may_name_the_whole_server() {
    assert_eq!(request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path, "*");
}

#[test]
fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
    for host in [
        "a",
        "LOCALHOST",
        "a.b-c_d.",
        "a:80",
        "127.0.0.1:65535",
        "[::1]",
        "[::ffff:1.2.3.4]:0",
    ] {
        let raw = format!("GET / HTTP/1.1\r\nhOST:{host}\t \r\n\r\n");
        assert_eq!(request(&raw).host, Some(host));
    }
}

#[test]
fn http_1_0_needs_no_host() {
    let found = request("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((found.version, found.host), (Version::Http10, None));
}

#[test]
fn one_empty_line_before_a_request_is_ignored() {
    assert_eq!(request("\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n").path, "/a");
}

#[test]
fn a_connection_is_kept_unless_the_client_says_otherwise() {
    for (version, connection, kept) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: CLOSE\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "Connection: TE, close\r\n", false),
        (
            "1.1",
            "Connection: keep-alive\r\nConnection: close\r\n",
            false,
        ),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Connection: upgrade\r\n", false),
    ] {
        let raw = format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n");
        assert_eq!(request(&raw).keep_alive, kept, "{raw:?}");
    }
}

#[test]
fn the_length_of_a_body_is_known_from_the_head() {
    for (fields, framing) in [
        ("A: b", Framing::None),
        ("Content-Length: 0", Framing::Length(0)),
        ("Content-Length:5", Framing::Length(5)),
        ("content-length: \t007 \t", Framing::Length(7)),
        (
            "Content-Length: 9999999999999999999",
            Framing::Length(9_999_999_999_999_999_999),
        ),
        ("Transfer-Encoding: chunked", Framing::Chunked),
        ("TRANSFER-ENCODING:chunked ", Framing::Chunked),
        ("Content_Length: 5", Framing::None),
        ("X-Content-Length: 5", Framing::None),
    ] {
        with(fields, |request| request.framing == framing);
    }
}

#[test]
fn an_expectation_other_than_100_continue_is_recognised() {
    with("Expect: 100-continue", |r| r.expect == Expect::Continue);
    with("Expect: 100-Continue", |r| r.expect == Expect::Continue);
    for other in [
        "",
        "x",
        "100-continue, x",
        "100-continue, 100-continue",
        "200-ok",
    ] {
        let field = format!("Expect: {other}");
        with(&field, |r| r.expect == Expect::Other);
    }
}

#[test]
fn http_1_0_has_no_interim_answers() {
    let raw = "PUT /a HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(request(raw).expect, Expect::Nothing);
}

#[test]
fn the_media_types_of_accept_are_found_in_any_field() {
    let browser = "Accept: text/html,application/xhtml+xml,*/*;q=0.8";
    with(browser, |r| r.accepts_html && !r.accepts_json);
    with("Accept: Application/JSON ; v=1", |r| r.accepts_json);
    with("Accept: a/b\r\nAccept: c/d ,text/html;q=0.1", |r| {
        r.accepts_html
    });
    with("Accept: */*", |r| !r.accepts_html && !r.accepts_json);
    with("Accept: text/htmlx, xtext/html", |r| !r.accepts_html);
}

#[test]
fn programs_that_walk_a_tree_by_links_get_pages() {
    with("Accept: */*\r\nUser-Agent: Wget/1.21.3", |r| r.reads_links);
    with("User-Agent: rclone/v1.60.1", |r| r.reads_links);
    with("Accept: */*\r\nUser-Agent: curl/7.88.1", |r| !r.reads_links);
    with("User-Agent: notWget/1", |r| !r.reads_links);
}

#[test]
fn the_conditions_are_read_from_their_fields() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let field = |name| format!("{name}: {date}");
    with(&field("If-Modified-Since"), |r| {
        r.conditions.if_modified_since == Some(784_111_777)
    });
    with(&field("If-Unmodified-Since"), |r| {
        r.conditions.if_unmodified_since == Some(784_111_777)
    });
    with("If-Modified-Since: yesterday", |r| {
        r.conditions == Conditions::default()
    });
    with("If-None-Match: \"a\"\r\nIf-None-Match: \"b\"", |r| {
        r.conditions.if_none_match.as_deref() == Some(&b"\"a\",\"b\""[..])
    });
    with("If-Match: *", |r| {
        r.conditions.if_match.as_deref() == Some(&b"*"[..])
    });
    with("If-Range: \"a\"", |r| {
        r.conditions.if_range.as_deref() == Some(&b"\"a\""[..])
    });
}

#[test]
fn the_fields_for_the_rights_of_a_client_are_passed_on() {
    with("Authorization: Bearer x y", |r| {
        r.authorization == Some(b"Bearer x y")
    });
    with("Origin: null", |r| r.origin == Some(b"null"));
    with("Sec-Fetch-Site: none", |r| {
        r.sec_fetch_site == Some(b"none")
    });
    with("Content-Range: bytes 0-1/2", |r| r.has_content_range);
    with("Content_Range: bytes 0-1/2", |r| !r.has_content_range);
}

#[test]
fn values_hold_any_text_and_targets_any_visible_ascii() {
    let found = request("GET /a\\\"<>[]{}|^` HTTP/1.1\r\nHost: a\r\nA: \té\u{80}\r\nB:\r\n\r\n");
    assert_eq!(found.path, "/a\\\"<>[]{}|^`");
}

/// Pieces of heads, valid and not.
const PIECES: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: a\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b"\t",
    b":",
    b"\0",
    b"\xff",
    b"GET",
    b"PUT /a",
    b"/",
    b" HTTP/1.1",
    b" HTTP/1.0\r\n",
    b" HTTP/2.0",
    b"Host: a\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"A: b",
    b"http://a",
    b"\x16",
];

/// Limits that a few pieces exceed.
const SMALL: HttpLimits = HttpLimits {
    head: 70,
    fields: 3,
    method: 4,
    target: 10,
    chunk_extensions: 4,
};

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(2000)
    })]

    #[test]
    fn a_longer_input_never_changes_a_result(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..14),
        is_small: bool,
    ) {
        let limits = if is_small { SMALL } else { HTTP };
        let raw = pieces.concat();
        let whole = parse(&raw, &limits);
        for end in 0..raw.len() {
            let part = parse(&raw[..end], &limits);
            prop_assert!(part == Parsed::Partial || part == whole, "{part:?} and {whole:?}");
        }
        if let Parsed::Request(_, length) = whole {
            prop_assert!(length <= limits.head && raw[..length].ends_with(b"\r\n\r\n"));
        }
    }

    #[test]
    fn any_bytes_are_parsed_without_a_panic(raw: Vec<u8>) {
        let whole = parse(&raw, &SMALL);
        let is_full = raw.len() >= SMALL.head;
        prop_assert!(!is_full || whole != Parsed::Partial);
    }
}
