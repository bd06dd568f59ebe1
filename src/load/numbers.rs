//! Formats numbers for the report: counts, rates, bytes, times.

use crate::wire::text::grouped;

/// The percentiles that are reported.
pub const PERCENTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// A rate per second; below 100 with one decimal.
pub fn rate(number: f64) -> String {
    if number < 100.0 {
        format!("{number:.1}")
    } else {
        grouped(number.round() as u64)
    }
}

/// Bytes with a binary unit.
pub fn bytes(number: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut number = number;
    let mut unit = 0;
    while number >= 1024.0 && unit + 1 < units.len() {
        number /= 1024.0;
        unit += 1;
    }
    if unit == 0 || number.fract() == 0.0 {
        format!("{number:.0} {}", units[unit])
    } else {
        format!("{number:.1} {}", units[unit])
    }
}

/// Microseconds as us, ms or s.
pub fn micros(number: u64) -> String {
    match number {
        0..1_000 => format!("{number} us"),
        1_000..1_000_000 => format!("{} ms", three_digits(number as f64 / 1e3)),
        _ => format!("{} s", three_digits(number as f64 / 1e6)),
    }
}

fn three_digits(number: f64) -> String {
    let decimals = if number < 10.0 {
        2
    } else if number < 100.0 {
        1
    } else {
        0
    };
    format!("{number:.decimals$}")
}

/// Parses bytes with a suffix: `64`, `4K`, `64M`, `1G`.
pub fn read_bytes(text: &str) -> Result<u64, String> {
    let wrong = || "give bytes, for example 64, 4K, 64M or 1G".to_owned();
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1 << 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted_with_units() {
        assert_eq!(
            (rate(9.96).as_str(), rate(12_345.6).as_str()),
            ("10.0", "12,346")
        );
        assert_eq!(
            (bytes(64.0).as_str(), bytes(65536.0).as_str()),
            ("64 B", "64 KiB")
        );
        assert_eq!(bytes(1.5 * 1048576.0), "1.5 MiB");
        assert_eq!(
            (micros(999).as_str(), micros(1_234).as_str()),
            ("999 us", "1.23 ms")
        );
        assert_eq!(
            (micros(123_456).as_str(), micros(12_345_678).as_str()),
            ("123 ms", "12.3 s")
        );
    }

    #[test]
    fn only_sizes_with_a_known_suffix_are_parsed() {
        assert_eq!(read_bytes("64"), Ok(64));
        assert_eq!(read_bytes("4K"), Ok(4096));
        assert_eq!(read_bytes("64m"), Ok(64 << 20));
        for wrong in ["", "K", "-1", "+1", "1.5M", "4KB", "99999999999G", "x"] {
            assert!(read_bytes(wrong).is_err(), "{wrong}");
        }
    }
}
