//! The steps of a seed: one random event of network, disk or clock after the other.

use super::engine::Engine;
use super::shared::Mode;
use super::sim_socket::{Handle, SimSocket};
use super::trace::Event;
use loket::reactor::clock::{Moment, SECOND};
use loket::session::observer::Readiness;

/// The loop may wake up this number of microseconds late.
const LATE: usize = 3_000;

impl Engine {
    /// One random step.
    pub fn step(&mut self) {
        self.shared.trace.step();
        self.inject_faults();
        match self.shared.random.below(100) {
            0..=5 => self.connect(),
            6..=33 => self.peer_sends(),
            34..=50 => self.peer_reads(),
            51..=66 => self.deliver_one_event(),
            67..=88 => self.round(),
            89..=91 => self.settle(),
            92 => self.probe(),
            95 => self.datagrams_arrive(),
            93 | 94 => self.disk_is_done(self.shared.random.below(1 << 20)),
            _ => self.time_passes(),
        }
        self.check();
    }

    /// Some datagrams arrive, enough of them that a few clients join.
    fn datagrams_arrive(&mut self) {
        for _ in 0..4 {
            let posts = self.dispatcher.posts();
            self.room_model.receive(&self.shared, posts);
        }
        self.dispatcher.deliver();
    }

    /// Another peer connects.
    pub fn connect(&mut self) {
        if let Some(peer) = self.peers.get(self.connected).cloned() {
            self.connected += 1;
            let listener = peer.borrow().service() as usize;
            self.acceptor.connect(listener, peer);
        }
    }

    /// A peer that has connected, or the operator.
    fn any_connection(&self) -> Handle {
        let random = &self.shared.random;
        let known = self.connected + 1;
        match random.below(known) {
            0 => self.operator.clone(),
            number => self.peers[number - 1].clone(),
        }
    }

    fn inject_faults(&mut self) {
        let plan = &self.shared.plan.faults;
        let (stale, late_notice) = (plan.stale, plan.late_notice);
        let (spurious, reset, stall) = (plan.spurious, plan.reset, plan.stall);
        let random = self.shared.random.below(1 << 20);
        if self.shared.random.chance(stale) {
            self.report_stale(random);
        }
        if self.shared.random.chance(late_notice) {
            self.notify_closed(random);
        }
        if self.shared.random.chance(spurious) {
            let socket = self.any_connection();
            let readiness = Readiness {
                readable: random.is_multiple_of(2),
                writable: random.is_multiple_of(3),
                ..socket.borrow().readiness()
            };
            self.report(&socket, readiness);
        }
        if self.shared.random.below(3000) < reset {
            self.reset(&self.any_connection());
        }
        if self.shared.random.below(2000) < stall {
            let socket = self.any_connection();
            let (reads, writes) = (random.is_multiple_of(2), random.is_multiple_of(3));
            (
                socket.borrow_mut().never_reads,
                socket.borrow_mut().never_writes,
            ) = (reads, writes);
        }
    }

    /// The connection is reset.
    pub fn reset(&self, socket: &Handle) {
        let mut socket = socket.borrow_mut();
        if !socket.is_over() && !socket.reset {
            let peer = socket.number;
            self.shared.note(Event::Reset { peer });
            socket.break_off();
        }
    }

    fn peer_sends(&mut self) {
        let socket = self.any_connection();
        let length = self.piece(&socket);
        self.send(&socket, length, self.shared.random.chance(60));
    }

    /// The length of an arriving piece. Those that fill the read buffer exactly find most faults.
    fn piece(&self, socket: &Handle) -> usize {
        let (socket, random) = (socket.borrow(), &self.shared.random);
        let unread = socket.arrived - socket.taken;
        let buffer = self.shared.plan.limits.read_buffer;
        match random.below(8) {
            0 => 1,
            1..=2 => random.within(1..=12),
            3 => buffer.saturating_sub(unread),
            4 => (2 * buffer).saturating_sub(unread),
            5..=6 => random.within(1..=200),
            _ => usize::MAX,
        }
    }

    /// Up to `most` bytes arrive, and after the last one the end of the stream, at once or later.
    pub fn send(&mut self, handle: &Handle, most: usize, ends: bool) {
        let mut socket = handle.borrow_mut();
        if socket.is_over() || socket.reset || socket.never_writes || socket.end_arrived {
            return;
        }
        let count = most.min(socket.may_send().saturating_sub(socket.arrived));
        let peer = socket.number;
        if count > 0 {
            let urgent = self.shared.plan.faults.urgent;
            if self.shared.injects(urgent) && socket.urgent.is_none() && !socket.is_operator() {
                socket.urgent = Some(socket.arrived + self.shared.random.below(count));
            }
            socket.arrive(count);
        }
        let together = self.shared.plan.faults.end_with_bytes;
        let calm = self.shared.mode.get() == Mode::Calm;
        let joins = count == 0 || calm || self.shared.random.chance(together);
        let end = ends && joins && socket.may_end();
        if end {
            socket.arrive_end();
        }
        if count > 0 || end {
            let bytes = count;
            self.shared.note(Event::Arrived { peer, bytes, end });
        }
    }

    fn peer_reads(&mut self) {
        let socket = self.any_connection();
        let most = match self.shared.random.below(4) {
            0 => 1,
            1 => self.shared.random.within(1..=30),
            _ => usize::MAX,
        };
        self.receive(&socket, most);
    }

    /// The peer reads up to `most` bytes.
    pub fn receive(&mut self, socket: &Handle, most: usize) {
        let mut socket = socket.borrow_mut();
        let bytes = most.min(socket.sent - socket.received);
        if bytes > 0 && !socket.reset && !socket.never_reads {
            let peer = socket.number;
            self.shared.note(Event::PeerRead { peer, bytes });
            socket.receive(bytes);
        }
    }

    fn deliver_one_event(&mut self) {
        let owed = self
            .live()
            .into_iter()
            .filter(|socket| socket.borrow().event_pending);
        let owed: Vec<_> = owed.collect();
        if !owed.is_empty() {
            let socket = self.shared.random.pick(&owed);
            self.deliver_event(&socket);
        }
    }

    fn time_passes(&mut self) {
        let now = self.now();
        let due = self.next_due().map_or(now.after(1000), |due| due.max(now));
        let random = &self.shared.random;
        let to = match random.below(6) {
            0 | 1 => due,
            2 => Moment(due.0.saturating_sub(1).max(now.0)),
            3 => now.after(random.within(1..=100_000) as u64),
            4 if self.shared.plan.faults.long_pauses => {
                now.after(random.within(1..=8) as u64 * SECOND)
            }
            _ => now.after(random.within(1..=20_000) as u64),
        };
        self.pass(to);
    }

    /// Time passes. The loop wakes up when a timer is due, or a little later.
    pub fn pass(&mut self, to: Moment) {
        self.finish_turns(to);
        while let Some(due) = self.next_due() {
            let late = self.shared.random.below(LATE) as u64;
            let wakes = due.max(self.now()).after(late);
            if wakes >= to {
                break;
            }
            let before = self.now();
            self.pass_at_once(wakes);
            self.round();
            self.finish_turns(to);
            if self.now() == before && self.next_due() == Some(due) {
                return;
            }
        }
        self.pass_at_once(to);
    }

    /// The loop does not sleep while a connection waits for a turn; a turn takes no time.
    fn finish_turns(&mut self, to: Moment) {
        while self.now().after(LATE as u64) < to && self.dispatcher.has_turns() {
            self.round();
        }
    }

    /// Time passes; a peer in the middle of bytes that must arrive without a pause sends first.
    fn pass_at_once(&mut self, to: Moment) {
        let mut to = to.max(self.now());
        let limits = self.shared.plan.limits;
        let mut has_sent = false;
        if self.shared.random.chance(20) && self.send_at_the_last_moment(to) {
            return;
        }
        // Serving one peer may read the beginning of another's command.
        for _ in 0..self.peers.len() + 2 {
            for socket in self.live() {
                let must = socket.borrow().must_send(&limits);
                if let Some((end, _)) = must.filter(|(_, until)| *until < to) {
                    self.continue_peer(&socket, end);
                    has_sent = true;
                }
            }
        }
        if has_sent && let Some(due) = self.next_due() {
            to = to.min(due.max(self.now()).after(LATE as u64));
        }
        for socket in self.live() {
            if let Some((_, until)) = socket.borrow().must_send(&limits) {
                to = to.min(until.max(self.now()));
            }
        }
        let micros = to.0 - self.now().0;
        if micros > 0 {
            self.shared.note(Event::Passed { micros });
            self.shared.now.set(to);
        }
    }

    /// A timer expires and the byte that voids it arrives, both before the turn. Only if no call
    /// can be made to block.
    fn send_at_the_last_moment(&mut self, to: Moment) -> bool {
        let limits = self.shared.plan.limits;
        let late = |socket: &Handle| {
            let must = socket.borrow().must_send(&limits);
            must.filter(|(_, until)| *until < to)
        };
        let live = self.live();
        let can_send = |socket: &&Handle| {
            let socket = socket.borrow();
            may_send_late(&socket)
        };
        let late: Vec<_> = live
            .iter()
            .filter(|socket| late(socket).is_some())
            .collect();
        let blocks = self.shared.plan.faults.would_block > 0;
        if late.is_empty() || blocks || !late.iter().all(can_send) {
            return false;
        }
        let micros = to.0 - self.now().0;
        self.shared.note(Event::Passed { micros });
        self.shared.now.set(to);
        for socket in late {
            let rest = {
                let delays = socket.borrow().must_send(&limits);
                delays.map_or(0, |(end, _)| end.saturating_sub(socket.borrow().arrived))
            };
            self.send(socket, rest, true);
            socket.borrow_mut().event_pending = true;
            self.deliver_event(socket);
        }
        self.round();
        true
    }

    /// The rest of what the peer has begun to send arrives and is read.
    fn continue_peer(&mut self, socket: &Handle, end: usize) {
        let mode = self.shared.mode.replace(Mode::Calm);
        let (never_reads, never_writes) = {
            let mut socket = socket.borrow_mut();
            let before = (socket.never_reads, socket.never_writes);
            (socket.never_reads, socket.never_writes) = (false, false);
            before
        };
        for _ in 0..10 {
            let arrived = socket.borrow().arrived;
            self.send(socket, end.saturating_sub(arrived), true);
            self.receive(socket, usize::MAX);
            self.settle();
        }
        let mut socket = socket.borrow_mut();
        (socket.never_reads, socket.never_writes) = (never_reads, never_writes);
        self.shared.mode.set(mode);
    }
}

/// Whether the rest of the peer's command can arrive and be read at once.
fn may_send_late(socket: &SimSocket) -> bool {
    !socket.never_writes && socket.urgent.is_none() && socket.pending_now() == 0
}
