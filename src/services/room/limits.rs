//! The limits of the room.

use super::history::HistoryLimits;
use super::networks::NetworkLimits;
use super::strangers::StrangerLimits;
use super::token_bucket::Rate;

/// Limits of the room. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct RoomLimits {
    /// Bytes of a relayed message.
    pub message: usize,
    /// Characters of a name.
    pub name: usize,
    /// Members at the same time.
    pub members: usize,
    /// Messages a second of one member.
    pub rate: u32,
    /// Burst of a member after a silence, in seconds of its rate.
    pub burst: u32,
    /// Members of one client network.
    pub per_address: u32,
    /// The members of one network share `rate * per_address / rate_divisor` messages a second, at
    /// least `rate`.
    pub rate_divisor: u32,
    /// Number of networks from which on those that hold nothing are removed.
    pub sweep_from: usize,
    /// Time after which a silent member is removed; `None` is never.
    pub idle: Option<u64>,
    /// The same for a member that has sent nothing since it joined, if that is less.
    pub newcomer_idle: u64,
    /// Refused datagrams in a row that end a membership.
    pub refusals: u32,
    /// Time that a claim to a taken name waits for the result of the probe.
    pub claim_timeout: u64,
    /// Claims at the same time.
    pub claims: usize,
    /// Shortest time between two searches for silent members.
    pub search_interval: u64,
    /// Lines that a session may get later.
    pub kept_lines: usize,
    /// Messages that a new member is shown.
    pub history: HistoryLimits,
    /// Limits of the tables of strangers.
    pub strangers: StrangerLimits,
}

impl RoomLimits {
    /// The rate of a number of members together.
    pub(super) fn rate_of(&self, members: u32) -> Rate {
        let per_second = self.rate.saturating_mul(members);
        Rate {
            per_second,
            burst: per_second.saturating_mul(self.burst),
        }
    }

    pub(super) fn network(&self) -> NetworkLimits {
        NetworkLimits {
            places: self.per_address as usize,
            messages: self.rate_of((self.per_address / self.rate_divisor).max(1)),
            // A whole class may join at the same time.
            joins: Rate {
                per_second: self.rate,
                burst: self.rate_of(1).burst.max(self.per_address),
            },
            sweep_from: self.sweep_from,
        }
    }
}
