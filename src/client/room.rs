//! Talks with everybody in a room: lines go there, and what the members say is shown.
//! Does not find the way in: `door.rs` does.
//!
//! A person sees each message once. The prompt is the name and `: `, so that a line of one's own
//! already reads as the others see it; the copy that the room sends back is not shown, and only
//! one that does not come back is told. Into a pipe, where nothing is typed, goes the copy.

use super::connection::Address;
use super::door::{self, Entry, Inside};
use super::error::{ClientError, Trouble, reason};
use super::limits::{ClientLimits, RoomLimits};
use super::pending::Pending;
use super::printable::clean;
use super::question;
use super::screen;
use super::window::{Line, Lines, Shown, Window};
use std::io::{self, IsTerminal};
use std::net::UdpSocket;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// Enters the room, asking for what is missing, and stays until the person leaves.
pub fn run(
    at: &str,
    name: Option<String>,
    password: Option<String>,
    limits: &ClientLimits,
) -> Result<(), ClientError> {
    if let Some(name) = &name {
        check_name(name, &limits.room)?;
    }
    if let Some(password) = &password {
        check_password(password, &limits.room)?;
    }
    let address = Address::read(at)?;
    let mut name = name.map_or_else(|| ask_name(&limits.room), Ok)?;
    let mut password = password.map_or_else(|| ask_password(&limits.room), Ok)?;
    loop {
        let refusal = match door::enter(&address, &password, &name, &limits.room)? {
            Entry::In(inside) => return converse(at, &name, inside, limits),
            Entry::WrongPassword => "the password is wrong".to_owned(),
            Entry::NameTaken => format!("the name {name} is taken"),
        };
        if !io::stdin().is_terminal() {
            return Err(ClientError::failure(format!(
                "cannot enter the room at {at}: {refusal}; try again with another"
            )));
        }
        screen::remark(format!("{refusal}; try another, or leave with Ctrl-C"));
        match refusal.starts_with("the name") {
            true => name = ask_name(&limits.room)?,
            false => password = ask_password(&limits.room)?,
        }
    }
}

fn check_name(name: &str, limits: &RoomLimits) -> Result<(), ClientError> {
    let strange = |letter: char| letter.is_whitespace() || letter.is_control();
    if name.is_empty() || name.chars().count() > limits.name || name.contains(strange) {
        return Err(ClientError::usage(format!(
            "cannot enter as {name:?}: a name has 1 to {} characters, no blanks among them; \
             choose another",
            limits.name
        )));
    }
    Ok(())
}

/// Does not repeat the password: others may look on.
fn check_password(password: &str, limits: &RoomLimits) -> Result<(), ClientError> {
    let longest = limits.datagram - "PASSWORD ".len();
    if password.is_empty() || password.len() > longest || password.contains(char::is_control) {
        return Err(ClientError::usage(format!(
            "cannot use this password: one has 1 to {longest} bytes, no control characters among \
             them; is it written right?"
        )));
    }
    Ok(())
}

fn ask_name(limits: &RoomLimits) -> Result<String, ClientError> {
    until_fit(
        "name",
        || question::ask("name: ", limits.datagram),
        |name| check_name(name, limits),
    )
}

fn ask_password(limits: &RoomLimits) -> Result<String, ClientError> {
    let ask = || question::ask_secretly("password: ", limits.datagram);
    until_fit("password", ask, |password| check_password(password, limits))
}

/// A person may try again; a script may not.
fn until_fit(
    what: &str,
    ask: impl Fn() -> Result<Option<String>, ClientError>,
    check: impl Fn(&str) -> Result<(), ClientError>,
) -> Result<String, ClientError> {
    loop {
        let fault = match ask()? {
            Some(answer) => match check(&answer) {
                Ok(()) => return Ok(answer),
                Err(fault) => fault,
            },
            None => {
                return Err(ClientError::usage(format!(
                    "cannot enter the room without a {what}: the input ended; give it by --{what}"
                )));
            }
        };
        if !io::stdin().is_terminal() {
            return Err(fault);
        }
        screen::complain(&fault);
    }
}

/// What the two threads tell the one that decides when the conversation is over.
enum Event {
    /// A message is on its way, or came back.
    Moved,
    /// A line was not sent because it is too long.
    TooLong,
    /// The person leaves.
    Leaving,
    /// The server is gone.
    Gone(io::Error),
    /// The input or the output failed.
    Failed(ClientError),
}

/// What all three threads share.
struct Conversation {
    socket: UdpSocket,
    name: String,
    pending: Pending,
    shown: Mutex<Shown>,
    typed: bool,
    limits: RoomLimits,
}

fn converse(
    at: &str,
    name: &str,
    inside: Inside,
    limits: &ClientLimits,
) -> Result<(), ClientError> {
    let Inside {
        socket,
        heard,
        farewell: _farewell,
    } = inside;
    let window = Window::open(limits.prompt_wait)?;
    let typed = window.is_terminal();
    if typed {
        screen::remark(format!("in the room at {at} as {name}; exit leaves"));
    }
    let Window { lines, shown, seat } = window;
    let conversation = Arc::new(Conversation {
        socket,
        name: name.to_owned(),
        pending: Pending::new(limits.room.relay),
        shown: Mutex::new(shown),
        typed,
        limits: limits.room,
    });
    let (sender, events) = mpsc::channel();
    thread::spawn({
        let (conversation, sender) = (Arc::clone(&conversation), sender.clone());
        move || {
            let last = conversation.listen(heard, &sender);
            let _ = sender.send(last);
        }
    });
    thread::spawn({
        let conversation = Arc::clone(&conversation);
        move || {
            let last = conversation.speak(lines, &sender);
            let _ = sender.send(last);
        }
    });
    let outcome = conversation.watch(&events, at);
    // A server that is gone cannot be told, and needs not be.
    let _ = conversation.socket.send(b"exit");
    drop(seat);
    outcome
}

impl Conversation {
    /// Waits for the end; tells of messages that did not come back.
    fn watch(&self, events: &Receiver<Event>, at: &str) -> Result<(), ClientError> {
        let mut leaving = false;
        let mut all_well = true;
        loop {
            let deadline = self.pending.deadline();
            if leaving && (self.typed || deadline.is_none()) {
                return match all_well || self.typed {
                    true => Ok(()),
                    false => Err(ClientError::quiet(1)),
                };
            }
            let event = match deadline {
                None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(deadline) => {
                    events.recv_timeout(deadline.saturating_duration_since(Instant::now()))
                }
            };
            match event {
                Ok(Event::Moved) => {}
                Ok(Event::TooLong) => all_well = false,
                Ok(Event::Leaving) => leaving = true,
                Ok(Event::Failed(error)) => return Err(error),
                Ok(Event::Gone(error)) => {
                    return Err(ClientError::failure(format!(
                        "the room at {at} is gone: {}; what was written last may be lost",
                        reason(&error)
                    )));
                }
                Err(_) => {
                    while let Some(message) = self.pending.next_lost(Instant::now()) {
                        all_well = false;
                        self.tell_lost(&message).map_err(cannot_go_on)?;
                    }
                }
            }
        }
    }

    fn tell_lost(&self, message: &str) -> Result<(), Trouble> {
        let words = format!(
            "the room did not take this within {:?}: ",
            self.limits.relay
        );
        self.lock_shown().notice(&(words + message))
    }

    /// Shows what comes until no more can; says how it ended.
    fn listen(&self, heard: Vec<Vec<u8>>, events: &Sender<Event>) -> Event {
        for datagram in heard {
            if let Err(trouble) = self.hear(&datagram, events) {
                return Event::Failed(cannot_go_on(trouble));
            }
        }
        let mut datagram = vec![0; self.limits.datagram];
        loop {
            match self.socket.recv(&mut datagram) {
                Ok(length) => {
                    if let Err(trouble) = self.hear(&datagram[..length], events) {
                        return Event::Failed(cannot_go_on(trouble));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Event::Gone(error),
            }
        }
    }

    fn hear(&self, datagram: &[u8], events: &Sender<Event>) -> Result<(), Trouble> {
        // One datagram is one line, or a member could forge another's words.
        let text = clean(&String::from_utf8_lossy(datagram));
        let text = text.trim_end_matches('\n').replace('\n', " ");
        let ours = self.pending.holds(&text);
        // What was sent twice at the door, and reached the room when we were in already.
        let echo_of_door = text == format!("{0}: USERNAME {0}", self.name);
        let known = match ours {
            true => self.typed,
            false => echo_of_door || door::is_answer(datagram),
        };
        if !known {
            self.lock_shown().show(&format!("{text}\n"))?;
        }
        // Only now that it is shown: the conversation may be over with it.
        self.pending.take(&text);
        let _ = events.send(Event::Moved);
        Ok(())
    }

    /// Sends what is typed until the person leaves; says how it ended.
    fn speak(&self, mut lines: Lines, events: &Sender<Event>) -> Event {
        let prompt = format!("{}: ", self.name);
        let most = self.limits.datagram - prompt.len();
        let mut next = Instant::now();
        loop {
            let line = match lines.next(&prompt, most) {
                Ok(Some(Line::Text(line))) => clean(&line),
                Ok(Some(Line::TooLong)) => {
                    screen::remark(format!(
                        "cannot send a message of more than {most} bytes; say it in several"
                    ));
                    let _ = events.send(Event::TooLong);
                    continue;
                }
                Ok(None) => return Event::Leaving,
                Err(error) => return Event::Failed(error),
            };
            match line.trim() {
                "" => continue,
                word if word.eq_ignore_ascii_case("exit") => return Event::Leaving,
                _ => {}
            }
            thread::sleep(next.saturating_duration_since(Instant::now()));
            let now = Instant::now();
            next = now + self.limits.pace;
            let message = format!("{prompt}{line}");
            self.pending.add(message.clone(), now);
            let _ = events.send(Event::Moved);
            if let Err(error) = self.socket.send(message.as_bytes()) {
                return Event::Gone(error);
            }
        }
    }

    fn lock_shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cannot_go_on(trouble: Trouble) -> ClientError {
    trouble.in_context("cannot go on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_measured_in_characters_and_has_no_blanks() {
        let limits = ClientLimits::short().room;
        for name in ["a", "äöüäöüäö", "a-b:c"] {
            assert!(check_name(name, &limits).is_ok(), "{name}");
        }
        for name in ["", "a b", "a\u{a0}b", "a\tb", "a\x1bb", "123456789"] {
            assert_eq!(check_name(name, &limits).unwrap_err().status(), 2, "{name}");
        }
    }

    #[test]
    fn a_password_that_cannot_be_sent_is_not_repeated() {
        let limits = ClientLimits::short().room;
        assert!(check_password("p w", &limits).is_ok());
        let error = check_password("secret\n", &limits).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
