//! The headers of a NATS message: a status, and fields as in HTTP.

/// The version, with which each block begins.
const VERSION: &str = "NATS/1.0";

/// The headers of a message, checked to be text. [`Headers::default`] has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Headers<'a>(&'a str);

impl<'a> Headers<'a> {
    /// The headers in a block that ends with an empty line.
    pub fn parse(block: &'a [u8]) -> Option<Headers<'a>> {
        let text = str::from_utf8(block).ok()?;
        let text = text.strip_prefix(VERSION)?.strip_suffix("\r\n\r\n")?;
        let first = text.split("\r\n").next().unwrap_or(text);
        let is_apart = first.is_empty() || first.starts_with(' ');
        is_apart.then_some(Headers(text))
    }

    /// The status of an answer, such as 503 for a request that no service receives.
    pub fn status(self) -> Option<u16> {
        let first = self.0.split("\r\n").next()?;
        first.split_ascii_whitespace().next()?.parse().ok()
    }

    /// The value of the first field with this name, in any case.
    pub fn get(self, name: &str) -> Option<&'a str> {
        let fields = self.0.split("\r\n").skip(1);
        let mut fields = fields.filter_map(|field| field.split_once(':'));
        let field = fields.find(|(field, _)| field.trim().eq_ignore_ascii_case(name))?;
        Some(field.1.trim())
    }

    /// The text between version and empty line, to keep it.
    pub fn text(self) -> &'a str {
        self.0
    }

    /// The headers whose text was kept.
    pub fn of_text(text: &'a str) -> Headers<'a> {
        Headers(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_and_fields_are_found() {
        let none = Headers::parse(b"NATS/1.0\r\nA: b:c \r\nA: d\r\n\r\n").expect("headers");
        assert_eq!((none.status(), none.get("a")), (None, Some("b:c")));
        assert_eq!(none.get("b"), None);
        let status = Headers::parse(b"NATS/1.0 503 No Responders\r\n\r\n").expect("headers");
        assert_eq!((status.status(), status.get("x")), (Some(503), None));
        let text = none.text().to_owned();
        assert_eq!(Headers::of_text(&text), none);
    }

    #[test]
    fn a_broken_block_is_none() {
        for block in [
            "",
            "NATS/1.0",
            "NATS/1.0\r\nA: b\r\n",
            "HTTP/1.0\r\n\r\n",
            "NATS/1.01\r\n\r\n",
        ] {
            assert_eq!(Headers::parse(block.as_bytes()), None, "{block:?}");
        }
        assert_eq!(Headers::parse(b"NATS/1.0\r\n\xff\r\n\r\n"), None);
    }
}
