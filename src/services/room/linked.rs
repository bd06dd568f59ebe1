//! The room among the rooms of other servers: shows what their members say and do, and asks for the
//! names of its own members, which are unique on all servers.

use super::elsewhere::{MembersElsewhere, Shown};
use super::request::{cut, line_of, one_line};
use super::stored_lines::{StoredLine, StoredLines};
use super::view::about;
use super::{LeaveReason, Room, join_notice, leave_notice, taken, warn};
use crate::services::link::names::{Names, Outcome};
use crate::session::datagram::{DatagramContext, Route};
use crate::session::notice::{Datagram, Deed, Denial, Meaning};
use crate::session::peer::Peer;
use crate::wire::text;

/// What the room knows of other servers, and shares with them.
pub struct LinkedRoom {
    elsewhere: MembersElsewhere,
    names: Names,
    /// The messages for new members, if they are shown any.
    stored: Option<StoredLines>,
    /// Clients that wait for a name, the oldest first: all have the same timeout.
    joining: Vec<Joining>,
    /// How long they wait, in microseconds.
    timeout: u64,
}

/// A client that waits for its name.
struct Joining {
    from: Route,
    name: String,
    key: String,
    until: u64,
    /// The message of a lost member, with which it joins again.
    message: Option<Vec<u8>>,
}

impl LinkedRoom {
    /// Without other servers. A member waits for its name for `timeout` microseconds.
    pub fn new(
        elsewhere: MembersElsewhere,
        names: Names,
        stored: Option<StoredLines>,
        timeout: u64,
    ) -> LinkedRoom {
        LinkedRoom {
            elsewhere,
            names,
            stored,
            joining: Vec::new(),
            timeout,
        }
    }

    /// Publishes what a member has done. Returns false if it has said something that the stream of
    /// messages could not get.
    pub(super) fn publish(
        &mut self,
        name: &str,
        deed: Deed,
        line: &str,
        cx: &mut DatagramContext<'_>,
    ) -> bool {
        self.elsewhere.publish(name, deed, line, cx.posts);
        match &self.stored {
            Some(stored) if deed == Deed::Said => stored.store(name, line.as_bytes(), cx.posts),
            _ => true,
        }
    }

    pub(super) fn next_due(&self) -> Option<u64> {
        let joining = self.joining.first().map(|joining| joining.until);
        let stored = self.stored.as_ref().and_then(StoredLines::next_due);
        let names = self.names.next_due();
        [joining, self.elsewhere.next_due(), names, stored]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes a client that waits for the name of this key.
    fn take(&mut self, key: &str) -> Option<Joining> {
        let at = self.joining.iter().position(|joining| joining.key == key)?;
        Some(self.joining.remove(at))
    }
}

impl Room {
    pub(super) fn hear_elsewhere(&mut self, cx: &mut DatagramContext<'_>) {
        let Some(linked) = &mut self.linked else {
            return;
        };
        let (mut shown, mut outcomes) = (Vec::new(), Vec::new());
        linked.names.on_wake(cx.now, cx.posts);
        let mut read = Vec::new();
        for answer in linked.elsewhere.on_wake(cx.now, &mut shown, cx.posts) {
            let lines = linked.stored.as_mut().and_then(|stored| {
                let history = &mut self.view.borrow_mut().history;
                stored.on_answer(&answer, history, cx.now, cx.posts)
            });
            match lines {
                Some(lines) => read.extend(lines),
                None => outcomes.extend(linked.names.on_answer(&answer, cx.now, cx.posts)),
            }
        }
        if let Some(stored) = &mut linked.stored {
            let history = &mut self.view.borrow_mut().history;
            stored.on_wake(history, cx.now, cx.posts);
        }
        // A message that was said while the stream was read is in both.
        self.show_elsewhere(shown, cx);
        self.add_stored(read);
        for outcome in outcomes {
            self.on_outcome(outcome, cx);
        }
    }

    fn on_outcome(&mut self, outcome: Outcome, cx: &mut DatagramContext<'_>) {
        let linked = self.linked.as_mut().expect("the room is linked");
        match outcome {
            Outcome::Granted(key) => {
                let Some(joining) = linked.take(&key) else {
                    return linked.names.release(&key, cx.now, cx.posts);
                };
                let Joining {
                    from,
                    name,
                    message,
                    ..
                } = joining;
                // The answer to its password may have been refused meanwhile.
                let is_admitted = self.strangers.is_admitted(from.peer, cx.now);
                match message {
                    None if !is_admitted => {}
                    Some(message) => self.rejoin_as(from, &name, &message, cx),
                    None => self.join(from, &name, cx),
                }
                if let Some(linked) = self
                    .linked
                    .as_mut()
                    .filter(|_| !self.names.contains_key(&key))
                {
                    linked.names.release(&key, cx.now, cx.posts);
                }
            }
            Outcome::Refused(key) => {
                let refused = linked
                    .take(&key)
                    .filter(|joining| joining.message.is_none());
                if let Some(joining) = refused {
                    cx.out.to_one(taken(Denial::Taken), joining.from);
                }
            }
            Outcome::Lost(key) => {
                let Some(&peer) = self.names.get(&key) else {
                    return;
                };
                let name = &self.members[&peer].name;
                let line =
                    format!("({name} is taken: another server had it while the link was down)");
                cx.out.to_one(line.as_bytes(), peer);
                self.end(&[peer], LeaveReason::NameLost, cx);
            }
        }
    }

    /// Asks the other servers for a name. Returns false if there are none: the name is free.
    pub(super) fn ask_for_name(
        &mut self,
        from: Route,
        name: &str,
        message: Option<&[u8]>,
        cx: &mut DatagramContext<'_>,
    ) -> bool {
        let key = text::name_key(name);
        let Some(linked) = &mut self.linked else {
            return false;
        };
        if linked.names.is_held(&key) {
            return false;
        }
        let waits = |joining: &Joining| joining.from.peer == from.peer;
        if linked.joining.iter().any(waits) {
            return true;
        }
        let is_asked = linked.joining.iter().any(|joining| joining.key == key);
        if is_asked || linked.joining.len() >= self.limits.claims {
            if message.is_none() {
                cx.out.to_one(taken(Denial::Taken), from);
            }
            return true;
        }
        linked.names.claim(&key, cx.now, cx.posts);
        linked.joining.push(Joining {
            from,
            name: name.to_owned(),
            key,
            until: cx.now + linked.timeout,
            message: message.map(<[u8]>::to_vec),
        });
        true
    }

    /// A member has left. Another server may have its name already.
    pub(super) fn release(&mut self, name: &str, cx: &mut DatagramContext<'_>) {
        let key = text::name_key(name);
        if let Some(linked) = &mut self.linked {
            linked.names.release(&key, cx.now, cx.posts);
            let entered = linked.elsewhere.entered(&key);
            self.show_elsewhere(entered.into_iter().collect(), cx);
        }
    }

    /// A client has ended that may wait for a name.
    pub(super) fn give_up_name(&mut self, peer: Peer, cx: &mut DatagramContext<'_>) {
        if let Some(linked) = &mut self.linked
            && let Some(at) = linked.joining.iter().position(|it| it.from.peer == peer)
        {
            let joining = linked.joining.remove(at);
            linked.names.release(&joining.key, cx.now, cx.posts);
        }
    }

    /// Refuses the clients that have waited for too long.
    fn end_waits(&mut self, cx: &mut DatagramContext<'_>) {
        let linked = self.linked.as_mut().expect("the room is linked");
        let late = linked
            .joining
            .iter()
            .take_while(|joining| joining.until <= cx.now);
        let late = late.count();
        for joining in linked.joining.drain(..late) {
            linked.names.release(&joining.key, cx.now, cx.posts);
            if joining.message.is_none() {
                cx.out.to_one(taken(Denial::Taken), joining.from);
            }
            let what = "cannot join: no answer about its name over the link; JetStream may be off \
                        or without a quorum";
            warn(&mut self.refused, cx.now, &joining.from.peer, what);
        }
    }

    /// The server ends.
    pub(super) fn say_bye(&mut self, cx: &mut DatagramContext<'_>) {
        if let Some(linked) = &mut self.linked {
            linked.elsewhere.say_bye(cx.posts);
            for key in self.names.keys() {
                linked.names.release(key, cx.now, cx.posts);
            }
        }
    }

    pub(super) fn on_time_elsewhere(&mut self, cx: &mut DatagramContext<'_>) {
        let Some(linked) = &mut self.linked else {
            return;
        };
        let mut shown = Vec::new();
        let names = self.members.values().map(|member| &*member.name);
        linked
            .elsewhere
            .on_time(cx.now, names, &mut shown, cx.posts);
        linked.names.on_time(cx.now, cx.posts);
        let stored = linked.stored.as_mut();
        let read = stored.map(|stored| stored.on_time(cx.now, cx.posts));
        self.show_elsewhere(shown, cx);
        self.add_stored(read.unwrap_or_default());
        self.end_waits(cx);
    }

    /// Adds messages that were read from their stream to those for new members.
    fn add_stored(&mut self, read: Vec<StoredLine>) {
        let valid = read.into_iter().filter(|line| self.is_name(&line.name));
        let lines: Vec<_> = valid
            .map(|StoredLine { name, text }| {
                let line = line_of(&name, one_line(text.as_bytes()));
                about(cut(&line, self.limits.message), &name, Deed::Said, 0)
            })
            .collect();
        if !lines.is_empty() {
            self.view.borrow_mut().history.merge(lines);
        }
    }

    fn show_elsewhere(&mut self, shown: Vec<Shown>, cx: &mut DatagramContext<'_>) {
        for shown in shown {
            let (name, deed, text, quiet) = match shown {
                Shown::Member {
                    name,
                    deed,
                    text,
                    quiet,
                } => (name, deed, text, quiet),
                Shown::Lost(count) => {
                    let meaning = Meaning::Lost(count);
                    let line = format!("({count} messages from other servers were lost)");
                    cx.print(&line);
                    let bytes = line.as_bytes().into();
                    cx.out.to_many(Datagram { bytes, meaning }, &self.routes);
                    let linked = self.linked.as_mut();
                    if let Some(stored) = linked.and_then(|linked| linked.stored.as_mut()) {
                        stored.read_later(cx.now);
                    }
                    continue;
                }
            };
            if !self.is_name(&name) {
                continue;
            }
            let line = match deed {
                Deed::Entered => join_notice(&name),
                Deed::Left => leave_notice(&name),
                Deed::Said => line_of(&name, one_line(text.as_bytes())),
            };
            let own = self.names.get(&text::name_key(&name));
            let own = own.map(|own| self.members[own].name.clone());
            match deed {
                // The name is of a member here: what came over the link is forged, or late.
                Deed::Left if own.as_ref().is_some_and(|own| *own != name) => {
                    self.view.borrow_mut().names.remove(&name);
                    continue;
                }
                _ if own.is_some() => continue,
                Deed::Entered => drop(self.view.borrow_mut().names.insert(name.clone())),
                Deed::Left => drop(self.view.borrow_mut().names.remove(&name)),
                _ => {}
            }
            if !quiet {
                let fits = self.show(cut(&line, self.limits.message), &name, deed, cx);
                if let Some(linked) = self.linked.as_mut().filter(|_| !fits) {
                    linked.elsewhere.add_lost(1);
                }
            }
        }
    }
}
