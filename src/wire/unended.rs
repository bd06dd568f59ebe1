//! Classifies a unit without LF: a whole command, the beginning of one, or neither.

/// What a unit without LF is, judged by the bytes received so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unended {
    /// A whole command that changes nothing.
    Question,
    /// A whole command that changes a file.
    Change,
    /// `SEND` or `RECEIVE`: complete as soon as it was received.
    Word,
    /// The beginning of a command: more bytes, or LF, can complete it.
    Part,
    /// Not a command, whatever follows. The caller refuses it.
    Hopeless,
}

impl Unended {
    /// Classifies a unit with `judge`. A CR at its end may belong to a CR LF that is still
    /// arriving.
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
    fn a_final_cr_waits_for_lf() {
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
