//! The observer of a seed: asserts that every turn and every close is permitted.

use super::script::Service;
use super::seed_calls::address;
use super::shared::{SimState, TurnUnderWay};
use super::sim_socket::SimSocket;
use super::trace::Event;
use loket::reactor::clock::{Moment, SECOND};
use loket::session::close_reason::CloseReason;
use loket::session::observer::{ConnLabel, Observer, Readiness, TurnEnd};
use loket::wire::follows::Timer;
use loket::wire::text;
use std::net::SocketAddr;
use std::rc::Rc;

/// The watcher of one seed.
pub struct Watcher(pub Rc<SimState>);

impl Observer for Watcher {
    fn opened(&mut self, conn: ConnLabel<'_>, peer: SocketAddr) {
        let accepted = self.0.accepted.take().expect("it was just accepted");
        assert_eq!(address(accepted.borrow().number), peer);
        self.0.opened(&accepted, conn.serial);
    }

    fn consumed(&mut self, bytes: &[u8]) {
        let serial = self.0.turn.get().serial.expect("bytes are taken in a turn");
        let socket = self.0.socket(serial);
        let mut current = socket.borrow_mut();
        current.consumed += bytes.len();
        current.consumed_at = self.0.now.get();
        if !current.is_conversation() {
            return;
        }
        let text = message(&mut current, bytes);
        let number = current.number;
        let is_operator = current.is_operator();
        drop(current);
        let mut operator_model = self.0.operator_model.borrow_mut();
        match is_operator {
            true => operator_model.command(&text, self.0.seconds.get()),
            false => operator_model.sent(number, &text),
        }
    }

    fn event(&mut self, conn: ConnLabel<'_>, _: Readiness) {
        self.0.socket(conn.serial);
    }

    fn silence(&mut self, conn: ConnLabel<'_>, delay: Timer) {
        let serial = conn.serial;
        self.0.note(Event::Silence { serial, delay });
        let socket = self.0.socket(serial);
        let length = self.0.plan.limits.micros(delay);
        let due = socket.borrow().moved.after(length);
        let is_due = delay == Timer::Interbyte || due <= self.0.now.get();
        assert!(is_due, "a timer expired early");
        // The turn reads once more before it reports the silence.
        socket.borrow_mut().read_in_vain = false;
        self.0.queue.borrow_mut().push_short(serial);
    }

    fn wait_over(&mut self, conn: ConnLabel<'_>, bulk: bool) {
        self.0.socket(conn.serial).borrow_mut().answered = self.0.now.get();
        let mut queue = self.0.queue.borrow_mut();
        match bulk && !queue.holds(conn.serial) {
            true => queue.push_bulk(conn.serial),
            false => queue.push_short(conn.serial),
        }
    }

    fn turn(&mut self, conn: ConnLabel<'_>, _: Readiness) {
        let serial = conn.serial;
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

    fn turn_ended(&mut self, conn: ConnLabel<'_>, end: TurnEnd, owed: u64, awaited: Option<Timer>) {
        let serial = conn.serial;
        self.0.note(Event::Ended { serial, end });
        let turn = self.0.turn.replace(TurnUnderWay::default());
        let socket = self.0.socket(serial);
        socket.borrow_mut().owes = owed > 0;
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
            TurnEnd::Parked | TurnEnd::AwaitDisk | TurnEnd::Replace | TurnEnd::Closed(_) => {}
        }
    }

    fn closed(&mut self, conn: ConnLabel<'_>, reason: CloseReason) {
        let serial = conn.serial;
        self.0.note(Event::Closed { serial, reason });
        let socket = self.0.socket(serial);
        self.0.live.borrow_mut().remove(&serial);
        self.0.queue.borrow_mut().forget(serial);
        self.check_end(&socket.borrow(), reason);
        socket.borrow_mut().closed = Some(reason);
        let (number, service) = (socket.borrow().number, socket.borrow().service());
        if self.0.forced.get() {
            return;
        }
        match service {
            Service::Talk => self.0.operator_model.borrow_mut().left(number),
            Service::Operator => self.0.operator_model.borrow_mut().operator(None),
            Service::Echo | Service::Transfer | Service::Files | Service::Http => {}
        }
    }
}

/// The message of the script that these bytes complete.
fn message(socket: &mut SimSocket, bytes: &[u8]) -> String {
    let (end, text) = socket.script.messages[socket.parsed].clone();
    if socket.reset && end != socket.consumed {
        // It was reset in the middle of a message, which the server has not noticed yet.
        return text::clean(bytes);
    }
    let peer = socket.number;
    assert_eq!(
        end, socket.consumed,
        "peer {peer}: another message than {text:?} was parsed"
    );
    socket.parsed += 1;
    text
}

impl Watcher {
    /// Asserts that the connection may be closed now, for this reason.
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
                let since = now.0 - socket.consumed_at.0;
                let enough = since >= u64::from(limits.command_seconds) * SECOND;
                assert!(enough && !socket.is_conversation(), "an early deadline");
            }
            CloseReason::TooSlow => {
                let window = u64::from(limits.rate_seconds);
                let since = Moment(now.0.saturating_sub(window * SECOND));
                // The answer to a request that is too slow does not count.
                let answer = socket
                    .sent
                    .saturating_sub(socket.timed_out.unwrap_or(socket.sent));
                let moved = socket.moved_since(since).saturating_sub(answer) as u64;
                assert!(
                    moved < limits.min_rate * window,
                    "{moved} bytes are above the minimum rate"
                );
                assert!(!socket.is_conversation());
            }
            CloseReason::DiskStalled => {
                let id = socket.id.expect("it is in the table");
                assert!(self.0.store.disk.is_waited_for(id), "the disk is done");
                let waited = now.0 - socket.answered.0;
                let enough = waited >= u64::from(limits.disk_seconds) * SECOND;
                assert!(enough, "an early deadline");
            }
            CloseReason::Shutdown => {
                assert!(self.0.draining.get(), "there was no signal");
                assert!(self.0.forced.get() || is_whole(socket), "cut in the middle");
            }
            CloseReason::SlowReader => assert!(socket.too_slow, "its backlog is not full"),
            CloseReason::Kicked => {
                assert!(socket.kicked, "it was not kicked");
                self.check_output(socket, silent);
            }
            reason => {
                let other = socket.kicked || socket.too_slow;
                assert!(
                    !other || socket.end_read,
                    "it must be closed as kicked or too slow"
                );
                assert_eq!(
                    reason, socket.script.ends,
                    "the close reason of peer {}",
                    socket.number
                );
                self.check_output(socket, silent);
            }
        }
        if socket.shut.is_some() && reason != CloseReason::Idle {
            self.check_linger(socket);
        }
    }

    /// Asserts that all output is sent, or that a talk client had the linger time to read it.
    fn check_output(&self, socket: &SimSocket, silent: u64) {
        let linger = self.0.plan.limits.micros(Timer::Linger);
        let given_up = socket.service() == Service::Talk && silent >= linger;
        assert!(
            socket.has_received_all() || given_up,
            "peer {} is closed {} bytes early",
            socket.number,
            socket.pending()
        );
    }

    /// Asserts that a refused peer's input was discarded for the linger time before the close.
    fn check_linger(&self, socket: &SimSocket) {
        let linger = self.0.plan.limits.micros(Timer::Linger);
        let over = socket
            .shut
            .is_some_and(|shut| shut.after(linger) <= self.0.now.get());
        let enough = socket.drained >= self.0.plan.limits.linger_bytes;
        let stops = self.0.draining.get();
        assert!(
            over || enough || socket.end_read || stops,
            "it is closed without lingering"
        );
    }
}

/// Whether every command that was begun is answered.
fn is_whole(socket: &SimSocket) -> bool {
    match socket.service() {
        Service::Echo => socket.sent == socket.taken,
        Service::Talk | Service::Operator => socket.has_received_all(),
        Service::Transfer | Service::Files | Service::Http => {
            let mut points = socket.script.points.iter();
            socket.sent == socket.script.expected.len()
                || points.any(|point| point.owed == socket.sent)
        }
    }
}
