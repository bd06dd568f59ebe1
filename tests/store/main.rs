//! The root folder on a real disk: what is reachable, what fits, and what is missing.

mod file_systems;
mod max_total;
mod nodes;
mod scarcity;
mod stalled_mount;
mod store;
mod store_links;
mod store_permissions;
mod store_root;
#[path = "../support/mod.rs"]
mod support;
mod transfers_at_once;
