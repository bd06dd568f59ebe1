//! Parses the host of a request: RFC 9110, section 7.2, and RFC 3986, section 3.2.

use std::net::IpAddr;

/// The host that a request is addressed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host<'a> {
    /// The text as sent, with the port if there is one.
    pub text: &'a str,
    /// The host without its port.
    pub name: HostName<'a>,
}

/// The name of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostName<'a> {
    /// An address literal.
    Ip(IpAddr),
    /// A name, in upper or lower case.
    Name(&'a str),
}

impl Host<'_> {
    /// Parses `HOST` or `HOST:PORT`. `None` if it is invalid.
    pub fn parse(_text: &str) -> Option<Host<'_>> {
        None
    }
}
