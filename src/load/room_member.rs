//! One member of a room: joins, and checks every message that it receives.

use super::errors::RequestFailure;
use super::run_state::{RunStage, RunState};
use super::test_data::TestData;
use crate::reactor::clock::Moment;
use crate::session::datagram::{DatagramContext, DatagramProtocol, Route};
use crate::wire::text::OneLine;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

/// The progress of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinState {
    /// The password is not accepted yet.
    Outside,
    /// The password is accepted, the name is not.
    Admitted,
    /// The member receives all messages.
    Joined,
}

/// State shared by all members.
pub struct RoomState {
    /// The name of the run; all member names begin with it.
    pub run: String,
    /// The password of the room.
    pub password: String,
    /// The address of the room.
    pub server: SocketAddr,
    /// Bytes of a message, without the name in front.
    pub size: usize,
    /// The number of members.
    pub members: usize,
    /// The source of message texts.
    pub data: TestData,
    /// When each message was due.
    pub due: Vec<Moment>,
    /// The progress of each member.
    pub join_states: Vec<JoinState>,
    /// Why the run cannot continue.
    pub failure: Option<String>,
    /// Why there seems to be no server at the address.
    pub no_answer: Option<String>,
}

impl RoomState {
    /// Whether the room has answered any member.
    pub fn is_answered(&self) -> bool {
        self.join_states
            .iter()
            .any(|place| *place != JoinState::Outside)
    }

    /// The name of a member.
    pub fn name(&self, member: usize) -> String {
        format!("{}-{member}", self.run)
    }

    /// The next request of a member to join.
    pub fn request(&self, member: usize) -> String {
        match self.join_states[member] {
            JoinState::Outside => format!("PASSWORD {}", self.password),
            _ => format!("USERNAME {}", self.name(member)),
        }
    }

    /// The text of a message, as sent and as received. The members send in turn.
    pub fn message(&self, number: usize) -> String {
        let mut text = format!("{}: {number} ", self.name(number % self.members));
        let begin = text.len() - text.rfind(": ").map_or(0, |colon| colon + 2);
        let length = self.size.saturating_sub(begin);
        text.push_str(&self.data.text(number as u64 * 1_009, length));
        text
    }

    /// Parses the number of a message.
    fn number(&self, text: &str) -> Option<usize> {
        let (_, text) = text.split_once(": ")?;
        let number = text.split(' ').next()?.parse().ok()?;
        (number < self.due.len()).then_some(number)
    }
}

/// One member.
pub struct RoomMember {
    number: usize,
    state: Rc<RefCell<RunState>>,
    room: Rc<RefCell<RoomState>>,
    /// The received messages, one bit each.
    seen: Vec<u64>,
}

impl RoomMember {
    /// A member that has not joined yet.
    pub fn new(
        number: usize,
        state: Rc<RefCell<RunState>>,
        room: Rc<RefCell<RoomState>>,
    ) -> RoomMember {
        RoomMember {
            number,
            state,
            room,
            seen: Vec::new(),
        }
    }

    /// Whether this message is received for the first time.
    fn is_new(&mut self, message: usize) -> bool {
        let (word, bit) = (message / 64, 1 << (message % 64));
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        let is_new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        is_new
    }

    fn check_message(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let is_notice = [" bergabung ke chatroom.", " telah keluar dari chatroom."]
            .iter()
            .any(|end| text.ends_with(end) && !text.contains(": "));
        // The room probes whether the member still exists.
        let is_probe = text.trim().is_empty();
        if is_notice || is_probe || bytes == b"USERNAME OK" {
            return;
        }
        let room = self.room.clone();
        let room = room.borrow();
        let number = room.number(&text);
        let Some(number) = number.filter(|number| room.message(*number).as_bytes() == bytes) else {
            return self.record_wrong(&format!("received an unknown message: {}", OneLine(text)));
        };
        if self.is_new(number) {
            self.state.borrow_mut().answered(0, room.due[number]);
        } else {
            self.record_wrong(&format!("received message {number} twice"));
        }
    }

    fn record_wrong(&self, what: &str) {
        let number = self.number;
        let mut state = self.state.borrow_mut();
        let text = || format!("member {number} {what}");
        state
            .recorder
            .record_error(RequestFailure::WrongBytes, 1, text);
    }

    fn set_joined(&self) {
        self.room.borrow_mut().join_states[self.number] = JoinState::Joined;
        self.state.borrow_mut().ready += 1;
    }
}

impl DatagramProtocol for RoomMember {
    fn on_datagram(&mut self, _: Route, bytes: &[u8], cx: &mut DatagramContext<'_>) {
        {
            let state = &mut *self.state.borrow_mut();
            state.recorder.moved(bytes.len() as u64, 0, state.now);
        }
        let join_state = self.room.borrow().join_states[self.number];
        match (join_state, bytes) {
            (JoinState::Joined, _) => self.check_message(bytes),
            (JoinState::Outside, b"PASSWORD OK") => {
                let mut room = self.room.borrow_mut();
                room.join_states[self.number] = JoinState::Admitted;
                cx.out
                    .to_one(room.request(self.number).as_bytes(), room.server);
            }
            (JoinState::Outside, b"PASSWORD INCORRECT") => {
                let failure = "the room rejects this password";
                self.room.borrow_mut().failure = Some(failure.to_owned());
            }
            // The second answer to a repeated password.
            (JoinState::Admitted, b"PASSWORD OK") => {}
            (JoinState::Admitted, b"USERNAME TAKEN") => {
                let mut room = self.room.borrow_mut();
                let name = room.name(self.number);
                room.failure = Some(format!(
                    "the name {name} is in use, or the room accepts no more members from \
                     this machine; try again, or start it with a larger --room-per-address"
                ));
            }
            // Any other message proves that the member has joined, even if the answer to its name
            // was lost.
            (JoinState::Admitted, _) => {
                self.set_joined();
                // The room removes a member that never answers, as a forged address.
                let room = self.room.borrow();
                cx.out
                    .to_one(room.request(self.number).as_bytes(), room.server);
            }
            (JoinState::Outside, _) => {}
        }
    }

    fn on_refused(&mut self, to: SocketAddr, _: &mut DatagramContext<'_>) {
        if self.state.borrow().stage != RunStage::CleaningUp {
            let failure = format!("no server listens at {to}; is the server running there?");
            self.room.borrow_mut().no_answer = Some(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_requested_length_and_its_number_is_parsed() {
        let mut room = RoomState {
            run: "load-1".to_owned(),
            password: String::new(),
            server: SocketAddr::from(([127, 0, 0, 1], 1)),
            size: 20,
            members: 3,
            data: TestData::new(101).expect("memory"),
            due: vec![Moment(0); 12],
            join_states: Vec::new(),
            failure: None,
            no_answer: None,
        };
        let message = room.message(11);
        assert!(message.starts_with("load-1-2: 11 "), "{message}");
        assert_eq!(message.len(), "load-1-2: ".len() + 20);
        assert_eq!(room.number(&message), Some(11));
        assert_eq!(room.number("load-1-2: 12 abc"), None);
        room.size = 1;
        assert_eq!(room.message(11), "load-1-2: 11 ");
    }
}
