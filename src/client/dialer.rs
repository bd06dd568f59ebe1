//! Keeps the connection between two commands, and dials when there is none.
//! Retries nothing: a command whose connection broke has failed, and the next one gets a new one.

use super::connection::{Address, Connection};
use super::error::{ClientError, Trouble};
use super::limits::ClientLimits;
use super::screen;

/// The way to one server.
#[derive(Debug)]
pub struct Dialer {
    address: Address,
    limits: ClientLimits,
    kept: Option<Connection>,
}

impl Dialer {
    /// Reads the address; connects to nothing yet.
    pub fn new(at: &str, limits: &ClientLimits) -> Result<Dialer, ClientError> {
        Ok(Dialer {
            address: Address::read(at)?,
            limits: *limits,
            kept: None,
        })
    }

    /// The server, as the person wrote it.
    pub fn peer(&self) -> &str {
        self.address.text()
    }

    /// What the conversation may wait for and hold.
    pub fn limits(&self) -> &ClientLimits {
        &self.limits
    }

    /// Hands the connection to a command. Whoever does not bring it back with [`Dialer::keep`]
    /// has left it in the middle of something, and it is closed.
    pub fn take(&mut self) -> Result<Connection, ClientError> {
        if let Some(mut connection) = self.kept.take() {
            if connection.is_open() {
                return Ok(connection);
            }
            screen::remark(format!(
                "{} closed the connection; connecting again",
                connection.peer()
            ));
        }
        Connection::open(&self.address, &self.limits)
    }

    /// Takes the connection back, ready for the next command.
    pub fn keep(&mut self, connection: Connection) {
        self.kept = Some(connection);
    }

    /// Takes the connection back after a refusal, if the server goes on with it: it does after a
    /// plain no, and hangs up after everything else.
    pub fn refused(&mut self, connection: Connection, words: String) -> Trouble {
        let plain_no = ["ERROR File Tidak Ditemukan", "ERROR: File not found"];
        if plain_no.contains(&words.as_str()) {
            self.keep(connection);
        }
        Trouble::Refused(words)
    }

    /// Closes the connection, if there is one.
    pub fn hang_up(&mut self) {
        self.kept = None;
    }
}
