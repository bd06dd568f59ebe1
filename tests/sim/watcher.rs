//! Watches the loop, and asserts with every turn and every close that it may be so.

use super::script::Service;
use super::shared::{SimState, TurnUnderWay};
use super::sim_socket::SimSocket;
use super::trace::Event;
use loket::reactor::clock::{Moment, SECOND};
use loket::session::close_reason::CloseReason;
use loket::session::observer::{Observer, Readiness, TurnEnd, Who};
use loket::wire::follows::Timer;
use loket::wire::text;
use std::rc::Rc;

/// The watcher of one seed.
pub struct Watcher(pub Rc<SimState>);

impl Observer for Watcher {
    fn took(&mut self, bytes: &[u8]) {
        let serial = self.0.turn.get().serial.expect("bytes are taken in a turn");
        let socket = self.0.socket(serial);
        let mut current = socket.borrow_mut();
        current.took += bytes.len();
        current.took_at = self.0.now.get();
        if !current.is_conversation() {
            return;
        }
        let text = understood(&mut current, bytes);
        let number = current.number;
        let is_console = current.is_console();
        drop(current);
        let mut operator_model = self.0.operator_model.borrow_mut();
        match is_console {
            true => operator_model.obey(&text, self.0.seconds.get()),
            false => operator_model.said(number, &text),
        }
    }

    fn event(&mut self, who: Who<'_>, _: Readiness) {
        self.0.socket(who.serial);
    }

    fn silence(&mut self, who: Who<'_>, delay: Timer) {
        let serial = who.serial;
        self.0.note(Event::Silence { serial, delay });
        let socket = self.0.socket(serial);
        let length = self.0.plan.limits.micros(delay);
        let due = socket.borrow().moved.after(length);
        let told = delay == Timer::Interbyte || due <= self.0.now.get();
        assert!(told, "a silence is told early");
        // A silence is looked into before it is believed.
        socket.borrow_mut().read_in_vain = false;
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
        let socket = self.0.socket(serial);
        let bulk = self.0.queue.borrow_mut().turn(serial);
        socket.borrow_mut().served = self.0.now.get();
        self.0.note(Event::Turn { serial, bulk });
        assert_eq!(self.0.turn.get().serial, None, "a turn in a turn");
        self.0.turn.set(TurnUnderWay {
            serial: Some(serial),
            bulk,
            moved: 0,
            steps: 0,
            calls: socket.borrow().bodies.calls(),
        });
    }

    fn ended(&mut self, who: Who<'_>, end: TurnEnd, owes: bool, awaited: Option<Timer>) {
        let serial = who.serial;
        self.0.note(Event::Ended { serial, end });
        let turn = self.0.turn.replace(TurnUnderWay::default());
        let socket = self.0.socket(serial);
        socket.borrow_mut().owes = owes;
        socket.borrow_mut().paused |= awaited == Some(Timer::Settle);
        let calls = socket.borrow().bodies.calls() - turn.calls;
        let limits = &self.0.plan.limits;
        let most = match turn.bulk {
            true => limits.turn_calls,
            false => limits.short_calls,
        };
        assert!(calls <= most, "{calls} calls of a protocol in one turn");
        let mut queue = self.0.queue.borrow_mut();
        match end {
            TurnEnd::Requeue => queue.push_bulk(serial),
            TurnEnd::AwaitDisk => {
                let until = self.0.now.get().after(limits.micros(Timer::Cold));
                queue.push_cold(until, serial);
            }
            TurnEnd::Parked | TurnEnd::Closed(_) => {}
        }
    }

    fn closed(&mut self, who: Who<'_>, reason: CloseReason) {
        let serial = who.serial;
        self.0.note(Event::Closed { serial, reason });
        let socket = self.0.socket(serial);
        self.0.live.borrow_mut().remove(&serial);
        let now = self.0.now.get();
        self.0.queue.borrow_mut().forget(serial, now);
        self.check_end(&socket.borrow(), reason);
        socket.borrow_mut().closed = Some(reason);
        let (number, service) = (socket.borrow().number, socket.borrow().service());
        if self.0.cutting.get() {
            return;
        }
        match service {
            Service::Talk => self.0.operator_model.borrow_mut().left(number),
            Service::Console => self.0.operator_model.borrow_mut().operator(None),
            Service::Echo | Service::Transfer | Service::Files => {}
        }
    }
}

/// What the peer has said with these bytes, as its script has it.
fn understood(socket: &mut SimSocket, bytes: &[u8]) -> String {
    let (end, text) = socket.script.said[socket.understood].clone();
    if socket.reset && end != socket.took {
        // It broke off in the middle of what it meant, and the server does not know that yet.
        return text::clean(bytes);
    }
    let peer = socket.number;
    assert_eq!(
        end, socket.took,
        "peer {peer}: another unit than {text:?} was understood"
    );
    socket.understood += 1;
    text
}

impl Watcher {
    /// Whether the conversation may end now, and for this reason.
    fn check_end(&self, socket: &SimSocket, reason: CloseReason) {
        let bodies = (socket.bodies.began(), socket.bodies.ended());
        assert_eq!(
            bodies.0, bodies.1,
            "bodies that began and bodies that ended"
        );
        if socket.reset {
            return;
        }
        let (now, limits) = (self.0.now.get(), &self.0.plan.limits);
        let silent = now.0 - socket.moved.0;
        match reason {
            CloseReason::Idle => {
                let idle = limits.idle_seconds.expect("there is an idle deadline");
                assert!(silent >= u64::from(idle) * SECOND, "an early deadline");
                assert_ne!(socket.service(), Service::Talk);
            }
            CloseReason::Unfinished => {
                let since = now.0 - socket.took_at.0;
                let enough = since >= u64::from(limits.command_seconds) * SECOND;
                assert!(enough && !socket.is_conversation(), "an early deadline");
            }
            CloseReason::TooSlow => {
                let window = u64::from(limits.rate_seconds);
                let since = Moment(now.0.saturating_sub(window * SECOND));
                let moved = socket.moved_since(since) as u64;
                assert!(moved < limits.min_rate * window, "{moved} bytes are enough");
                assert!(!socket.is_conversation());
            }
            CloseReason::Shutdown => {
                assert!(self.0.winding_down.get(), "nobody has told it to stop");
                assert!(
                    self.0.cutting.get() || is_whole(socket),
                    "cut in the middle"
                );
            }
            CloseReason::SlowReader => assert!(socket.too_slow, "it has read enough"),
            CloseReason::Kicked => {
                assert!(socket.kicked, "nobody has kicked it");
                self.has_all(socket, silent);
            }
            reason => {
                let other = socket.kicked || socket.too_slow;
                assert!(!other || socket.end_read, "it should have been dropped");
                assert_eq!(
                    reason, socket.script.ends,
                    "why peer {} went",
                    socket.number
                );
                self.has_all(socket, silent);
            }
        }
        if socket.shut.is_some() && reason != CloseReason::Idle {
            self.has_lingered(socket);
        }
    }

    /// A talk client that is being closed is given so long to read what it is owed.
    fn has_all(&self, socket: &SimSocket, silent: u64) {
        let linger = self.0.plan.limits.micros(Timer::Linger);
        let given_up = socket.service() == Service::Talk && silent >= linger;
        assert!(
            socket.has_heard_all() || given_up,
            "peer {} still lacks {} bytes",
            socket.number,
            socket.pending()
        );
    }

    /// A goodbye is not cut short by closing over what the peer still sends.
    fn has_lingered(&self, socket: &SimSocket) {
        let linger = self.0.plan.limits.micros(Timer::Linger);
        let over = socket
            .shut
            .is_some_and(|shut| shut.after(linger) <= self.0.now.get());
        let enough = socket.drained >= self.0.plan.limits.linger_bytes;
        let stops = self.0.winding_down.get();
        assert!(
            over || enough || socket.end_read || stops,
            "it has not lingered"
        );
    }
}

/// Whether all that was begun has been brought to its end.
fn is_whole(socket: &SimSocket) -> bool {
    match socket.service() {
        Service::Echo => socket.sent == socket.taken,
        Service::Talk | Service::Console => socket.has_heard_all(),
        Service::Transfer | Service::Files => {
            let mut points = socket.script.points.iter();
            socket.sent == socket.script.expected.len()
                || points.any(|point| point.owed == socket.sent)
        }
    }
}
