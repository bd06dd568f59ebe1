//! Chunked bodies: what is accepted, and what must be refused, each with its raw bytes.

use loket::config::HTTP;
use loket::wire::http::chunked::{Chunked, Next};
use loket::wire::http::status::{Refusal, Status};
use proptest::prelude::*;

/// The data of a body in pieces of `cut` bytes, and the number of bytes that it used. `None` if it
/// is incomplete.
fn decode(raw: &[u8], cut: usize) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
    let mut state = Chunked::default();
    let (mut data, mut at, mut arrived, mut left) = (Vec::new(), 0, 0, 0_u64);
    loop {
        let moved = left.min((arrived - at) as u64) as usize;
        data.extend_from_slice(&raw[at..at + moved]);
        (at, left) = (at + moved, left - moved as u64);
        if left == 0 {
            let (parsed, next) = state.parse(&raw[at..arrived], &HTTP)?;
            at += parsed;
            match next {
                Next::Data(size) => {
                    assert!(size > 0);
                    left = size;
                    continue;
                }
                Next::End => return Ok(Some((data, at))),
                Next::More => {}
            }
        }
        if arrived == raw.len() {
            return Ok(None);
        }
        arrived = raw.len().min(arrived + cut);
    }
}

/// What any cutting gives.
#[track_caller]
fn decoded(raw: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
    let whole = decode(raw, raw.len().max(1));
    for cut in [1, 2, 3, 7] {
        let found = decode(raw, cut);
        assert_eq!(found, whole, "{:?}", String::from_utf8_lossy(raw));
    }
    whole
}

#[track_caller]
fn is_data(raw: &str, data: &str) {
    let found = decoded(raw.as_bytes()).expect("a valid body");
    let (found, used) = found.expect("a whole body");
    assert_eq!((&found[..], used), (data.as_bytes(), raw.len()), "{raw:?}");
}

/// Each of these bodies is refused, and so with more bytes behind it.
#[track_caller]
fn bad(bodies: &[&str]) {
    for raw in bodies {
        for raw in [raw.to_string(), format!("{raw}\r\n0\r\n\r\n")] {
            let refusal = decoded(raw.as_bytes()).expect_err(&raw);
            assert_eq!(refusal.status, Status::BadRequest, "{raw:?}");
        }
    }
}

#[test]
fn a_body_is_the_data_of_its_chunks() {
    is_data("0\r\n\r\n", "");
    is_data("5\r\nhello\r\n0\r\n\r\n", "hello");
    is_data(
        "5\r\nhello\r\n00006\r\n world\r\n000\r\n\r\n",
        "hello world",
    );
    is_data("a\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n0\r\n\r\n");
    is_data("A\r\n0123456789\r\n0000000000000000\r\n\r\n", "0123456789");
}

#[test]
fn extensions_up_to_256_bytes_and_trailers_are_ignored() {
    is_data("1;a\r\nx\r\n0;b=c;d=\"e f\"\r\n\r\n", "x");
    is_data("1;a=\"\\\";\"\r\nx\r\n0;b=\"\";c\r\n\r\n", "x");
    let longest = "a".repeat(255);
    is_data(&format!("1;{longest}\r\nx\r\n0\r\n\r\n"), "x");
    is_data(
        "1\r\nx\r\n0\r\nA: b\r\nContent-Length: 5\r\nHost:\r\n\r\n",
        "x",
    );
}

#[test]
fn extensions_over_256_bytes_are_refused() {
    let over = "a".repeat(256);
    bad(&[&format!("1;{over}\r\nx"), &format!("0;{over}\r\n")]);
}

#[test]
fn extensions_that_are_no_names_and_values_are_refused() {
    for extensions in [
        ";",
        ";;a",
        ";a;",
        ";a=",
        ";=b",
        "; a",
        ";a ",
        ";a =b",
        ";a= b",
        ";a=\"b",
        ";a=\"b\\\"",
        ";a=\"b\"c",
        ";a=\"b\"\"c\"",
        ";a,b",
        ";ä",
        ";a=b=c",
        ";a=b\"c\"",
        ";\t",
    ] {
        bad(&[
            &format!("1{extensions}\r\nx"),
            &format!("0{extensions}\r\n"),
        ]);
    }
}

#[test]
fn an_empty_chunk_size_is_refused() {
    bad(&["\r\n", ";a\r\n", "1\r\nx\r\n\r\n", "g\r\n", "x\r\n"]);
}

#[test]
fn a_signed_or_prefixed_chunk_size_is_refused() {
    bad(&[
        "+1\r\nx",
        "-1\r\nx",
        "0x1\r\nx",
        "1h\r\nx",
        "1_0\r\nx",
        "１\r\nx",
        "\"1\"\r\nx",
    ]);
}

#[test]
fn a_chunk_size_with_blanks_is_refused() {
    bad(&[
        "1 \r\nx",
        "1\t\r\nx",
        " 1\r\nx",
        "1 ;a\r\nx",
        "1 1\r\nx",
        "0 \r\n\r\n",
        "1\x0b\r\nx",
    ]);
}

#[test]
fn a_chunk_size_over_16_digits_is_refused() {
    bad(&[
        "00000000000000001\r\nx",
        "10000000000000001\r\nx",
        "fffffffffffffffff\r\n",
    ]);
}

#[test]
fn a_chunk_size_of_16_digits_is_a_64_bit_number() {
    let mut state = Chunked::default();
    let found = state.parse(b"FFFFffffFFFFffff\r\nx", &HTTP);
    assert_eq!(found, Ok((18, Next::Data(u64::MAX))));
}

#[test]
fn a_size_line_that_does_not_end_with_cr_lf_is_refused() {
    bad(&[
        "1\nx",
        "1\rx",
        "1\r\rx",
        "1;a\nx",
        "1;a\rx",
        "1;a\0\r\nx",
        "1;\n\r\nx",
        "1;a\r\r\nx",
        "0\n\r\n",
        "0\r\r\n",
        "1\0\r\nx",
    ]);
}

#[test]
fn a_chunk_that_is_not_followed_by_cr_lf_is_refused() {
    bad(&[
        "1\r\nxx\r\n",
        "1\r\nx\n0\r\n\r\n",
        "1\r\nx\r0\r\n\r\n",
        "1\r\nx0\r\n\r\n",
        "1\r\nx\r\r\n0\r\n\r\n",
        "1\r\nx \r\n0\r\n\r\n",
    ]);
}

#[test]
fn invalid_trailers_are_refused() {
    for trailer in [
        "A\r\n",
        "A b: c\r\n",
        "A : b\r\n",
        ": b\r\n",
        " A: b\r\n",
        "A: b\r\n c\r\n",
        "A: b\n",
        "\n",
        "A: b\rc\r\n",
        "A: \0\r\n",
        "GET / HTTP/1.1\r\n",
        "A: b\r\r\n",
        "\r\r\n",
    ] {
        bad(&[&format!("0\r\n{trailer}\r\n")]);
    }
}

#[test]
fn trailers_over_8_kib_or_64_fields_are_refused_with_431() {
    let status = |trailers: &str| {
        let raw = format!("0\r\n{trailers}\r\n");
        decoded(raw.as_bytes())
            .map_err(|refusal| refusal.status)
            .map(|body| body.is_some())
    };
    let line = |bytes: usize| format!("A: {}\r\n", "b".repeat(bytes - 5));
    assert_eq!(status(&line(8190)), Ok(true));
    assert_eq!(status(&line(8191)), Err(Status::FieldsTooLarge));
    assert_eq!(status(&line(6000).repeat(2)), Err(Status::FieldsTooLarge));
    assert_eq!(status(&"A: b\r\n".repeat(64)), Ok(true));
    assert_eq!(status(&"A: b\r\n".repeat(65)), Err(Status::FieldsTooLarge));
}

#[test]
fn an_incomplete_body_waits_for_more() {
    let raw = b"1;a\r\nx\r\n0\r\nA: b\r\n\r\n";
    for end in 0..raw.len() {
        assert_eq!(decoded(&raw[..end]), Ok(None), "{end}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_data_in_any_chunks_arrives_unchanged(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8),
        next in "[ -~\r\n]{0,20}",
    ) {
        let mut raw = Vec::new();
        for chunk in &chunks {
            raw.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            raw.extend([&chunk[..], b"\r\n"].concat());
        }
        raw.extend(b"0\r\n\r\n");
        let length = raw.len();
        raw.extend(next.as_bytes());
        prop_assert_eq!(decoded(&raw), Ok(Some((chunks.concat(), length))));
    }

    #[test]
    fn any_bytes_give_the_same_in_any_cutting(raw in "[0-9a-fA: ;x\r\n\\PC\0]{0,60}") {
        let found = decoded(raw.as_bytes());
        // Beginnings are incomplete, or what the whole is.
        for end in 0..raw.len() {
            let part = decode(&raw.as_bytes()[..end], raw.len());
            prop_assert!(part == Ok(None) || part == found, "{:?}", part);
        }
    }
}
