//! What a NATS server says of itself in `INFO`.

use super::NotNats;
use serde_json::Value;

/// The parts of `INFO` that a client without TLS needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// Bytes of headers and payload of one message that the server accepts.
    pub max_payload: u64,
    /// Whether messages may have headers.
    pub headers: bool,
    /// Whether the server goes on only after a TLS handshake.
    pub needs_tls: bool,
}

impl ServerInfo {
    /// Parses the JSON of `INFO`.
    pub fn parse(json: &[u8]) -> Result<ServerInfo, NotNats> {
        let info: Value = serde_json::from_slice(json).map_err(|_| NotNats("INFO is not JSON"))?;
        let max_payload = info.get("max_payload").and_then(Value::as_u64);
        let is = |name| info.get(name).and_then(Value::as_bool).unwrap_or(false);
        Ok(ServerInfo {
            max_payload: max_payload.ok_or(NotNats("INFO has no max_payload"))?,
            headers: is("headers"),
            needs_tls: is("tls_required"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_info_of_a_server_is_read() {
        let json = br#"{"server_id":"X","headers":true,"max_payload":1048576,"tls_required":true}"#;
        let wanted = ServerInfo {
            max_payload: 1_048_576,
            headers: true,
            needs_tls: true,
        };
        assert_eq!(ServerInfo::parse(json), Ok(wanted));
        for wrong in [
            "",
            "{",
            "[]",
            "{\"max_payload\":\"1\"}",
            "{\"max_payload\":-1}",
        ] {
            assert!(ServerInfo::parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }
}
