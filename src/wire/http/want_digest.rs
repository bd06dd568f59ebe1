//! The field Want-Repr-Digest: RFC 9530, section 4.

/// Whether these members of the field want SHA-256: its weight is an integer from 1 to 10, and 0
/// refuses it. The last member of a name counts, and parameters have no meaning: RFC 9651, section
/// 3.2.
pub fn wants_sha256<'a>(members: impl Iterator<Item = &'a [u8]>) -> bool {
    let weights = members.filter_map(|member| {
        let item = member.split(|&byte| byte == b';').next()?;
        match item.strip_prefix(b"sha-256")? {
            // Without a value, it is the boolean `true`.
            b"" => Some(&b""[..]),
            [b'=', weight @ ..] => Some(weight),
            _ => None,
        }
    });
    let weight = weights
        .last()
        .and_then(|weight| str::from_utf8(weight).ok());
    let is_integer = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    let weight = weight
        .filter(is_integer)
        .and_then(|text| text.parse::<u64>().ok());
    weight.is_some_and(|weight| (1..=10).contains(&weight))
}
