//! What a server does between binding its ports and serving.
//! Serves nobody and binds nothing: the composition root calls these in order.

pub mod error;
pub mod root;
