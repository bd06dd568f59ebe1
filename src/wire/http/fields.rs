//! Finds the fields of a head by name: RFC 9110, section 5. Names are in any case.

use super::status::Refusal;

/// The fields of a head, in the order in which they were sent.
pub struct Fields<'f, 'a>(pub &'f [httparse::Header<'a>]);

impl<'a> Fields<'_, 'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let is_named = move |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(name);
        self.0.iter().filter(is_named).map(|field| field.value)
    }

    /// The value of a field that may come once.
    ///
    /// # Errors
    ///
    /// Status 400 if it came twice: another program could use the other one.
    pub fn one(&self, name: &str) -> Result<Option<&'a [u8]>, Refusal> {
        let mut found = self.all(name);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Refusal::bad("a field came twice that may come once")),
            (value, None) => Ok(value),
        }
    }

    /// The members of a list, which may be spread over several fields.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let values = self.all(name);
        let members = values.flat_map(|value| value.split(|&byte| byte == b','));
        members
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    }

    /// The values of all fields of that name as one list.
    pub fn joined(&self, name: &str) -> Option<Vec<u8>> {
        let mut values = self.all(name);
        let mut joined = values.next()?.to_vec();
        values.for_each(|value| joined.extend([b",", value].concat()));
        Some(joined)
    }

    /// Whether the field Accept lists this media type, with whatever parameters.
    pub fn accepts(&self, media_type: &str) -> bool {
        self.list("accept").any(|member| {
            let end = member.iter().position(|&byte| byte == b';');
            let found = &member[..end.unwrap_or(member.len())];
            is_same(found.trim_ascii_end(), media_type)
        })
    }
}

/// Whether a value is this word, in any case.
pub fn is_same(value: &[u8], word: &str) -> bool {
    value.eq_ignore_ascii_case(word.as_bytes())
}
