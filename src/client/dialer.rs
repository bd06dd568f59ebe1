//! Keeps the connection open between commands, and reconnects when it was closed.
//! Retries nothing: a command whose connection broke has failed, and the next one gets a new one.

use super::ClientLimits;
use super::connection::{Address, Connection};
use super::error::{ClientError, Trouble};
use super::screen;

/// A server, and the connection to it if one is open.
#[derive(Debug)]
pub struct Dialer {
    address: Address,
    limits: ClientLimits,
    kept: Option<Connection>,
}

impl Dialer {
    /// Parses the address; does not connect yet.
    pub fn new(at: &str, limits: &ClientLimits) -> Result<Dialer, ClientError> {
        Ok(Dialer {
            address: Address::read(at)?,
            limits: *limits,
            kept: None,
        })
    }

    /// The address of the server as it was given.
    pub fn peer(&self) -> &str {
        self.address.text()
    }

    /// The limits of the client.
    pub fn limits(&self) -> &ClientLimits {
        &self.limits
    }

    /// Gives the connection to a command, connecting if necessary. A connection that is not
    /// returned with [`Dialer::keep`] is in an unknown state, so dropping it closes it.
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

    /// Takes the connection back for the next command.
    pub fn keep(&mut self, connection: Connection) {
        self.kept = Some(connection);
    }

    /// Takes the connection back after a refusal, if the server keeps it open: it does after a
    /// negative answer, and closes it after every other error.
    pub fn refused(&mut self, connection: Connection, words: String) -> Trouble {
        let plain_no = ["ERROR File Tidak Ditemukan", "ERROR: File not found"];
        if plain_no.contains(&words.as_str()) {
            self.keep(connection);
        }
        Trouble::Refused(words)
    }

    /// Closes the connection, if one is open.
    pub fn hang_up(&mut self) {
        self.kept = None;
    }
}
