//! Warnings at start about what other machines can do to this server.

use std::net::IpAddr;
use std::path::Path;

/// What other machines can do to this server. What the services are for is not warned about:
/// reading files, writing to the operator, an echo.
#[derive(Debug, Clone, Copy)]
pub struct Exposure<'a> {
    /// The address that the server listens on.
    pub host: IpAddr,
    /// The folder that is served.
    pub root: &'a Path,
    /// What its services can do with files beside reading them.
    pub changes: Option<&'a str>,
    /// Whether all of that is refused.
    pub read_only: bool,
    /// Whether the password of the room was generated.
    pub made_password: bool,
    /// Whether the token of HTTP was generated.
    pub made_token: bool,
}

impl Exposure<'_> {
    /// One line for each risk; none on loopback.
    pub fn warnings(&self) -> Vec<String> {
        let host = self.host;
        let mut warnings = Vec::new();
        if host.to_canonical().is_loopback() {
            return warnings;
        }
        if let Some(what) = self.changes.filter(|_| !self.read_only) {
            let root = self.root.display();
            warnings.push(format!(
                "every machine that reaches {host} can {what} files below {root}: add --read-only \
                 to forbid that, or --host 127.0.0.1 to listen on this machine only"
            ));
        }
        if self.made_password {
            warnings.push(format!(
                "the password of the room on {host} was generated: it is printed on standard \
                 output and changes with each start; choose one with --room-password-file FILE, \
                 or switch the room off with --room off"
            ));
        }
        if self.made_token {
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

    fn exposed(host: &str) -> Exposure<'static> {
        Exposure {
            host: host.parse().expect("an address"),
            root: Path::new("/srv/files"),
            changes: Some("store, replace and remove"),
            read_only: false,
            made_password: true,
            made_token: true,
        }
    }

    #[test]
    fn loopback_needs_no_warning() {
        for host in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(exposed(host).warnings(), [""; 0], "{host}");
        }
    }

    #[test]
    fn every_other_address_gets_a_warning_for_each_risk() {
        for host in [
            "0.0.0.0",
            "::",
            "192.0.2.1",
            "2001:db8::1",
            "::ffff:192.0.2.1",
        ] {
            let warnings = exposed(host).warnings();
            assert_eq!(warnings.len(), 3, "{host}");
            assert!(warnings[0].contains("store, replace and remove files below /srv/files"));
            assert!(warnings[0].contains("--read-only"));
            assert!(warnings[1].contains("--room-password-file"));
            assert!(warnings[2].contains("--http-token-file"));
            assert!(warnings[2].contains("--http off"));
        }
    }

    #[test]
    fn what_is_forbidden_is_not_warned_about() {
        let all = exposed("0.0.0.0");
        let closed = Exposure {
            read_only: true,
            made_password: false,
            made_token: false,
            ..all
        };
        assert_eq!(closed.warnings(), [""; 0]);
        let without_services = Exposure {
            changes: None,
            made_password: false,
            made_token: false,
            ..all
        };
        assert_eq!(without_services.warnings(), [""; 0]);
    }
}
