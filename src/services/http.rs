//! The HTTP service: files of the root for browsers and tools.

pub mod access_log;
pub mod metrics;
pub mod request_counts;
pub mod rights;
pub mod shared;
