//! The command `loket room`: prompts for a missing name or password, joins, and starts the chat.

use super::connection::Address;
use super::conversation;
use super::error::ClientError;
use super::join;
use super::membership::{Login, RoomError};
use super::output;
use super::prompt;
use super::{ClientLimits, RoomClientLimits};
use crate::wire::text::clean_lines;
use crate::wire::text::steers;
use std::io::{self, IsTerminal};

/// Joins the room and runs until the user leaves. At a terminal, a wrong password or a taken name
/// is prompted for again.
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
        Some(name) => clean_lines(name.as_bytes()),
        None => ask_name(&limits.room)?,
    };
    let mut login = Login {
        at: at.to_owned(),
        name,
        password: password.map_or_else(|| ask_password(&limits.room), Ok)?,
    };
    loop {
        let (error, refusal) = match join::enter(&address, &login, &limits.room)? {
            Ok(joined) => return conversation::converse(joined, limits),
            Err(RoomError::NameTaken) => (
                RoomError::NameTaken,
                format!("the name {} is taken", login.name),
            ),
            Err(error) => (error, "the password is wrong".to_owned()),
        };
        if !io::stdin().is_terminal() {
            return Err(ClientError::failure(format!(
                "cannot enter the room at {at}: {refusal}; give another one"
            )));
        }
        output::diagnostic(format!("{refusal}; try another, or leave with Ctrl-C"));
        match error {
            RoomError::NameTaken => login.name = ask_name(&limits.room)?,
            _ => login.password = ask_password(&limits.room)?,
        }
    }
}

fn check_name(name: &str, limits: &RoomClientLimits) -> Result<(), ClientError> {
    let is_forbidden = |letter: char| letter.is_whitespace() || steers(letter);
    // The room counts the characters that remain without hidden ones.
    let length = clean_lines(name.as_bytes()).chars().count();
    if !(1..=limits.name).contains(&length) || name.contains(is_forbidden) {
        return Err(ClientError::usage(format!(
            "cannot enter as {name:?}: a name has 1 to {} characters and no blanks; choose \
             another",
            limits.name
        )));
    }
    Ok(())
}

/// The message does not contain the password: others may see the screen.
fn check_password(password: &str, limits: &RoomClientLimits) -> Result<(), ClientError> {
    let longest = limits.datagram - "PASSWORD ".len();
    if password.is_empty() || password.len() > longest || password.contains(char::is_control) {
        return Err(ClientError::usage(format!(
            "cannot use this password: it needs 1 to {longest} bytes and no control characters; \
             is it spelt right?"
        )));
    }
    Ok(())
}

fn ask_name(limits: &RoomClientLimits) -> Result<String, ClientError> {
    let ask = || prompt::ask("name: ", limits.datagram);
    ask_until_valid("name", ask, |name| check_name(name, limits))
        .map(|name| clean_lines(name.as_bytes()))
}

fn ask_password(limits: &RoomClientLimits) -> Result<String, ClientError> {
    let ask = || prompt::ask_secret("password: ", limits.datagram);
    ask_until_valid("password", ask, |password| check_password(password, limits))
}

/// Prompts until the answer is valid. If standard input is no terminal, the first answer counts.
fn ask_until_valid(
    what: &str,
    ask: impl Fn() -> Result<Option<String>, ClientError>,
    check: impl Fn(&str) -> Result<(), ClientError>,
) -> Result<String, ClientError> {
    loop {
        let error = match ask()? {
            Some(answer) => match check(&answer) {
                Ok(()) => return Ok(answer),
                Err(error) => error,
            },
            None => {
                return Err(ClientError::usage(format!(
                    "cannot enter the room without a {what}: the input ended; give it by --{what}"
                )));
            }
        };
        if !io::stdin().is_terminal() {
            return Err(error);
        }
        output::error(&error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_limited_in_characters_and_has_no_blanks() {
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
    fn the_message_about_an_invalid_password_does_not_contain_it() {
        let limits = ClientLimits::short().room;
        assert!(check_password("p w", &limits).is_ok());
        let error = check_password("secret\n", &limits).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
