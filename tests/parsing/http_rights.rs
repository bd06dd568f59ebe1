//! Which HTTP requests are allowed: every combination of listener, token, method and browser.

use base64ct::{Base64, Encoding};
use loket::config::room::WRONG_SECRETS;
use loket::services::http::rights::{Access, Asked, Denied, Rights, RightsSettings};
use std::net::IpAddr;

const TOKEN: &str = "kq3-Zp7";

const READ: [(&str, Access); 2] = [("GET", Access::Read), ("HEAD", Access::Read)];
const WRITE: [(&str, Access); 2] = [("PUT", Access::Write), ("DELETE", Access::Write)];

/// The `Authorization` fields of a client, and whether they hold the token.
fn given() -> Vec<(Option<String>, bool)> {
    let basic = |pair: &str| Some(format!("Basic {}", Base64::encode_string(pair.as_bytes())));
    vec![
        (None, false),
        (Some("Bearer wrong".to_owned()), false),
        (basic(":wrong"), false),
        (basic(TOKEN), false),
        (Some(format!("Digest {TOKEN}")), false),
        (Some("Basic !!!".to_owned()), false),
        (Some("Bearer".to_owned()), false),
        (Some("Bearer ".to_owned()), false),
        (Some(format!("Bearer {TOKEN}")), true),
        (Some(format!("bearer  {TOKEN}")), true),
        (basic(&format!(":{TOKEN}")), true),
        (basic(&format!("user:{TOKEN}")), true),
    ]
}

fn rights(token: bool, read_only: bool) -> Rights {
    let settings = RightsSettings {
        names: vec!["files.example".to_owned()],
        token: token.then(|| TOKEN.to_owned()),
        read_only,
        exposed: token,
    };
    Rights::new(settings, WRONG_SECRETS)
}

/// A request of a tool: no browser fields, and an IP address as host.
fn tool(access: Access) -> Asked<'static> {
    Asked {
        access,
        host: Some("192.0.2.1:8000"),
        origin: None,
        sec_fetch_site: None,
        authorization: None,
    }
}

fn host(number: u8) -> IpAddr {
    [192, 0, 2, number].into()
}

fn ask(rights: &mut Rights, asked: Asked<'_>) -> Result<(), Denied> {
    rights.decide(&asked, host(1), 0)
}

#[test]
fn reading_needs_no_token_and_writing_needs_it_beyond_loopback() {
    for (beyond, (field, right)) in [false, true]
        .into_iter()
        .flat_map(|beyond| given().into_iter().map(move |given| (beyond, given)))
    {
        for (method, access) in READ.into_iter().chain(WRITE) {
            // A server on loopback has no token unless a file gives it one.
            let mut rights = rights(beyond, false);
            let asked = Asked {
                authorization: field.as_deref().map(str::as_bytes),
                ..tool(access)
            };
            let expected = match access == Access::Read || !beyond || right {
                true => Ok(()),
                false => Err(Denied::Token {
                    wrong: field.is_some(),
                    browser: false,
                }),
            };
            let what = format!("{method}, beyond loopback: {beyond}, {field:?}");
            assert_eq!(ask(&mut rights, asked), expected, "{what}");
        }
    }
}

#[test]
fn read_only_refuses_every_change_with_every_token() {
    for token in [false, true] {
        for (field, _) in given() {
            let mut rights = rights(token, true);
            let with = |access| Asked {
                authorization: field.as_deref().map(str::as_bytes),
                ..tool(access)
            };
            assert_eq!(ask(&mut rights, with(Access::Read)), Ok(()));
            let refused = ask(&mut rights, with(Access::Write));
            assert_eq!(refused, Err(Denied::ReadOnly), "{field:?}");
        }
    }
}

#[test]
fn an_exposed_server_without_a_token_refuses_what_needs_one() {
    let settings = |exposed| RightsSettings {
        exposed,
        read_only: true,
        ..RightsSettings::default()
    };
    let all = [Access::Read, Access::Write, Access::Window, Access::Console];
    for ((field, _), access) in given()
        .into_iter()
        .flat_map(|given| all.map(|access| (given.clone(), access)))
    {
        for exposed in [false, true] {
            let mut rights = Rights::new(settings(exposed), WRONG_SECRETS);
            let asked = Asked {
                authorization: field.as_deref().map(str::as_bytes),
                ..tool(access)
            };
            let expected = match access {
                Access::Write => Err(Denied::ReadOnly),
                Access::Console if exposed => Err(Denied::NoToken),
                _ => Ok(()),
            };
            assert_eq!(ask(&mut rights, asked), expected, "{exposed} {asked:?}");
        }
    }
}

#[test]
fn only_names_of_this_server_and_ip_addresses_are_served() {
    let own = [
        "localhost",
        "LOCALHOST:8000",
        "127.0.0.1",
        "192.0.2.7:80",
        "[::1]",
        "[2001:db8::1]:8000",
        "files.example",
        "Files.Example:8000",
        "localhost:",
    ];
    let foreign = [
        "",
        ":8000",
        "evil.example",
        "localhost.evil.example",
        "evil-localhost",
        "localhost.",
        "127.0.0.1.evil.example",
        "127.1",
        "0x7f.0.0.1",
        "::1",
        "[::1",
        "[evil]",
        "[127.0.0.1]",
        "[::1]evil.example",
        "[fe80::1%25eth0]",
        "localhost:8000@evil.example",
        "localhost:80:80",
        "sub.files.example",
    ];
    for access in [Access::Read, Access::Write, Access::Console] {
        let asked = |host| Asked {
            host: Some(host),
            ..tool(access)
        };
        for name in own {
            assert_eq!(
                ask(&mut rights(false, false), asked(name)),
                Ok(()),
                "{name}"
            );
        }
        for name in foreign {
            let refused = ask(&mut rights(false, false), asked(name));
            assert_eq!(refused, Err(Denied::Host), "{name}");
        }
    }
    let without = Asked {
        host: None,
        ..tool(Access::Read)
    };
    assert_eq!(ask(&mut rights(false, false), without), Ok(()), "HTTP/1.0");
}

#[test]
fn a_browser_may_change_something_only_for_a_page_of_this_server() {
    let rows: [(Option<&str>, Option<&str>, bool); 17] = [
        (None, None, true),
        (Some("same-origin"), None, true),
        (Some("none"), None, true),
        (Some("same-site"), None, false),
        (Some("cross-site"), None, false),
        (Some(""), None, false),
        (Some("Same-Origin"), None, false),
        (Some("same-origin, none"), None, false),
        (Some("cross-site"), Some("http://localhost:8000"), false),
        (Some("same-origin"), Some("http://evil.example"), true),
        (None, Some("http://localhost:8000"), true),
        (None, Some("https://LOCALHOST:8000"), true),
        (None, Some("http://localhost"), false),
        (None, Some("http://localhost:8001"), false),
        (None, Some("http://evil.example"), false),
        (None, Some("null"), false),
        (None, Some(""), false),
    ];
    for (site, origin, allowed) in rows {
        for access in [Access::Write, Access::Console, Access::Read] {
            let asked = Asked {
                access,
                host: Some("localhost:8000"),
                origin: origin.map(str::as_bytes),
                sec_fetch_site: site.map(str::as_bytes),
                authorization: None,
            };
            let expected = match allowed || access == Access::Read {
                true => Ok(()),
                false => Err(Denied::OtherSite),
            };
            let decided = ask(&mut rights(false, false), asked);
            assert_eq!(decided, expected, "{site:?} {origin:?} {access:?}");
        }
    }
    let without_host = Asked {
        host: None,
        origin: Some(b"http://"),
        ..tool(Access::Write)
    };
    let decided = ask(&mut rights(false, false), without_host);
    assert_eq!(decided, Err(Denied::OtherSite));
}

#[test]
fn a_right_token_does_not_help_a_page_of_another_site() {
    let field = format!("Bearer {TOKEN}");
    for (host, origin, refused) in [
        ("localhost", "http://evil.example", Denied::OtherSite),
        ("evil.example", "http://evil.example", Denied::Host),
    ] {
        let asked = Asked {
            access: Access::Write,
            host: Some(host),
            origin: Some(origin.as_bytes()),
            sec_fetch_site: None,
            authorization: Some(field.as_bytes()),
        };
        assert_eq!(ask(&mut rights(true, false), asked), Err(refused));
    }
}

#[test]
fn a_network_with_too_many_wrong_tokens_waits_and_others_do_not() {
    let mut rights = rights(true, false);
    let with = |field: &'static [u8]| Asked {
        authorization: Some(field),
        ..tool(Access::Write)
    };
    let (right, wrong) = (with(b"Bearer kq3-Zp7"), with(b"Bearer x"));
    // A request without a token is no guess.
    for _ in 0..2 * WRONG_SECRETS.failures {
        let refused = rights.decide(&tool(Access::Write), host(1), 0);
        assert_eq!(refused.map_err(|denied| denied.status().code()), Err(401));
    }
    for _ in 0..WRONG_SECRETS.failures {
        let refused = rights.decide(&wrong, host(1), 0);
        assert_eq!(refused.map_err(|denied| denied.status().code()), Err(401));
    }
    assert_eq!(rights.decide(&right, host(1), 1), Err(Denied::TooManyWrong));
    assert_eq!(rights.decide(&tool(Access::Read), host(1), 1), Ok(()));
    assert_eq!(rights.decide(&right, host(2), 1), Ok(()));
    assert_eq!(rights.decide(&right, host(1), 60), Ok(()));
}

#[test]
fn a_refusal_says_what_to_do_and_a_browser_opens_no_password_dialog() {
    let of_browser = Asked {
        sec_fetch_site: Some(b"same-origin"),
        ..tool(Access::Write)
    };
    let fields = |asked| {
        let refused = ask(&mut rights(true, false), asked);
        refused.expect_err("it has no token").fields()
    };
    assert!(fields(of_browser).starts_with("WWW-Authenticate: Bearer "));
    assert!(fields(tool(Access::Write)).starts_with("WWW-Authenticate: Basic "));
    for (denied, status, word) in [
        (Denied::ReadOnly, 403, "--read-only"),
        (Denied::Host, 421, "--http-name"),
        (Denied::OtherSite, 403, "another site"),
        (Denied::NoToken, 403, "--http-token-file"),
        (Denied::TooManyWrong, 429, "wait a minute"),
    ] {
        assert_eq!(denied.status().code(), status);
        assert!(denied.says().contains(word), "{denied:?}");
        assert!(denied.fields().is_empty() || denied.fields().ends_with("\r\n"));
    }
}
