//! The fields of HTTP about ranges, conditions and dates: what they mean. No sockets.

use loket::wire::http::conditions::{Conditions, Validators, Verdict};
use loket::wire::http::date::{DateCache, format, parse};
use loket::wire::http::range::{Part, Range};
use proptest::prelude::*;

/// The part of a file of `size` bytes that the value of a field Range gives.
fn part(value: &str, size: u64) -> Part {
    Range::parse(value.as_bytes()).part_of(size)
}

#[track_caller]
fn gives(value: &str, size: u64, first: u64, last: u64) {
    assert_eq!(part(value, size), Part::Bytes { first, last }, "{value}");
}

#[test]
fn one_range_is_a_part_of_the_file() {
    gives("bytes=0-0", 10, 0, 0);
    gives("bytes=2-5", 10, 2, 5);
    gives("bytes=2-", 10, 2, 9);
    gives("bytes=9-", 10, 9, 9);
    gives("bytes=-3", 10, 7, 9);
    gives("BYTES= 2-5 ,", 10, 2, 5);
}

#[test]
fn a_range_is_cut_at_the_end_of_the_file() {
    gives("bytes=2-10", 10, 2, 9);
    gives("bytes=0-18446744073709551615", 10, 0, 9);
    gives("bytes=0-99999999999999999999999", 10, 0, 9);
    gives("bytes=-10", 10, 0, 9);
    gives("bytes=-11", 10, 0, 9);
    gives("bytes=-99999999999999999999999", 10, 0, 9);
}

#[test]
fn a_range_behind_the_end_is_unsatisfiable() {
    for value in [
        "bytes=10-",
        "bytes=10-20",
        "bytes=99999999999999999999-",
        "bytes=-0",
    ] {
        assert_eq!(part(value, 10), Part::Unsatisfiable, "{value}");
    }
    assert_eq!(part("bytes=0-", 0), Part::Unsatisfiable);
    assert_eq!(part("bytes=-1", 0), Part::Whole);
}

#[test]
fn an_invalid_range_is_unsatisfiable() {
    for value in [
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-2",
        "bytes=1",
        "bytes=+1-2",
        "bytes",
        "bytes=1-2-3",
        "bytes=1- 2",
        "bytes=0x1-2",
        "bytes=1-2,x",
        "bytes=--1",
        "bytes=1-2;3-4",
    ] {
        assert_eq!(part(value, 10), Part::Unsatisfiable, "{value}");
    }
}

#[test]
fn several_ranges_or_another_unit_give_the_whole_file() {
    for value in [
        "bytes=0-1,3-4",
        "bytes=0-,0-,0-,0-",
        "bytes=50-,60-",
        "items=0-1",
        "",
        "x",
        "bytes 0-1",
        "=0-1",
    ] {
        assert_eq!(part(value, 10), Part::Whole, "{value}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_part_is_never_outside_of_the_file(value in "bytes=[0-9]{0,20}-[0-9]{0,21}", size: u64) {
        if let Part::Bytes { first, last } = part(&value, size) {
            prop_assert!(first <= last && last < size);
        }
    }
}

const ETAG: &str = "\"a-1\"";
const MODIFIED: u64 = 1_000_000;

const CURRENT: Option<Validators<'_>> = Some(Validators {
    etag: ETAG,
    modified: MODIFIED,
});

fn if_match(tags: &str) -> Conditions {
    let if_match = Some(tags.into());
    Conditions {
        if_match,
        ..Conditions::default()
    }
}

fn if_none_match(tags: &str) -> Conditions {
    let if_none_match = Some(tags.into());
    Conditions {
        if_none_match,
        ..Conditions::default()
    }
}

const READ: bool = true;
const WRITE: bool = false;

/// Lists that hold the present tag, however weakly.
const LISTS: [&str; 6] = [
    ETAG,
    "\"x\", \"a-1\"",
    "\"x\",\"a-1\"",
    ",, \"a-1\" ,",
    "\"x,y\" , \"a-1\"",
    "\"a-1\", W/\"a-1\"",
];

/// Lists that do not hold it, and invalid ones.
const OTHER_LISTS: [&str; 10] = [
    "\"x\"",
    "",
    ",",
    "a-1",
    "\"a-1",
    "\"x\" \"a-1\"",
    "\"a-1\"x",
    "*, \"a-1\"",
    "w/\"a-1\"",
    "\"x, \"a-1\"",
];

#[test]
fn no_condition_lets_every_request_proceed() {
    for (is_read, current) in [
        (READ, CURRENT),
        (WRITE, CURRENT),
        (READ, None),
        (WRITE, None),
    ] {
        let verdict = Conditions::default().check(is_read, current);
        assert_eq!(verdict, Verdict::Proceed);
    }
}

#[test]
fn if_none_match_gives_304_to_a_read_and_412_to_a_write() {
    let weak = "W/\"a-1\"";
    for tags in LISTS.into_iter().chain(["*", " * ", weak]) {
        let conditions = if_none_match(tags);
        assert_eq!(conditions.check(READ, CURRENT), Verdict::NotModified);
        assert_eq!(conditions.check(WRITE, CURRENT), Verdict::Failed);
        assert_eq!(conditions.check(WRITE, None), Verdict::Proceed, "{tags}");
    }
    for tags in OTHER_LISTS {
        let verdict = if_none_match(tags).check(READ, CURRENT);
        assert_eq!(verdict, Verdict::Proceed, "{tags}");
    }
}

#[test]
fn if_match_gives_412_unless_it_names_the_present_file_strongly() {
    for tags in LISTS.into_iter().chain(["*"]) {
        for is_read in [READ, WRITE] {
            let verdict = if_match(tags).check(is_read, CURRENT);
            assert_eq!(verdict, Verdict::Proceed, "{tags}");
        }
        assert_eq!(if_match(tags).check(WRITE, None), Verdict::Failed);
    }
    for tags in OTHER_LISTS.into_iter().chain(["W/\"a-1\""]) {
        let verdict = if_match(tags).check(WRITE, CURRENT);
        assert_eq!(verdict, Verdict::Failed, "{tags}");
    }
}

#[test]
fn if_modified_since_gives_304_to_a_read_of_an_unchanged_file() {
    for (since, verdict) in [
        (MODIFIED - 1, Verdict::Proceed),
        (MODIFIED, Verdict::NotModified),
        (MODIFIED + 1, Verdict::NotModified),
    ] {
        let conditions = Conditions {
            if_modified_since: Some(since),
            ..Conditions::default()
        };
        assert_eq!(conditions.check(READ, CURRENT), verdict);
        assert_eq!(conditions.check(WRITE, CURRENT), Verdict::Proceed);
        assert_eq!(conditions.check(READ, None), Verdict::Proceed);
    }
}

#[test]
fn if_unmodified_since_gives_412_for_a_changed_file() {
    for (since, verdict) in [
        (MODIFIED - 1, Verdict::Failed),
        (MODIFIED, Verdict::Proceed),
        (MODIFIED + 1, Verdict::Proceed),
    ] {
        let conditions = Conditions {
            if_unmodified_since: Some(since),
            ..Conditions::default()
        };
        assert_eq!(conditions.check(READ, CURRENT), verdict);
        assert_eq!(conditions.check(WRITE, CURRENT), verdict);
        assert_eq!(conditions.check(WRITE, None), Verdict::Proceed);
    }
}

#[test]
fn tags_come_before_dates_and_if_match_before_if_none_match() {
    let old = Some(MODIFIED - 1);
    let matched = Conditions {
        if_unmodified_since: old,
        ..if_match(ETAG)
    };
    assert_eq!(matched.check(WRITE, CURRENT), Verdict::Proceed);
    let changed = Conditions {
        if_modified_since: Some(MODIFIED),
        ..if_none_match("\"x\"")
    };
    assert_eq!(changed.check(READ, CURRENT), Verdict::Proceed);
    let both = Conditions {
        if_none_match: Some(ETAG.into()),
        ..if_match("\"x\"")
    };
    assert_eq!(both.check(READ, CURRENT), Verdict::Failed);
    let second = Conditions {
        if_none_match: Some(ETAG.into()),
        ..if_match(ETAG)
    };
    assert_eq!(second.check(READ, CURRENT), Verdict::NotModified);
}

#[test]
fn if_range_names_the_present_file_by_a_strong_tag_or_its_exact_date() {
    let allows = |value: &str| {
        let if_range = Some(value.into());
        let conditions = Conditions {
            if_range,
            ..Conditions::default()
        };
        conditions.allow_range(CURRENT.expect("a file"))
    };
    assert!(Conditions::default().allow_range(CURRENT.expect("a file")));
    assert!(allows(ETAG));
    assert!(allows(&format(MODIFIED)));
    for value in [
        "\"x\"",
        "W/\"a-1\"",
        "a-1",
        "*",
        "",
        "\"a-1\", \"x\"",
        "yesterday",
        &format(MODIFIED - 1),
        &format(MODIFIED + 1),
    ] {
        assert!(!allows(value), "{value}");
    }
}

#[test]
fn a_date_is_read_in_three_formats_and_written_in_one() {
    for text in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ] {
        assert_eq!(parse(text.as_bytes()), Some(784_111_777), "{text}");
    }
    assert_eq!(format(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(format(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(format(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
    assert_eq!(format(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
}

#[test]
fn text_that_is_no_date_since_1970_is_no_date() {
    for text in [
        "",
        "0",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "\u{ff}",
    ] {
        assert_eq!(parse(text.as_bytes()), None, "{text}");
    }
    assert_eq!(parse(b"\xff"), None);
}

#[test]
fn the_date_of_answers_changes_with_the_second() {
    let mut cache = DateCache::default();
    assert_eq!(cache.at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(cache.at(1), "Thu, 01 Jan 1970 00:00:01 GMT");
    assert_eq!(cache.at(1), "Thu, 01 Jan 1970 00:00:01 GMT");
    assert_eq!(cache.at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_written_date_is_read_back(seconds in 0_u64..253_402_300_800) {
        let text = format(seconds);
        prop_assert_eq!(text.len(), 29);
        prop_assert_eq!(parse(text.as_bytes()), Some(seconds));
    }

    #[test]
    fn any_bytes_are_a_date_a_range_and_a_list_or_none(bytes: Vec<u8>) {
        let _ = parse(&bytes);
        let _ = Range::parse(&bytes).part_of(7);
        let conditions = Conditions {
            if_match: Some(bytes.clone()),
            if_none_match: Some(bytes.clone()),
            if_range: Some(bytes),
            ..Conditions::default()
        };
        let _ = conditions.check(READ, CURRENT);
        let _ = conditions.allow_range(CURRENT.expect("a file"));
    }
}
