//! A tab of a browser: a stream of events, and POST requests for it on other connections.

use super::{Client, Server};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// An open tab. Dropping it closes its connection.
pub struct Tab {
    pub stream: Client,
    server: SocketAddr,
    /// Its secret id.
    pub id: String,
    /// The id of the last event.
    pub last: String,
}

impl Tab {
    /// Opens a tab that watches these streams.
    #[track_caller]
    pub fn open(server: &Server, query: &str) -> Tab {
        Tab::open_after(server, query, "")
    }

    /// Opens it as a page does that has lost its connection after this event.
    #[track_caller]
    pub fn open_after(server: &Server, query: &str, last: &str) -> Tab {
        let mut stream = server.connect("http");
        let last_event = match last {
            "" => String::new(),
            last => format!("Last-Event-ID: {last}\r\n"),
        };
        let head = format!("GET /-/events?{query} HTTP/1.1\r\nHost: localhost\r\n{last_event}\r\n");
        stream.send(head).expect("HTTP/1.1 200 OK\r\n");
        while stream.line() != "\r\n" {}
        let server = server.address("http");
        let mut tab = Tab {
            stream,
            server,
            id: String::new(),
            last: last.to_owned(),
        };
        let hello = tab.next("hello");
        tab.id = hello["tab"].as_str().expect("an id").to_owned();
        tab
    }

    /// The data of the next event of this kind.
    #[track_caller]
    pub fn next(&mut self, kind: &str) -> Value {
        loop {
            let (mut event, mut data) = (String::new(), None);
            loop {
                let line = self.stream.line();
                assert!(line.ends_with('\n'), "the stream has ended");
                match line.trim_end().split_once(": ") {
                    Some(("event", name)) => event = name.to_owned(),
                    Some(("id", id)) => self.last = id.to_owned(),
                    Some(("data", text)) => data = serde_json::from_str(text).ok(),
                    _ if line == "\n" => break,
                    _ => {}
                }
            }
            if event == kind {
                return data.expect("JSON");
            }
        }
    }

    /// Checks the data of the next event of this kind.
    #[track_caller]
    pub fn expect(&mut self, kind: &str, wanted: Value) -> &mut Tab {
        assert_eq!(self.next(kind), wanted);
        self
    }

    /// Sends a POST request, without reading its answer.
    pub fn begin_post(&self, endpoint: &str, mut fields: Value) -> Client {
        fields["tab"] = json!(self.id);
        let body = fields.to_string();
        let mut client = Client::connect(self.server);
        client.send(format!(
            "POST /-/{endpoint} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        client
    }

    /// Sends a POST request; returns the status and the text of the answer.
    #[track_caller]
    pub fn post(&self, endpoint: &str, fields: Value) -> (u16, String) {
        let answer = self.begin_post(endpoint, fields).text();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let (_, text) = answer.split_once("\r\n\r\n").expect("a head");
        (status.expect("a status"), text.trim_end().to_owned())
    }
}
