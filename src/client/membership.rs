//! Decides what a room client sends to join, and to find out whether it is still a member: a room
//! that is restarted has forgotten it. No I/O: `join.rs` and `conversation.rs` send and receive.
//!
//! ```text
//!   Password ── PASSWORD OK ──> Name ── USERNAME OK, or a room message ──> Member
//!                                                                          ^    │
//!                                                              USERNAME OK │    │ silence
//!                                                                          │    v
//!                                                                         Checking
//! ```
//!
//! From each state, no answer or a negative one means that the client is no member, and has to
//! start over.
//!
//! The membership check sends the client's own `USERNAME` again. To a member, the room answers
//! `USERNAME OK` and does not relay the datagram; any other answer means that the membership is
//! lost. The check also keeps a silent member from being removed as idle.
//!
//! A client checks once when it has joined. A room that answers `USERNAME OK` knows such checks, so
//! that the client sends another one with blanks behind it: if the room keeps the last messages, it
//! answers with as many as fit into the blanks, and then `USERNAME OK`.

use super::RoomClientLimits;
use std::time::{Duration, Instant};

/// The answers of the room. No relayed message equals one: it begins with a name and `: `.
const ANSWERS: [&str; 4] = [
    "PASSWORD OK",
    "PASSWORD INCORRECT",
    "USERNAME OK",
    "USERNAME TAKEN",
];

/// Whether a datagram is an answer to a request. Answers can arrive twice, and late.
pub fn is_answer(datagram: &[u8]) -> bool {
    ANSWERS
        .iter()
        .any(|answer| datagram.trim_ascii_end() == answer.as_bytes())
}

/// What a client needs to join, and to join again.
#[derive(Debug, Clone)]
pub struct Login {
    /// The address as the user wrote it.
    pub at: String,
    /// The name in the room.
    pub name: String,
    /// The password of the room.
    pub password: String,
}

/// The membership of one client, as far as the client knows.
#[derive(Debug)]
pub struct Membership {
    /// What the client joins with.
    pub login: Login,
    state: MemberState,
    /// The number of times the request of this state was sent.
    tries: u32,
    /// When the request is sent next. None: this room relays the check like a message, so a member
    /// cannot use it.
    due: Option<Instant>,
    /// `USERNAME TAKEN` arrived after a repeated request: the holder may be this client itself.
    is_name_taken: bool,
    history: History,
    limits: RoomClientLimits,
}

/// Whether the client has asked for the last messages. It asks once, also if it joins again, and
/// does not repeat a request: an answer that is only late would show the messages twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum History {
    /// The first check finds out whether the room knows checks.
    Unknown,
    /// The next check asks for them.
    Wanted,
    /// They were shown, there are none, or the room has not answered.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MemberState {
    Password,
    Name,
    Member,
    Checking,
}

/// What the caller does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Wait for a datagram or the deadline.
    Wait,
    /// Send this datagram.
    Send(String),
    /// The client is now a member.
    Joined,
    /// The client is not a member.
    Left {
        /// The reason.
        error: RoomError,
        /// Send `exit`: the room may have admitted the client although its answers were lost, and
        /// the name would stay taken. Other rooms ignore it.
        send_exit: bool,
    },
}

/// Why a client is not a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomError {
    /// No answer to [`RoomClientLimits::max_tries`] requests.
    NoAnswer,
    /// The kernel reports that the server cannot be reached.
    Unreachable,
    /// The answer to a membership check was negative.
    Forgotten,
    /// The password is wrong.
    WrongPassword,
    /// Another member has the name.
    NameTaken,
}

impl Membership {
    /// A client that sends its first request at `start`.
    pub fn new(login: Login, limits: &RoomClientLimits, start: Instant) -> Membership {
        Membership {
            login,
            state: MemberState::Password,
            tries: 0,
            due: Some(start),
            is_name_taken: false,
            history: History::Unknown,
            limits: *limits,
        }
    }

    /// Starts over at this time.
    pub fn restart(&mut self, start: Instant) {
        let history = match self.history {
            History::Unknown => History::Unknown,
            History::Wanted | History::Done => History::Done,
        };
        *self = Membership {
            history,
            ..Membership::new(self.login.clone(), &self.limits, start)
        };
    }

    /// Whether the client is a member, as far as it knows.
    pub fn is_member(&self) -> bool {
        matches!(self.state, MemberState::Member | MemberState::Checking)
    }

    /// Whether a message of the client is to wait: it belongs behind the last messages before it.
    pub fn awaits_history(&self) -> bool {
        self.is_member() && self.history != History::Done
    }

    /// When [`Membership::next_action`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// A message was sent. Its copy proves the membership, so the next check is put off.
    pub fn on_sent(&mut self, now: Instant) {
        if let (MemberState::Member, Some(due)) = (self.state, &mut self.due) {
            *due = now + self.limits.check_interval;
        }
    }

    /// Makes a membership check due: a message was lost, or the membership is in doubt.
    pub fn check_now(&mut self, now: Instant) {
        if let (MemberState::Member, Some(due)) = (self.state, &mut self.due) {
            *due = now;
        }
    }

    /// The action that is due by now.
    pub fn next_action(&mut self, now: Instant) -> Action {
        if self.due.is_none_or(|due| now < due) {
            return Action::Wait;
        }
        if self.state == MemberState::Member {
            (self.state, self.tries) = (MemberState::Checking, 0);
        }
        if self.is_name_taken {
            return self.left(RoomError::NameTaken);
        }
        // A room that does not answer the first checks may know none. The client is a member still.
        if self.state == MemberState::Checking && self.history != History::Done && self.tries > 0 {
            self.history = History::Done;
            (self.state, self.due) = (MemberState::Member, Some(now + self.limits.check_interval));
            return Action::Wait;
        }
        if self.tries == self.limits.max_tries {
            return self.left(RoomError::NoAnswer);
        }
        self.tries += 1;
        self.due = Some(now + self.limits.answer_timeout);
        Action::Send(match self.state {
            MemberState::Password => format!("PASSWORD {}", self.login.password),
            MemberState::Checking if self.history == History::Wanted => {
                let check = format!("USERNAME {}", self.login.name);
                let blanks = self.limits.datagram.saturating_sub(check.len());
                check + &" ".repeat(blanks)
            }
            _ => format!("USERNAME {}", self.login.name),
        })
    }

    /// A datagram arrived.
    ///
    /// After a repeated `USERNAME` the name may be taken by this client itself, if the first answer
    /// was lost. Only members receive messages, so any other datagram proves the membership.
    pub fn on_datagram(&mut self, datagram: &[u8], now: Instant) -> Action {
        use MemberState::{Checking, Member, Name, Password};
        match (self.state, datagram.trim_ascii_end()) {
            (Password, b"PASSWORD OK") if self.tries > 0 => {
                (self.state, self.tries, self.due) = (Name, 0, Some(now));
            }
            (Password, b"PASSWORD INCORRECT") if self.tries > 0 => {
                return self.left(RoomError::WrongPassword);
            }
            // The second answer to a repeated password.
            (Name, b"PASSWORD OK") => {}
            (Name, b"USERNAME TAKEN") if self.tries > 1 => self.is_name_taken = true,
            (Name, b"USERNAME TAKEN") => return self.left(RoomError::NameTaken),
            // The server no longer knows that this address sent the password.
            (Name, b"PASSWORD INCORRECT") => return self.left(RoomError::WrongPassword),
            (Name, _) => {
                let pause = match self.history {
                    History::Unknown => Duration::ZERO,
                    _ => self.limits.check_interval,
                };
                (self.state, self.tries, self.due) = (Member, 0, Some(now + pause));
                self.is_name_taken = false;
                return Action::Joined;
            }
            (Checking, b"USERNAME OK") if self.history == History::Unknown => {
                (self.history, self.tries, self.due) = (History::Wanted, 0, Some(now));
            }
            (Checking, b"USERNAME OK") => {
                self.history = History::Done;
                (self.state, self.due) = (Member, Some(now + self.limits.check_interval));
            }
            // A late answer to an attempt to join: the membership has just begun.
            (Checking, b"PASSWORD INCORRECT" | b"USERNAME TAKEN")
                if self.history != History::Done => {}
            (Checking, b"PASSWORD INCORRECT" | b"USERNAME TAKEN") => {
                return self.left(RoomError::Forgotten);
            }
            // A message that is shown as one of the last is no copy of the check.
            (Checking, text) if self.history != History::Wanted && self.is_relayed_check(text) => {
                (self.state, self.due, self.history) = (Member, None, History::Done);
            }
            (Password | Member | Checking, _) => {}
        }
        Action::Wait
    }

    /// The kernel reports that the server cannot be reached: an ICMP error arrived.
    ///
    /// A member checks first, because the report may be old or forged. Before the first request of
    /// an attempt to join, the report belongs to the previous attempt.
    pub fn on_unreachable(&mut self, now: Instant) -> Action {
        match self.state {
            MemberState::Password if self.tries == 0 => Action::Wait,
            MemberState::Member if self.due.is_some() => {
                self.check_now(now);
                self.next_action(now)
            }
            MemberState::Checking if self.history != History::Done => {
                (self.history, self.tries, self.due) = (History::Done, 0, Some(now));
                self.next_action(now)
            }
            _ => Action::Left {
                error: RoomError::Unreachable,
                send_exit: false,
            },
        }
    }

    /// Whether this is the client's membership check, relayed as a message by a room that does not
    /// know such checks.
    pub fn is_relayed_check(&self, text: &[u8]) -> bool {
        text == format!("{0}: USERNAME {0}", self.login.name).as_bytes()
    }

    fn left(&self, error: RoomError) -> Action {
        let send_exit = self.state == MemberState::Name;
        Action::Left { error, send_exit }
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
        assert_eq!(
            member.next_action(now),
            Action::Send("PASSWORD pw".to_owned())
        );
        assert_eq!(member.on_datagram(b"PASSWORD OK", now), Action::Wait);
        assert_eq!(member.next_action(now), check());
        assert_eq!(member.on_datagram(b"USERNAME OK", now), Action::Joined);
        (member, now)
    }

    /// A member that was shown the last messages.
    fn settled_member() -> (Membership, Instant) {
        let (mut member, now) = member();
        assert_eq!(member.next_action(now), check());
        assert_eq!(member.on_datagram(b"USERNAME OK", now), Action::Wait);
        let padded = format!("{:1$}", "USERNAME ani", member.limits.datagram);
        assert_eq!(member.next_action(now), Action::Send(padded));
        assert!(member.awaits_history());
        assert_eq!(member.on_datagram(b"budi: before", now), Action::Wait);
        assert_eq!(member.on_datagram(b"USERNAME OK", now), Action::Wait);
        assert!(!member.awaits_history());
        (member, now)
    }

    fn check() -> Action {
        Action::Send("USERNAME ani".to_owned())
    }

    fn left(error: RoomError) -> Action {
        Action::Left {
            error,
            send_exit: false,
        }
    }

    fn checking() -> (Membership, Instant) {
        let (mut member, now) = settled_member();
        assert_eq!(member.next_action(now), Action::Wait);
        let due = now + member.limits.check_interval;
        member.on_sent(due);
        assert_eq!(member.next_action(due), Action::Wait);
        let due = due + member.limits.check_interval;
        assert_eq!(member.next_action(due), check());
        (member, due)
    }

    #[test]
    fn a_member_stays_after_a_positive_check_and_checks_again_when_in_doubt() {
        let (mut member, now) = checking();
        assert_eq!(member.on_datagram(b"budi: hi", now), Action::Wait);
        assert_eq!(member.on_datagram(b"USERNAME OK", now), Action::Wait);
        assert_eq!(member.next_action(now), Action::Wait);
        member.check_now(now);
        assert_eq!(member.next_action(now), check());
    }

    #[test]
    fn a_negative_check_no_answer_or_no_server_ends_the_membership() {
        for answer in ["PASSWORD INCORRECT", "USERNAME TAKEN\n"] {
            let (mut member, now) = checking();
            assert_eq!(
                member.on_datagram(answer.as_bytes(), now),
                left(RoomError::Forgotten)
            );
        }
        let (mut member, mut now) = checking();
        for wanted in [check(), check(), left(RoomError::NoAnswer)] {
            now += member.limits.answer_timeout;
            assert_eq!(member.next_action(now), wanted);
        }
        let (mut member, now) = checking();
        assert_eq!(member.on_unreachable(now), left(RoomError::Unreachable));
    }

    #[test]
    fn a_late_answer_and_one_icmp_error_do_not_end_the_membership() {
        let (mut member, now) = settled_member();
        assert_eq!(member.on_datagram(b"PASSWORD INCORRECT", now), Action::Wait);
        assert_eq!(member.on_unreachable(now), check());
        assert_eq!(member.on_datagram(b"USERNAME OK", now), Action::Wait);
        assert!(member.is_member());
    }

    #[test]
    fn a_room_that_relays_the_check_is_not_checked_again() {
        let (mut member, now) = checking();
        assert_eq!(member.on_datagram(b"ani: USERNAME ani", now), Action::Wait);
        let later = now + member.limits.check_interval * 1000;
        assert_eq!(member.next_action(later), Action::Wait);
        assert_eq!(member.on_unreachable(later), left(RoomError::Unreachable));
    }

    #[test]
    fn the_last_messages_are_asked_for_once() {
        let (mut member, mut now) = member();
        assert_eq!(member.next_action(now), check());
        assert_eq!(member.on_datagram(b"USERNAME OK", now), Action::Wait);
        assert_ne!(member.next_action(now), check());
        // One of them that looks like the copy of a check.
        assert_eq!(member.on_datagram(b"ani: USERNAME ani", now), Action::Wait);
        now += member.limits.answer_timeout;
        assert_eq!(member.next_action(now), Action::Wait);
        assert!(member.is_member() && !member.awaits_history());
        now += member.limits.check_interval;
        assert_eq!(member.next_action(now), check());
        member.restart(now);
        for answer in [&b"PASSWORD OK"[..], b"USERNAME OK"] {
            assert_ne!(member.next_action(now), Action::Wait);
            member.on_datagram(answer, now);
        }
        assert!(member.is_member() && !member.awaits_history());
        assert_eq!(member.next_action(now), Action::Wait);
    }

    #[test]
    fn a_room_that_does_not_answer_the_first_check_keeps_its_member() {
        for answer in ["", "USERNAME TAKEN", "USERNAME ani", "ani: USERNAME ani"] {
            let (mut member, mut now) = member();
            assert_eq!(member.next_action(now), check());
            assert!(member.awaits_history());
            assert_eq!(member.on_datagram(answer.as_bytes(), now), Action::Wait);
            now += member.limits.answer_timeout;
            assert_eq!(member.next_action(now), Action::Wait, "{answer}");
            assert!(member.is_member() && !member.awaits_history());
        }
        let (mut member, now) = member();
        assert_eq!(member.next_action(now), check());
        assert_eq!(member.on_unreachable(now), check());
        assert_eq!(member.on_datagram(b"USERNAME OK", now), Action::Wait);
        assert!(member.is_member() && !member.awaits_history());
    }

    #[test]
    fn an_answer_is_distinguished_from_a_message_with_the_same_text() {
        assert!(is_answer(b"USERNAME OK\n"));
        assert!(!is_answer(b"ani: USERNAME OK"));
    }
}
