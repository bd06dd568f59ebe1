//! Watches the loop, and asserts with every turn and every close that it may be so.
//! Sees no socket: what calls may be made is `kernel.rs`'s.

use super::script::Service;
use super::shared::{Shared, TurnUnderWay};
use super::sim_socket::Wire;
use super::trace::Event;
use loket::reactor::clock::{Moment, SECOND};
use loket::reactor::connection::Readiness;
use loket::reactor::observer::{Observer, Who};
use loket::reactor::turn::Ended;
use loket::session::close_reason::CloseReason;
use loket::session::witness::Witness;
use loket::wire::pause::Delay;
use loket::wire::text;
use std::rc::Rc;

/// The watcher of one seed.
pub struct Watcher(pub Rc<Shared>);

impl Witness for Watcher {
    fn took(&mut self, bytes: &[u8]) {
        let serial = self.0.turn.get().serial.expect("bytes are taken in a turn");
        let wire = self.0.wire(serial);
        let mut wire_now = wire.borrow_mut();
        wire_now.took += bytes.len();
        wire_now.took_at = self.0.now.get();
        if !wire_now.is_conversation() {
            return;
        }
        let text = understood(&mut wire_now, bytes);
        let number = wire_now.number;
        let is_console = wire_now.is_console();
        drop(wire_now);
        let mut screen = self.0.screen.borrow_mut();
        match is_console {
            true => screen.obey(&text, self.0.seconds.get()),
            false => screen.said(number, &text),
        }
    }
}

/// What the peer has said with these bytes, as its script has it.
fn understood(wire: &mut Wire, bytes: &[u8]) -> String {
    let (end, text) = wire.script.said[wire.understood].clone();
    if wire.reset && end != wire.took {
        // It broke off in the middle of what it meant, and the server does not know that yet.
        return text::clean(bytes);
    }
    let peer = wire.number;
    assert_eq!(
        end, wire.took,
        "peer {peer}: another unit than {text:?} was understood"
    );
    wire.understood += 1;
    text
}

impl Observer for Watcher {
    fn event(&mut self, who: Who<'_>, _: Readiness) {
        self.0.wire(who.serial);
    }

    fn silence(&mut self, who: Who<'_>, delay: Delay) {
        let serial = who.serial;
        self.0.note(Event::Silence { serial, delay });
        let wire = self.0.wire(serial);
        let length = self.0.plan.limits.micros(delay);
        let due = wire.borrow().moved.after(length);
        let told = delay == Delay::Interbyte || due <= self.0.now.get();
        assert!(told, "a silence is told early");
        // A silence is looked into before it is believed.
        wire.borrow_mut().read_in_vain = false;
        self.0.queue.borrow_mut().push_short(serial);
    }

    fn waited(&mut self, who: Who<'_>, bulk: bool) {
        let mut queue = self.0.queue.borrow_mut();
        match bulk && !queue.holds(who.serial) {
            true => queue.push_bulk(who.serial),
            false => queue.push_short(who.serial),
        }
    }

    fn turn(&mut self, who: Who<'_>, _: Readiness) {
        let serial = who.serial;
        let wire = self.0.wire(serial);
        let bulk = self.0.queue.borrow_mut().turn(serial);
        wire.borrow_mut().served = self.0.now.get();
        self.0.note(Event::Turn { serial, bulk });
        assert_eq!(self.0.turn.get().serial, None, "a turn in a turn");
        self.0.turn.set(TurnUnderWay {
            serial: Some(serial),
            bulk,
            moved: 0,
            steps: 0,
            calls: wire.borrow().bodies.calls(),
        });
    }

    fn ended(&mut self, who: Who<'_>, ended: &Ended, owes: bool, awaited: Option<Delay>) {
        let (serial, ended) = (who.serial, *ended);
        self.0.note(Event::Ended { serial, ended });
        let turn = self.0.turn.replace(TurnUnderWay::default());
        let wire = self.0.wire(serial);
        wire.borrow_mut().owes = owes;
        wire.borrow_mut().paused |= awaited == Some(Delay::Settle);
        let calls = wire.borrow().bodies.calls() - turn.calls;
        let limits = &self.0.plan.limits;
        let most = match turn.bulk {
            true => limits.turn_calls,
            false => limits.short_calls,
        };
        assert!(calls <= most, "{calls} calls of a protocol in one turn");
        let mut queue = self.0.queue.borrow_mut();
        match ended {
            Ended::Again => queue.push_bulk(serial),
            Ended::Cold => {
                let until = self.0.now.get().after(self.0.plan.limits.cold_micros);
                queue.push_cold(until, serial);
            }
            Ended::Parked | Ended::Over(_) => {}
        }
    }

    fn closed(&mut self, who: Who<'_>, reason: CloseReason) {
        let serial = who.serial;
        self.0.note(Event::Closed { serial, reason });
        let wire = self.0.wire(serial);
        self.0.live.borrow_mut().remove(&serial);
        let now = self.0.now.get();
        self.0.queue.borrow_mut().forget(serial, now);
        self.check_end(&wire.borrow(), reason);
        wire.borrow_mut().closed = Some(reason);
        let (number, service) = (wire.borrow().number, wire.borrow().service());
        if self.0.cutting.get() {
            return;
        }
        match service {
            Service::Talk => self.0.screen.borrow_mut().left(number),
            Service::Console => self.0.screen.borrow_mut().operator(None),
            Service::Echo | Service::Transfer | Service::Files => {}
        }
    }
}

impl Watcher {
    /// Whether the conversation may end now, and for this reason.
    fn check_end(&self, wire: &Wire, reason: CloseReason) {
        let bodies = (wire.bodies.began(), wire.bodies.ended());
        assert_eq!(
            bodies.0, bodies.1,
            "bodies that began and bodies that ended"
        );
        if wire.reset {
            return;
        }
        let (now, limits) = (self.0.now.get(), &self.0.plan.limits);
        let silent = now.0 - wire.moved.0;
        match reason {
            CloseReason::Idle => {
                let idle = limits.idle_seconds.expect("there is an idle deadline");
                assert!(silent >= u64::from(idle) * SECOND, "an early deadline");
                assert_ne!(wire.service(), Service::Talk);
            }
            CloseReason::Unfinished => {
                let since = now.0 - wire.took_at.0;
                let enough = since >= u64::from(limits.command_seconds) * SECOND;
                assert!(enough && !wire.is_conversation(), "an early deadline");
            }
            CloseReason::TooSlow => {
                let window = u64::from(limits.rate_seconds);
                let since = Moment(now.0.saturating_sub(window * SECOND));
                let moved = wire.moved_since(since) as u64;
                assert!(moved < limits.min_rate * window, "{moved} bytes are enough");
                assert!(!wire.is_conversation());
            }
            CloseReason::Shutdown => {
                assert!(self.0.winding_down.get(), "nobody has told it to stop");
                assert!(self.0.cutting.get() || is_whole(wire), "cut in the middle");
            }
            CloseReason::SlowReader => assert!(wire.too_slow, "it has read enough"),
            CloseReason::Kicked => {
                assert!(wire.kicked, "nobody has kicked it");
                self.has_all(wire, silent);
            }
            reason => {
                let other = wire.kicked || wire.too_slow;
                assert!(!other || wire.end_read, "it should have been dropped");
                assert_eq!(reason, wire.script.ends, "why peer {} went", wire.number);
                self.has_all(wire, silent);
            }
        }
        if wire.shut.is_some() && reason != CloseReason::Idle {
            self.has_lingered(wire);
        }
    }

    /// A talk client that is being closed is given so long to read what it is owed.
    fn has_all(&self, wire: &Wire, silent: u64) {
        let linger = self.0.plan.limits.micros(Delay::Linger);
        let given_up = wire.service() == Service::Talk && silent >= linger;
        assert!(
            wire.has_heard_all() || given_up,
            "peer {} still lacks {} bytes",
            wire.number,
            wire.pending()
        );
    }

    /// A goodbye is not cut short by closing over what the peer still sends.
    fn has_lingered(&self, wire: &Wire) {
        let linger = self.0.plan.limits.micros(Delay::Linger);
        let over = wire
            .shut
            .is_some_and(|shut| shut.after(linger) <= self.0.now.get());
        let enough = wire.drained >= self.0.plan.limits.linger_bytes;
        let stops = self.0.winding_down.get();
        assert!(
            over || enough || wire.end_read || stops,
            "it has not lingered"
        );
    }
}

/// Whether all that was begun has been brought to its end.
fn is_whole(wire: &Wire) -> bool {
    match wire.service() {
        Service::Echo => wire.sent == wire.taken,
        Service::Talk | Service::Console => wire.has_heard_all(),
        Service::Transfer | Service::Files => {
            let mut points = wire.script.points.iter();
            wire.sent == wire.script.expected.len() || points.any(|point| point.owed == wire.sent)
        }
    }
}
