//! Speaks the talk service: what a client says goes to the operator, and the other way round.
//!
//! What the client says has no dialect: LF ends a line, and what is left is shown after the settle
//! window. Only replies differ: clients that send no LF get none.

use super::ServiceLimits;
use super::reject::Refusal;
use super::roster::Roster;
use crate::session::close_reason::CloseReason;
use crate::session::notice::{Audience, Notice, Post};
use crate::session::protocol::{Context, Intake, Protocol, Reaction};
use crate::wire::follows::{Follows, Timer};
use crate::wire::framing::Fault;
use crate::wire::line::{FirstLine, first_line};
use crate::wire::text;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

/// One client of the operator.
pub struct Talk {
    limits: Rc<ServiceLimits>,
    roster: Rc<RefCell<Roster>>,
    /// Its number for people, once it has joined.
    id: u32,
    address: SocketAddr,
    replies: Replies,
    awaited: Option<Timer>,
    /// Bytes that it may still have shown, as of the second of its last words.
    credit: usize,
    /// Bytes that it may have shown beside those, while the roster grants them.
    first: usize,
    second: Option<u32>,
    finished: bool,
}

/// How replies to the client end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replies {
    /// With LF: it has said nothing yet, or lines.
    Lines,
    /// Without, unless LF is the next that it sends: then what it said last was a line.
    Unended,
    /// Without: it ends what it says by silence.
    Bare,
}

impl Talk {
    /// A new client, which joins the roster when the conversation begins.
    pub fn new(
        limits: Rc<ServiceLimits>,
        roster: Rc<RefCell<Roster>>,
        address: SocketAddr,
    ) -> Talk {
        Talk {
            credit: 0,
            first: limits.talk_rate.first,
            limits,
            roster,
            id: 0,
            address,
            replies: Replies::Lines,
            awaited: None,
            second: None,
            finished: false,
        }
    }

    fn show(line: String, cx: &mut Context<'_>) {
        cx.posts.push(Post::line(Audience::Operator, line));
    }

    /// Takes the price of a text off what the client may have shown. If that is not enough, or
    /// the operator is behind, the text is looked at again later.
    fn pay(&mut self, text: &[u8], cx: &Context<'_>) -> bool {
        if cx.operator_behind {
            self.awaited = Some(Timer::Pace);
            return false;
        }
        let rate = &self.limits.talk_rate;
        let seconds = cx.now - self.second.replace(cx.now).unwrap_or(cx.now);
        if seconds > 0 {
            let saved = self
                .roster
                .borrow()
                .share(rate)
                .saturating_mul(seconds as usize);
            self.credit = self.credit.saturating_add(saved).min(rate.most);
        }
        let cost = text.len() + rate.line;
        if cost <= self.credit {
            self.credit -= cost;
        } else if cost <= self.first && self.roster.borrow_mut().grants(cost, rate, cx.now) {
            self.first -= cost;
        } else {
            self.awaited = Some(Timer::Pace);
            return false;
        }
        true
    }

    fn say(&mut self, text: &[u8], cx: &mut Context<'_>) {
        let text = text::clean(text);
        if !text.trim().is_empty() {
            self.roster.borrow_mut().say(self.id, &text);
            Talk::show(format!("Client {}: {text}", self.id), cx);
        }
    }

    fn line_end(&self) -> &'static str {
        match self.replies {
            Replies::Lines => "\n",
            Replies::Unended | Replies::Bare => "",
        }
    }

    /// Whether what was shown last, for want of LF, was a line after all.
    fn look_for_late_newline(&mut self, input: &[u8]) {
        self.replies = match (self.replies, input) {
            (Replies::Unended, [b'\n', ..] | [b'\r', b'\n', ..]) => Replies::Lines,
            (Replies::Unended, [] | [b'\r']) => Replies::Unended,
            (Replies::Unended, _) => Replies::Bare,
            (replies, _) => replies,
        };
    }

    /// What has no LF is shown once its sender pauses, which may be in the middle of a character.
    fn say_unended(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> usize {
        let whole = match follows {
            Follows::Silence(Timer::Settle) => text::complete_prefix(input),
            // The rest of a cut character did not come: it is shown as what it is, broken.
            Follows::Silence(Timer::PartialCommand) | Follows::Eof => input.len(),
            Follows::More | Follows::Silence(_) => 0,
        };
        self.awaited = match (follows, whole) {
            (Follows::More, _) => Some(Timer::Settle),
            (_, 0) => Some(Timer::PartialCommand),
            _ => None,
        };
        if whole > 0 {
            self.say(&input[..whole], cx);
            self.replies = Replies::Unended;
        }
        whole
    }
}

impl Protocol for Talk {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.id = self.roster.borrow_mut().join(cx.me, self.address, cx.now);
        Talk::show(
            format!("Client {} has come from {}", self.id, self.address),
            cx,
        );
    }

    fn on_bytes(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        self.finished |= follows == Follows::Eof;
        let follows = match follows {
            // The client was not silent, but kept from speaking.
            Follows::Silence(Timer::Pace) if self.finished => Follows::Eof,
            Follows::Silence(Timer::Pace) => Follows::More,
            follows => follows,
        };
        self.look_for_late_newline(input);
        let limit = self.limits.wire.unit;
        let taken = match first_line(input, limit) {
            FirstLine::Whole { text, .. } if !self.pay(text, cx) => return (0, Intake::Hold),
            FirstLine::Whole { text, taken } => {
                self.awaited = None;
                self.say(text, cx);
                return (taken, Intake::Bytes);
            }
            FirstLine::Open if input.is_empty() => 0,
            FirstLine::Open if follows != Follows::More && !self.pay(input, cx) => {
                return (0, Intake::Hold);
            }
            FirstLine::Open => self.say_unended(input, follows, cx),
            FirstLine::TooLong => {
                let Refusal(why) = Fault::TooLong(limit).into();
                cx.out
                    .bytes(format!("ERROR {why}{}", self.line_end()).as_bytes());
                return (0, Intake::Close(CloseReason::Refused));
            }
        };
        match follows {
            Follows::Eof => (taken, Intake::Close(CloseReason::PeerFinished)),
            _ => (taken, Intake::Bytes),
        }
    }

    fn on_notice(&mut self, notice: &Notice, cx: &mut Context<'_>) -> Reaction {
        match notice {
            Notice::Line(text) if cx.out.pending() + text.len() > self.limits.talk_backlog => {
                Reaction::Drop(CloseReason::SlowReader)
            }
            Notice::Line(text) => {
                cx.out.bytes(text.as_bytes());
                cx.out.bytes(self.line_end().as_bytes());
                Reaction::Stay
            }
            Notice::Close(reason) => Reaction::Close(*reason),
            _ => Reaction::Stay,
        }
    }

    fn on_close(&mut self, _: CloseReason, cx: &mut Context<'_>) {
        self.roster.borrow_mut().leave(self.id);
        Talk::show(format!("Client {} has gone", self.id), cx);
    }

    fn may_idle(&self) -> bool {
        true
    }

    fn awaited(&self) -> Option<Timer> {
        self.awaited
    }
}
