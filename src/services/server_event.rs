//! Writes server-sent events: the HTML standard, section 9.2. The data of each is one JSON object.

use std::fmt::Display;
use std::rc::Rc;

/// What a stream that has nothing to say is sent: a comment.
pub const HEARTBEAT: &[u8] = b": \n\n";

/// An event without an id. JSON has no line ends outside of strings, and escapes them in strings.
pub fn event(kind: &str, data: &dyn Display) -> Rc<str> {
    format!("event: {kind}\ndata: {data}\n\n").into()
}

/// An event with an id, which the client sends back in Last-Event-ID.
pub fn event_with_id(kind: &str, id: impl Display, data: &dyn Display) -> Rc<str> {
    format!("event: {kind}\nid: {id}\ndata: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_of_a_peer_cannot_end_an_event() {
        let written = event(
            "talk",
            &json!({"line": "a\n\nevent: b\r\u{2028}\"</script>"}),
        );
        assert_eq!(
            &*written,
            "event: talk\ndata: {\"line\":\"a\\n\\nevent: b\\r\u{2028}\\\"</script>\"}\n\n"
        );
        let written = event_with_id("operator", "7-1", &json!({}));
        assert_eq!(&*written, "event: operator\nid: 7-1\ndata: {}\n\n");
    }
}
