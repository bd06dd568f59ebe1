//! The network of a client: its IPv4 address, or the first 64 bits of its IPv6 address.

use std::net::{IpAddr, Ipv6Addr};

/// The network of an address. Limits per client count by it.
///
/// Trap: an IPv6 client can use any of the 2^64 addresses of its network (RFC 4291), so a limit per
/// address would not limit it.
pub fn client_net(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            Ipv6Addr::from_bits(network).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ipv6_addresses_of_one_network_count_as_one_client() {
        let of = |text: &str| client_net(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::2:3"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }

    #[test]
    fn an_ipv4_mapped_address_counts_as_its_ipv4_address() {
        let of = |text: &str| client_net(text.parse().expect("an address"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
