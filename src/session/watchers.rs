//! The sessions that are notified of the changes of something that they share.

use super::notice::{Audience, Notice, Post};
use super::session_id::SessionId;

/// The sessions, in the order in which they came.
#[derive(Debug, Default)]
pub struct Watchers(Vec<SessionId>);

impl Watchers {
    /// Notifies this session from now on.
    pub fn add(&mut self, session: SessionId) {
        self.0.push(session);
    }

    /// Notifies this session no more. It may be one that was never notified.
    pub fn remove(&mut self, session: SessionId) {
        self.0.retain(|other| *other != session);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Posts a notice to each.
    pub fn post(&self, notice: &Notice, posts: &mut Vec<Post>) {
        posts.extend(self.0.iter().map(|&session| Post {
            to: Audience::One(session),
            notice: notice.clone(),
        }));
    }
}
