//! A model of talk: the lines that operator and talk clients must receive.

use super::sim_socket::Handle;
use loket::services::ServiceLimits;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

const HELP: &str = "\
TEXT          send TEXT to all talk clients
/to ID TEXT   send TEXT to one client
/list         list the clients
/kick ID      disconnect a client
/help         show this list";

/// The operator and the talk clients.
pub struct OperatorModel {
    limits: Rc<ServiceLimits>,
    operator: Option<Handle>,
    clients: BTreeMap<u32, Client>,
    newest: u32,
    lost: u64,
}

struct Client {
    socket: Handle,
    address: SocketAddr,
    since: u32,
    last: Option<String>,
}

impl OperatorModel {
    /// No operator and no client.
    pub fn new(limits: Rc<ServiceLimits>) -> OperatorModel {
        OperatorModel {
            limits,
            operator: None,
            clients: BTreeMap::new(),
            newest: 0,
            lost: 0,
        }
    }

    /// The operator connects, or disconnects.
    pub fn operator(&mut self, operator: Option<Handle>) {
        self.operator = operator;
    }

    /// The seed is over.
    pub fn forget_all(&mut self) {
        self.operator = None;
        self.clients.clear();
    }

    /// Expects a line on the screen, unless too many are unread.
    pub fn print(&mut self, line: &str) {
        let Some(operator) = &self.operator else {
            return;
        };
        let mut operator = operator.borrow_mut();
        if operator.pending() + line.len() > self.limits.operator_backlog {
            self.lost += 1;
            return;
        }
        let expected = &mut operator.script.expected;
        if self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            let text = format!("({lost} lines lost: standard output did not take them in time)\n");
            expected.extend_from_slice(text.as_bytes());
        }
        expected.extend_from_slice(format!("{line}\n").as_bytes());
    }

    /// A talk client connects.
    pub fn joined(&mut self, socket: Handle, address: SocketAddr, since: u32) {
        self.newest += 1;
        let id = self.newest;
        let client = Client {
            socket,
            address,
            since,
            last: None,
        };
        if self.operator.is_some() {
            self.clients.insert(id, client);
        }
        self.print(&format!("Client {id} connected from {address}"));
    }

    /// A talk client disconnects.
    pub fn left(&mut self, number: usize) {
        if let Some(id) = self.id_of(number) {
            self.clients.remove(&id);
            self.print(&format!("Client {id} disconnected"));
        }
    }

    /// A talk client sends a line.
    pub fn sent(&mut self, number: usize, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        if let Some(id) = self.id_of(number) {
            let mut last: String = text.chars().take(60).collect();
            if last.len() < text.len() {
                last.push_str("...");
            }
            self.clients.get_mut(&id).expect("found").last = Some(last);
            self.print(&format!("Client {id}: {text}"));
        }
    }

    fn id_of(&self, number: usize) -> Option<u32> {
        let mut clients = self.clients.iter();
        let found = clients.find(|(_, client)| client.socket.borrow().number == number);
        found.map(|(id, _)| *id)
    }

    /// The operator has written a line.
    pub fn command(&mut self, line: &str, now: u32) {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "" => {}
            "/help" => self.print(HELP),
            "/list" => self.list(now),
            "/kick" => match self.find(rest) {
                Some(socket) => socket.borrow_mut().kicked = true,
                None => self.no_such_client(rest),
            },
            "/to" => {
                let (id, text) = rest.split_once(' ').unwrap_or((rest, ""));
                match self.find(id) {
                    None => self.no_such_client(id),
                    Some(_) if text.is_empty() => self.print("usage: /to ID TEXT"),
                    Some(socket) => self.expect_at(&socket, text),
                }
            }
            _ if command.starts_with('/') => {
                self.print(&format!(
                    "unknown command {command}; /help lists the commands"
                ));
            }
            _ if self.clients.is_empty() => self.print("no client is connected"),
            _ => {
                for client in self.clients.values() {
                    self.expect_at(&client.socket, line);
                }
            }
        }
    }

    fn find(&self, id: &str) -> Option<Handle> {
        let id = id.parse().ok()?;
        self.clients.get(&id).map(|client| client.socket.clone())
    }

    fn no_such_client(&mut self, id: &str) {
        if id.is_empty() {
            return self.print("give the number of a client; /list shows them");
        }
        self.print(&format!("there is no client {id}; /list shows the clients"));
    }

    fn list(&mut self, now: u32) {
        let lines = self.clients.iter().map(|(id, client)| {
            let since = match now - client.since {
                seconds @ 0..120 => format!("{seconds} s"),
                seconds @ 120..7200 => format!("{} min", seconds / 60),
                seconds => format!("{} h", seconds / 3600),
            };
            let last = client.last.as_ref();
            let last = last.map_or("none".to_owned(), |text| format!("{text:?}"));
            let address = client.address;
            format!("{id}  {address}  connected for {since}  last message: {last}")
        });
        let lines: Vec<_> = lines.collect();
        if lines.is_empty() {
            self.print("no client is connected");
        }
        for line in lines {
            self.print(&line);
        }
    }

    /// Expects a line at a talk client, unless it is being closed or does not read.
    fn expect_at(&self, socket: &Handle, text: &str) {
        let socket = &mut *socket.borrow_mut();
        if socket.kicked || socket.too_slow {
            return;
        }
        if socket.end_read {
            // Its end of stream is read; whether the session is closing already is not visible.
            socket
                .maybe_closing
                .get_or_insert(socket.script.expected.len());
        }
        if socket.pending() + text.len() > self.limits.talk_backlog {
            socket.too_slow = true;
            return;
        }
        let ends = match socket.script.is_bare(socket.parsed) {
            true => "",
            false => "\n",
        };
        let expected = &mut socket.script.expected;
        expected.extend_from_slice(text.as_bytes());
        expected.extend_from_slice(ends.as_bytes());
    }
}
