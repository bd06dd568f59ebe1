//! Sockets that other programs hand over. The tests let their child processes inherit sockets, so
//! that a server of any other test in this process may have them as well.

mod proxy_haproxy;
mod restart;
mod socket_activation;
#[path = "../support/mod.rs"]
mod support;
