//! The address of a NATS server: `nats://[USER:PASSWORD@]HOST[:PORT]`, or several with commas.

use percent_encoding::percent_decode_str;
use std::fmt;

/// The port of a URL without one.
const DEFAULT_PORT: &str = "4222";

/// One server, and how to log in there.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsUrl {
    /// `HOST:PORT`, with brackets around an IPv6 address.
    pub host: String,
    /// The login; `None` if the server needs none.
    pub login: Option<Login>,
}

/// How to log in.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// With a name and a password.
    User(String, String),
    /// With a token.
    Token(String),
}

impl fmt::Debug for NatsUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Without the login.
impl fmt::Display for NatsUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "nats://{}", self.host)
    }
}

impl NatsUrl {
    /// Parses a list. An error does not show the text, which may hold a password.
    pub fn parse_list(text: &str) -> Result<Vec<NatsUrl>, String> {
        let urls = text.split(',').map(str::trim).enumerate();
        urls.map(|(at, url)| NatsUrl::parse(url).map_err(|why| format!("server {}: {why}", at + 1)))
            .collect()
    }

    fn parse(url: &str) -> Result<NatsUrl, &'static str> {
        let rest = match url.split_once("://") {
            Some(("nats", rest)) => rest,
            Some(("tls", _)) => {
                return Err("TLS is for a leaf node on this machine: write nats://127.0.0.1:4222");
            }
            Some(_) => return Err("the address of a server begins with nats://"),
            None => url,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, host) = match rest.rsplit_once('@') {
            Some((login, host)) => (Some(parse_login(login)?), host),
            None => (None, rest),
        };
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.contains(']'));
        let host = match has_port {
            true => host.to_owned(),
            false => format!("{host}:{DEFAULT_PORT}"),
        };
        let is_clean = host
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/');
        match is_clean && crate::wire::text::is_host_and_port(&host) {
            true => Ok(NatsUrl { host, login }),
            false => Err("write nats://HOST:4222, or nats://USER:PASSWORD@HOST:4222"),
        }
    }
}

/// `USER:PASSWORD` or a token, percent-encoded where needed.
fn parse_login(login: &str) -> Result<Login, &'static str> {
    let decoded = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err("the login is not UTF-8"),
    };
    match login.split_once(':') {
        Some((user, password)) => Ok(Login::User(decoded(user)?, decoded(password)?)),
        None => Ok(Login::Token(decoded(login)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_a_host_a_port_and_a_login() {
        let user = |name: &str, password: &str| Some(Login::User(name.into(), password.into()));
        for (text, host, login) in [
            ("nats://h:1", "h:1", None),
            ("h", "h:4222", None),
            ("nats://[::1]/", "[::1]:4222", None),
            ("nats://u:p%40:s@h", "h:4222", user("u", "p@:s")),
            ("nats://u:a@b@h:9", "h:9", user("u", "a@b")),
            ("nats://tok@h:9", "h:9", Some(Login::Token("tok".into()))),
        ] {
            let urls = NatsUrl::parse_list(text).expect(text);
            assert_eq!(urls.len(), 1);
            assert_eq!(urls[0].host.as_str(), host);
            assert!(urls[0].login == login, "the login of {text}");
        }
        assert_eq!(
            NatsUrl::parse_list("nats://a, nats://b:5")
                .expect("two")
                .len(),
            2
        );
    }

    #[test]
    fn an_error_and_what_is_shown_hold_no_password() {
        for wrong in [
            "",
            "http://u:secret@h",
            "nats://u:secret@",
            "nats://u:secret@h:0",
            "nats://u:secret@::1",
            "tls://u:secret@h",
            "nats://u:secret@h:1,",
            "nats://u:se\ncret@h /",
        ] {
            let error = NatsUrl::parse_list(wrong).expect_err(wrong);
            assert!(!error.contains("secret"), "{error}");
        }
        let url = &NatsUrl::parse_list("nats://u:secret@h").expect("one")[0];
        assert_eq!(
            (format!("{url}"), format!("{url:?}")),
            ("nats://h:4222".into(), "nats://h:4222".into())
        );
    }
}
