//! One member of a room: finds its way in, and checks every message that it is told.

use super::errors::Fault;
use super::run_state::{Board, Stage};
use super::test_data::Pattern;
use crate::reactor::clock::Moment;
use crate::session::datagram::{DatagramContext, DatagramProtocol, Route};
use crate::wire::text::OneLine;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

/// How far a member has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It has not given the password, or has not been answered.
    Outside,
    /// It may choose a name.
    AtTheDoor,
    /// It hears everything.
    Inside,
}

/// What all members know.
pub struct Talk {
    /// The name of the run, with which all names begin.
    pub run: String,
    /// What opens the room.
    pub password: String,
    /// The room.
    pub server: SocketAddr,
    /// Bytes of a message.
    pub size: usize,
    /// Members.
    pub members: usize,
    /// Where messages come from.
    pub pattern: Pattern,
    /// When each message was due.
    pub due: Vec<Moment>,
    /// Where each member is.
    pub places: Vec<Place>,
    /// Why the run cannot go on.
    pub trouble: Option<String>,
    /// Why nobody seems to be at the server's address.
    pub absence: Option<String>,
}

impl Talk {
    /// Whether the room has answered anybody.
    pub fn is_answered(&self) -> bool {
        self.places.iter().any(|place| *place != Place::Outside)
    }

    /// The name of a member.
    pub fn name(&self, member: usize) -> String {
        format!("{}-{member}", self.run)
    }

    /// What a member says next to come in.
    pub fn request(&self, member: usize) -> String {
        match self.places[member] {
            Place::Outside => format!("PASSWORD {}", self.password),
            _ => format!("USERNAME {}", self.name(member)),
        }
    }

    /// A message as it is sent, and as it comes back. Members take turns.
    pub fn message(&self, number: usize) -> String {
        let mut text = format!("{}: {number} ", self.name(number % self.members));
        let begin = text.len() - text.rfind(": ").map_or(0, |colon| colon + 2);
        let length = self.size.saturating_sub(begin);
        text.push_str(&self.pattern.text(number as u64 * 1_009, length));
        text
    }

    /// The number that a message says it has.
    fn number(&self, text: &str) -> Option<usize> {
        let (_, text) = text.split_once(": ")?;
        let number = text.split(' ').next()?.parse().ok()?;
        (number < self.due.len()).then_some(number)
    }
}

/// One member.
pub struct Member {
    number: usize,
    board: Rc<RefCell<Board>>,
    talk: Rc<RefCell<Talk>>,
    /// The messages that have come, a bit each.
    seen: Vec<u64>,
}

impl Member {
    /// A member that stands outside.
    pub fn new(number: usize, board: Rc<RefCell<Board>>, talk: Rc<RefCell<Talk>>) -> Member {
        Member {
            number,
            board,
            talk,
            seen: Vec::new(),
        }
    }

    /// Whether this message comes for the first time.
    fn is_new(&mut self, message: usize) -> bool {
        let (word, bit) = (message / 64, 1 << (message % 64));
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        let is_new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        is_new
    }

    fn hear(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let is_notice = [" bergabung ke chatroom.", " telah keluar dari chatroom."]
            .iter()
            .any(|end| text.ends_with(end) && !text.contains(": "));
        // The room asks whether the member is still there.
        let is_probe = text.trim().is_empty();
        if is_notice || is_probe || bytes == b"USERNAME OK" {
            return;
        }
        let talk = self.talk.clone();
        let talk = talk.borrow();
        let number = talk.number(&text);
        let Some(number) = number.filter(|number| talk.message(*number).as_bytes() == bytes) else {
            return self.wrong(&format!("heard what nobody had said: {}", OneLine(text)));
        };
        if self.is_new(number) {
            self.board.borrow_mut().answered(0, talk.due[number]);
        } else {
            self.wrong(&format!("heard message {number} twice"));
        }
    }

    fn wrong(&self, what: &str) {
        let number = self.number;
        let mut board = self.board.borrow_mut();
        let text = || format!("member {number} {what}");
        board.recorder.fault(Fault::Wrong, 1, text);
    }

    fn enter(&self) {
        self.talk.borrow_mut().places[self.number] = Place::Inside;
        self.board.borrow_mut().ready += 1;
    }
}

impl DatagramProtocol for Member {
    fn on_datagram(&mut self, _: Route, bytes: &[u8], cx: &mut DatagramContext<'_>) {
        {
            let board = &mut *self.board.borrow_mut();
            board.recorder.moved(bytes.len() as u64, 0, board.now);
        }
        let place = self.talk.borrow().places[self.number];
        match (place, bytes) {
            (Place::Inside, _) => self.hear(bytes),
            (Place::Outside, b"PASSWORD OK") => {
                let mut talk = self.talk.borrow_mut();
                talk.places[self.number] = Place::AtTheDoor;
                cx.out
                    .to_one(talk.request(self.number).as_bytes(), talk.server);
            }
            (Place::Outside, b"PASSWORD INCORRECT") => {
                let trouble = "the room does not take this password";
                self.talk.borrow_mut().trouble = Some(trouble.to_owned());
            }
            // A second answer to a password that was given twice.
            (Place::AtTheDoor, b"PASSWORD OK") => {}
            (Place::AtTheDoor, b"USERNAME TAKEN") => {
                let mut talk = self.talk.borrow_mut();
                let name = talk.name(self.number);
                talk.trouble = Some(format!(
                    "the name {name} is taken in the room, or the room has no more places for \
                     this machine; try again, or start it with a larger --room-per-address"
                ));
            }
            // Who hears of others is inside, also when the answer to its name was lost.
            (Place::AtTheDoor, _) => {
                self.enter();
                // A member that only listens would soon be taken for a forged address.
                let talk = self.talk.borrow();
                cx.out
                    .to_one(talk.request(self.number).as_bytes(), talk.server);
            }
            (Place::Outside, _) => {}
        }
    }

    fn on_refused(&mut self, to: SocketAddr, _: &mut DatagramContext<'_>) {
        if self.board.borrow().stage != Stage::CleaningUp {
            let trouble = format!("nobody listens at {to}; is the server running there?");
            self.talk.borrow_mut().absence = Some(trouble);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_length_and_is_found_again_by_its_number() {
        let mut talk = Talk {
            run: "load-1".to_owned(),
            password: String::new(),
            server: SocketAddr::from(([127, 0, 0, 1], 1)),
            size: 20,
            members: 3,
            pattern: Pattern::new(101).expect("memory"),
            due: vec![Moment(0); 12],
            places: Vec::new(),
            trouble: None,
            absence: None,
        };
        let message = talk.message(11);
        assert!(message.starts_with("load-1-2: 11 "), "{message}");
        assert_eq!(message.len(), "load-1-2: ".len() + 20);
        assert_eq!(talk.number(&message), Some(11));
        assert_eq!(talk.number("load-1-2: 12 abc"), None);
        talk.size = 1;
        assert_eq!(talk.message(11), "load-1-2: 11 ");
    }
}
