//! The HTTP service: files of the root for browsers and tools.

pub mod rights;
