//! Says what a unit without a line end is: a command, a part of one, or nothing that can be one.
//! Knows no command: the caller judges the text.

/// What a unit without LF is, as far as it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unended {
    /// A whole command that changes nothing.
    Question,
    /// A whole command that changes a file.
    Change,
    /// One of the fixed words, which are complete as soon as they have come.
    Word,
    /// The beginning of one: more bytes, or LF, can make it a command.
    Part,
    /// No command, whatever follows: it is shown to the caller, which refuses it.
    Hopeless,
}

impl Unended {
    /// Judges a unit by its text. A CR at its end may belong to a line end that is on its way.
    pub fn judge(unit: &[u8], judge: impl Fn(&[u8]) -> Unended) -> Unended {
        match unit.strip_suffix(b"\r") {
            Some(text) if judge(text) != Unended::Hopeless => Unended::Part,
            _ => judge(unit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ls(unit: &[u8]) -> Unended {
        match unit {
            b"ls" => Unended::Question,
            _ if b"ls".starts_with(unit) => Unended::Part,
            _ => Unended::Hopeless,
        }
    }

    #[test]
    fn a_cr_may_be_the_beginning_of_a_line_end() {
        for (unit, found) in [
            (&b"ls\r"[..], Unended::Part),
            (b"l\r", Unended::Part),
            (b"\r", Unended::Part),
            (b"LS\r", Unended::Hopeless),
            (b"ls\r\r", Unended::Hopeless),
        ] {
            assert_eq!(Unended::judge(unit, is_ls), found, "{unit:?}");
        }
    }
}
