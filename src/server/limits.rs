//! Limits from the flags; the others are those of `config`.

use super::options::ServeOptions;
use crate::config;
use crate::config::reactor::REACTOR;
use crate::config::store::STORE;
use crate::reactor::{ReactorLimits, fd_limit};
use crate::store::{QuotaLimits, StoreSettings};

/// The settings of the store.
pub fn store_settings(options: &ServeOptions) -> StoreSettings {
    StoreSettings {
        read_only: options.read_only,
        largest: options
            .max_file_size
            .unwrap_or(STORE.largest)
            .min(STORE.largest),
        quota: QuotaLimits {
            total: options.max_total,
            ..STORE.quota
        },
        sync: !options.no_sync,
        ..STORE
    }
}

/// The limits of the event loop.
pub fn reactor_limits(options: &ServeOptions, files: bool) -> ReactorLimits {
    let (most, idle) = (
        options.max_connections.map(|count| count as usize),
        options.idle_timeout,
    );
    ReactorLimits {
        connections: fd_limit::connections(most, config::DESCRIPTOR_RESERVE, files),
        per_ip: options.max_per_address.map(|count| count as usize),
        min_rate: options.min_rate,
        idle_seconds: (idle > 0).then_some(idle),
        settle_millis: options.settle,
        header_gap_millis: options.bare_gap,
        spin_micros: options.spin,
        ..REACTOR
    }
}
