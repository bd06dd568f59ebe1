//! The Loop view in a tab: frames, the snapshot of all connections and the trace of one of them.

use super::ask::{Ask, bad_fields};
use super::event_stream::{EventStream, StreamContext};
use super::failure::Failure;
use super::shared::HttpShared;
use crate::session::loop_view::{LoopNews, LoopView};
use crate::session::session_id::SessionId;
use serde_json::{Map, Value, json};
use std::rc::Rc;

/// A tab that watches the loop.
pub struct LoopStream {
    view: Rc<LoopView>,
    /// The session of the tab, once it is open.
    tab: Option<SessionId>,
}

impl LoopStream {
    /// One more tab.
    pub fn new(shared: &HttpShared) -> LoopStream {
        LoopStream {
            view: shared.loop_view.clone(),
            tab: None,
        }
    }
}

impl EventStream for LoopStream {
    fn open(&mut self, _: Option<&str>, cx: &mut StreamContext<'_, '_>) {
        self.tab = Some(cx.cx.me);
        self.view.watch(cx.cx.me, cx.cx.micros);
    }

    fn has_more(&self) -> bool {
        self.tab.is_some_and(|tab| self.view.has_news(tab))
    }

    /// Sends one event, so that a tab that does not read has few of them in memory.
    fn fill(&mut self, cx: &mut StreamContext<'_, '_>) {
        match self.tab.and_then(|tab| self.view.next_news(tab)) {
            None => {}
            Some(LoopNews::Piece(text)) => cx.send("slab", &text),
            Some(LoopNews::Frame(text, missed)) => {
                cx.send("loop", &format_args!("{text},\"missed\":{missed}}}"));
            }
            Some(LoopNews::Trace(conn, lines)) => {
                let (slot, serial) = (conn.slot(), conn.serial());
                let data = json!({"slot": slot, "serial": serial, "lines": lines});
                cx.send("trace", &data);
            }
        }
    }

    fn on_ask(&mut self, ask: Ask, cx: &mut StreamContext<'_, '_>) {
        let traced = traced(&ask.fields).ok_or_else(|| {
            bad_fields("`tab` and `trace`, which is null or has the numbers `slot` and `serial`")
        });
        let answer: Result<(), Failure> = traced.map(|conn| self.view.trace(cx.cx.me, conn));
        ask.answer(answer, cx.cx.posts);
    }

    fn on_close(&mut self, cx: &mut StreamContext<'_, '_>) {
        self.view.leave(cx.cx.me);
    }
}

/// The connection that a request wants to be traced; `None` if its fields are wrong.
fn traced(fields: &Map<String, Value>) -> Option<Option<SessionId>> {
    let conn = fields.get("trace").filter(|_| fields.len() == 1)?;
    let number = |name| u32::try_from(conn.get(name)?.as_u64()?).ok();
    match conn {
        Value::Null => Some(None),
        Value::Object(conn) if conn.len() == 2 => {
            Some(Some(SessionId::new(number("slot")?, number("serial")?)))
        }
        _ => None,
    }
}
