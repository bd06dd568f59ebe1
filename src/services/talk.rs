//! The talk service: relays lines between a client and the operator.
//!
//! Input has no dialect: LF ends a line, and text without LF is printed after the settle window.
//! Only replies differ: a client that sends no LF gets none.

use super::ServiceLimits;
use super::reject::Reject;
use super::roster::Roster;
use crate::session::close_reason::CloseReason;
use crate::session::notice::{Audience, Notice, Post};
use crate::session::protocol::{Context, Intake, Protocol, Reaction};
use crate::wire::follows::{Follows, Timer};
use crate::wire::framing::Fault;
use crate::wire::line::{FirstLine, first_line};
use crate::wire::text;
use serde_json::Value;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

/// The session of one talk client.
pub struct Talk {
    limits: Rc<ServiceLimits>,
    roster: Rc<RefCell<Roster>>,
    /// Its number in the roster, once it has joined.
    id: u32,
    address: SocketAddr,
    replies: Replies,
    awaited: Option<Timer>,
    /// Bytes that it may send to the operator, as of the second `charged_at`.
    credit: usize,
    /// Bytes left of its initial credit, which it may spend while the roster grants them.
    initial: usize,
    charged_at: Option<u32>,
    finished: bool,
}

/// Whether replies to the client end in LF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replies {
    /// Yes: the client has sent lines, or nothing yet.
    Lines,
    /// No, unless its next byte is LF: then its last message was a line.
    Unended,
    /// No: the client ends its messages by silence.
    Bare,
}

impl Talk {
    /// A new client. It joins the roster in `on_open`.
    pub fn new(
        limits: Rc<ServiceLimits>,
        roster: Rc<RefCell<Roster>>,
        address: SocketAddr,
    ) -> Talk {
        Talk {
            credit: 0,
            initial: limits.talk_rate.initial,
            limits,
            roster,
            id: 0,
            address,
            replies: Replies::Lines,
            awaited: None,
            charged_at: None,
            finished: false,
        }
    }

    /// Its number in the roster, as a tab is sent it; 0 before it has joined.
    pub fn id(&self) -> Value {
        self.roster.borrow().own_json_id(self.id)
    }

    fn print(line: String, cx: &mut Context<'_>) {
        cx.posts.push(Post::line(Audience::Operator, line));
    }

    /// Subtracts the cost of a text from the client's credit. Returns false if the credit is too
    /// small or the operator's output is not drained: then the text is tried again later.
    fn charge(&mut self, text: &[u8], cx: &Context<'_>) -> bool {
        if cx.operator_behind {
            self.awaited = Some(Timer::Pace);
            return false;
        }
        let rate = &self.limits.talk_rate;
        let seconds = cx.now - self.charged_at.replace(cx.now).unwrap_or(cx.now);
        if seconds > 0 {
            let saved = self
                .roster
                .borrow()
                .share(rate)
                .saturating_mul(seconds as usize);
            self.credit = self.credit.saturating_add(saved).min(rate.burst);
        }
        let cost = text.len() + rate.per_line;
        if cost <= self.credit {
            self.credit -= cost;
        } else if cost <= self.initial
            && self.roster.borrow_mut().grant_newcomer(cost, rate, cx.now)
        {
            self.initial -= cost;
        } else {
            self.awaited = Some(Timer::Pace);
            return false;
        }
        true
    }

    fn print_message(&mut self, text: &[u8], cx: &mut Context<'_>) {
        let text = text::clean(text);
        if !text.trim().is_empty() {
            let mut roster = self.roster.borrow_mut();
            roster.set_last(self.id, &text);
            roster.publish_line(self.id, &text, cx.posts);
            Talk::print(format!("Client {}: {text}", roster.shown(self.id)), cx);
        }
    }

    fn line_end(&self) -> &'static str {
        match self.replies {
            Replies::Lines => "\n",
            Replies::Unended | Replies::Bare => "",
        }
    }

    /// Checks whether the text that was printed without LF was a line whose LF arrives now.
    fn look_for_late_newline(&mut self, input: &[u8]) {
        self.replies = match (self.replies, input) {
            (Replies::Unended, [b'\n', ..] | [b'\r', b'\n', ..]) => Replies::Lines,
            (Replies::Unended, [] | [b'\r']) => Replies::Unended,
            (Replies::Unended, _) => Replies::Bare,
            (replies, _) => replies,
        };
    }

    /// Prints text without LF after a silence, which may fall inside a character.
    fn print_unended(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> usize {
        let whole = match follows {
            Follows::Silence(Timer::Settle) => text::complete_prefix(input),
            // The rest of a cut character did not arrive: it is printed as U+FFFD.
            Follows::Silence(Timer::PartialCommand) | Follows::Eof => input.len(),
            Follows::More | Follows::Silence(_) => 0,
        };
        self.awaited = match (follows, whole) {
            (Follows::More, _) => Some(Timer::Settle),
            (_, 0) => Some(Timer::PartialCommand),
            _ => None,
        };
        if whole > 0 {
            self.print_message(&input[..whole], cx);
            self.replies = Replies::Unended;
        }
        whole
    }
}

impl Protocol for Talk {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        let mut roster = self.roster.borrow_mut();
        self.id = roster.join(cx.me, self.address, cx.now);
        roster.announce_joined(self.id, cx.unix, cx.now, cx.posts);
        let id = roster.shown(self.id);
        Talk::print(format!("Client {id} connected from {}", self.address), cx);
    }

    fn on_bytes(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        self.finished |= follows == Follows::Eof;
        let follows = match follows {
            // The silence is not the client's: its input was held back.
            Follows::Silence(Timer::Pace) if self.finished => Follows::Eof,
            Follows::Silence(Timer::Pace) => Follows::More,
            follows => follows,
        };
        self.look_for_late_newline(input);
        let limit = self.limits.wire.unit;
        let taken = match first_line(input, limit) {
            FirstLine::Whole { text, .. } if !self.charge(text, cx) => return (0, Intake::Hold),
            FirstLine::Whole { text, taken } => {
                self.awaited = None;
                self.print_message(text, cx);
                return (taken, Intake::Bytes);
            }
            FirstLine::Open if input.is_empty() => 0,
            FirstLine::Open if follows != Follows::More && !self.charge(input, cx) => {
                return (0, Intake::Hold);
            }
            FirstLine::Open => self.print_unended(input, follows, cx),
            FirstLine::TooLong => {
                let Reject(why) = Fault::TooLong(limit).into();
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
        let mut roster = self.roster.borrow_mut();
        roster.leave(self.id);
        roster.announce_left(self.id, cx.posts);
        Talk::print(format!("Client {} disconnected", roster.shown(self.id)), cx);
    }

    fn may_idle(&self) -> bool {
        true
    }

    fn awaited(&self) -> Option<Timer> {
        self.awaited
    }
}
