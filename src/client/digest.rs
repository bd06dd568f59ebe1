//! The SHA-256 of what is read, as the word `sum` of the files service writes it.

use crate::wire::text::hex;
use sha2::{Digest, Sha256};
use std::io::{self, BufRead, BufReader, Read};

/// The digest of the rest of a file, in hexadecimal. Reads `piece` bytes at once.
pub fn sha256(file: impl Read, piece: usize) -> io::Result<String> {
    let (mut hasher, mut file) = (Sha256::new(), BufReader::with_capacity(piece, file));
    loop {
        let bytes = match file.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        if bytes.is_empty() {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(bytes);
        let count = bytes.len();
        file.consume(count);
    }
}
