//! Brings one person into a room: asks for what is missing until the server lets the person in.

use super::connection::Address;
use super::conversation;
use super::error::ClientError;
use super::join;
use super::membership::{Fault, Login};
use super::question;
use super::screen;
use super::{ClientLimits, RoomLimits};
use crate::terminal::sanitize::clean;
use crate::wire::text::steers;
use std::io::{self, IsTerminal};

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
    let name = match name {
        Some(name) => clean(&name),
        None => ask_name(&limits.room)?,
    };
    let mut login = Login {
        at: at.to_owned(),
        name,
        password: password.map_or_else(|| ask_password(&limits.room), Ok)?,
    };
    loop {
        let (fault, refusal) = match join::enter(&address, &login, &limits.room)? {
            Ok(inside) => return conversation::converse(inside, limits),
            Err(Fault::NameTaken) => (
                Fault::NameTaken,
                format!("the name {} is taken", login.name),
            ),
            Err(fault) => (fault, "the password is wrong".to_owned()),
        };
        if !io::stdin().is_terminal() {
            return Err(ClientError::failure(format!(
                "cannot enter the room at {at}: {refusal}; try again with another"
            )));
        }
        screen::remark(format!("{refusal}; try another, or leave with Ctrl-C"));
        match fault {
            Fault::NameTaken => login.name = ask_name(&limits.room)?,
            _ => login.password = ask_password(&limits.room)?,
        }
    }
}

fn check_name(name: &str, limits: &RoomLimits) -> Result<(), ClientError> {
    let strange = |letter: char| letter.is_whitespace() || steers(letter);
    // As the room has it: without what shows nothing.
    let length = clean(name).chars().count();
    if !(1..=limits.name).contains(&length) || name.contains(strange) {
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
    let ask = || question::ask("name: ", limits.datagram);
    until_fit("name", ask, |name| check_name(name, limits)).map(|name| clean(&name))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_measured_in_characters_and_has_no_blanks() {
        let limits = ClientLimits::short().room;
        for name in ["a", "äöüäöüäö", "a-b:c"] {
            assert!(check_name(name, &limits).is_ok(), "{name}");
        }
        for name in [
            "",
            "\u{200b}",
            "a b",
            "a\u{a0}b",
            "a\tb",
            "a\u{202e}b",
            "123456789",
        ] {
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
