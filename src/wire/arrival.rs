//! How the bytes of a unit arrived: in one read, in several, or with pauses as from a keyboard.

/// How the bytes of the current unit have arrived so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// In one read.
    Whole,
    /// In several reads, within the time that the bytes of one `send()` need.
    Pieces,
    /// Over a longer time, for this unit or an earlier one. The state is kept: keys that wait in a
    /// queue arrive in one piece, so later units of a typing peer may look whole.
    Typed,
}

impl Arrival {
    /// More bytes of the same unit arrived; `paused` says that a pause came before them.
    pub fn grown(self, paused: bool) -> Arrival {
        match self {
            _ if paused => Arrival::Typed,
            Arrival::Whole | Arrival::Pieces => Arrival::Pieces,
            Arrival::Typed => Arrival::Typed,
        }
    }

    /// The next unit begins.
    pub fn renewed(self) -> Arrival {
        match self {
            Arrival::Whole | Arrival::Pieces => Arrival::Whole,
            Arrival::Typed => Arrival::Typed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pause_marks_the_peer_as_typing_for_good() {
        let pieces = Arrival::Whole.grown(false).grown(false);
        assert_eq!(pieces, Arrival::Pieces);
        assert_eq!(pieces.renewed(), Arrival::Whole);
        let typed = pieces.grown(true);
        assert_eq!(typed.renewed().grown(false), Arrival::Typed);
    }
}
