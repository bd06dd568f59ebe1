//! Paths and queries of HTTP targets: which name they are, and which are refused. No sockets.

use loket::config::WIRE;
use loket::wire::http::path::{Query, Resource, resource};
use loket::wire::http::status::Status;
use proptest::prelude::*;

#[track_caller]
fn bad(paths: &[&str]) {
    for path in paths {
        let refusal = resource(path, &WIRE).expect_err(path);
        assert_eq!(refusal.status, Status::BadRequest, "{path}");
    }
}

#[track_caller]
fn is_file(path: &str, name: &str) {
    assert_eq!(resource(path, &WIRE), Ok(Resource::File(name.to_owned())));
}

#[test]
fn a_path_is_decoded_once() {
    is_file("/a", "a");
    is_file("/a/b.c", "a/b.c");
    is_file("/a%20b+c", "a b+c");
    is_file("/%61%2E%62", "a.b");
    is_file("/%252e%252e", "%2e%2e");
    is_file("/%252f", "%2f");
    is_file("/%25", "%");
    is_file("/%c3%A9", "é");
    is_file("/é", "é");
    is_file("/a%5cb\\c", "a\\b\\c");
    is_file("/...", "...");
    is_file("/.a", ".a");
    is_file("/a:b", "a:b");
    is_file("/%3fjson%23", "?json#");
    is_file("/*", "*");
}

#[test]
fn a_path_with_a_slash_at_its_end_is_a_folder() {
    for (path, name) in [("/", ""), ("/a/", "a"), ("/a/b%20c/", "a/b c")] {
        let found = resource(path, &WIRE);
        assert_eq!(found, Ok(Resource::Folder(name.to_owned())));
    }
}

#[test]
fn paths_below_the_dash_are_reserved_however_they_are_written() {
    for (path, name) in [
        ("/-", ""),
        ("/-/", ""),
        ("/%2d/", ""),
        ("/-/health", "health"),
        ("/%2D/health", "health"),
        ("/-/app/", "app/"),
        ("/-/app/a%2eb", "app/a.b"),
    ] {
        let found = resource(path, &WIRE);
        assert_eq!(found, Ok(Resource::Reserved(name.to_owned())), "{path}");
    }
    is_file("/a/-/b", "a/-/b");
    is_file("/-a", "-a");
    is_file("/--/a", "--/a");
}

#[test]
fn a_star_is_the_server() {
    assert_eq!(resource("*", &WIRE), Ok(Resource::Server));
}

#[test]
fn an_encoded_slash_is_refused() {
    bad(&[
        "/a%2fb",
        "/a%2Fb",
        "/%2f",
        "/%2fetc/passwd",
        "/a/..%2f..%2fb",
        "/-%2fhealth",
        "/a%2f",
    ]);
}

#[test]
fn nul_and_control_characters_are_refused() {
    bad(&[
        "/a%00", "/%00", "/a%0ab", "/a%0d", "/%1b[2J", "/%7f", "/%c2%85", "/a%09", "/-/%00",
    ]);
}

#[test]
fn an_empty_component_is_refused() {
    bad(&["//", "//a", "/a//b", "/a//", "///", "/-//", "//-/health"]);
}

#[test]
fn dot_and_dot_dot_are_refused_encoded_or_not() {
    bad(&[
        "/.",
        "/..",
        "/./",
        "/../",
        "/a/.",
        "/a/..",
        "/a/../b",
        "/./a",
        "/%2e",
        "/%2e%2e/a",
        "/.%2e",
        "/%2E./a",
        "/a/%2e%2E",
        "/-/..",
        "/-/../a",
        "/-/./health",
        "/../-/health",
    ]);
}

#[test]
fn a_wrong_percent_encoding_is_refused() {
    bad(&[
        "/%", "/a%", "/%4", "/%zz", "/%4g", "/%%41", "/%u0041", "/%-1", "/% 1",
    ]);
}

#[test]
fn a_path_that_is_not_utf_8_is_refused() {
    bad(&[
        "/%ff",
        "/%c3",
        "/%c0%af",
        "/%c0%ae%c0%ae/",
        "/%ed%a0%80",
        "/%e0%80%af",
    ]);
}

#[test]
fn a_name_that_is_too_long_is_refused_with_414() {
    let status = |path: &str| resource(path, &WIRE).map_err(|refusal| refusal.status);
    assert!(status(&format!("/{}", "a".repeat(255))).is_ok());
    assert!(status(&format!("/{}", "%61".repeat(255))).is_ok());
    for path in ["a".repeat(256), "a/".repeat(600), "é".repeat(128)] {
        assert_eq!(status(&format!("/{path}")), Err(Status::UriTooLong));
    }
}

#[test]
fn the_flags_of_a_query_are_whole_words() {
    for (text, json, list, download) in [
        ("", false, false, false),
        ("json", true, false, false),
        ("download", false, false, true),
        ("a&json=1&download=", true, false, true),
        ("JSON&jsonp&xjson&json%20&lists", false, false, false),
        ("a=json", false, false, false),
        ("&&=&json&list", true, true, false),
    ] {
        let query = Query {
            list,
            json,
            download,
        };
        assert_eq!(Query::parse(text), query, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_path_leaves_the_root(path in "/([a-c.%/-]|%2e|%2f|%5c|%00|%25|\\PC){0,20}") {
        let (name, is_reserved) = match resource(&path, &WIRE) {
            Ok(Resource::File(name) | Resource::Folder(name)) => (name, false),
            Ok(Resource::Reserved(name)) => (name, true),
            Ok(Resource::Server) => panic!("{path}"),
            Err(_) => return Ok(()),
        };
        prop_assert!(!name.starts_with('/') && !name.contains(char::is_control));
        prop_assert!(name.split('/').all(|part| part != "." && part != ".."));
        prop_assert!(is_reserved || !name.ends_with('/'));
        prop_assert!(is_reserved || (name != "-" && !name.starts_with("-/")));
    }
}
