//! Parsers and rules without sockets: what every byte of a request means, and any other bytes.

mod any_bytes;
mod http_chunks;
mod http_fields;
mod http_heads;
mod http_paths;
mod http_refused_heads;
mod http_rights;
#[path = "../memory/mod.rs"]
mod memory;
mod nats_bytes;
mod proxy_header;
