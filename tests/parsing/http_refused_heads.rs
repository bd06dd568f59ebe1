//! Heads of HTTP requests that must be refused, each with its raw bytes. No sockets.

use loket::config::HTTP;
use loket::wire::http::head::{Parsed, parse};
use loket::wire::http::status::{Refusal, Status};

/// The refusal of these bytes. Each beginning of them must be incomplete or refused in the same
/// way, and more bytes must not change the refusal.
#[track_caller]
fn refusal(raw: &[u8]) -> Refusal {
    let Parsed::Refused(refusal) = parse(raw, &HTTP) else {
        panic!("not refused: {:?}", String::from_utf8_lossy(raw));
    };
    for end in 0..raw.len() {
        let found = parse(&raw[..end], &HTTP);
        let is_same = matches!(found, Parsed::Partial) || found == Parsed::Refused(refusal);
        assert!(is_same, "{found:?} of {:?}", &raw[..end]);
    }
    let longer = [raw, b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    assert_eq!(parse(&longer, &HTTP), Parsed::Refused(refusal));
    refusal
}

/// Each of these requests is refused with 400.
#[track_caller]
fn bad(requests: &[&str]) {
    for raw in requests {
        let refusal = refusal(raw.as_bytes());
        assert_eq!(refusal.status, Status::BadRequest, "{raw:?}");
    }
}

/// Each of these fields is refused with 400 in a request that has nothing else wrong.
#[track_caller]
fn bad_fields(fields: &[&str]) {
    for field in fields {
        let raw = format!("PUT /a HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
        bad(&[&raw]);
    }
}

#[test]
fn a_length_beside_a_transfer_encoding_is_refused() {
    bad_fields(&[
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Transfer-Encoding: identity\r\nContent-Length: 5",
    ]);
}

#[test]
fn two_lengths_are_refused_even_equal_ones() {
    bad_fields(&[
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\ncontent-length: 6",
        "Content-Length: 5, 5",
        "Content-Length: 5,6",
    ]);
}

#[test]
fn a_length_that_is_not_a_number_of_at_most_19_digits_is_refused() {
    bad_fields(&[
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length:",
        "Content-Length: \t ",
        "Content-Length: 5 5",
        "Content-Length: 0x5",
        "Content-Length: 5a",
        "Content-Length: 5.0",
        "Content-Length: \"5\"",
        "Content-Length: ٥",
        "Content-Length: 00000000000000000005",
        "Content-Length: 99999999999999999999",
        "Content-Length: 18446744073709551617",
    ]);
}

#[test]
fn a_transfer_encoding_other_than_exactly_chunked_is_refused() {
    bad_fields(&[
        "Transfer-Encoding:",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: Chunked",
        "Transfer-Encoding: CHUNKED",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: chunked\u{a0}",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    ]);
}

#[test]
fn a_transfer_encoding_in_http_1_0_is_refused() {
    bad(&[
        "PUT /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "PUT /a HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n",
    ]);
}

#[test]
fn a_bare_lf_is_refused() {
    bad(&[
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\nContent-Length: 5\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\n\nGET /x HTTP/1.1\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\n",
    ]);
}

#[test]
fn a_bare_cr_is_refused() {
    bad(&[
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rA: b\r\n\r\n",
        "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA\r: b\r\n\r\n",
        "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ]);
    bad_fields(&["Transfer-Encoding:\rchunked", "\rContent-Length: 5"]);
}

#[test]
fn nul_and_other_control_characters_are_refused() {
    for byte in (0..32)
        .chain([127])
        .filter(|byte| !b"\t\n\r".contains(byte))
    {
        let byte = char::from(byte);
        bad(&[
            &format!("GET /{byte} HTTP/1.1\r\nHost: a\r\n\r\n"),
            &format!("GE{byte}T / HTTP/1.1\r\nHost: a\r\n\r\n"),
            &format!("GET / HTTP/1.1\r\nHost: a\r\nA: b{byte}\r\n\r\n"),
            &format!("GET / HTTP/1.1\r\nHost: a\r\nA: {byte}b\r\n\r\n"),
            &format!("GET / HTTP/1.1\r\nHost: a\r\nA{byte}: b\r\n\r\n"),
            &format!("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {byte}chunked\r\n\r\n"),
        ]);
    }
}

#[test]
fn a_field_that_continues_on_the_next_line_is_refused() {
    bad(&[
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\tc\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
    ]);
}

#[test]
fn a_blank_before_the_colon_is_refused() {
    bad_fields(&[
        "A : b",
        "A\t: b",
        "Content-Length : 5",
        "Transfer-Encoding : chunked",
        "A b: c",
    ]);
}

#[test]
fn an_empty_or_invalid_field_name_is_refused() {
    bad_fields(&[
        ": b",
        ":",
        "A",
        "no colon here",
        "A(b): c",
        "A@b: c",
        "A,b: c",
        "\"A\": c",
        "A/b: c",
        "{A}: c",
        "Ä: c",
        "Content\u{2010}Length: 5",
    ]);
}

#[test]
fn no_host_in_http_1_1_is_refused() {
    bad(&[
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n",
    ]);
}

#[test]
fn two_hosts_are_refused() {
    bad(&[
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
    ]);
}

#[test]
fn an_invalid_host_is_refused() {
    for host in [
        "",
        " ",
        "a b",
        "a/b",
        "a@b",
        "a,b",
        "a?b",
        "a#b",
        "a\\b",
        "http://a",
        "a:b",
        "a:",
        "a:-1",
        "a:+1",
        "a:80:80",
        "a:65536",
        ":80",
        "[::1",
        "[::1]80",
        "[::1]:",
        "[]",
        "[a]",
        "::1",
        "ä",
        "[fe80::1%25lo]",
        "a%2fb",
        "*",
        "a\tb",
    ] {
        bad(&[
            &format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            &format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n"),
            &format!("GET http://a/ HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        ]);
    }
}

#[test]
fn a_target_that_is_neither_a_path_nor_an_http_url_is_refused() {
    for target in [
        "a",
        "*",
        "a/b",
        "?a",
        "https://a/",
        "ftp://a/",
        "http:/a",
        "http:a",
        "//a",
        "http://",
        "http:///a",
        "http://a b/",
        "http://u@a/",
        "http://a:b/",
        "/a#b",
        "http://a/#b",
        "a:443",
    ] {
        // The path `//a` is refused when it is decoded.
        if target != "//a" {
            bad(&[&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")]);
        }
    }
}

#[test]
fn a_target_with_bytes_that_are_not_ascii_is_refused() {
    bad(&[
        "GET /caf\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\u{2010} HTTP/1.1\r\nHost: a\r\n\r\n",
    ]);
    let raw = b"GET /\xc0\xaf HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(refusal(raw).status, Status::BadRequest);
}

/// The variants of the tool `smuggler`: each byte before and after the name and the value.
#[test]
fn no_variant_of_a_transfer_encoding_beside_a_length_is_overlooked() {
    for byte in (1..=32).chain(127..=255) {
        let byte: &[u8] = &[byte];
        for field in [
            [b"Transfer-Encoding:", byte, b"chunked"].concat(),
            [b"Transfer-Encoding", byte, b": chunked"].concat(),
            [byte, b"Transfer-Encoding: chunked"].concat(),
            [b"Transfer-Encoding: chunked", byte].concat(),
        ] {
            let before = b"PUT /a HTTP/1.1\r\n";
            let behind = b"\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
            let raw = [&before[..], &field, behind].concat();
            assert_eq!(refusal(&raw).status, Status::BadRequest, "{field:?}");
        }
    }
}

#[test]
fn a_request_without_a_version_is_refused() {
    bad(&["GET /\r\n", "GET / \r\n", "GET\r\n", "get /\r\n"]);
}

#[test]
fn a_request_line_with_other_blanks_than_two_is_refused() {
    bad(&[
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / a HTTP/1.1\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1,1\r\nHost: a\r\n\r\n",
        "GET / HTTP/11\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.10\r\nHost: a\r\n\r\n",
        "GET / HTTP/01.1\r\nHost: a\r\n\r\n",
        "GET / HTTQ/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1/x\r\nHost: a\r\n\r\n",
        "hello\r\n",
    ]);
}

#[test]
fn another_version_is_refused_with_505() {
    for version in ["0.9", "1.2", "2.0", "3.0", "9.9"] {
        let raw = format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n");
        assert_eq!(refusal(raw.as_bytes()).status, Status::VersionNotSupported);
    }
}

#[test]
fn an_http_2_preface_is_refused_with_505() {
    let raw = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    assert_eq!(refusal(raw).status, Status::VersionNotSupported);
}

#[test]
fn a_tls_client_hello_is_refused_at_its_first_byte() {
    let raw = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03";
    assert_eq!(refusal(raw).status, Status::BadRequest);
    assert!(refusal(&raw[..1]).says.contains("TLS"));
}

#[test]
fn connect_is_refused_because_no_tunnel_follows() {
    let raw = b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";
    assert_eq!(refusal(raw).status, Status::NotImplemented);
}

#[test]
fn more_than_one_empty_line_before_a_request_is_refused() {
    bad(&[
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\n",
        "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ]);
}

#[test]
fn a_head_over_8_kib_is_refused_with_431() {
    let before = "GET / HTTP/1.1\r\nHost: a\r\nA: ";
    for (bytes, refused) in [(8192, false), (8193, true), (100_000, true)] {
        let value = "b".repeat(bytes - before.len() - 4);
        let raw = format!("{before}{value}\r\n\r\n");
        match parse(raw.as_bytes(), &HTTP) {
            Parsed::Request(_, length) if !refused => assert_eq!(length, bytes),
            Parsed::Refused(refusal) if refused => {
                assert_eq!(refusal.status, Status::FieldsTooLarge);
            }
            other => panic!("{other:?} of {bytes} bytes"),
        }
    }
    let endless = [before, &"b".repeat(8192 - before.len())].concat();
    assert_eq!(refusal(endless.as_bytes()).status, Status::FieldsTooLarge);
}

#[test]
fn a_head_of_more_than_64_fields_is_refused_with_431() {
    let with = |fields: usize| {
        let more = "A: b\r\n".repeat(fields - 1);
        format!("GET / HTTP/1.1\r\nHost: a\r\n{more}\r\n")
    };
    let Parsed::Request(..) = parse(with(64).as_bytes(), &HTTP) else {
        panic!("64 fields were refused");
    };
    assert_eq!(refusal(with(65).as_bytes()).status, Status::FieldsTooLarge);
}

#[test]
fn a_target_over_4_kib_is_refused_with_414() {
    let with = |bytes: usize| {
        let path = "a".repeat(bytes - 1);
        format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    let longest = with(4096);
    let Parsed::Request(request, _) = parse(longest.as_bytes(), &HTTP) else {
        panic!("4 KiB were refused");
    };
    assert_eq!(request.path.len(), 4096);
    for bytes in [4097, 8192, 100_000] {
        let status = refusal(&with(bytes).as_bytes()[..4101]).status;
        assert_eq!(status, Status::UriTooLong, "{bytes}");
    }
}

#[test]
fn a_method_longer_than_any_is_refused_with_501() {
    let long = "A".repeat(33);
    for raw in [format!("{long} / HTTP/1.1\r\nHost: a\r\n\r\n"), long] {
        assert_eq!(refusal(raw.as_bytes()).status, Status::NotImplemented);
    }
}

#[test]
fn a_field_that_may_come_once_is_refused_the_second_time() {
    for name in [
        "Expect",
        "Range",
        "If-Range",
        "If-Modified-Since",
        "If-Unmodified-Since",
        "Content-Range",
        "Authorization",
        "Origin",
        "Sec-Fetch-Site",
    ] {
        bad_fields(&[&format!("{name}: a\r\n{name}: a")]);
    }
}
