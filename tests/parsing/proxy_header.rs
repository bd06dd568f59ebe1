//! The rules of the PROXY protocol, version 2, for its header (haproxy's doc/proxy-protocol.txt,
//! section 2.2), each by its name.

use crate::memory::random::cases;
use loket::wire::proxy_header::{HeaderFault, ProxyHeader, SIGNATURE, Source, parse};
use proptest::prelude::*;
use proptest::sample::select;
use std::net::SocketAddr;

const LONGEST: usize = 1_000;

/// A header with these bytes 13 and 14, and what follows its length.
fn header(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).expect("it fits");
    let fixed = [&SIGNATURE[..], &[command, family]].concat();
    [&fixed[..], &length.to_be_bytes(), block].concat()
}

/// The addresses of a connection from 192.0.2.7:1234 to 127.0.0.1:80.
const IPV4: [u8; 12] = [192, 0, 2, 7, 127, 0, 0, 1, 0x04, 0xD2, 0, 80];

/// The same from [2001:db8::7]:1234.
fn ipv6() -> Vec<u8> {
    let mut block = [0; 36];
    block[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    (block[15], block[31]) = (7, 1);
    block[32..].copy_from_slice(&IPV4[8..]);
    block.to_vec()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("it fits");
    [&[kind][..], &length.to_be_bytes(), value].concat()
}

#[track_caller]
fn source(bytes: &[u8]) -> Source {
    let header = parse(bytes, LONGEST).expect("no fault").expect("complete");
    assert_eq!(header.length, bytes.len());
    header.source
}

#[track_caller]
fn fault(bytes: &[u8]) -> HeaderFault {
    parse(bytes, LONGEST).expect_err("a fault")
}

fn client(text: &str) -> Source {
    Source::Client(text.parse::<SocketAddr>().expect("an address"))
}

#[test]
fn tcp_over_ipv4_and_ipv6_names_the_client() {
    assert_eq!(source(&header(0x21, 0x11, &IPV4)), client("192.0.2.7:1234"));
    let over_ipv6 = header(0x21, 0x21, &ipv6());
    assert_eq!(source(&over_ipv6), client("[2001:db8::7]:1234"));
}

#[test]
fn an_ipv4_address_in_ipv6_is_the_ipv4_address() {
    let mut block = ipv6();
    block[..16].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 7]);
    assert_eq!(
        source(&header(0x21, 0x21, &block)),
        client("192.0.2.7:1234")
    );
}

#[test]
fn local_keeps_the_real_address_and_ignores_family_and_block() {
    assert_eq!(source(&header(0x20, 0x00, b"")), Source::Local);
    assert_eq!(source(&header(0x20, 0x11, &IPV4)), Source::Local);
    // A family without a meaning, a short block, and bytes that are no TLVs.
    assert_eq!(source(&header(0x20, 0xFF, b"abc")), Source::Local);
    assert_eq!(source(&header(0x20, 0x21, b"")), Source::Local);
}

#[test]
fn what_is_not_tcp_falls_back_to_an_unknown_address() {
    for family in [0x00, 0x01, 0x02, 0x10, 0x12, 0x20, 0x22, 0x30, 0x31, 0x32] {
        let block = [0; 216];
        assert_eq!(source(&header(0x21, family, &block)), Source::Unknown);
    }
    assert_eq!(source(&header(0x21, 0x00, b"")), Source::Unknown);
    assert_eq!(source(&header(0x21, 0x00, b"ab")), Source::Unknown);
}

#[test]
fn reserved_families_and_transports_are_rejected() {
    for family in 0..=255 {
        let is_known = family >> 4 <= 3 && family & 0xF <= 2;
        let parsed = parse(&header(0x21, family, &[0; 216]), LONGEST);
        match is_known {
            true => assert!(parsed.is_ok(), "{family:#x}"),
            false => assert_eq!(parsed, Err(HeaderFault::Family(family))),
        }
    }
}

#[test]
fn another_version_or_command_is_rejected() {
    for byte in 0..=255 {
        let parsed = parse(&header(byte, 0x11, &IPV4), LONGEST);
        match (byte >> 4, byte & 0xF) {
            (2, 0 | 1) => assert!(parsed.is_ok()),
            (2, command) => assert_eq!(parsed, Err(HeaderFault::Command(command))),
            (version, _) => assert_eq!(parsed, Err(HeaderFault::Version(version))),
        }
    }
}

#[test]
fn a_length_below_that_of_the_addresses_is_rejected() {
    for (family, least) in [(0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216)] {
        for length in 0..least {
            let short = header(0x21, family, &vec![0; length]);
            assert_eq!(fault(&short), HeaderFault::Short(length));
        }
        assert!(parse(&header(0x21, family, &vec![0; least]), LONGEST).is_ok());
    }
}

#[test]
fn the_length_is_bounded() {
    let block = [&IPV4[..], &tlv(4, &[0; LONGEST - 16 - 12 - 3])].concat();
    assert_eq!(
        source(&header(0x21, 0x11, &block)),
        client("192.0.2.7:1234")
    );
    // The length alone shows it: nothing more is waited for.
    let fixed = [&SIGNATURE[..], &[0x20, 0x00, 0xFF, 0xFF]].concat();
    assert_eq!(fault(&fixed), HeaderFault::Long(16 + 65_535));
    let one_more = (LONGEST as u16 - 15).to_be_bytes();
    let fixed = [&SIGNATURE[..], &[0x21, 0x11], &one_more].concat();
    assert_eq!(fault(&fixed), HeaderFault::Long(LONGEST + 1));
}

#[test]
fn tlvs_are_skipped() {
    let tlvs = [
        tlv(1, b"h2"),
        tlv(2, b"example.org"),
        tlv(4, b""),
        tlv(0xE0, &[9; 99]),
    ]
    .concat();
    let block = [&IPV4[..], &tlvs].concat();
    assert_eq!(
        source(&header(0x21, 0x11, &block)),
        client("192.0.2.7:1234")
    );
    let block = [&[0; 216][..], &tlvs].concat();
    assert_eq!(source(&header(0x21, 0x31, &block)), Source::Unknown);
}

#[test]
fn a_tlv_that_ends_behind_the_header_is_rejected() {
    for cut in [&[1][..], &[1, 0], &[1, 0, 1], &[4, 0, 0, 1, 0xFF, 0xFF, 0]] {
        let block = [&IPV4[..], cut].concat();
        assert_eq!(fault(&header(0x21, 0x11, &block)), HeaderFault::Tlv);
    }
}

#[test]
fn a_checksum_must_be_right() {
    // Computed by another program.
    const RIGHT: u32 = 0x1414_B0CF;
    let with = |checksum: u32| [&IPV4[..], &tlv(3, &checksum.to_be_bytes())].concat();
    let right = header(0x21, 0x11, &with(RIGHT));
    assert_eq!(source(&right), client("192.0.2.7:1234"));
    for bit in 0..32 {
        let wrong = header(0x21, 0x11, &with(RIGHT ^ 1 << bit));
        assert_eq!(fault(&wrong), HeaderFault::Checksum);
    }
    // It is about the whole header.
    let mut other = right.clone();
    other[16] = 193;
    assert_eq!(fault(&other), HeaderFault::Checksum);
    for block in [
        [&IPV4[..], &tlv(3, b"abc")].concat(),
        [with(RIGHT), tlv(3, &RIGHT.to_be_bytes())].concat(),
    ] {
        assert_eq!(fault(&header(0x21, 0x11, &block)), HeaderFault::Tlv);
    }
}

#[test]
fn a_header_of_version_1_is_rejected_with_what_to_do() {
    let version_1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 1234 80\r\n";
    assert_eq!(fault(version_1), HeaderFault::Version1);
    assert!(HeaderFault::Version1.to_string().contains("send-proxy-v2"));
    assert_eq!(parse(b"PROXY", LONGEST), Ok(None));
    assert_eq!(fault(b"PROXYABLE"), HeaderFault::NoHeader);
}

#[test]
fn anything_else_is_rejected_with_its_first_wrong_byte() {
    assert_eq!(fault(b"GET / HTTP/1.1\r\n\r\n"), HeaderFault::NoHeader);
    for place in 0..SIGNATURE.len() {
        let mut wrong = SIGNATURE;
        wrong[place] ^= 0x20;
        assert_eq!(fault(&wrong[..=place]), HeaderFault::NoHeader);
    }
}

#[test]
fn what_follows_the_header_is_not_part_of_it() {
    let header = header(0x21, 0x11, &IPV4);
    for after in [&b""[..], b"hello", &SIGNATURE] {
        let parsed = parse(&[&header, after].concat(), LONGEST);
        let wanted = ProxyHeader {
            length: header.len(),
            source: client("192.0.2.7:1234"),
        };
        assert_eq!(parsed, Ok(Some(wanted)));
    }
}

#[test]
fn a_header_that_is_cut_anywhere_is_not_complete() {
    let block = [&IPV4[..], &tlv(2, b"example.org")].concat();
    for whole in [header(0x21, 0x11, &block), header(0x20, 0, b"abc")] {
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length], LONGEST), Ok(None), "{length}");
        }
    }
}

/// Headers with valid and invalid bytes at each place.
fn headers() -> impl Strategy<Value = Vec<u8>> {
    let command = prop_oneof![4 => select(vec![0x20, 0x21]), 1 => any::<u8>()];
    let families = select(vec![0x00, 0x11, 0x12, 0x21, 0x31]);
    let family = prop_oneof![4 => families, 1 => any::<u8>()];
    let addresses = select(vec![0_usize, 12, 36, 216, 11]);
    let value = prop::collection::vec(any::<u8>(), 0..9);
    let tlvs = prop::collection::vec((0..6_u8, value), 0..4);
    let noise = prop::collection::vec(any::<u8>(), 0..5);
    let parts = (command, family, addresses, tlvs, noise);
    parts.prop_map(|(command, family, addresses, tlvs, noise)| {
        let tlvs = tlvs.into_iter().map(|(kind, value)| tlv(kind, &value));
        let block = [vec![7; addresses], tlvs.collect::<Vec<_>>().concat(), noise].concat();
        header(command, family, &block)
    })
}

fn inputs() -> impl Strategy<Value = Vec<u8>> {
    let change = (headers(), any::<prop::sample::Index>(), any::<u8>());
    let changed = change.prop_map(|(mut bytes, place, byte)| {
        let place = place.index(bytes.len());
        bytes[place] = byte;
        bytes
    });
    let noise = prop::collection::vec(any::<u8>(), 0..40);
    let version_1 = Just(b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n".to_vec());
    let after = prop::collection::vec(any::<u8>(), 0..20);
    let one = prop_oneof![6 => headers(), 3 => changed, 1 => noise, 1 => version_1];
    (one, after).prop_map(|(bytes, after)| [bytes, after].concat())
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn however_the_bytes_are_cut_the_result_is_the_same(input in inputs()) {
        let whole = parse(&input, LONGEST);
        let first = (0..=input.len()).map(|length| (length, parse(&input[..length], LONGEST)));
        let decided = first.into_iter().find(|(_, parsed)| *parsed != Ok(None));
        match decided {
            None => prop_assert_eq!(whole, Ok(None)),
            Some((length, parsed)) => {
                prop_assert_eq!(&parsed, &whole);
                if let Ok(Some(header)) = parsed {
                    prop_assert_eq!(header.length, length);
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic_or_make_a_header_longer_than_they_are(
        input in prop::collection::vec(any::<u8>(), 0..80),
        longest in 16..80_usize,
    ) {
        for input in [input.clone(), [&SIGNATURE[..], &input].concat()] {
            if let Ok(Some(header)) = parse(&input, longest) {
                prop_assert!(header.length <= input.len().min(longest));
            }
        }
    }
}
