//! A non-blocking line editor: takes keys, returns lines and the bytes that draw them.
//!
//! It does no I/O. To write above the line that is being typed, erase it ([`LineEditor::erase`]),
//! write, and draw it again.
//!
//! It uses one row of the terminal. Of a line that is longer than the row it draws the part around
//! the cursor, so that it need not know how the terminal wraps.

use std::collections::VecDeque;
use std::ops::Range;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What the user entered.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// A line, ended by Enter.
    Line(String),
    /// Ctrl-D on an empty line.
    End,
    /// Ctrl-C, where the terminal does not turn it into a signal.
    Interrupt,
    /// Ctrl-Z, where the terminal does not turn it into a signal.
    Suspend,
}

/// The line that is being typed, and the history.
pub struct LineEditor {
    prompt: String,
    text: Vec<char>,
    cursor: usize,
    /// The beginning of a character or an escape sequence.
    partial: Vec<u8>,
    columns: usize,
    history: VecDeque<Vec<char>>,
    /// The line of the history that is shown, 1 for the newest; 0 is the line being typed.
    recalled: usize,
    /// The line being typed, while one of the history is shown.
    draft: Vec<char>,
    /// The text that Ctrl-K, U or W removed last.
    cut: Vec<char>,
    limits: EditorLimits,
}

/// Limits of a line and of the history.
#[derive(Debug, Clone, Copy)]
pub struct EditorLimits {
    /// Characters of a line.
    pub line: usize,
    /// Lines of the history.
    pub history: usize,
}

/// A key.
enum Key {
    Character(char),
    /// A letter with Ctrl; Enter is M or J, backspace is H or `?`.
    Control(char),
    /// The final byte of an escape sequence, and the number before it.
    Escape(u8, u32),
    /// A letter with Alt.
    Alt(u8),
}

impl LineEditor {
    /// An empty line on a terminal with this number of columns.
    pub fn new(prompt: &str, columns: usize, limits: EditorLimits) -> LineEditor {
        LineEditor {
            prompt: prompt.to_owned(),
            text: Vec::new(),
            cursor: 0,
            partial: Vec::new(),
            columns,
            history: VecDeque::new(),
            recalled: 0,
            draft: Vec::new(),
            cut: Vec::new(),
            limits,
        }
    }

    /// Takes input from the terminal. Completed lines are drawn to `screen`; the caller draws the
    /// line that is being typed.
    pub fn feed(&mut self, input: &[u8], screen: &mut Vec<u8>) -> Vec<Typed> {
        let mut typed = Vec::new();
        for &byte in input {
            if self.is_broken_by(byte) {
                self.partial.clear();
                self.edit(Key::Character(char::REPLACEMENT_CHARACTER));
            }
            self.partial.push(byte);
            let Some(key) = self.take_key() else { continue };
            match key {
                Key::Control('M' | 'J') => {
                    let line: String = self.text.iter().collect();
                    self.draw(screen);
                    screen.extend_from_slice(b"\r\n");
                    self.remember();
                    typed.push(Typed::Line(line));
                }
                Key::Control('D') if self.text.is_empty() => {
                    typed.push(Typed::End);
                    return typed;
                }
                Key::Control('C') => typed.push(Typed::Interrupt),
                Key::Control('Z') => typed.push(Typed::Suspend),
                Key::Control('L') => screen.extend_from_slice(b"\x1b[H\x1b[2J"),
                key => self.edit(key),
            }
        }
        typed
    }

    /// Whether the line that is being typed is empty.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Sets the width of the terminal.
    pub fn set_columns(&mut self, columns: usize) {
        self.columns = columns;
    }

    /// Erases the line, so that other text can be written in its place.
    pub fn erase(&self, screen: &mut Vec<u8>) {
        screen.extend_from_slice(b"\r\x1b[K");
    }

    /// Draws the line again.
    pub fn draw(&self, screen: &mut Vec<u8>) {
        self.erase(screen);
        // One column stays free: a full row would make the terminal wrap.
        let mut room = self.columns.saturating_sub(1).max(1);
        // On a narrow terminal the prompt is left out.
        if self.prompt.width() < room {
            screen.extend_from_slice(self.prompt.as_bytes());
            room -= self.prompt.width();
        }
        let mut from = self.cursor;
        let mut before = 0;
        while from > 0 && before + width(self.text[from - 1]) <= room {
            from -= 1;
            before += width(self.text[from]);
        }
        // A combining mark belongs to the character before it.
        while from < self.cursor && width(self.text[from]) == 0 {
            from += 1;
        }
        let mut shown = before;
        let mut to = self.cursor;
        while to < self.text.len() && shown + width(self.text[to]) <= room {
            shown += width(self.text[to]);
            to += 1;
        }
        let text: String = self.text[from..to].iter().collect();
        screen.extend_from_slice(text.as_bytes());
        if shown > before {
            screen.extend_from_slice(format!("\x1b[{}D", shown - before).as_bytes());
        }
    }

    /// Whether a partial character is pending and this byte does not continue it.
    fn is_broken_by(&self, byte: u8) -> bool {
        self.partial.first().is_some_and(|first| !first.is_ascii()) && byte & 0xc0 != 0x80
    }

    fn take_key(&mut self) -> Option<Key> {
        let key = match *self.partial.as_slice() {
            [0x1b] | [0x1b, b'[' | b'O'] => return None,
            [0x1b, b'[' | b'O', ref number @ .., last] => {
                if !(0x40..=0x7e).contains(&last) && number.len() < 8 {
                    return None;
                }
                let held = number.contains(&b';');
                let number = std::str::from_utf8(number)
                    .ok()
                    .and_then(|text| text.parse().ok());
                match last {
                    // Arrows with Ctrl or Alt.
                    b'C' if held => Key::Alt(b'f'),
                    b'D' if held => Key::Alt(b'b'),
                    _ => Key::Escape(last, number.unwrap_or(0)),
                }
            }
            [0x1b, letter] => Key::Alt(letter),
            [control @ (0..=0x1f | 0x7f)] => Key::Control(char::from(control ^ 0x40)),
            ref bytes => match std::str::from_utf8(bytes) {
                Ok(text) => Key::Character(text.chars().next().expect("it is not empty")),
                Err(error) if error.error_len().is_none() => return None,
                Err(_) => Key::Character(char::REPLACEMENT_CHARACTER),
            },
        };
        self.partial.clear();
        Some(key)
    }

    fn edit(&mut self, key: Key) {
        let end = self.text.len();
        match key {
            Key::Character(character) if end < self.limits.line && !character.is_control() => {
                self.text.insert(self.cursor, character);
                self.cursor += 1;
            }
            Key::Control('H' | '?') => {
                let previous = self.previous();
                self.text.drain(previous..self.cursor);
                self.cursor = previous;
            }
            Key::Control('D') | Key::Escape(b'~', 3) => {
                self.text.drain(self.cursor..self.next());
            }
            Key::Control('K') => self.cut(self.cursor..end),
            Key::Control('U') => self.cut(0..self.cursor),
            Key::Control('W') | Key::Alt(0x7f) => self.cut(self.word_start()..self.cursor),
            Key::Control('Y') => {
                let room = self.limits.line.saturating_sub(end).min(self.cut.len());
                let back = self.cut[..room].iter().copied();
                self.text.splice(self.cursor..self.cursor, back);
                self.cursor += room;
            }
            Key::Control('A') | Key::Escape(b'H', _) | Key::Escape(b'~', 1 | 7) => self.cursor = 0,
            Key::Control('E') | Key::Escape(b'F', _) | Key::Escape(b'~', 4 | 8) => {
                self.cursor = end;
            }
            Key::Control('B') | Key::Escape(b'D', _) => self.cursor = self.previous(),
            Key::Control('F') | Key::Escape(b'C', _) => self.cursor = self.next(),
            Key::Alt(b'b') => self.cursor = self.word_start(),
            Key::Alt(b'f') => self.cursor = self.word_end(),
            Key::Control('P') | Key::Escape(b'A', _) => self.recall(self.recalled + 1),
            Key::Control('N') | Key::Escape(b'B', _) => {
                self.recall(self.recalled.saturating_sub(1));
            }
            Key::Character(_) | Key::Control(_) | Key::Escape(..) | Key::Alt(_) => {}
        }
    }

    fn cut(&mut self, range: Range<usize>) {
        self.cursor = range.start;
        self.cut = self.text.drain(range).collect();
    }

    /// The index of the character before the cursor, without its combining marks.
    fn previous(&self) -> usize {
        let before = &self.text[..self.cursor];
        before
            .iter()
            .rposition(|&character| width(character) > 0)
            .unwrap_or(0)
    }

    /// The index after the character at the cursor and its combining marks.
    fn next(&self) -> usize {
        let marks = self.text.iter().skip(self.cursor + 1);
        let marks = marks
            .take_while(|&&character| width(character) == 0)
            .count();
        (self.cursor + 1 + marks).min(self.text.len())
    }

    fn word_end(&self) -> usize {
        let behind = self.text.iter().skip(self.cursor);
        let blanks = behind
            .clone()
            .take_while(|character| **character == ' ')
            .count();
        let word = behind
            .skip(blanks)
            .take_while(|character| **character != ' ')
            .count();
        self.cursor + blanks + word
    }

    fn word_start(&self) -> usize {
        let before = &self.text[..self.cursor];
        let word = before
            .iter()
            .rposition(|character| *character != ' ')
            .unwrap_or(0);
        before[..word]
            .iter()
            .rposition(|character| *character == ' ')
            .map_or(0, |blank| blank + 1)
    }

    fn remember(&mut self) {
        let line = std::mem::take(&mut self.text);
        if !line.is_empty() && self.history.front() != Some(&line) {
            self.history.push_front(line);
            self.history.truncate(self.limits.history);
        }
        self.cursor = 0;
        self.recalled = 0;
    }

    fn recall(&mut self, wanted: usize) {
        if wanted > self.history.len() {
            return;
        }
        if self.recalled == 0 {
            self.draft = std::mem::take(&mut self.text);
        }
        self.recalled = wanted;
        self.text = match wanted {
            0 => std::mem::take(&mut self.draft),
            _ => self.history[wanted - 1].clone(),
        };
        self.cursor = self.text.len();
    }
}

fn width(character: char) -> usize {
    character.width().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: EditorLimits = EditorLimits {
        line: 100,
        history: 3,
    };

    fn typed(keys: &str) -> String {
        let mut editor = LineEditor::new("> ", 80, LIMITS);
        match editor.feed(keys.as_bytes(), &mut Vec::new()).pop() {
            Some(Typed::Line(line)) => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys_edit_at_the_cursor() {
        assert_eq!(typed("hello\r"), "hello");
        assert_eq!(typed("helo\x1b[Dl\r"), "hello");
        assert_eq!(typed("xhello\x01\x1b[3~\r"), "hello");
        assert_eq!(typed("hellx\x7fo\r"), "hello");
        assert_eq!(typed("say goodbye\x17hello\r"), "say hello");
        assert_eq!(typed("gone\x15hello\r"), "hello");
        assert_eq!(typed("a€😀\x7f\r"), "a€");
        assert_eq!(typed("one two\x1b[1;5Dx\x1bb\x1bfy\r"), "one xtwoy");
        assert_eq!(typed("one two\x17\x01\x19\r"), "twoone ");
        assert_eq!(typed("ac\x02b\x06d\r"), "abcd");
    }

    #[test]
    fn a_combining_mark_is_edited_with_its_character() {
        assert_eq!(typed("ae\u{301}\x7fb\r"), "ab");
        assert_eq!(typed("ae\u{301}b\x1b[D\x1b[Dx\r"), "axe\u{301}b");
        assert_eq!(typed("ae\u{301}b\x01\x1b[C\x1b[3~\r"), "ab");
    }

    #[test]
    fn arrow_up_recalls_the_history() {
        assert_eq!(typed("one\rtwo\r\x1b[A\x1b[A\r"), "one");
        assert_eq!(typed("one\rtwo\r\x1b[A\x1b[A\x1b[B\r"), "two");
        assert_eq!(typed("one\rtw\x1b[A\x1b[Bo\r"), "two");
    }

    #[test]
    fn unknown_keys_are_ignored() {
        assert_eq!(typed("he\x1b[15~l\x1bxlo\x1b[1;5C\r"), "hello");
    }

    #[test]
    fn a_character_may_arrive_in_pieces() {
        let mut editor = LineEditor::new("> ", 80, LIMITS);
        let mut lines = Vec::new();
        for byte in "€\r".bytes() {
            lines.extend(editor.feed(&[byte], &mut Vec::new()));
        }
        assert_eq!(lines, [Typed::Line("€".to_owned())]);
    }

    #[test]
    fn an_incomplete_character_does_not_swallow_the_next_key() {
        let mut editor = LineEditor::new("> ", 80, LIMITS);
        let typed = editor.feed(b"caf\xe9\r", &mut Vec::new());
        assert_eq!(typed, [Typed::Line("caf\u{fffd}".to_owned())]);
    }

    #[test]
    fn a_long_line_never_fills_the_row() {
        let mut editor = LineEditor::new("> ", 20, LIMITS);
        let mut screen = Vec::new();
        editor.feed("0123456789".repeat(5).as_bytes(), &mut screen);
        screen.clear();
        editor.draw(&mut screen);
        let shown = String::from_utf8(screen).expect("text");
        let row = shown.trim_start_matches("\r\x1b[K");
        assert!(row.len() <= 19 && row.ends_with("789"), "{row:?}");
    }

    #[test]
    fn ctrl_d_ends_only_an_empty_line() {
        let mut editor = LineEditor::new("> ", 80, LIMITS);
        assert_eq!(editor.feed(b"x\x04", &mut Vec::new()), []);
        assert_eq!(editor.feed(b"\x7f\x04", &mut Vec::new()), [Typed::End]);
    }
}
