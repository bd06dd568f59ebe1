//! Edits the operator's line: keys in, lines out, and the bytes that draw it on a terminal.
//! Reads no terminal and sets no mode: the reactor's operator does.
//!
//! The terminal is one row to it: a line longer than the row shows the part around the cursor, so
//! that taking the row away and drawing it again never needs to know how the terminal wraps.

use std::collections::VecDeque;
use unicode_width::UnicodeWidthChar;

/// What a key press completed.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// Enter: the line is done.
    Line(String),
    /// Ctrl-D on an empty line.
    End,
}

/// A line being typed.
pub struct LineEditor {
    prompt: &'static str,
    text: Vec<char>,
    cursor: usize,
    /// Bytes of a character or of an escape sequence that are not complete.
    partial: Vec<u8>,
    columns: usize,
    history: VecDeque<Vec<char>>,
    /// Which line of the history is shown, counted from the newest; 0 is the one being typed.
    recalled: usize,
    /// The line being typed, while one of the history is shown.
    draft: Vec<char>,
    limits: EditorLimits,
}

/// Bounds of a line and its history.
#[derive(Debug, Clone, Copy)]
pub struct EditorLimits {
    /// Characters of a line.
    pub line: usize,
    /// Lines remembered.
    pub history: usize,
}

/// A key, however many bytes it takes.
enum Key {
    Character(char),
    /// By the letter that is pressed with Ctrl; Enter is M or J, backspace H or `?`.
    Control(char),
    /// The final byte of an escape sequence, and the number before it.
    Escape(u8, u32),
}

impl LineEditor {
    /// An empty line on a terminal that many columns wide.
    pub fn new(prompt: &'static str, columns: usize, limits: EditorLimits) -> LineEditor {
        LineEditor {
            prompt,
            text: Vec::new(),
            cursor: 0,
            partial: Vec::new(),
            columns,
            history: VecDeque::new(),
            recalled: 0,
            draft: Vec::new(),
            limits,
        }
    }

    /// Takes what the terminal sent. Every key is shown on `screen`.
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
                    self.erase(screen);
                    typed.push(Typed::End);
                    return typed;
                }
                key => self.edit(key),
            }
        }
        self.draw(screen);
        typed
    }

    /// The terminal is this wide from now on.
    pub fn widen(&mut self, columns: usize) {
        self.columns = columns;
    }

    /// Takes the line off the screen, so that something else can be written there.
    pub fn erase(&self, screen: &mut Vec<u8>) {
        screen.extend_from_slice(b"\r\x1b[K");
    }

    /// Puts the line on the screen again.
    pub fn draw(&self, screen: &mut Vec<u8>) {
        self.erase(screen);
        screen.extend_from_slice(self.prompt.as_bytes());
        // One column stays free: a full row would make the terminal wrap.
        let room = self.columns.saturating_sub(self.prompt.len() + 1).max(1);
        let mut from = self.cursor;
        let mut before = 0;
        while from > 0 && before + width(self.text[from - 1]) <= room {
            from -= 1;
            before += width(self.text[from]);
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

    /// Whether a character is cut and this byte does not go on with it: it is a key of its own.
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
                let number = std::str::from_utf8(number)
                    .ok()
                    .and_then(|text| text.parse().ok());
                Key::Escape(last, number.unwrap_or(0))
            }
            [0x1b, _] => Key::Escape(0, 0),
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
            Key::Control('H' | '?') if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            Key::Control('D') | Key::Escape(b'~', 3) if self.cursor < end => {
                self.text.remove(self.cursor);
            }
            Key::Control('K') => self.text.truncate(self.cursor),
            Key::Control('U') => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            Key::Control('W') => {
                let word = self.word_start();
                self.text.drain(word..self.cursor);
                self.cursor = word;
            }
            Key::Control('A') | Key::Escape(b'H', _) | Key::Escape(b'~', 1) => self.cursor = 0,
            Key::Control('E') | Key::Escape(b'F', _) | Key::Escape(b'~', 4) => self.cursor = end,
            Key::Escape(b'D', _) => self.cursor = self.cursor.saturating_sub(1),
            Key::Escape(b'C', _) => self.cursor = (self.cursor + 1).min(end),
            Key::Escape(b'A', _) => self.recall(self.recalled + 1),
            Key::Escape(b'B', _) => self.recall(self.recalled.saturating_sub(1)),
            Key::Character(_) | Key::Control(_) | Key::Escape(..) => {}
        }
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
    fn keys_edit_where_the_cursor_is() {
        assert_eq!(typed("hello\r"), "hello");
        assert_eq!(typed("helo\x1b[Dl\r"), "hello");
        assert_eq!(typed("xhello\x01\x1b[3~\r"), "hello");
        assert_eq!(typed("hellx\x7fo\r"), "hello");
        assert_eq!(typed("say goodbye\x17hello\r"), "say hello");
        assert_eq!(typed("gone\x15hello\r"), "hello");
        assert_eq!(typed("a€😀\x7f\r"), "a€");
    }

    #[test]
    fn the_history_comes_back_with_arrow_up() {
        assert_eq!(typed("one\rtwo\r\x1b[A\x1b[A\r"), "one");
        assert_eq!(typed("one\rtwo\r\x1b[A\x1b[A\x1b[B\r"), "two");
        assert_eq!(typed("one\rtw\x1b[A\x1b[Bo\r"), "two");
    }

    #[test]
    fn unknown_keys_leave_no_trace() {
        assert_eq!(typed("he\x1b[15~l\x1bxlo\x1b[1;5C\r"), "hello");
    }

    #[test]
    fn a_character_may_come_in_pieces() {
        let mut editor = LineEditor::new("> ", 80, LIMITS);
        let mut lines = Vec::new();
        for byte in "€\r".bytes() {
            lines.extend(editor.feed(&[byte], &mut Vec::new()));
        }
        assert_eq!(lines, [Typed::Line("€".to_owned())]);
    }

    #[test]
    fn a_character_that_stays_cut_swallows_no_key() {
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
