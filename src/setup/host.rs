//! Resolves `--host`, an address or a host name, to the address to listen on.
//! A free port shows whether an address can be used.

use super::error::StartError;
use super::listen;
use crate::wire::text::reason;
use std::net::{IpAddr, Ipv6Addr, ToSocketAddrs};

/// Parses an address, or resolves a host name to its first address that this machine can listen on.
pub fn find(text: &str) -> Result<IpAddr, StartError> {
    if let Some(address) = read(text) {
        return Ok(address);
    }
    let advice = "give an address of this machine, or a name of it, with --host HOST";
    let found = (text, 0).to_socket_addrs().map_err(|error| {
        let why = reason(&error);
        StartError::new(format!("cannot find the host {text:?}: {why}; {advice}"))
    })?;
    let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    first_usable(&addresses).ok_or_else(|| {
        let tried: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        let tried = tried.join(", ");
        StartError::new(format!(
            "no address of the host {text:?} is one of this machine: {tried}; {advice}"
        ))
    })
}

/// Parses an address; an IPv6 address may stand in brackets, as in front of a port.
fn read(text: &str) -> Option<IpAddr> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

fn first_usable(addresses: &[IpAddr]) -> Option<IpAddr> {
    let mut addresses = addresses.iter().copied();
    addresses.find(|&address| listen::can_listen(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_accepted_with_and_without_brackets() {
        for (text, address) in [
            ("127.0.0.1", "127.0.0.1"),
            ("0.0.0.0", "0.0.0.0"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("[::]", "::"),
        ] {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!(find(text).expect(text), address);
        }
    }

    #[test]
    fn a_name_gives_its_first_usable_address() {
        let elsewhere = IpAddr::from([192, 0, 2, 1]);
        let here = [IpAddr::from([127, 0, 0, 2]), IpAddr::from([127, 0, 0, 1])];
        assert_eq!(first_usable(&[elsewhere, here[0], here[1]]), Some(here[0]));
        assert_eq!(first_usable(&here), Some(here[0]));
        assert_eq!(first_usable(&[elsewhere]), None);
    }

    #[test]
    fn an_unusable_host_is_refused_with_advice() {
        for text in [
            "",
            "[",
            "[]",
            "[127.0.0.1]",
            "localhost:80",
            "nowhere.invalid",
        ] {
            let error = find(text).expect_err(text).to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
            assert!(error.contains("--host HOST"), "{error}");
        }
    }
}
