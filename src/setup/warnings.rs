//! Warnings at start about what other machines can do to this server.

use std::net::IpAddr;
use std::path::Path;

/// What other machines can do to this server: nothing where the address is `None`. What the
/// services are for is not warned about: reading files, writing to the operator, an echo.
#[derive(Debug, Clone)]
pub struct Exposure<'a> {
    /// The folder that is served.
    pub root: &'a Path,
    /// The address where files can be changed without a token, and how.
    pub changes: Option<(String, &'a str)>,
    /// Whether clients arrive through a proxy.
    pub proxied: bool,
    /// The address of a room whose password was generated.
    pub made_password: Option<IpAddr>,
    /// The address of HTTP if its token was generated.
    pub made_token: Option<IpAddr>,
}

impl Exposure<'_> {
    /// One line for each risk.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some((host, what)) = &self.changes {
            let root = self.root.display();
            let way_out = match self.proxied {
                true => "let the proxy forward fewer services",
                false => "--host 127.0.0.1 to listen on this machine only",
            };
            warnings.push(format!(
                "every machine that reaches {host} can {what} files below {root}: add --read-only \
                 to forbid that, or {way_out}"
            ));
        }
        if let Some(host) = self.made_password {
            warnings.push(format!(
                "the password of the room on {host} was generated: it is printed on standard \
                 output and changes with each start; choose one with --room-password-file FILE, \
                 or switch the room off with --room off"
            ));
        }
        if let Some(host) = self.made_token {
            warnings.push(format!(
                "the token of http on {host} was generated: it is printed on standard output and \
                 changes with each start; choose one with --http-token-file FILE, or switch the \
                 service off with --http off"
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_risk_gets_its_warning_and_nothing_else_does() {
        let host: Option<IpAddr> = "192.0.2.1".parse().ok();
        let all = Exposure {
            root: Path::new("/srv/files"),
            changes: host.map(|host| (host.to_string(), "store, replace and remove")),
            proxied: false,
            made_password: host,
            made_token: host,
        };
        let warnings = all.warnings();
        assert_eq!(warnings.len(), 3);
        assert!(warnings[0].contains("store, replace and remove files below /srv/files"));
        assert!(warnings[0].contains("--read-only"));
        assert!(warnings[0].contains("--host 127.0.0.1"));
        assert!(warnings[1].contains("--room-password-file"));
        assert!(warnings[2].contains("--http-token-file"));
        assert!(warnings[2].contains("--http off"));
        let behind = Exposure {
            proxied: true,
            ..all.clone()
        };
        assert!(!behind.warnings()[0].contains("--host 127.0.0.1"));
        let none = Exposure {
            changes: None,
            made_password: None,
            made_token: None,
            ..all
        };
        assert_eq!(none.warnings(), [""; 0]);
    }
}
