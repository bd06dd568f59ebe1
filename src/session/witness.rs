//! Lets somebody watch what a session does.

/// Sees what a session does. The empty methods cost nothing.
pub trait Witness {
    /// The protocol took these bytes.
    fn took(&mut self, _bytes: &[u8]) {}
    /// The protocol answered with so many bytes from memory and so many from a blob.
    fn answered(&mut self, _bytes: usize, _body: u64) {}
}

impl Witness for () {}
