//! Sends HTTP/1.1 requests to any server, and checks status, length and body of the answers.
//!
//! Without a path, each worker stores a file of its own, requests it, and removes it at the end:
//! every byte is compared that the kernel does not discard. With a path, the first answer tells the
//! length of the others; if its body is the test data (as `TestData` writes it), the bytes of the
//! others are compared too.

use super::discard::Discard;
use super::report::BodyCheck;
use super::requests::{Checked, Requests, wrong_byte};
use super::settings::{HttpOperation, HttpWork};
use super::test_data::TestData;
use crate::session::blob::Blob;
use crate::session::outbox::Outbox;
use crate::wire::http::HttpLimits;
use crate::wire::http::response::{AnswerHead, AnswerParser, AnswerPart};
use crate::wire::text::OneLine;
use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt::Write;
use std::io;
use std::rc::Rc;

/// What all workers of a run request.
pub struct HttpTarget {
    work: HttpWork,
    /// The value of the field Host.
    host: String,
    /// Whether each request is the last one on its connection.
    closes: bool,
    size: u64,
    data: Rc<TestData>,
    limits: HttpLimits,
    /// A body of this number of bytes is discarded by the kernel, if that is wanted.
    discarded: u64,
    sink: Rc<dyn Blob>,
    /// The length of the file at the path, from the first answer.
    length: Cell<Option<u64>>,
    /// Whether the file at the path is the test data.
    is_own: Cell<bool>,
    /// Whether the kernel has discarded a body.
    has_discarded: Cell<bool>,
}

impl HttpTarget {
    /// Requests of `size` bytes each to this host.
    pub fn new(
        work: HttpWork,
        (host, closes): (String, bool),
        size: u64,
        data: Rc<TestData>,
        (limits, discarded): (HttpLimits, u64),
    ) -> io::Result<Rc<HttpTarget>> {
        Ok(Rc::new(HttpTarget {
            sink: Rc::new(Discard::new()?),
            work,
            host,
            closes,
            size,
            data,
            limits,
            discarded,
            length: Cell::new(None),
            is_own: Cell::new(false),
            has_discarded: Cell::new(false),
        }))
    }

    /// What was checked of the bodies.
    pub fn body_check(&self) -> BodyCheck {
        match self.work.uses_own_files() || self.is_own.get() {
            false => BodyCheck::Length,
            true if self.has_discarded.get() => BodyCheck::Discarded,
            true => BodyCheck::EveryByte,
        }
    }

    /// The head of a request; `last` asks the server to close the connection.
    fn head(&self, method: &str, path: &str, last: bool, length: Option<u64>) -> Vec<u8> {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let is_host = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("host");
        if !self.work.headers.iter().any(|header| is_host(&header)) {
            let _ = write!(head, "Host: {}\r\n", self.host);
        }
        for (name, value) in &self.work.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if let Some(length) = length {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
        head.push_str(if last { "Connection: close\r\n" } else { "" });
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// A request without an answer yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// GET of a worker's own file, which has these bytes of the test data.
    Own(u64),
    /// GET of the file at the path.
    Path,
    /// The first GET of it, which tells its length and whether it is test data.
    FirstPath,
    /// PUT of the own file.
    Put,
    /// HEAD of the own file, which does not exist.
    Absent,
    /// HEAD of the file at the path: any answer proves that the connection is served.
    Served,
    /// DELETE of the own file, which may be absent.
    Delete,
}

/// The requests of one worker.
pub struct HttpRequests {
    target: Rc<HttpTarget>,
    path: String,
    get: Vec<u8>,
    put: Vec<u8>,
    is_first: bool,
    awaited: VecDeque<Awaited>,
    parser: AnswerParser,
    /// The head of the answer that is being received.
    head: Option<AnswerHead>,
    /// Bytes of its body that follow, and that were received.
    left: u64,
    received: u64,
    /// Whether the first answer has been the test data so far.
    is_test_data: bool,
    closes: bool,
    /// Offset in the test data of the content that was stored last.
    at: u64,
    /// Whether the last request of a mix was a GET.
    did_get: bool,
    /// Whether the own file is on the server after all requests sent so far.
    stored: bool,
    /// Whether it may be on the server, even after errors.
    may_remain: bool,
}

impl HttpRequests {
    /// Requests of the worker with this number. `name` is the name of its own file, if the run
    /// does not request an existing one.
    pub fn new(target: Rc<HttpTarget>, worker: usize, name: &str, at: u64) -> HttpRequests {
        let path = match (&target.work.path, target.work.uses_own_files()) {
            (Some(path), false) => path.clone(),
            (Some(folder), true) => format!("{}/{name}", folder.trim_end_matches('/')),
            (None, _) => format!("/{name}"),
        };
        HttpRequests {
            get: target.head("GET", &path, target.closes, None),
            put: target.head("PUT", &path, target.closes, Some(target.size)),
            path,
            is_first: worker == 0,
            awaited: VecDeque::new(),
            parser: AnswerParser::default(),
            head: None,
            left: 0,
            received: 0,
            is_test_data: true,
            closes: false,
            at,
            did_get: false,
            stored: false,
            may_remain: false,
            target,
        }
    }

    fn uses_own_files(&self) -> bool {
        self.target.work.uses_own_files()
    }

    fn expect(&mut self, awaited: Awaited) {
        if self.awaited.is_empty() {
            self.parser.begin(is_head(awaited));
        }
        self.awaited.push_back(awaited);
    }

    /// Sends a request that is not measured.
    fn send(&mut self, method: &str, awaited: Awaited, out: &mut Outbox) {
        out.bytes(&self.target.head(method, &self.path, false, None));
        self.expect(awaited);
    }

    fn send_put(&mut self, out: &mut Outbox) {
        (self.stored, self.may_remain) = (true, true);
        // New content each time, so that remains of the old content are detected.
        self.at += 1_009;
        out.bytes(&self.put);
        self.target.data.send(self.at, self.target.size, out);
        self.expect(Awaited::Put);
    }

    /// Checks the status; `Some` if the answer is a refusal.
    fn check_head(&mut self, awaited: Awaited, head: AnswerHead) -> Option<Checked> {
        let is_right = match (awaited, head.status) {
            (Awaited::Served, _) | (Awaited::Absent | Awaited::Delete, 404) => true,
            (Awaited::Absent, _) => false,
            (Awaited::Own(_), status) => status == 200,
            (_, status) => (200..300).contains(&status),
        };
        if !is_right {
            let (status, reason) = (head.status, OneLine(&head.reason));
            let path = &self.path;
            let text = format!("the server answered {status} {reason} to a request of {path}");
            return Some(Checked::Refused(text));
        }
        self.closes = head.closes;
        self.head = Some(head);
        None
    }

    /// The offset in the test data of the body of this answer, if it is compared.
    fn compared(&self, awaited: Awaited) -> Option<u64> {
        match awaited {
            Awaited::Own(at) => Some(at),
            Awaited::Path if self.target.is_own.get() => Some(0),
            _ => None,
        }
    }

    fn check_body(&mut self, awaited: Awaited, bytes: &[u8]) -> Option<Checked> {
        let received = self.received;
        self.left -= bytes.len() as u64;
        self.received += bytes.len() as u64;
        let data = &self.target.data;
        if awaited == Awaited::FirstPath {
            self.is_test_data &= data.difference(received, bytes).is_none();
        }
        let offset = data.difference(self.compared(awaited)? + received, bytes)?;
        Some(wrong_byte(received + offset as u64, "a body"))
    }

    /// Checks the length of a complete answer.
    fn complete(&mut self, awaited: Awaited) -> Checked {
        self.awaited.pop_front();
        let received = std::mem::take(&mut self.received);
        let head = self.head.take();
        self.left = 0;
        match self.awaited.front() {
            Some(next) => self.parser.begin(is_head(*next)),
            None => self.parser.begin(false),
        }
        let target = &self.target;
        let wanted = match awaited {
            Awaited::Own(_) => Some(target.size),
            Awaited::Path => target.length.get(),
            _ => None,
        };
        match awaited {
            Awaited::FirstPath => {
                // A body without a length in its head may differ from answer to answer.
                target.length.set(head.and_then(|head| head.length));
                target.is_own.set(self.is_test_data && received > 0);
            }
            Awaited::Delete => self.may_remain = false,
            _ => {}
        }
        match wanted {
            Some(wanted) if wanted != received => Checked::Wrong(format!(
                "a body has {received} bytes, and {wanted} were expected"
            )),
            _ => Checked::Answer,
        }
    }
}

fn is_head(awaited: Awaited) -> bool {
    matches!(awaited, Awaited::Absent | Awaited::Served)
}

impl Requests for HttpRequests {
    fn probe(&mut self, out: &mut Outbox) -> bool {
        if self.uses_own_files() {
            self.send("HEAD", Awaited::Absent, out);
        }
        self.uses_own_files()
    }

    fn prepare(&mut self, out: &mut Outbox) {
        if self.uses_own_files() {
            let head = self
                .target
                .head("PUT", &self.path, false, Some(self.target.size));
            let measured = std::mem::replace(&mut self.put, head);
            self.send_put(out);
            self.put = measured;
        } else if self.is_first {
            self.send("GET", Awaited::FirstPath, out);
        } else {
            self.send("HEAD", Awaited::Served, out);
        }
    }

    fn next_request(&mut self, out: &mut Outbox) -> usize {
        let gets = match self.target.work.operation {
            HttpOperation::Get => true,
            HttpOperation::Put => false,
            HttpOperation::Mix => {
                self.did_get = !self.did_get;
                self.did_get
            }
        };
        if !self.uses_own_files() {
            out.bytes(&self.get);
            self.expect(Awaited::Path);
        } else if gets && self.stored {
            out.bytes(&self.get);
            self.expect(Awaited::Own(self.at));
        } else {
            self.send_put(out);
            return 1;
        }
        0
    }

    fn check(&mut self, input: &[u8]) -> (usize, Checked) {
        let mut taken = 0;
        let Some(&awaited) = self.awaited.front() else {
            return (0, Checked::Wrong("an answer without a request".to_owned()));
        };
        loop {
            let rest = &input[taken..];
            if self.left > 0 {
                let count = self.left.min(rest.len() as u64) as usize;
                taken += count;
                if let Some(wrong) = self.check_body(awaited, &rest[..count]) {
                    return (taken, wrong);
                }
                if self.left > 0 {
                    return (taken, Checked::Part);
                }
                continue;
            }
            let (count, part) = match self.parser.parse(rest, &self.target.limits) {
                Ok(parsed) => parsed,
                Err(text) => return (taken, Checked::Wrong(format!("an answer is wrong: {text}"))),
            };
            taken += count;
            match part {
                AnswerPart::More => return (taken, Checked::Part),
                AnswerPart::Head(head) => {
                    if let Some(refused) = self.check_head(awaited, head) {
                        return (taken, refused);
                    }
                }
                AnswerPart::Data(length) => {
                    let is_long = length >= self.target.discarded && length < u64::MAX;
                    if is_long && self.target.work.discard && awaited != Awaited::FirstPath {
                        self.received += length;
                        self.target.has_discarded.set(true);
                        return (taken, Checked::Discard(length));
                    }
                    self.left = length;
                }
                AnswerPart::End => return (taken, self.complete(awaited)),
            }
        }
    }

    fn check_eof(&mut self) -> Option<Checked> {
        let awaited = *self.awaited.front()?;
        let is_complete = self.parser.ends_at_eof();
        is_complete.then(|| self.complete(awaited))
    }

    fn sink(&self) -> Rc<dyn Blob> {
        self.target.sink.clone()
    }

    fn may_be_closed(&self) -> bool {
        // GET, PUT and DELETE are idempotent.
        self.head.is_none()
    }

    fn must_close(&self) -> bool {
        self.closes
    }

    fn leftover(&self) -> Option<&str> {
        self.may_remain.then_some(&self.path)
    }

    fn clean_up(&mut self, out: &mut Outbox) {
        self.stored = false;
        self.send("DELETE", Awaited::Delete, out);
    }

    fn reset(&mut self) {
        // It is unknown whether the server has stored the file.
        self.stored &= !self.awaited.contains(&Awaited::Put);
        self.awaited.clear();
        (self.left, self.received) = (0, 0);
        (self.head, self.closes) = (None, false);
    }
}
