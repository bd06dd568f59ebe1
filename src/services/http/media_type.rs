//! The media type of a file, by the end of its name: RFC 9110, section 8.3.

use mime_guess::MimeGuess;

/// The value of Content-Type, and a parameter that follows it.
pub fn media_type(name: &str) -> (&'static str, &'static str) {
    let found = MimeGuess::from_path(name).first_raw();
    let name = found.unwrap_or("application/octet-stream");
    let is_text = name.starts_with("text/");
    // Without a character set, browsers guess one.
    (name, if is_text { "; charset=utf-8" } else { "" })
}
