//! Numbers a session: its slot in the table of connections, and a serial against stale events.

/// The number of one session. A slot is used again after a close, with another serial: an id that
/// is kept longer than its session finds no session.
///
/// The slot is in the lower 32 bits, the serial in the 28 bits above. The upper 4 bits are 0: the
/// reactor packs the kind of an event into them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

const SERIAL_SHIFT: u32 = 32;

/// The largest serial.
const SERIAL_MASK: u32 = (1 << 28) - 1;

impl SessionId {
    /// The session in a slot. Of the serial, the lower 28 bits count.
    pub fn new(slot: u32, serial: u32) -> SessionId {
        SessionId(u64::from(serial & SERIAL_MASK) << SERIAL_SHIFT | u64::from(slot))
    }

    /// Its place in the table.
    pub fn slot(self) -> u32 {
        self.0 as u32
    }

    /// Its number in events, logs and traces: 1 more than that of the session before, and 0 after
    /// 2^28 sessions.
    pub fn serial(self) -> u32 {
        (self.0 >> SERIAL_SHIFT) as u32 & SERIAL_MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_and_serial_are_found_again() {
        let id = SessionId::new(19_999, SERIAL_MASK);
        assert_eq!((id.slot(), id.serial()), (19_999, SERIAL_MASK));
    }

    #[test]
    fn serials_wrap_at_28_bits() {
        assert_eq!(SessionId::new(7, SERIAL_MASK + 1), SessionId::new(7, 0));
    }
}
