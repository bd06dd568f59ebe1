//! The open tabs, found by their secret ids.

use super::ask::Asks;
use crate::session::session_id::SessionId;
use std::collections::HashMap;
use subtle::ConstantTimeEq;

/// Fills a buffer with random bytes: getrandom(2). Tests give a sequence.
pub type RandomBytes = Box<dyn FnMut(&mut [u8; SECRET]) -> bool>;

/// The random bytes in the id of a tab.
const SECRET: usize = 12;

/// The open tabs.
pub struct Tabs {
    /// By the slot of their sessions, which is the public part of their ids.
    open: HashMap<u32, OpenTab>,
    random: RandomBytes,
}

/// A tab for the requests that name it.
struct OpenTab {
    id: Box<str>,
    session: SessionId,
    asks: Asks,
}

impl Tabs {
    /// Without tabs. `random` returns false if there are no random bytes.
    pub fn new(random: RandomBytes) -> Tabs {
        Tabs {
            open: HashMap::new(),
            random,
        }
    }

    /// The number of open tabs.
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// Adds a tab, and returns its secret id: 32 hex digits. `None` without random bytes.
    pub fn add(&mut self, session: SessionId, asks: Asks) -> Option<Box<str>> {
        let mut secret = [0; SECRET];
        if !(self.random)(&mut secret) {
            return None;
        }
        let mut id = format!("{:08x}", session.slot());
        id.extend(secret.iter().map(|byte| format!("{byte:02x}")));
        let id: Box<str> = id.into();
        let tab = OpenTab {
            id: id.clone(),
            session,
            asks,
        };
        self.open.insert(session.slot(), tab);
        Some(id)
    }

    /// The id of the tab of this session; empty if there is none.
    pub fn id(&self, session: SessionId) -> Box<str> {
        let tab = self.open.get(&session.slot());
        tab.map_or_else(Box::default, |tab| tab.id.clone())
    }

    /// The session of the tab with this id, and its list of requests.
    pub fn find(&self, id: &str) -> Option<(SessionId, Asks)> {
        let slot = u32::from_str_radix(id.get(..8)?, 16).ok()?;
        let tab = self.open.get(&slot)?;
        let is_same = bool::from(tab.id.as_bytes().ct_eq(id.as_bytes()));
        is_same.then(|| (tab.session, tab.asks.clone()))
    }

    /// Removes a tab.
    pub fn remove(&mut self, session: SessionId) {
        self.open.remove(&session.slot());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_is_found_by_its_whole_id_only() {
        let mut byte = 0;
        let mut tabs = Tabs::new(Box::new(move |secret| {
            byte += 1;
            secret.fill(byte);
            true
        }));
        let session = SessionId::new(0xab, 5);
        let id = tabs.add(session, Asks::default()).expect("random bytes");
        let other = tabs.add(SessionId::new(1, 6), Asks::default());
        assert_eq!(&*id, "000000ab010101010101010101010101");
        assert_eq!(tabs.find(&id).map(|(session, _)| session), Some(session));
        let guesses = [
            "",
            "000000ab",
            "000000ab0101010101010101010101",
            "000000ab010101010101010101010102",
            "000000AB010101010101010101010101",
            "0000000101010101010101010101010101",
            "ééééééééééé",
        ];
        for guess in guesses {
            assert!(tabs.find(guess).is_none(), "{guess}");
        }
        tabs.remove(session);
        assert!(tabs.find(&id).is_none());
        assert!(tabs.find(&other.expect("random bytes")).is_some());
    }
}
