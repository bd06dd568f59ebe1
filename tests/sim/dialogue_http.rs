//! Random conversations with the HTTP service: pipelined requests and their answers.

use super::dialogue_line::Writer;
use super::script::{Fault, Script, Service};
use crate::memory::random::Random;
use loket::session::close_reason::CloseReason;
use loket::wire::names::WireLimits;

/// Simulated time begins here.
const DATE: &str = "Thu, 01 Jan 1970 00:00:00 GMT";

const CLOSE: &str = "Connection: close\r\n";

/// A peer of the HTTP service.
pub fn http(random: &Random, limits: WireLimits, number: usize) -> Script {
    let own = format!("p{number}-");
    let mut writer = Writer::new(random, Service::Http, limits, own);
    for _ in 0..random.within(1..=12) {
        if writer.script.is_over {
            break;
        }
        writer.http_request();
        if !writer.script.is_over && random.chance(15) {
            writer.script.await_replies();
        }
    }
    writer.after_the_end();
    writer.finish()
}

/// The head of an answer with these lines behind the date.
fn head(status: &str, lines: &str) -> String {
    format!("HTTP/1.1 {status}\r\nServer: loket\r\nDate: {DATE}\r\n{lines}\r\n")
}

/// An answer of one line of text.
fn text(status: &str, lines: &str, says: &str) -> String {
    let length = says.len() + 1;
    let lines = format!(
        "{lines}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
         X-Content-Type-Options: nosniff\r\n"
    );
    head(status, &lines) + says + "\n"
}

/// The answer to a request whose deadline has passed.
pub fn timeout() -> String {
    let says = "the request did not arrive in time";
    text("408 Request Timeout", CLOSE, says)
}

fn etag(content: &[u8]) -> String {
    let sum = content
        .iter()
        .fold(0, |sum, byte| (sum * 31 + i64::from(*byte)) % 65_521);
    format!("\"1-{:x}-{sum:x}\"", content.len())
}

/// The head before `length` bytes of a file.
fn file_head(status: &str, length: usize, range: &str, content: &[u8]) -> String {
    let validators = validators(content);
    let lines = format!(
        "Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\
         X-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\n\
         {range}{validators}"
    );
    head(status, &lines)
}

fn validators(content: &[u8]) -> String {
    let etag = etag(content);
    format!("Last-Modified: {DATE}\r\nETag: {etag}\r\nAccept-Ranges: bytes\r\n")
}

impl Writer<'_> {
    fn http_request(&mut self) {
        match self.random.below(20) {
            0..=5 => self.put(),
            6..=10 => self.get(),
            11 => self.head_request(),
            12..=13 => self.delete(),
            14 => self.unchanged(),
            15 => self.faulty_put(),
            16 => self.shrunk_get(),
            17 => self.last_get(),
            _ => self.refused_request(),
        }
    }

    /// The head of a request, sometimes behind an empty line.
    fn ask(&mut self, method: &str, name: &str, fields: &str) {
        let before = self.random.pick(&["", "", "", "\r\n"]);
        let name = name.replace(' ', "%20");
        self.script.say(format!(
            "{before}{method} /{name} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"
        ));
    }

    fn not_found(&mut self) {
        let answer = text("404 Not Found", "", "there is no such file");
        self.script.expect(answer);
    }

    fn get(&mut self) {
        let name = self.asked_name();
        let Some(content) = self.files.get(&name).cloned() else {
            self.ask("GET", &name, "");
            return self.not_found();
        };
        let length = content.len();
        if self.random.chance(60) {
            self.ask("GET", &name, "");
            self.script
                .expect(file_head("200 OK", length, "", &content));
            return self.script.expect_body(&content);
        }
        let (first, last) = (self.random.below(length + 2), self.random.below(length + 2));
        let range = match first > last {
            true => format!("Range: bytes={first}-\r\n"),
            false => format!("Range: bytes={first}-{last}\r\n"),
        };
        self.ask("GET", &name, &range);
        if first >= length {
            let lines = format!("Content-Range: bytes */{length}\r\n");
            let says = format!("the file has only {length} bytes");
            let answer = text("416 Range Not Satisfiable", &lines, &says);
            return self.script.expect(answer);
        }
        let last = if first > last {
            length - 1
        } else {
            last.min(length - 1)
        };
        let range = format!("Content-Range: bytes {first}-{last}/{length}\r\n");
        let part = &content[first..=last];
        let head = file_head("206 Partial Content", part.len(), &range, &content);
        self.script.expect(head);
        self.script.expect_body(part);
    }

    fn head_request(&mut self) {
        let (name, content) = self.known_file();
        self.ask("HEAD", &name, "");
        let head = file_head("200 OK", content.len(), "", &content);
        self.script.expect(head);
    }

    fn known_file(&self) -> (String, Vec<u8>) {
        let known: Vec<_> = self.files.clone().into_iter().collect();
        self.random.pick(&known)
    }

    /// The client has the file already.
    fn unchanged(&mut self) {
        let (name, content) = self.known_file();
        let field = format!("If-None-Match: \"x\", {}\r\n", etag(&content));
        self.ask("GET", &name, &field);
        let head = head("304 Not Modified", &validators(&content));
        self.script.expect(head);
    }

    fn put(&mut self) {
        let (name, length) = (self.own_name(), self.length());
        let body = self.random.body(length);
        let is_chunked = self.random.chance(50);
        let expects = self.ask_to_put(&name, (!is_chunked).then_some(length));
        if expects && (is_chunked || length > 0) {
            self.script.expect("HTTP/1.1 100 Continue\r\n\r\n");
            if self.random.chance(50) {
                self.script.await_replies();
            }
        }
        if self.cut_put(&body, is_chunked) {
            return;
        }
        self.say_put(&body, is_chunked);
        let location = name.replace(' ', "%20");
        let answer = match self.files.contains_key(&name) {
            true => head("204 No Content", ""),
            false => head(
                "201 Created",
                &format!("Location: /{location}\r\nContent-Length: 0\r\n"),
            ),
        };
        self.script.expect(answer);
        self.keep(&name, &body);
    }

    /// The head of an upload; without a length, it is chunked. Whether it waits for permission.
    fn ask_to_put(&mut self, name: &str, length: Option<usize>) -> bool {
        let expects = self.random.chance(20);
        let framing = match length {
            Some(length) => format!("Content-Length: {length}\r\n"),
            None => "Transfer-Encoding: chunked\r\n".to_owned(),
        };
        let expect = if expects {
            "Expect: 100-continue\r\n"
        } else {
            ""
        };
        self.ask("PUT", name, &(framing + expect));
        expects
    }

    fn say_put(&mut self, body: &[u8], is_chunked: bool) {
        if !is_chunked {
            return self.script.say_body(body);
        }
        let size = self.random.within(1..=body.len().max(1));
        for chunk in body.chunks(size) {
            let extension = self.random.pick(&["", "", ";a=\"b\""]);
            self.script.say(format!("{:x}{extension}\r\n", chunk.len()));
            self.script.say_body(chunk);
            self.script.say("\r\n");
        }
        let trailer = self.random.pick(&["", "", "A: b\r\n"]);
        self.script.say(format!("0\r\n{trailer}\r\n"));
    }

    /// Sometimes the peer ends its stream in the middle of a body.
    fn cut_put(&mut self, body: &[u8], is_chunked: bool) -> bool {
        if body.is_empty() || !self.random.chance(8) {
            return false;
        }
        if is_chunked {
            self.script.say(format!("{:x}\r\n", body.len()));
        }
        let (came, start) = (self.random.below(body.len()), self.script.input.len());
        self.script.say(&body[..came]);
        self.script.bodies.push(start..start + body.len());
        let says = match is_chunked {
            true => format!("{came} bytes came, and no last chunk; nothing is stored"),
            false => format!(
                "only {came} of {} bytes came; nothing is stored",
                body.len()
            ),
        };
        self.refuse(text("400 Bad Request", CLOSE, &says));
        self.script.is_cut = true;
        true
    }

    /// The last answer of the conversation.
    fn refuse(&mut self, answer: String) {
        self.script.expect_later(answer);
        self.script.end(CloseReason::Refused);
    }

    /// The store fails in the middle of a body, or at the commit.
    fn faulty_put(&mut self) {
        let (name, length) = (self.fresh_name(), self.random.within(1..=300));
        let body = self.random.body(length);
        let is_full = self.random.chance(60);
        self.ask("PUT", &name, &format!("Content-Length: {length}\r\n"));
        self.script.say_body(&body);
        let fault = match is_full {
            true => Fault::Full(self.random.below(length) as u64),
            false => Fault::Denied,
        };
        self.script.faults.push((name, fault));
        match is_full {
            true => {
                let says = "there is no space left for the file";
                self.refuse(text("507 Insufficient Storage", CLOSE, says));
            }
            false => {
                let says = "the server has no permission for it";
                self.script.expect(text("403 Forbidden", "", says));
            }
        }
    }

    fn shrunk_get(&mut self) {
        let (name, content, ends) = self.shrunk_file();
        self.ask("GET", &name, "");
        let head = file_head("200 OK", content.len(), "", &content);
        self.script.expect(head);
        self.script.expect_body(&content[..ends]);
        self.script.end(CloseReason::BodyCut);
    }

    fn delete(&mut self) {
        let name = self.own_name();
        self.ask("DELETE", &name, "");
        match self.files.remove(&name) {
            Some(_) => self.script.expect(head("204 No Content", "")),
            None => self.not_found(),
        }
    }

    /// A request after which the connection is closed.
    fn last_get(&mut self) {
        let (name, content) = self.known_file();
        self.ask("GET", &name, CLOSE);
        let validators = file_head("200 OK", content.len(), "", &content);
        let head = validators.replacen("Content-Type", &format!("{CLOSE}Content-Type"), 1);
        self.script.expect(head);
        self.script.expect_body(&content);
        self.script.end(CloseReason::Goodbye);
    }

    /// A request that is refused, and ends the conversation.
    fn refused_request(&mut self) {
        let name = self.own_name().replace(' ', "%20");
        let put = format!("PUT /{name} HTTP/1.1\r\nHost: localhost\r\n");
        let (sent, status, says) = match self.random.below(4) {
            0 => (
                "nonsense\r\n".to_owned(),
                "400 Bad Request",
                "the request line is not METHOD TARGET HTTP/1.1 with single blanks",
            ),
            1 => (
                format!("{put}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx"),
                "400 Bad Request",
                "the field Content-Length came twice",
            ),
            2 => (
                format!("{put}A: {}", "b".repeat(400)),
                "431 Request Header Fields Too Large",
                "the head of the request is too long",
            ),
            _ => (
                format!("{put}Transfer-Encoding: chunked\r\n\r\n 1\r\nx\r\n0\r\n\r\n"),
                "400 Bad Request",
                "the size of a chunk is not a hexadecimal number of 1 to 16 digits",
            ),
        };
        self.script.say(sent);
        self.refuse(text(status, CLOSE, says));
    }
}
