//! Names the network that a client comes from: an IPv4 address, or an IPv6 prefix of 64 bits.

use std::net::{IpAddr, Ipv6Addr};

/// The network of an address, by which clients are counted.
///
/// Trap: a client with IPv6 has not one address but the 2^64 of its network (RFC 4291), and may
/// use any of them. So the network is what counts there.
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
    fn all_addresses_of_one_network_are_one_machine() {
        let of = |text: &str| client_net(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::2:3"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }

    #[test]
    fn what_comes_over_ipv4_has_one_address_however_it_is_written() {
        let of = |text: &str| client_net(text.parse().expect("an address"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
