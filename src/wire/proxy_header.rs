//! The header of the PROXY protocol, version 2 (haproxy's doc/proxy-protocol.txt, section 2.2):
//! a proxy puts it in front of a connection to name the client.
//!
//! ```text
//!   0         12       13       14       16                     16 + length
//!   signature  2 | cmd  fam | tp  length   addresses, ports, TLVs   the client's bytes
//! ```
//!
//! Each rule is checked as soon as its bytes are there, so however a header is cut, the result is
//! the same.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The first bytes of every header.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The bytes in front of the addresses.
const FIXED: usize = 16;

/// The first bytes of a header of version 1, which is a line of text.
const VERSION_1: &[u8] = b"PROXY ";

/// The type of the TLV with a checksum, CRC32c.
const CHECKSUM: u8 = 0x03;

/// A header that is complete and keeps the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Its length. What follows belongs to the client.
    pub length: usize,
    /// Whose connection it is.
    pub source: Source,
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The proxy's own, as for a health check: the command LOCAL.
    Local,
    /// That of a client over TCP at this address.
    Client(SocketAddr),
    /// That of a client without such an address, as of a Unix socket.
    Unknown,
}

/// Why bytes are no header that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderFault {
    /// They do not begin with the signature.
    NoHeader,
    /// The header is a line of text.
    Version1,
    /// The version, which is not 2.
    Version(u8),
    /// The command, which is neither LOCAL nor PROXY.
    Command(u8),
    /// The byte of family and transport; one of them has no meaning.
    Family(u8),
    /// The addresses of its family need more bytes than the length says.
    Short(usize),
    /// It is longer than allowed.
    Long(usize),
    /// A TLV ends behind the header, or its type allows only another length.
    Tlv,
    /// The checksum is another one.
    Checksum,
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderFault::NoHeader => write!(out, "it sent no PROXY header"),
            HeaderFault::Version1 => write!(
                out,
                "its PROXY header is of version 1; let the proxy send version 2 (haproxy: \
                 send-proxy-v2)"
            ),
            HeaderFault::Version(version) => {
                write!(out, "its PROXY header is of version {version}, not 2")
            }
            HeaderFault::Command(command) => write!(
                out,
                "its PROXY header has the command {command}, which is neither LOCAL nor PROXY"
            ),
            HeaderFault::Family(byte) => write!(
                out,
                "its PROXY header has the family and transport {byte:#04x}, which have no meaning"
            ),
            HeaderFault::Short(length) => write!(
                out,
                "its PROXY header has {length} bytes of addresses, too few for their family"
            ),
            HeaderFault::Long(length) => {
                write!(
                    out,
                    "its PROXY header has {length} bytes, more than allowed"
                )
            }
            HeaderFault::Tlv => write!(out, "its PROXY header has a TLV of a wrong length"),
            HeaderFault::Checksum => write!(out, "the checksum of its PROXY header is wrong"),
        }
    }
}

/// Whether `input` is a signature or begins one.
pub fn may_begin(input: &[u8]) -> bool {
    let length = input.len().min(SIGNATURE.len());
    input[..length] == SIGNATURE[..length]
}

/// Parses a header of at most `longest` bytes at the beginning of `input`. `None` if it is not
/// complete.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn parse(input: &[u8], longest: usize) -> Result<Option<ProxyHeader>, HeaderFault> {
    if !may_begin(input) {
        let length = input.len().min(VERSION_1.len());
        return match (input[..length] == VERSION_1[..length], length) {
            (true, 6) => Err(HeaderFault::Version1),
            (true, _) => Ok(None),
            (false, _) => Err(HeaderFault::NoHeader),
        };
    }
    let Some(&byte) = input.get(12) else {
        return Ok(None);
    };
    let is_local = match (byte >> 4, byte & 0xF) {
        (2, 0) => true,
        (2, 1) => false,
        (2, command) => return Err(HeaderFault::Command(command)),
        (version, _) => return Err(HeaderFault::Version(version)),
    };
    let Some(&family) = input.get(13) else {
        return Ok(None);
    };
    let addresses = match (family >> 4, family & 0xF) {
        // The family of LOCAL is ignored.
        _ if is_local => None,
        (0, 0..=2) => None,
        (1, 0..=2) => Some(12),
        (2, 0..=2) => Some(36),
        (3, 0..=2) => Some(216),
        _ => return Err(HeaderFault::Family(family)),
    };
    let Some(length) = input.get(14..FIXED) else {
        return Ok(None);
    };
    let length = FIXED + usize::from(u16::from_be_bytes([length[0], length[1]]));
    if length > longest {
        return Err(HeaderFault::Long(length));
    }
    if addresses.is_some_and(|addresses| length < FIXED + addresses) {
        return Err(HeaderFault::Short(length - FIXED));
    }
    let Some(header) = input.get(..length) else {
        return Ok(None);
    };
    // Where the family is not known, neither is the begin of the TLVs.
    if let Some(addresses) = addresses {
        check_tlvs(header, FIXED + addresses)?;
    }
    let source = match is_local {
        true => Source::Local,
        false => client(family, &header[FIXED..]).map_or(Source::Unknown, Source::Client),
    };
    Ok(Some(ProxyHeader { length, source }))
}

/// The source address. A family or transport that names no client over TCP counts as "unspecified",
/// as the specification wants it.
fn client(family: u8, block: &[u8]) -> Option<SocketAddr> {
    let (ip, port): (IpAddr, _) = match family {
        0x11 => (Ipv4Addr::from(*block.first_chunk::<4>()?).into(), 8),
        0x21 => (Ipv6Addr::from(*block.first_chunk::<16>()?).into(), 32),
        _ => return None,
    };
    let port = u16::from_be_bytes([block[port], block[port + 1]]);
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// Checks the lengths of the TLVs, and the checksum if there is one. All others are skipped.
fn check_tlvs(header: &[u8], mut at: usize) -> Result<(), HeaderFault> {
    let mut checksum = None;
    while at < header.len() {
        let head = header.get(at..at + 3).ok_or(HeaderFault::Tlv)?;
        let value = at + 3;
        at = value + usize::from(u16::from_be_bytes([head[1], head[2]]));
        let value = header.get(value..at).ok_or(HeaderFault::Tlv)?;
        if head[0] == CHECKSUM {
            let value: [u8; 4] = value.try_into().map_err(|_| HeaderFault::Tlv)?;
            // A second one could not be right: each is computed as if it were 0.
            if checksum.replace((at - 4, value)).is_some() {
                return Err(HeaderFault::Tlv);
            }
        }
    }
    match checksum {
        Some((at, value)) if crc32c(header, at) != u32::from_be_bytes(value) => {
            Err(HeaderFault::Checksum)
        }
        _ => Ok(()),
    }
}

/// CRC32c (RFC 4960, appendix B) of a header, with 0 in place of the four bytes at `zeros`.
fn crc32c(header: &[u8], zeros: usize) -> u32 {
    let bytes = header.iter().enumerate();
    let crc = bytes.fold(u32::MAX, |crc, (at, byte)| {
        let is_zero = (zeros..zeros + 4).contains(&at);
        let byte = if is_zero { 0 } else { *byte };
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg())
        })
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c(&[0; 32], 0), 0x8A91_36AA);
        assert_eq!(crc32c(b"123456789", 9), 0xE306_9283);
    }
}
