//! The terminal of a person: the operator's, and that of the two chat clients.
//! What is typed is edited here while lines arrive, which no blocking line editor allows.

pub mod line_editor;
pub mod on_exit;
pub mod raw_mode;
pub mod sanitize;
pub mod std_stream;
