//! Speaks the talk service: what a client says goes to the operator, and the other way round.
//! Shows nothing itself and knows no other client: both are the operator's console's.

use super::limits::ServiceLimits;
use super::refusal::Refusal;
use crate::session::close_reason::CloseReason;
use crate::session::notice::{Audience, Notice, Post};
use crate::session::protocol::{Cx, Intake, Patience, Protocol, Reaction};
use crate::wire::pause::{Delay, Pause};
use crate::wire::text;
use crate::wire::unended::Unended;
use crate::wire::unit::{Dialect, Fault, Split, Splitter};
use std::net::SocketAddr;
use std::rc::Rc;

/// One client of the operator.
pub struct Talk {
    splitter: Splitter,
    limits: Rc<ServiceLimits>,
    id: u32,
    address: SocketAddr,
    /// A character was cut in a bare unit: its rest is waited for.
    cut: bool,
}

impl Talk {
    /// A new client with its number for people.
    pub fn new(limits: Rc<ServiceLimits>, id: u32, address: SocketAddr) -> Talk {
        Talk {
            splitter: Splitter::new(limits.wire.unit),
            limits,
            id,
            address,
            cut: false,
        }
    }

    fn post(&self, notice: Notice, cx: &mut Cx<'_>) {
        cx.posts.push(Post {
            to: Audience::Operator,
            notice,
        });
    }

    fn say(&self, text: &[u8], cx: &mut Cx<'_>) {
        let text = text::clean(text);
        if !text.trim().is_empty() {
            self.post(
                Notice::Said {
                    id: self.id,
                    text: text.into(),
                },
                cx,
            );
        }
    }

    fn line_end(&self) -> &'static str {
        self.splitter.dialect().line_end()
    }

    /// A bare unit ends where its sender paused, which may be in the middle of a character.
    fn say_bare(&mut self, unit: &[u8], pause: Pause, cx: &mut Cx<'_>) -> usize {
        let whole = match pause {
            Pause::Quiet(Delay::Settle) => text::complete_prefix(unit),
            _ => unit.len(),
        };
        self.cut = whole < unit.len();
        if whole > 0 {
            self.say(&unit[..whole], cx);
        }
        whole
    }
}

impl Protocol for Talk {
    fn on_open(&mut self, cx: &mut Cx<'_>) {
        let (id, peer, address) = (self.id, cx.me, self.address);
        self.post(Notice::Joined { id, peer, address }, cx);
    }

    fn on_bytes(&mut self, input: &[u8], pause: Pause, cx: &mut Cx<'_>) -> (usize, Intake) {
        // The rest of a cut character did not come: it is shown as what it is, broken.
        if self.cut && pause == Pause::Quiet(Delay::Word) {
            return (self.say_bare(input, pause, cx), Intake::Bytes);
        }
        self.cut &= pause != Pause::None;
        match self.splitter.split(input, pause, |_| Unended::Whole) {
            Split::More
            | Split::Unit {
                text: b"",
                taken: 0,
            } => (0, Intake::Bytes),
            Split::End => (0, Intake::Close(CloseReason::PeerFinished)),
            // Nothing was answered to the bare unit, so there is no LF to send after it.
            Split::Healed { taken } => (taken, Intake::Bytes),
            Split::Unit { text, .. } if self.splitter.dialect() == Dialect::Bare => {
                (self.say_bare(text, pause, cx), Intake::Bytes)
            }
            Split::Unit { text, taken } => {
                self.say(text, cx);
                (taken, Intake::Bytes)
            }
            // Half a line of a person who has gone is still something said.
            Split::Broken(Fault::Cut) => {
                self.say(input, cx);
                (input.len(), Intake::Close(CloseReason::PeerFinished))
            }
            Split::Broken(fault) => {
                let Refusal(why) = fault.into();
                cx.out
                    .bytes(format!("ERROR {why}{}", self.line_end()).as_bytes());
                (0, Intake::Close(CloseReason::Refused))
            }
        }
    }

    fn on_notice(&mut self, notice: &Notice, cx: &mut Cx<'_>) -> Reaction {
        match notice {
            Notice::Line(text) if cx.out.pending() + text.len() > self.limits.talk_backlog => {
                Reaction::Drop(CloseReason::SlowReader)
            }
            Notice::Line(text) => {
                cx.out.bytes(text.as_bytes());
                cx.out.bytes(self.line_end().as_bytes());
                Reaction::Stay
            }
            Notice::Kicked => Reaction::Close(CloseReason::Kicked),
            _ => Reaction::Stay,
        }
    }

    fn on_close(&mut self, _: CloseReason, cx: &mut Cx<'_>) {
        self.post(Notice::Left { id: self.id }, cx);
    }

    fn patience(&self) -> Patience {
        Patience::Endless
    }

    fn awaited(&self) -> Option<Delay> {
        if self.cut {
            Some(Delay::Word)
        } else {
            self.splitter.awaited()
        }
    }
}
