//! Names what the protocols must keep to.
//! Holds no numbers of its own: those, with their reasons, stand in `config.rs`.

use crate::wire::limits::WireLimits;

/// Limits of the command services.
#[derive(Debug, Clone, Copy)]
pub struct ServiceLimits {
    /// Lengths of units and names.
    pub wire: WireLimits,
    /// Bytes of a stored upload moved in one piece of work.
    pub copy_step: usize,
}
