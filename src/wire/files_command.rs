//! Parses and formats the commands of the files service.

use super::follows::Follows;
use super::names::{self, BadName, WireLimits};
use super::text;
use super::unended::Unended;
use std::fmt;

/// The words of the service.
const WORDS: [&str; 9] = [
    "ls", "size", "sum", "rm", "mv", "mkdir", "download", "upload", "byebye",
];

/// A command of the files service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// `ls [DIR]`; without a folder, the root.
    List(Option<&'a str>),
    /// `size NAME`.
    Size(&'a str),
    /// `sum NAME [LENGTH]`; without a length, of the whole file.
    Sum(&'a str, Option<u64>),
    /// `rm NAME`.
    Remove(&'a str),
    /// `mv OLD NEW`.
    Rename(&'a str, &'a str),
    /// `mkdir DIR`.
    MakeFolder(&'a str),
    /// `download NAME [OFFSET]`; a bare one has no offset.
    Download(&'a str, u64),
    /// `upload NAME SIZE`; a bare one has no size, its body runs to the end of the stream.
    Upload(&'a str, Option<u64>),
    /// `byebye`.
    Goodbye,
}

/// Why a unit is not a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandFault<'a> {
    /// The word is unknown, or followed by arguments that it does not take.
    UnknownWord(&'a [u8]),
    /// The word needs a name.
    NameMissing,
    /// An upload needs its size as the last field.
    SizeMissing,
    /// It is not clear where the old name ends and the new one begins.
    NamesUnclear,
    /// The name is invalid.
    Name(BadName<'a>),
}

impl fmt::Display for CommandFault<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandFault::UnknownWord(word) => {
                let (word, words) = (text::excerpt(word), WORDS.join(", "));
                write!(out, "unknown command {word}; the words are {words}")
            }
            CommandFault::NameMissing => write!(out, "the command needs a name behind it"),
            CommandFault::SizeMissing => {
                write!(
                    out,
                    "the size is missing; write: upload NAME BYTES, then the bytes"
                )
            }
            CommandFault::NamesUnclear => write!(
                out,
                "mv needs two names; write: mv \"OLD\" \"NEW\", with the quotes if there are blanks"
            ),
            CommandFault::Name(fault) => fault.fmt(out),
        }
    }
}

/// Parses a command that ended with LF.
pub fn parse_line<'a>(
    unit: &'a [u8],
    limits: &WireLimits,
) -> Result<Command<'a>, CommandFault<'a>> {
    let (word, rest) = split_word(unit);
    match word {
        b"ls" if rest.is_empty() => Ok(Command::List(None)),
        b"ls" => Ok(Command::List(folder(name(rest, limits)?))),
        b"size" => Ok(Command::Size(name(rest, limits)?)),
        b"sum" => {
            let (rest, length) = split_number(rest);
            Ok(Command::Sum(name(rest, limits)?, length))
        }
        b"rm" => Ok(Command::Remove(name(rest, limits)?)),
        b"mv" => {
            let (old, new) = split_names(rest)?;
            Ok(Command::Rename(name(old, limits)?, name(new, limits)?))
        }
        b"mkdir" => Ok(Command::MakeFolder(name(rest, limits)?)),
        b"download" => {
            let (rest, offset) = split_number(rest);
            Ok(Command::Download(name(rest, limits)?, offset.unwrap_or(0)))
        }
        b"upload" => {
            let (rest, size) = split_number(rest);
            let name = name(rest, limits)?;
            Ok(Command::Upload(
                name,
                Some(size.ok_or(CommandFault::SizeMissing)?),
            ))
        }
        b"byebye" if rest.is_empty() => Ok(Command::Goodbye),
        b"" | b"byebye" => Err(CommandFault::UnknownWord(unit)),
        word => Err(CommandFault::UnknownWord(word)),
    }
}

/// Parses a command that silence ended: it has no number, and its name must look complete.
pub fn parse_bare<'a>(
    unit: &'a [u8],
    limits: &WireLimits,
) -> Result<Command<'a>, CommandFault<'a>> {
    let (word, rest) = split_word(unit);
    let finished_name = || match name(rest, limits)? {
        // `rm photos/` is probably the beginning of a longer name.
        unfinished if unfinished.ends_with('/') => Err(CommandFault::NameMissing),
        name => Ok(name),
    };
    match word {
        // A name that begins with a slash is never below the root, so no rest of it is awaited.
        b"ls" if !rest.is_empty() && folder(name(rest, limits)?).is_none() => {
            Ok(Command::List(None))
        }
        b"ls" if unit.len() > word.len() => Ok(Command::List(Some(finished_name()?))),
        b"size" => Ok(Command::Size(finished_name()?)),
        b"sum" => Ok(Command::Sum(finished_name()?, None)),
        b"rm" => Ok(Command::Remove(finished_name()?)),
        b"mkdir" => Ok(Command::MakeFolder(finished_name()?)),
        b"download" => Ok(Command::Download(finished_name()?, 0)),
        b"upload" => Ok(Command::Upload(finished_name()?, None)),
        // No textbook client has it, and every beginning of its second name is a name, too.
        b"mv" => Err(CommandFault::NamesUnclear),
        _ => match parse_line(unit, limits)? {
            command @ (Command::List(None) | Command::Goodbye) => Ok(command),
            _ => Err(CommandFault::UnknownWord(word)),
        },
    }
}

/// Classifies a unit whose end has not arrived.
pub fn unended(unit: &[u8], follows: Follows, limits: &WireLimits) -> Unended {
    Unended::judge(unit, |unit| match parse_bare(unit, limits) {
        // The stream has ended: no data follows, and the upload is refused.
        Ok(Command::Upload(..)) if follows == Follows::Eof => Unended::Question,
        Ok(Command::Remove(_) | Command::MakeFolder(_) | Command::Upload(..)) => Unended::Change,
        Ok(_) => Unended::Question,
        Err(CommandFault::NameMissing | CommandFault::SizeMissing | CommandFault::NamesUnclear) => {
            Unended::Part
        }
        Err(CommandFault::UnknownWord(_)) => {
            let begins = |word: &str| word.as_bytes().starts_with(unit);
            match WORDS.into_iter().any(begins) {
                true => Unended::Part,
                false => Unended::Hopeless,
            }
        }
        // For `download`, text that is too long for a name may be a name and a number.
        Err(CommandFault::Name(_)) if parse_line(unit, limits).is_ok() => Unended::Part,
        Err(CommandFault::Name(bad)) => names::unended(bad.raw, names::SLASH, limits),
    })
}

/// The text after the word in the first line of `input`, if that line is or begins an upload.
pub fn upload(input: &[u8]) -> Option<&[u8]> {
    let line = input.split(|&byte| byte == b'\n').next()?;
    let (word, rest) = split_word(line);
    (word == b"upload").then_some(rest)
}

/// The folder of `ls`; `None` is the root.
fn folder(name: &str) -> Option<&str> {
    let is_root = name.split('/').all(|part| matches!(part, "" | "."));
    (!is_root).then_some(name)
}

/// Quotes a name, so that a blank or a number in it is not misread.
pub fn quote(name: &str) -> String {
    format!("\"{name}\"")
}

/// Splits at the first blank; blanks around the rest are dropped.
fn split_word(unit: &[u8]) -> (&[u8], &[u8]) {
    match unit.iter().position(|&byte| byte == b' ') {
        Some(end) => (&unit[..end], trim_blanks(&unit[end..])),
        None => (unit, b""),
    }
}

/// Splits off the last field, if it is a number and a name precedes it.
fn split_number(rest: &[u8]) -> (&[u8], Option<u64>) {
    let Some(blank) = rest.iter().rposition(|&byte| byte == b' ') else {
        return (rest, None);
    };
    let field = &rest[blank + 1..];
    let digits = std::str::from_utf8(field)
        .ok()
        .filter(|_| field.iter().all(u8::is_ascii_digit));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(number) => (trim_blanks(&rest[..blank]), Some(number)),
        None => (rest, None),
    }
}

/// Splits two names. Each is in quotes or has no blank, in one way only.
fn split_names(rest: &[u8]) -> Result<(&[u8], &[u8]), CommandFault<'_>> {
    let is_name = |text: &[u8]| match text {
        [b'"', _, .., b'"'] => true,
        text => !text.contains(&b' '),
    };
    let blanks = (1..rest.len()).filter(|&at| rest[at] == b' ' && rest[at - 1] != b' ');
    let mut splits = blanks
        .map(|at| (&rest[..at], trim_blanks(&rest[at..])))
        .filter(|(old, new)| is_name(old) && is_name(new));
    match (splits.next(), splits.next()) {
        _ if rest.is_empty() => Err(CommandFault::NameMissing),
        (Some(names), None) => Ok(names),
        _ => Err(CommandFault::NamesUnclear),
    }
}

/// Trims spaces only: a tab or another control character at the end must be refused.
fn trim_blanks(mut text: &[u8]) -> &[u8] {
    while let [b' ', inner @ ..] | [inner @ .., b' '] = text {
        text = inner;
    }
    text
}

fn name<'a>(rest: &'a [u8], limits: &WireLimits) -> Result<&'a str, CommandFault<'a>> {
    if rest.is_empty() {
        return Err(CommandFault::NameMissing);
    }
    let unquoted = match rest {
        [b'"', inner @ .., b'"'] => inner,
        _ => rest,
    };
    names::check(unquoted, limits).map_err(CommandFault::Name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::WIRE;
    use crate::wire::names::NameFault;

    fn line(unit: &str) -> Result<Command<'_>, CommandFault<'_>> {
        parse_line(unit.as_bytes(), &WIRE)
    }

    fn bare(unit: &str) -> Result<Command<'_>, CommandFault<'_>> {
        parse_bare(unit.as_bytes(), &WIRE)
    }

    #[test]
    fn the_last_field_is_the_number() {
        assert_eq!(line("download a b 7"), Ok(Command::Download("a b", 7)));
        assert_eq!(line("download a b"), Ok(Command::Download("a b", 0)));
        assert_eq!(line("upload a 1 5"), Ok(Command::Upload("a 1", Some(5))));
        assert_eq!(line("upload a"), Err(CommandFault::SizeMissing));
        assert_eq!(line("upload a -5"), Err(CommandFault::SizeMissing));
        assert_eq!(
            line("upload a 99999999999999999999"),
            Err(CommandFault::SizeMissing)
        );
    }

    #[test]
    fn quotes_separate_the_name_from_the_number() {
        assert_eq!(line("download \"a 1\""), Ok(Command::Download("a 1", 0)));
        assert_eq!(line("download \"a 1\" 3"), Ok(Command::Download("a 1", 3)));
        assert_eq!(line("size \"say \"hi\"\""), Ok(Command::Size("say \"hi\"")));
        let empty = BadName {
            fault: NameFault::Empty,
            raw: b"",
        };
        assert_eq!(line("size \"\""), Err(CommandFault::Name(empty)));
        assert_eq!(line("rm \""), Ok(Command::Remove("\"")));
    }

    #[test]
    fn a_bare_name_is_all_text_after_the_word() {
        assert_eq!(bare("download a 7"), Ok(Command::Download("a 7", 0)));
        assert_eq!(bare("upload a"), Ok(Command::Upload("a", None)));
        assert_eq!(bare("ls"), Ok(Command::List(None)));
        assert_eq!(bare("ls "), Err(CommandFault::NameMissing));
        assert_eq!(bare("rm a/"), Err(CommandFault::NameMissing));
        assert_eq!(bare("rm "), Err(CommandFault::NameMissing));
        assert_eq!(bare("down"), Err(CommandFault::UnknownWord(b"down")));
    }

    #[test]
    fn the_root_has_more_than_one_name() {
        for root in ["ls", "ls /", "ls .", "ls ./", "ls //", "ls \"/\"", "ls ./."] {
            assert_eq!(line(root), Ok(Command::List(None)), "{root}");
            assert_eq!(bare(root), Ok(Command::List(None)), "{root}");
        }
        assert_eq!(line("ls .."), Ok(Command::List(Some(".."))));
        assert_eq!(line("ls /a"), Ok(Command::List(Some("/a"))));
    }

    #[test]
    fn only_the_beginning_of_a_command_is_waited_for() {
        let long = format!("download {} 12345678", "a/".repeat(510));
        for (unit, found) in [
            ("ls", Unended::Question),
            ("rm a", Unended::Change),
            ("l", Unended::Part),
            ("downl", Unended::Part),
            ("rm ", Unended::Part),
            ("rm photos/", Unended::Part),
            ("mkdir a", Unended::Change),
            ("mv", Unended::Part),
            ("mv a b", Unended::Part),
            ("mv \"a\" \"b\"", Unended::Part),
            ("size \"\"", Unended::Part),
            ("upload a\r", Unended::Part),
            ("\r", Unended::Part),
            (&long, Unended::Part),
            ("lss", Unended::Hopeless),
            ("LS", Unended::Hopeless),
            ("exit", Unended::Hopeless),
            ("connme", Unended::Hopeless),
            ("lss a", Unended::Hopeless),
            (" ls", Unended::Hopeless),
            ("byebye now", Unended::Hopeless),
            ("size a\0", Unended::Hopeless),
            ("LS\r", Unended::Hopeless),
        ] {
            assert_eq!(
                unended(unit.as_bytes(), Follows::More, &WIRE),
                found,
                "{unit:?}"
            );
        }
        assert_eq!(
            unended(b"size \xff", Follows::More, &WIRE),
            Unended::Hopeless
        );
        assert_eq!(unended(b"size \xc3", Follows::More, &WIRE), Unended::Part);
    }

    #[test]
    fn words_are_whole_words() {
        for (wrong, word) in [
            ("lsx", "lsx"),
            ("", ""),
            ("LS", "LS"),
            ("byebye now", "byebye now"),
            (" ls", " ls"),
            ("sizes a", "sizes"),
            ("get a", "get"),
        ] {
            let fault = CommandFault::UnknownWord(word.as_bytes());
            assert_eq!(line(wrong), Err(fault), "{wrong}");
        }
    }
}
