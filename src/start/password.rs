//! Makes a password for a room that was given none.
//! Shows it to nobody: the announcement does.

use super::error::StartError;

/// Twelve letters and digits that are not mistaken for each other: 60 bits.
pub fn make() -> Result<String, StartError> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(|error| {
        let way_out = "give one with --room-password-file FILE";
        StartError::new(format!(
            "cannot make a password for the room: {error}; {way_out}"
        ))
    })?;
    Ok(random
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect())
}
