//! A protocol that takes the place of the one that a connection began with.

use super::close_reason::CloseReason;
use super::protocol::{Intake, Protocol};
use super::proxies::Client;
use super::session::Session;
use super::shared::Shared;

impl Session {
    /// The protocol that the last one has asked for, to be passed to [`Session::replace`].
    pub fn take_successor(&mut self) -> (Box<dyn Protocol>, Client) {
        match std::mem::replace(&mut self.intake, Intake::Bytes) {
            Intake::Replace(successor) => *successor,
            _ => unreachable!("it is taken once"),
        }
    }

    /// Goes on with another protocol, which is opened unless it is open.
    pub fn replace(&mut self, protocol: Box<dyn Protocol>, is_open: bool, shared: &mut Shared) {
        self.protocol = protocol;
        if !is_open {
            self.open(shared);
        }
    }

    /// Sends a reply to a client that gets no protocol, and closes.
    pub fn refuse(&mut self, reply: &[u8]) {
        let buffers = self.buffers.get_or_insert_default();
        buffers.outbox.bytes(reply);
        self.intake = Intake::Close(CloseReason::Refused);
    }
}
