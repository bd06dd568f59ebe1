//! Finds out whether the room still has this member: a server that was started again has not.
//!
//! A member that sends its own `USERNAME` is answered `USERNAME OK` and not relayed. To a stranger
//! the answer is another one, and a server that is gone has none. The same question keeps a silent
//! member from being removed as idle.

use super::RoomLimits;
use std::time::Instant;

/// What this member knows of its place in the room.
#[derive(Debug)]
pub struct Membership {
    standing: Standing,
    limits: RoomLimits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The room is asked at this moment, if nothing is sent before.
    Member(Instant),
    /// It was asked this often, and has until then to answer.
    Asked(u32, Instant),
    /// The server relays the question like any other message; it cannot be asked.
    Unknown,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Wait,
    /// Ask the room whether we are in it.
    Ask,
    /// Join again.
    Rejoin,
}

impl Membership {
    /// A member since now.
    pub fn new(limits: &RoomLimits, now: Instant) -> Membership {
        Membership {
            standing: Standing::Member(now + limits.probe),
            limits: *limits,
        }
    }

    /// When the next step is due.
    pub fn deadline(&self) -> Option<Instant> {
        match self.standing {
            Standing::Member(due) | Standing::Asked(_, due) => Some(due),
            Standing::Unknown => None,
        }
    }

    /// A message was sent: if it does not come back, [`Membership::doubt`] follows.
    pub fn sent(&mut self, now: Instant) {
        if let Standing::Member(due) = &mut self.standing {
            *due = now + self.limits.probe;
        }
    }

    /// A message was lost or refused: the room is asked at once.
    pub fn doubt(&mut self, now: Instant) {
        if let Standing::Member(due) = &mut self.standing {
            *due = now;
        }
    }

    /// The system reports that the server cannot be reached. The first report may be an old one,
    /// or forged.
    pub fn refused(&mut self, now: Instant) -> Step {
        match self.standing {
            Standing::Asked(..) | Standing::Unknown => Step::Rejoin,
            Standing::Member(_) => {
                self.doubt(now);
                self.step(now)
            }
        }
    }

    /// A datagram came. `echo` is what a room that does not know the question makes of it.
    pub fn heard(&mut self, datagram: &[u8], echo: bool, now: Instant) -> Step {
        if let Standing::Asked(..) = self.standing {
            match datagram.trim_ascii_end() {
                b"USERNAME OK" => *self = Membership::new(&self.limits, now),
                b"PASSWORD INCORRECT" | b"USERNAME TAKEN" => return Step::Rejoin,
                _ if echo => self.standing = Standing::Unknown,
                _ => {}
            }
        }
        Step::Wait
    }

    /// Time has passed.
    pub fn step(&mut self, now: Instant) -> Step {
        let asked = match self.standing {
            Standing::Member(due) if due <= now => 0,
            Standing::Asked(asked, due) if due <= now => asked,
            _ => return Step::Wait,
        };
        if asked == self.limits.tries {
            return Step::Rejoin;
        }
        self.standing = Standing::Asked(asked + 1, now + self.limits.answer);
        Step::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientLimits;

    fn asked() -> (Membership, Instant) {
        let limits = ClientLimits::short().room;
        let now = Instant::now();
        let mut membership = Membership::new(&limits, now);
        assert_eq!(membership.step(now), Step::Wait);
        let due = now + limits.probe;
        membership.sent(due);
        assert_eq!(membership.step(due), Step::Wait);
        let due = due + limits.probe;
        assert_eq!(membership.step(due), Step::Ask);
        (membership, due)
    }

    #[test]
    fn a_member_that_is_known_stays_and_is_asked_again_after_a_silence() {
        let (mut membership, now) = asked();
        assert_eq!(membership.heard(b"budi: hi", false, now), Step::Wait);
        assert_eq!(membership.heard(b"USERNAME OK", false, now), Step::Wait);
        assert_eq!(membership.step(now), Step::Wait);
        membership.doubt(now);
        assert_eq!(membership.step(now), Step::Ask);
    }

    #[test]
    fn a_server_that_forgot_the_member_or_is_silent_or_refuses_is_joined_again() {
        for answer in ["PASSWORD INCORRECT", "USERNAME TAKEN\n"] {
            let (mut membership, now) = asked();
            let step = membership.heard(answer.as_bytes(), false, now);
            assert_eq!(step, Step::Rejoin);
        }
        let (mut membership, mut now) = asked();
        for wanted in [Step::Ask, Step::Ask, Step::Rejoin] {
            now += membership.limits.answer;
            assert_eq!(membership.step(now), wanted);
        }
        let (mut membership, now) = asked();
        assert_eq!(membership.refused(now), Step::Rejoin);
    }

    #[test]
    fn one_refusal_and_a_late_answer_prove_nothing() {
        let limits = ClientLimits::short().room;
        let now = Instant::now();
        let mut membership = Membership::new(&limits, now);
        let late = membership.heard(b"PASSWORD INCORRECT", false, now);
        assert_eq!(late, Step::Wait);
        assert_eq!(membership.refused(now), Step::Ask);
        assert_eq!(membership.heard(b"USERNAME OK", false, now), Step::Wait);
        assert_eq!(membership.step(now), Step::Wait);
    }

    #[test]
    fn a_room_that_relays_the_question_is_not_asked_again() {
        let (mut membership, now) = asked();
        assert_eq!(
            membership.heard(b"ani: USERNAME ani", true, now),
            Step::Wait
        );
        let later = now + membership.limits.probe * 1000;
        assert_eq!(membership.step(later), Step::Wait);
        assert_eq!(membership.refused(later), Step::Rejoin);
    }
}
