//! A room that plays a script, datagram by datagram.

use std::net::{SocketAddr, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Far beyond what anything here takes: a test that reaches it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// The room's end, and the address of the client that was heard last.
pub struct Room {
    pub socket: UdpSocket,
    pub client: Option<SocketAddr>,
    /// A member's question whether it still is one: it is answered and not part of the script.
    pub question: Option<String>,
}

impl Room {
    pub fn next(&mut self) -> String {
        loop {
            let mut datagram = vec![0; 65_536];
            let (length, client) = self.socket.recv_from(&mut datagram).unwrap();
            self.client = Some(client);
            let text = String::from_utf8(datagram[..length].to_vec()).unwrap();
            if self.question.as_ref() != Some(&text) {
                return text;
            }
            self.send("USERNAME OK");
        }
    }

    #[track_caller]
    pub fn expect(&mut self, wanted: &str) {
        assert_eq!(self.next(), wanted);
    }

    pub fn send(&self, datagram: impl AsRef<[u8]>) {
        let client = self.client.unwrap();
        self.socket.send_to(datagram.as_ref(), client).unwrap();
    }

    /// Answers this one request.
    #[track_caller]
    pub fn answer(&mut self, request: &str, answer: &str) {
        self.expect(request);
        self.send(answer);
    }

    #[track_caller]
    pub fn let_in(&mut self, name: &str) {
        self.answer("PASSWORD pw", "PASSWORD OK");
        let question = format!("USERNAME {name}");
        self.answer(&question, "USERNAME OK");
        self.send(format!("{name} bergabung ke chatroom."));
        self.question = Some(question);
    }

    /// From now on it is a server that was started again.
    pub fn start_again(&mut self) {
        self.question = None;
    }

    /// Relays what the client says, as rooms do.
    #[track_caller]
    pub fn relay(&mut self, message: &str) {
        self.answer(message, message);
    }
}

/// A room that plays one script.
pub struct FakeRoom {
    pub address: String,
    worker: JoinHandle<()>,
}

impl FakeRoom {
    pub fn new(script: impl FnOnce(&mut Room) + Send + 'static) -> FakeRoom {
        FakeRoom::at("127.0.0.1:0", script)
    }

    pub fn at(address: &str, script: impl FnOnce(&mut Room) + Send + 'static) -> FakeRoom {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        FakeRoom {
            address: socket.local_addr().unwrap().to_string(),
            worker: thread::spawn(move || {
                script(&mut Room {
                    socket,
                    client: None,
                    question: None,
                });
            }),
        }
    }

    pub fn finish(self) {
        if let Err(panic) = self.worker.join() {
            std::panic::resume_unwind(panic);
        }
    }
}
