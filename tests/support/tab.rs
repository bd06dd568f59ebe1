//! A tab: reads the events of `GET /-/events`.

use super::{Client, PATIENCE, Server};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// An open tab.
pub struct Tab {
    events: BufReader<TcpStream>,
    /// Its secret id.
    pub id: String,
    /// The id of the last event that has one.
    pub last: String,
    /// Events that were read while another kind was asked for.
    kept: VecDeque<(String, Value)>,
}

impl Tab {
    /// Opens a tab that watches these streams.
    #[track_caller]
    pub fn open(server: &Server, query: &str) -> Tab {
        Tab::open_by(server.connect("http"), query, "")
    }

    /// The same on this connection, with more header fields.
    #[track_caller]
    pub fn open_by(mut client: Client, query: &str, fields: &str) -> Tab {
        let head = format!("GET /-/events?{query} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        client.send(head);
        let mut tab = Tab {
            events: BufReader::new(client.0),
            id: String::new(),
            last: String::new(),
            kept: VecDeque::new(),
        };
        let status = tab.read_line();
        assert!(status.starts_with("HTTP/1.1 200 "), "{status}");
        while !tab.read_line().is_empty() {}
        let hello = tab.until(|kind, data| (kind == "hello").then(|| data["tab"].clone()));
        tab.id = hello.as_str().expect("an id").to_owned();
        tab
    }

    /// The status of the answer to a POST request for this tab.
    #[track_caller]
    pub fn post(&self, server: &Server, endpoint: &str, mut fields: Value) -> u16 {
        fields["tab"] = json!(self.id);
        post(server, endpoint, "Host: localhost\r\n", &fields)
    }

    /// The data of the next event of this kind.
    #[track_caller]
    pub fn event(&mut self, kind: &str) -> Value {
        let kept = self.kept.iter().position(|(found, _)| found == kind);
        if let Some((_, data)) = kept.and_then(|place| self.kept.remove(place)) {
            return data;
        }
        loop {
            let (found, data) = self.next();
            if found == kind {
                return data;
            }
            self.kept.push_back((found, data));
        }
    }

    /// Checks the data of the next event of this kind.
    #[track_caller]
    pub fn expect(&mut self, kind: &str, wanted: Value) -> &mut Tab {
        assert_eq!(self.event(kind), wanted);
        self
    }

    /// What arrives to the end of the stream.
    #[track_caller]
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        let read = self.events.read_to_string(&mut rest);
        read.expect("the end of the stream");
        rest
    }

    /// Closes it with a reset instead of an end of stream.
    pub fn reset(self) {
        Client(self.events.into_inner()).reset();
    }

    /// The text of the next line in the operator's window.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let data = self.event("operator");
        let line = data["line"].as_str();
        line.unwrap_or_else(|| panic!("no line: {data}")).to_owned()
    }

    #[track_caller]
    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.events.read_line(&mut line).expect("a line in time");
        assert!(line.ends_with('\n'), "the stream ended in {line:?}");
        line.trim_end().to_owned()
    }

    /// The kind and the data of the next event.
    #[track_caller]
    pub fn next(&mut self) -> (String, Value) {
        let (mut kind, mut data) = (String::new(), None);
        loop {
            let line = self.read_line();
            match line.split_once(": ") {
                Some(("event", text)) => kind = text.to_owned(),
                Some(("id", text)) => self.last = text.to_owned(),
                Some(("data", text)) => data = serde_json::from_str(text).ok(),
                _ if !line.is_empty() => {}
                _ if kind.is_empty() => {}
                _ => return (kind, data.expect("JSON")),
            }
        }
    }

    /// Reads events until `find` returns something of one.
    #[track_caller]
    pub fn until<T>(&mut self, mut find: impl FnMut(&str, &Value) -> Option<T>) -> T {
        let since = Instant::now();
        loop {
            let (kind, data) = self.next();
            if let Some(found) = find(&kind, &data) {
                return found;
            }
            assert!(since.elapsed() < PATIENCE, "timeout after {kind}: {data}");
        }
    }

    /// Whether nothing arrives for this time.
    pub fn is_silent(&mut self, millis: u64) -> bool {
        let socket = self.events.get_ref();
        let set = |time| socket.set_read_timeout(Some(time)).expect("a timeout");
        set(Duration::from_millis(millis));
        let is_empty = self.events.buffer().is_empty();
        let silent = is_empty && socket.peek(&mut [0]).is_err();
        set(PATIENCE);
        silent
    }
}

/// Sends a POST request with these header lines; returns the status.
#[track_caller]
pub fn post(server: &Server, endpoint: &str, lines: &str, fields: &Value) -> u16 {
    status_and_text(&mut begin_post(server, endpoint, lines, fields)).0
}

/// Sends such a request, whose answer the returned client gets.
pub fn begin_post(server: &Server, endpoint: &str, lines: &str, fields: &Value) -> Client {
    let body = fields.to_string();
    let mut client = server.connect("http");
    client.send(format!(
        "POST /-/{endpoint} HTTP/1.1\r\n{lines}Connection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    client
}

/// The status of an answer, and the text of its body.
#[track_caller]
pub fn status_and_text(client: &mut Client) -> (u16, String) {
    let answer = client.text();
    let status = answer.split(' ').nth(1).unwrap_or(&answer);
    let text = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    (
        status.parse().expect("a status"),
        text.trim_end().to_owned(),
    )
}
