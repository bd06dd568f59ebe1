//! Notes how the bytes of a unit come: by one read, by several, or with pauses, as keys do.
//! Measures no pause: the reactor does, and the splitter says whether one was over.

/// How the bytes of the unit in hand have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// By one read.
    Whole,
    /// By several reads, within the time in which one `send()` arrives.
    Pieces,
    /// For longer than that, this unit or one before it: a peer that types once types on, and its
    /// keys come in one piece when they had to wait.
    Typed,
}

impl Arrival {
    /// More of the unit has come, behind a pause or at once.
    pub fn grown(self, paused: bool) -> Arrival {
        match self {
            _ if paused => Arrival::Typed,
            Arrival::Whole | Arrival::Pieces => Arrival::Pieces,
            Arrival::Typed => Arrival::Typed,
        }
    }

    /// Another unit begins.
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
    fn one_pause_is_remembered_for_ever() {
        let pieces = Arrival::Whole.grown(false).grown(false);
        assert_eq!(pieces, Arrival::Pieces);
        assert_eq!(pieces.renewed(), Arrival::Whole);
        let typed = pieces.grown(true);
        assert_eq!(typed.renewed().grown(false), Arrival::Typed);
    }
}
