//! Conversations with the HTTP service, with the statuses of their answers.

use super::Service::Http;
use super::scripts::Script;
use super::store::{Fault, Faults};
use super::{Step, send};

/// One conversation: its requests, and whether the client ends its stream behind them.
pub struct Row {
    pub name: &'static str,
    pub requests: &'static str,
    pub ends: bool,
    /// The statuses of all answers.
    pub statuses: &'static [u16],
    /// A file that exists afterwards, with its content.
    pub stored: Option<(&'static str, &'static str)>,
    /// The fault of every file.
    pub fault: Option<Fault>,
}

const fn row(name: &'static str, requests: &'static str, statuses: &'static [u16]) -> Row {
    Row {
        name,
        requests,
        ends: false,
        statuses,
        stored: None,
        fault: None,
    }
}

impl Row {
    const fn stores(mut self, name: &'static str, content: &'static str) -> Row {
        self.stored = Some((name, content));
        self
    }

    const fn ends(mut self) -> Row {
        self.ends = true;
        self
    }

    const fn with(mut self, fault: Fault) -> Row {
        self.fault = Some(fault);
        self
    }

    /// The row as a script, whose replies are only compared with each other.
    pub fn script(&self) -> Script {
        let mut steps = vec![send(self.requests.replace('\n', "\r\n"))];
        steps.extend(self.ends.then_some(Step::End));
        let stored = self.stored.map(|(name, content)| (name, content.into()));
        Script {
            name: self.name,
            service: Http,
            faults: Faults {
                every: self.fault,
                ..Faults::default()
            },
            steps,
            stored,
            announced: true,
        }
    }
}

/// All conversations. LF means CR LF.
pub const ROWS: &[Row] = &[
    row(
        "a file, a part of it, its head, and one that does not exist",
        "GET /a.bin HTTP/1.1\nHost: elsewhere\n\n\
         GET /a.bin HTTP/1.1\nHost: localhost\nRange: bytes=2-4\n\n\
         HEAD /a.bin HTTP/1.1\nHost: localhost\n\n\
         GET /a.bin HTTP/1.1\nHost: localhost\nRange: bytes=10-\n\n\
         GET /nobody HTTP/1.1\nHost: localhost\n\n\
         GET /empty HTTP/1.1\nHost: [::1]:80\n\n",
        &[421, 206, 200, 416, 404, 200],
    ),
    row(
        "conditions",
        "GET /a.bin HTTP/1.1\nHost: localhost\nIf-None-Match: *\n\n\
         GET /a.bin HTTP/1.1\nHost: localhost\nIf-Match: \"x\"\n\n\
         DELETE /a.bin HTTP/1.1\nHost: localhost\nIf-Match: \"x\"\n\n\
         DELETE /empty HTTP/1.1\nHost: localhost\nIf-Match: *\n\n\
         GET /empty HTTP/1.1\nHost: localhost\n\n",
        &[304, 412, 412, 204, 404],
    ),
    row(
        "lists, options and requests that are not possible",
        "GET / HTTP/1.1\nHost: localhost\n\n\
         GET /photos/ HTTP/1.1\nHost: localhost\n\n\
         OPTIONS * HTTP/1.1\nHost: localhost\n\n\
         PATCH /a.bin HTTP/1.1\nHost: localhost\n\n\
         NONSENSE /a.bin HTTP/1.1\nHost: localhost\n\n\
         GET /../a.bin HTTP/1.1\nHost: localhost\n\n\
         GET /-/health HTTP/1.1\nHost: localhost\n\n",
        &[200, 200, 204, 405, 501, 400, 200],
    ),
    row(
        "an upload with its length, and requests behind it",
        "PUT /new.txt HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello\
         GET /new.txt HTTP/1.1\nHost: localhost\n\n\
         HEAD /new.txt HTTP/1.1\nHost: localhost\n\n",
        &[201, 200, 200],
    )
    .stores("new.txt", "hello"),
    row(
        "an upload in chunks, and a request behind it",
        "PUT /new.txt HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n\
         5\nhello\n1;name=\"value\"\n \n00a\n0123456789\n0\nA: b\nContent-Length: 7\n\n\
         GET /new.txt HTTP/1.1\nHost: localhost\nConnection: close\n\n\
         DELETE /a.bin HTTP/1.1\nHost: localhost\n\n",
        &[201, 200],
    )
    .stores("new.txt", "hello 0123456789"),
    row(
        "the events of a tab, and a request behind that one",
        "GET /-/events?operator&client HTTP/1.1\nHost: localhost\nLast-Event-ID: 9-9\n\n\
         DELETE /a.bin HTTP/1.1\nHost: localhost\n\n",
        &[200],
    ),
    row(
        "what a tab cannot get",
        "HEAD /-/events HTTP/1.1\nHost: localhost\n\n\
         GET /-/events HTTP/1.1\nHost: localhost\nOrigin: http://other.example\n\n\
         GET /-/talk HTTP/1.1\nHost: localhost\n\n\
         OPTIONS /-/talk HTTP/1.1\nHost: localhost\n\n",
        &[405, 403, 405, 204],
    ),
    row(
        "posts for no tab, and without one",
        "POST /-/talk HTTP/1.1\nHost: localhost\nContent-Type: application/json\n\
         Content-Length: 25\nExpect: 100-continue\n\n{\"tab\":\"x\",\"line\":\"hello\"\
         POST /-/talk HTTP/1.1\nHost: localhost\nContent-Type: application/json\n\
         Content-Length: 26\n\n{\"tab\":\"x\",\"line\":\"hello\"}\
         POST /-/operator HTTP/1.1\nHost: localhost\n\
         Content-Type: Application/JSON; charset=utf-8\nContent-Length: 2\n\n{}\
         POST /-/room HTTP/1.1\nHost: localhost\nContent-Type: application/json\n\
         Content-Length: 0\n\n\
         GET /a.bin HTTP/1.1\nHost: localhost\n\n",
        &[100, 400, 404, 400, 400, 200],
    ),
    row(
        "a post of another type",
        "POST /-/talk HTTP/1.1\nHost: localhost\nContent-Type: text/plain\n\
         Content-Length: 2\n\n{}DELETE /a.bin HTTP/1.1\nHost: localhost\n\n",
        &[415],
    ),
    row(
        "a post in chunks",
        "POST /-/talk HTTP/1.1\nHost: localhost\nContent-Type: application/json\n\
         Transfer-Encoding: chunked\n\n2\n{}\n0\n\n",
        &[411],
    ),
    row(
        "a post that is too long",
        "POST /-/talk HTTP/1.1\nHost: localhost\nContent-Type: application/json\n\
         Content-Length: 4097\n\n{}",
        &[413],
    ),
    row(
        "the end in the middle of a post",
        "POST /-/talk HTTP/1.1\nHost: localhost\nContent-Type: application/json\n\
         Content-Length: 3\n\n{}",
        &[400],
    )
    .ends(),
    row(
        "an empty upload in chunks",
        "PUT /a.bin HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n0\n\n",
        &[204],
    )
    .stores("a.bin", ""),
    row(
        "an upload that waits for permission",
        "PUT /new.txt HTTP/1.1\nHost: localhost\nContent-Length: 5\nExpect: 100-continue\n\nhello",
        &[100, 201],
    )
    .stores("new.txt", "hello"),
    row(
        "an upload that does not get permission",
        "PUT /a.bin HTTP/1.1\nHost: localhost\nContent-Length: 5\nExpect: 100-continue\n\
         If-None-Match: *\n\nhello",
        &[412],
    ),
    row(
        "an upload over a file that must not exist",
        "PUT /a.bin HTTP/1.1\nHost: localhost\nContent-Length: 5\nIf-None-Match: *\n\nhello\
         DELETE /a.bin HTTP/1.1\nHost: localhost\n\n",
        &[412],
    ),
    row(
        "a chunk that does not end where it should",
        "PUT /new.txt HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n\
         5\nhello!\n0\n\nDELETE /a.bin HTTP/1.1\nHost: localhost\n\n",
        &[400],
    ),
    row(
        "two lengths",
        "PUT /new.txt HTTP/1.1\nHost: localhost\nContent-Length: 5\nContent-Length: 5\n\nhello\
         DELETE /a.bin HTTP/1.1\nHost: localhost\n\n",
        &[400],
    ),
    row(
        "a body of a request that has none",
        "GET /a.bin HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello\
         DELETE /a.bin HTTP/1.1\nHost: localhost\n\n",
        &[200],
    ),
    row(
        "HTTP/1.0, kept and not kept",
        "GET /a.bin HTTP/1.0\nConnection: keep-alive\n\n\
         GET /a.bin HTTP/1.0\n\n\
         DELETE /a.bin HTTP/1.0\n\n",
        &[200, 200],
    ),
    row(
        "the end in the middle of a body",
        "PUT /a.bin HTTP/1.1\nHost: localhost\nContent-Length: 9\n\nhello",
        &[400],
    )
    .ends(),
    row(
        "the end in the middle of the chunks",
        "PUT /a.bin HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n5\nhello\n",
        &[400],
    )
    .ends(),
    row(
        "the end behind an upload",
        "PUT /a.bin HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello",
        &[204],
    )
    .ends()
    .stores("a.bin", "hello"),
    row(
        "no space for the fifth byte",
        "PUT /a.bin HTTP/1.1\nHost: localhost\nContent-Length: 9\n\n123456789\
         DELETE /a.bin HTTP/1.1\nHost: localhost\n\n",
        &[507],
    )
    .with(Fault::Full(4)),
    row(
        "no space for the second chunk",
        "PUT /a.bin HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n\
         4\n1234\n5\n56789\n0\n\nDELETE /a.bin HTTP/1.1\nHost: localhost\n\n",
        &[507],
    )
    .with(Fault::Full(4)),
    row(
        "an upload that cannot be committed",
        "PUT /a.bin HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello",
        &[403],
    )
    .with(Fault::Denied),
    row(
        "a file that shrinks while it is sent",
        "GET /a.bin HTTP/1.1\nHost: localhost\n\nGET /empty HTTP/1.1\nHost: localhost\n\n",
        &[200],
    )
    .with(Fault::Ends(4)),
];
