//! The echo client: sends lines and checks that the same bytes come back.

use super::ClientLimits;
use super::connection::{Address, BlockingConnection};
use super::error::{ClientError, ExchangeError};
use super::input::Input;
use super::output;

/// Sends one message and LF, prints the answer, and waits for end of stream.
pub fn once(message: &str, at: &str, limits: &ClientLimits) -> Result<(), ClientError> {
    let mut connection = BlockingConnection::open(&Address::read(at)?, limits)?;
    let line = format!("{message}\n");
    round_trip(&mut connection, line.as_bytes(), limits)
        .and_then(|()| finish(&mut connection))
        .map_err(|error| in_context(error, at))
}

/// Sends each line of the input and waits for it to come back, until the input ends.
pub fn converse(at: &str, limits: &ClientLimits) -> Result<(), ClientError> {
    let mut connection = BlockingConnection::open(&Address::read(at)?, limits)?;
    let mut input = Input::open()?;
    if input.is_terminal() {
        output::diagnostic(format!("connected to {at}; Ctrl-D leaves"));
    }
    while let Some(line) = input.next("echo> ", limits.echo_piece)? {
        round_trip(&mut connection, &line, limits).map_err(|error| in_context(error, at))?;
    }
    finish(&mut connection).map_err(|error| in_context(error, at))
}

/// Writes in pieces and reads each back: a server stops reading from a client that does not read.
fn round_trip(
    connection: &mut BlockingConnection,
    bytes: &[u8],
    limits: &ClientLimits,
) -> Result<(), ExchangeError> {
    for piece in bytes.chunks(limits.echo_piece) {
        connection.send(piece)?;
        let echo = read_back(connection, piece.len())?;
        if let Some(place) = piece.iter().zip(&echo).position(|(sent, got)| sent != got) {
            return Err(ExchangeError::Local(format!(
                "a byte sent as {:#04x} came back as {:#04x}; is this the port of an echo service?",
                piece[place], echo[place]
            )));
        }
        output::bytes(&echo)?;
    }
    Ok(())
}

fn read_back(connection: &mut BlockingConnection, length: usize) -> Result<Vec<u8>, ExchangeError> {
    let mut echo = vec![0; length];
    let mut got = 0;
    while got < length {
        match connection.read(&mut echo[got..])? {
            0 => {
                return Err(ExchangeError::Local(format!(
                    "the server closed the connection after {got} of {length} bytes came back; \
                     see the log of the server, or try again"
                )));
            }
            count => got += count,
        }
    }
    Ok(echo)
}

fn finish(connection: &mut BlockingConnection) -> Result<(), ExchangeError> {
    connection.finish_writing()?;
    match connection.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(ExchangeError::Local(
            "more bytes came back than were sent; is this the port of an echo service?".to_owned(),
        )),
    }
}

fn in_context(error: ExchangeError, at: &str) -> ClientError {
    error.in_context(format!("cannot echo through {at}"))
}
