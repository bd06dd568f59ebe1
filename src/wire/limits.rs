//! Names what a peer may send at most.
//! Holds no numbers of its own: those, with their reasons, stand in `config.rs`.

/// How long the pieces of a conversation may be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireLimits {
    /// One line or bare unit, without its line end.
    pub unit: usize,
    /// One name, all its components and the slashes between them.
    pub name: usize,
    /// One component of a name, as `NAME_MAX` of `limits.h` has it.
    pub component: usize,
}
