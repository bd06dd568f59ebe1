//! Which HTTP requests are allowed: the `Host` rule, the rule for browsers, and the token.
//!
//! A page of another site can send requests through a browser that reaches this server. Three
//! rules stop it. The server answers only to its own names, because a page of another site can
//! make its own name point here ("DNS rebinding"). A browser says from which site a request comes
//! (`Sec-Fetch-Site`: W3C Fetch Metadata; `Origin`: RFC 6454). A browser sends no token by itself.

use crate::services::wrong_secrets::{WrongSecretLimits, WrongSecrets};
use crate::session::log_limit::LogLimit;
use crate::wire::http::status::Status;
use base64ct::{Base64, Encoding};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use subtle::ConstantTimeEq;

/// Header lines of an answer with a file of the root: a browser shows the file as what its type
/// says, and an uploaded page runs no script and has no access to this server.
pub const FILE_FIELDS: &str =
    "X-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\n";

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read files: GET, HEAD and OPTIONS.
    Read,
    /// Change files: PUT, DELETE, MKCOL and MOVE.
    Write,
    /// Use the window as a client: events and POST requests.
    Window,
    /// Use the window as an operator, or the loop view.
    Console,
}

/// What the rules need to know of a request.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What it wants to do.
    pub access: Access,
    /// The `Host` field, or the authority of an absolute target; `None` in HTTP/1.0 without one.
    pub host: Option<&'a str>,
    /// The `Origin` field.
    pub origin: Option<&'a [u8]>,
    /// The `Sec-Fetch-Site` field.
    pub sec_fetch_site: Option<&'a [u8]>,
    /// The `Authorization` field.
    pub authorization: Option<&'a [u8]>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The server was started with `--read-only`.
    ReadOnly,
    /// The host name is none of this server.
    Host,
    /// A browser sends it for a page of another site.
    OtherSite,
    /// It needs a token, and the server has none although other machines reach it.
    NoToken,
    /// It needs a token and has none, or a wrong one.
    Token {
        /// Whether it had one.
        wrong: bool,
        /// Whether a browser sent it.
        browser: bool,
    },
    /// Its network has sent too many wrong tokens.
    TooManyWrong,
}

impl Denied {
    /// The status code (RFC 9110, 15; RFC 6585 for 429).
    pub fn status(self) -> Status {
        match self {
            Denied::ReadOnly | Denied::OtherSite | Denied::NoToken => Status::Forbidden,
            Denied::Host => Status::MisdirectedRequest,
            Denied::Token { .. } => Status::Unauthorized,
            Denied::TooManyWrong => Status::TooManyRequests,
        }
    }

    /// The reason and what to do, in one sentence.
    pub fn says(self) -> &'static str {
        match self {
            Denied::ReadOnly => "this server was started with --read-only: it changes no file",
            Denied::Host => {
                "this is no name of this server: use its IP address, or start it with \
                 --http-name NAME"
            }
            Denied::OtherSite => "a page of another site may not change anything here",
            Denied::NoToken => {
                "the loop view and the operator's window need a token, which this server does not \
                 have: start it with --http-token-file FILE"
            }
            Denied::Token { wrong: false, .. } => {
                "this needs the token that the server printed at its start, as password or as \
                 Authorization: Bearer TOKEN"
            }
            Denied::Token { wrong: true, .. } => {
                "the token is wrong: use the one that the server printed at its start, or that of \
                 its --http-token-file"
            }
            Denied::TooManyWrong => "too many wrong tokens from your network: wait a minute",
        }
    }

    /// Header lines that belong to the answer, each with its CR LF.
    ///
    /// Trap: a browser that gets the challenge `Basic` opens a password dialog in front of the
    /// page that sent the request.
    pub fn fields(self) -> &'static str {
        match self {
            Denied::Token { browser: true, .. } => "WWW-Authenticate: Bearer realm=\"loket\"\r\n",
            Denied::Token { .. } => "WWW-Authenticate: Basic realm=\"loket\"\r\n",
            Denied::TooManyWrong => "Retry-After: 60\r\n",
            Denied::ReadOnly | Denied::Host | Denied::OtherSite | Denied::NoToken => "",
        }
    }
}

/// What an owner decides with flags.
#[derive(Debug, Default)]
pub struct RightsSettings {
    /// Host names of this server beside `localhost` and IP addresses.
    pub names: Vec<String>,
    /// The token that changes, the operator's window and the loop view need; without one they are
    /// open on a loopback address and refused on others.
    pub token: Option<String>,
    /// Whether other machines reach the server.
    pub exposed: bool,
    /// Whether no file may be changed.
    pub read_only: bool,
}

/// The rules, and the wrong tokens so far.
pub struct Rights {
    settings: RightsSettings,
    wrong: WrongSecrets,
    logged: LogLimit,
}

impl Rights {
    /// The rules of a server.
    pub fn new(settings: RightsSettings, limits: WrongSecretLimits) -> Rights {
        Rights {
            settings,
            wrong: WrongSecrets::new(limits),
            logged: LogLimit::new(1),
        }
    }

    /// Decides about one request of a client at `peer`. `now` is in seconds.
    ///
    /// # Errors
    ///
    /// Why the request is refused.
    pub fn decide(&mut self, asked: &Asked<'_>, peer: IpAddr, now: u32) -> Result<(), Denied> {
        if asked.access == Access::Write && self.settings.read_only {
            return Err(Denied::ReadOnly);
        }
        // Browsers always send Host; HTTP/1.0 does not require it.
        if asked.host.is_some_and(|host| !self.is_own_name(host)) {
            return Err(Denied::Host);
        }
        if asked.access == Access::Read {
            return Ok(());
        }
        if !is_same_site(asked) {
            return Err(Denied::OtherSite);
        }
        if asked.access == Access::Window {
            return Ok(());
        }
        self.check_token(asked, peer, u64::from(now) * 1_000_000)
    }

    /// Whether no file may be changed.
    pub fn is_read_only(&self) -> bool {
        self.settings.read_only
    }

    /// Whether `host`, with or without a port, names this server. An IP address is not the name of
    /// another site.
    fn is_own_name(&self, host: &str) -> bool {
        let (name, port) = match host.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => ("", port),
                _ => return false,
            },
            None => host.split_at(host.find(':').unwrap_or(host.len())),
        };
        let port = port.strip_prefix(':').unwrap_or(port);
        let is_name = |own: &str| own.eq_ignore_ascii_case(name);
        port.bytes().all(|byte| byte.is_ascii_digit())
            && (host.starts_with('[')
                || is_name("localhost")
                || name.parse::<Ipv4Addr>().is_ok()
                || self.settings.names.iter().any(|own| is_name(own)))
    }

    fn check_token(&mut self, asked: &Asked<'_>, peer: IpAddr, now: u64) -> Result<(), Denied> {
        let Some(token) = &self.settings.token else {
            return match self.settings.exposed {
                true => Err(Denied::NoToken),
                false => Ok(()),
            };
        };
        let browser = asked.origin.is_some() || asked.sec_fetch_site.is_some();
        let Some(given) = asked.authorization else {
            return Err(Denied::Token {
                wrong: false,
                browser,
            });
        };
        if self.wrong.is_ignored(peer, now) {
            return Err(Denied::TooManyWrong);
        }
        let given = given_token(given).unwrap_or_default();
        if bool::from(token.as_bytes().ct_eq(&given)) {
            return Ok(());
        }
        if self.wrong.count_failure(peer, now) && self.logged.pass(now).is_some() {
            let reason = "sent too many wrong tokens and is ignored for a minute";
            log::warn!(service = "http", peer:%, reason; "http: {peer} {reason}");
        }
        Err(Denied::Token {
            wrong: true,
            browser,
        })
    }
}

/// Whether the request comes from no browser, from a page of this server, or from the user.
/// Browsers send `Sec-Fetch-Site` only to `localhost` and over TLS, and `Origin` everywhere.
fn is_same_site(asked: &Asked<'_>) -> bool {
    match (asked.sec_fetch_site, asked.origin) {
        (Some(site), _) => [&b"same-origin"[..], b"none"].contains(&site),
        (None, None) => true,
        (None, Some(origin)) => {
            let rest = origin.strip_prefix(b"http://");
            let rest = rest.or_else(|| origin.strip_prefix(b"https://"));
            match (rest, asked.host) {
                (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host.as_bytes()),
                _ => false,
            }
        }
    }
}

/// The token of an `Authorization` field: that of `Bearer` (RFC 6750, 2.1), or the password of
/// `Basic` (RFC 7617, 2).
fn given_token(field: &[u8]) -> Option<Vec<u8>> {
    let (scheme, value) = field.split_at(field.iter().position(|byte| *byte == b' ')?);
    let value = value.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(value.to_vec());
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let decoded = Base64::decode_vec(std::str::from_utf8(value).ok()?).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded[colon + 1..].to_vec())
}
