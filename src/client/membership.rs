//! Gets one person into a room, and finds out whether the room still has this member: a server that
//! was started again has not. Without a socket: `join.rs` and `conversation.rs` send and receive.
//!
//! ```text
//!   Password ── PASSWORD OK ──> Name ── USERNAME OK, or what only members hear ──> Member
//!                                                                            ^       │
//!                                                                USERNAME OK │       │ silence
//!                                                                            │       v
//!                                                                            └──── Asked
//! ```
//!
//! Without an answer, or with another one, we are out, and start over.
//!
//! A member that sends its own `USERNAME` is answered `USERNAME OK` and not relayed. To a stranger
//! the answer is another one, and a server that is gone has none. The same question keeps a silent
//! member from being removed as idle.

use super::RoomLimits;
use std::time::Instant;

/// The room's own answers. Members never write these: what they say begins with a name and `: `.
const ANSWERS: [&str; 4] = [
    "PASSWORD OK",
    "PASSWORD INCORRECT",
    "USERNAME OK",
    "USERNAME TAKEN",
];

/// Whether a datagram is an answer to a request, which may come doubled and late.
pub fn is_answer(datagram: &[u8]) -> bool {
    ANSWERS
        .iter()
        .any(|answer| datagram.trim_ascii_end() == answer.as_bytes())
}

/// What opens the room, also for the second time.
#[derive(Debug, Clone)]
pub struct Login {
    /// The address, as the person wrote it.
    pub at: String,
    /// The name in the room.
    pub name: String,
    /// The password of the room.
    pub password: String,
}

/// What this person knows of its place in the room.
#[derive(Debug)]
pub struct Membership {
    /// What opens the room.
    pub login: Login,
    stage: Stage,
    /// How often the request of this stage was sent.
    tries: u32,
    /// When it is sent next. None means that a member cannot ask: the server relays the question
    /// like any other message.
    due: Option<Instant>,
    /// The name is taken, by another or by ourselves.
    taken: bool,
    limits: RoomLimits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Password,
    Name,
    Member,
    Asked,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Wait,
    /// Send this.
    Send(String),
    /// We are in the room.
    In,
    /// We are not in the room. If the server may have let us in nevertheless, because only its
    /// answers were lost, we leave, so that no member stays under our name.
    Out {
        /// Why.
        fault: Fault,
        /// Say `exit`. To a stranger the word means nothing.
        exit: bool,
    },
}

/// Why we are not in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server does not answer.
    Silent,
    /// The system reports that the server cannot be reached.
    Refused,
    /// The server has forgotten us.
    Forgotten,
    /// Another password is needed.
    WrongPassword,
    /// Another name is needed.
    NameTaken,
}

impl Membership {
    /// One who joins from this time on.
    pub fn new(login: Login, limits: &RoomLimits, start: Instant) -> Membership {
        Membership {
            login,
            stage: Stage::Password,
            tries: 0,
            due: Some(start),
            taken: false,
            limits: *limits,
        }
    }

    /// Starts over at this time.
    pub fn join(&mut self, start: Instant) {
        *self = Membership::new(self.login.clone(), &self.limits, start);
    }

    /// Whether messages reach the room, as far as is known.
    pub fn is_in(&self) -> bool {
        matches!(self.stage, Stage::Member | Stage::Asked)
    }

    /// When the next step is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// A message was sent: if it does not come back, [`Membership::doubt`] follows.
    pub fn sent(&mut self, now: Instant) {
        if let (Stage::Member, Some(due)) = (self.stage, &mut self.due) {
            *due = now + self.limits.probe;
        }
    }

    /// A message was lost or refused: the room is asked at once.
    pub fn doubt(&mut self, now: Instant) {
        if let (Stage::Member, Some(due)) = (self.stage, &mut self.due) {
            *due = now;
        }
    }

    /// Time has passed.
    pub fn step(&mut self, now: Instant) -> Step {
        if self.due.is_none_or(|due| now < due) {
            return Step::Wait;
        }
        if self.stage == Stage::Member {
            (self.stage, self.tries) = (Stage::Asked, 0);
        }
        if self.taken {
            return self.out(Fault::NameTaken);
        }
        if self.tries == self.limits.tries {
            return self.out(Fault::Silent);
        }
        self.tries += 1;
        self.due = Some(now + self.limits.answer);
        Step::Send(match self.stage {
            Stage::Password => format!("PASSWORD {}", self.login.password),
            _ => format!("USERNAME {}", self.login.name),
        })
    }

    /// A datagram came.
    ///
    /// The name may be taken by ourselves, when the answer to the first try was lost. Only members
    /// hear what goes on in the room, so that any other datagram means that we are in.
    pub fn hear(&mut self, datagram: &[u8], now: Instant) -> Step {
        match (self.stage, datagram.trim_ascii_end()) {
            (Stage::Password, b"PASSWORD OK") if self.tries > 0 => {
                (self.stage, self.tries, self.due) = (Stage::Name, 0, Some(now));
            }
            (Stage::Password, b"PASSWORD INCORRECT") if self.tries > 0 => {
                return self.out(Fault::WrongPassword);
            }
            // A late answer to the password when it was sent twice.
            (Stage::Name, b"PASSWORD OK") => {}
            (Stage::Name, b"USERNAME TAKEN") if self.tries > 1 => self.taken = true,
            (Stage::Name, b"USERNAME TAKEN") => return self.out(Fault::NameTaken),
            // The server has forgotten the password.
            (Stage::Name, b"PASSWORD INCORRECT") => return self.out(Fault::WrongPassword),
            (Stage::Name, _) => {
                (self.stage, self.due) = (Stage::Member, Some(now + self.limits.probe));
                return Step::In;
            }
            (Stage::Asked, b"USERNAME OK") => {
                (self.stage, self.due) = (Stage::Member, Some(now + self.limits.probe));
            }
            (Stage::Asked, b"PASSWORD INCORRECT" | b"USERNAME TAKEN") => {
                return self.out(Fault::Forgotten);
            }
            (Stage::Asked, text) if self.is_echo(text) => {
                (self.stage, self.due) = (Stage::Member, None);
            }
            (Stage::Password | Stage::Member | Stage::Asked, _) => {}
        }
        Step::Wait
    }

    /// The system reports that the server cannot be reached. To a member the first report may be
    /// an old one, or forged; before an attempt to join begins, it belongs to the one before.
    pub fn refused(&mut self, now: Instant) -> Step {
        match self.stage {
            Stage::Password if self.tries == 0 => Step::Wait,
            Stage::Member if self.due.is_some() => {
                self.doubt(now);
                self.step(now)
            }
            _ => Step::Out {
                fault: Fault::Refused,
                exit: false,
            },
        }
    }

    /// Whether this is what a room that does not know our question makes of it.
    pub fn is_echo(&self, text: &[u8]) -> bool {
        text == format!("{0}: USERNAME {0}", self.login.name).as_bytes()
    }

    fn out(&mut self, fault: Fault) -> Step {
        let exit = self.stage == Stage::Name;
        Step::Out { fault, exit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientLimits;

    fn member() -> (Membership, Instant) {
        let (limits, now) = (ClientLimits::short().room, Instant::now());
        let login = Login {
            at: String::new(),
            name: "ani".to_owned(),
            password: "pw".to_owned(),
        };
        let mut member = Membership::new(login, &limits, now);
        assert_eq!(member.step(now), Step::Send("PASSWORD pw".to_owned()));
        assert_eq!(member.hear(b"PASSWORD OK", now), Step::Wait);
        assert_eq!(member.step(now), asks());
        assert_eq!(member.hear(b"USERNAME OK", now), Step::In);
        (member, now)
    }

    fn asks() -> Step {
        Step::Send("USERNAME ani".to_owned())
    }

    fn out(fault: Fault) -> Step {
        Step::Out { fault, exit: false }
    }

    fn asked() -> (Membership, Instant) {
        let (mut member, now) = member();
        assert_eq!(member.step(now), Step::Wait);
        let due = now + member.limits.probe;
        member.sent(due);
        assert_eq!(member.step(due), Step::Wait);
        let due = due + member.limits.probe;
        assert_eq!(member.step(due), asks());
        (member, due)
    }

    #[test]
    fn a_member_that_is_known_stays_and_is_asked_again_after_a_silence() {
        let (mut member, now) = asked();
        assert_eq!(member.hear(b"budi: hi", now), Step::Wait);
        assert_eq!(member.hear(b"USERNAME OK", now), Step::Wait);
        assert_eq!(member.step(now), Step::Wait);
        member.doubt(now);
        assert_eq!(member.step(now), asks());
    }

    #[test]
    fn a_server_that_forgot_the_member_or_is_silent_or_refuses_is_joined_again() {
        for answer in ["PASSWORD INCORRECT", "USERNAME TAKEN\n"] {
            let (mut member, now) = asked();
            assert_eq!(member.hear(answer.as_bytes(), now), out(Fault::Forgotten));
        }
        let (mut member, mut now) = asked();
        for wanted in [asks(), asks(), out(Fault::Silent)] {
            now += member.limits.answer;
            assert_eq!(member.step(now), wanted);
        }
        let (mut member, now) = asked();
        assert_eq!(member.refused(now), out(Fault::Refused));
    }

    #[test]
    fn one_refusal_and_a_late_answer_prove_nothing() {
        let (mut member, now) = member();
        assert_eq!(member.hear(b"PASSWORD INCORRECT", now), Step::Wait);
        assert_eq!(member.refused(now), asks());
        assert_eq!(member.hear(b"USERNAME OK", now), Step::Wait);
        assert!(member.is_in());
    }

    #[test]
    fn a_room_that_relays_the_question_is_not_asked_again() {
        let (mut member, now) = asked();
        assert_eq!(member.hear(b"ani: USERNAME ani", now), Step::Wait);
        let later = now + member.limits.probe * 1000;
        assert_eq!(member.step(later), Step::Wait);
        assert_eq!(member.refused(later), out(Fault::Refused));
    }

    #[test]
    fn answers_are_told_from_what_members_say() {
        assert!(is_answer(b"USERNAME OK\n"));
        assert!(!is_answer(b"ani: USERNAME OK"));
    }
}
