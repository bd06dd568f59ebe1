//! A UDP room that follows a script.

use std::net::{SocketAddr, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Much longer than any step of a test: a test that reaches it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// The room side of the socket.
pub struct Room {
    pub socket: UdpSocket,
    /// The sender of the last datagram.
    pub client: Option<SocketAddr>,
    /// The membership check of the client. It is answered outside the script.
    pub check: Option<String>,
}

impl Room {
    /// Receives the next datagram that is no membership check.
    pub fn next(&mut self) -> String {
        loop {
            let mut datagram = vec![0; 65_536];
            let (length, client) = self.socket.recv_from(&mut datagram).unwrap();
            self.client = Some(client);
            let text = String::from_utf8(datagram[..length].to_vec()).unwrap();
            if self.check.as_ref() != Some(&text) {
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

    /// Expects this datagram and answers it.
    #[track_caller]
    pub fn answer(&mut self, request: &str, answer: &str) {
        self.expect(request);
        self.send(answer);
    }

    /// Answers the requests of a client that joins, and then asks for the last messages.
    #[track_caller]
    pub fn admit(&mut self, name: &str) {
        self.admit_again(name);
        self.show_no_messages(name);
    }

    /// Answers the first check, and the request for the last messages.
    #[track_caller]
    pub fn show_no_messages(&mut self, name: &str) {
        let check = format!("USERNAME {name}");
        self.check = None;
        self.answer(&check, "USERNAME OK");
        self.answer(&format!("{check:1024}"), "USERNAME OK");
        self.check = Some(check);
    }

    /// Answers the requests of a client that joins once more.
    #[track_caller]
    pub fn admit_again(&mut self, name: &str) {
        self.answer("PASSWORD pw", "PASSWORD OK");
        let check = format!("USERNAME {name}");
        self.answer(&check, "USERNAME OK");
        self.send(format!("{name} bergabung ke chatroom."));
        self.check = Some(check);
    }

    /// From now on the room has no members, like a restarted server.
    pub fn restart(&mut self) {
        self.check = None;
    }

    /// Expects this message and sends it back, as a room does.
    #[track_caller]
    pub fn relay(&mut self, message: &str) {
        self.answer(message, message);
    }
}

/// A room that runs one script.
pub struct FakeRoom {
    pub address: String,
    worker: JoinHandle<()>,
}

impl FakeRoom {
    pub fn new(script: impl FnOnce(&mut Room) + Send + 'static) -> FakeRoom {
        FakeRoom::at("127.0.0.1:0", script)
    }

    /// A room at this address.
    pub fn at(address: &str, script: impl FnOnce(&mut Room) + Send + 'static) -> FakeRoom {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        FakeRoom {
            address: socket.local_addr().unwrap().to_string(),
            worker: thread::spawn(move || {
                script(&mut Room {
                    socket,
                    client: None,
                    check: None,
                });
            }),
        }
    }

    /// Waits until the script has ended.
    pub fn finish(self) {
        if let Err(panic) = self.worker.join() {
            std::panic::resume_unwind(panic);
        }
    }
}
