//! Keeps the connection open between commands, and reconnects if the server has closed it.
//! A command is never retried: if its connection breaks, it fails, and the next command reconnects.

use super::ClientLimits;
use super::connection::{Address, BlockingConnection};
use super::error::{ClientError, ExchangeError};
use super::output;

/// A server, and the connection to it if one is open.
#[derive(Debug)]
pub struct Reconnector {
    address: Address,
    limits: ClientLimits,
    kept: Option<BlockingConnection>,
}

impl Reconnector {
    /// Parses the address; does not connect yet.
    pub fn new(at: &str, limits: &ClientLimits) -> Result<Reconnector, ClientError> {
        Ok(Reconnector {
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
    /// returned with [`Reconnector::keep`] is in an unknown state, so dropping it closes it.
    pub fn take(&mut self) -> Result<BlockingConnection, ClientError> {
        if let Some(mut connection) = self.kept.take() {
            if connection.is_open() {
                return Ok(connection);
            }
            output::diagnostic(format!(
                "{} closed the connection; connecting again",
                connection.peer()
            ));
        }
        BlockingConnection::open(&self.address, &self.limits)
    }

    /// Connects, if no connection is open.
    pub fn connect(&mut self) -> Result<(), ClientError> {
        let connection = self.take()?;
        self.keep(connection);
        Ok(())
    }

    /// Takes the connection back for the next command.
    pub fn keep(&mut self, connection: BlockingConnection) {
        self.kept = Some(connection);
    }

    /// Takes the connection back after a refusal, if the server keeps it open: it does after a
    /// negative answer, and closes it after every other error.
    pub fn refused(&mut self, connection: BlockingConnection, words: String) -> ExchangeError {
        let keeps_open = ["ERROR File Tidak Ditemukan", "ERROR: File not found"];
        if keeps_open.contains(&words.as_str()) {
            self.keep(connection);
        }
        ExchangeError::Refused(words)
    }

    /// Closes the connection, if one is open.
    pub fn hang_up(&mut self) {
        self.kept = None;
    }
}
