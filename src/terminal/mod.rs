//! Terminal handling for the operator and the chat clients.
//! The line editor does not block, so that lines that arrive are shown while a line is typed.

pub mod line_editor;
pub mod on_exit;
pub mod raw_mode;
pub mod sanitize;
pub mod std_stream;
