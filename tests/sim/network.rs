//! Does the next thing that can happen on the network, chosen by seed.

use super::engine::Engine;
use super::shared::Mode;
use super::sim_socket::{Handle, SimSocket};
use super::trace::Event;
use loket::reactor::clock::{Moment, SECOND};
use loket::session::observer::Readiness;

/// The loop may be busy so many microseconds beyond what it waits for.
const LATE: usize = 3_000;

impl Engine {
    /// One step.
    pub fn step(&mut self) {
        self.shared.trace.step();
        self.faults();
        match self.shared.random.below(100) {
            0..=5 => self.knock(),
            6..=33 => self.peer_speaks(),
            34..=50 => self.peer_reads(),
            51..=66 => self.an_edge_is_told(),
            67..=88 => self.round(),
            89..=91 => self.settle(),
            92 => self.probe(),
            95 => self.room_model.hear(&self.shared),
            93 | 94 => self.disk_is_done(self.shared.random.below(1 << 20)),
            _ => self.time_passes(),
        }
        self.check();
    }

    /// Another peer connects.
    pub fn knock(&mut self) {
        if let Some(peer) = self.peers.get(self.knocked).cloned() {
            self.knocked += 1;
            let listener = peer.borrow().service() as usize;
            self.acceptor.knock(listener, peer);
        }
    }

    /// A connection that has knocked, or the operator's.
    fn anybody(&self) -> Handle {
        let random = &self.shared.random;
        let known = self.knocked + 1;
        match random.below(known) {
            0 => self.operator.clone(),
            number => self.peers[number - 1].clone(),
        }
    }

    fn faults(&mut self) {
        let plan = &self.shared.plan.faults;
        let (stale, late_post) = (plan.stale, plan.late_post);
        let (spurious, reset, stall) = (plan.spurious, plan.reset, plan.stall);
        let random = self.shared.random.below(1 << 20);
        if self.shared.random.chance(stale) {
            self.tell_stale(random);
        }
        if self.shared.random.chance(late_post) {
            self.post_late(random);
        }
        if self.shared.random.chance(spurious) {
            let socket = self.anybody();
            let told = Readiness {
                readable: random.is_multiple_of(2),
                writable: random.is_multiple_of(3),
                ..socket.borrow().mask()
            };
            self.tell(&socket, told);
        }
        if self.shared.random.below(3000) < reset {
            self.reset(&self.anybody());
        }
        if self.shared.random.below(2000) < stall {
            let socket = self.anybody();
            let (reads, writes) = (random.is_multiple_of(2), random.is_multiple_of(3));
            (
                socket.borrow_mut().never_reads,
                socket.borrow_mut().never_writes,
            ) = (reads, writes);
        }
    }

    /// The connection breaks.
    pub fn reset(&self, socket: &Handle) {
        let mut socket = socket.borrow_mut();
        if !socket.is_over() && !socket.reset {
            let peer = socket.number;
            self.shared.note(Event::Reset { peer });
            socket.break_off();
        }
    }

    fn peer_speaks(&mut self) {
        let socket = self.anybody();
        let length = self.piece(&socket);
        self.speak(&socket, length, self.shared.random.chance(60));
    }

    /// How much arrives at once. The lengths that fill the read buffer exactly are the best.
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

    /// Up to so many bytes arrive, and after the last one the end, at once or later.
    pub fn speak(&mut self, handle: &Handle, most: usize, ends: bool) {
        let mut socket = handle.borrow_mut();
        if socket.is_over() || socket.reset || socket.never_writes || socket.end_arrived {
            return;
        }
        let count = most.min(socket.may_say().saturating_sub(socket.arrived));
        let peer = socket.number;
        if count > 0 {
            let urgent = self.shared.plan.faults.urgent;
            if self.shared.injects(urgent) && socket.urgent.is_none() && !socket.is_console() {
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
        let socket = self.anybody();
        let most = match self.shared.random.below(4) {
            0 => 1,
            1 => self.shared.random.within(1..=30),
            _ => usize::MAX,
        };
        self.hear(&socket, most);
    }

    /// The peer reads up to so many bytes.
    pub fn hear(&mut self, socket: &Handle, most: usize) {
        let mut socket = socket.borrow_mut();
        let bytes = most.min(socket.sent - socket.heard);
        if bytes > 0 && !socket.reset && !socket.never_reads {
            let peer = socket.number;
            self.shared.note(Event::PeerRead { peer, bytes });
            socket.hear(bytes);
        }
    }

    fn an_edge_is_told(&mut self) {
        let owed = self
            .live()
            .into_iter()
            .filter(|socket| socket.borrow().owed);
        let owed: Vec<_> = owed.collect();
        if !owed.is_empty() {
            let socket = self.shared.random.pick(&owed);
            self.deliver_edge(&socket);
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

    /// Time passes. The loop wakes up when something is due, or a little later.
    pub fn pass(&mut self, to: Moment) {
        self.work_off(to);
        while let Some(due) = self.next_due() {
            let late = self.shared.random.below(LATE) as u64;
            let wakes = due.max(self.now()).after(late);
            if wakes >= to {
                break;
            }
            let before = self.now();
            self.pass_at_once(wakes);
            self.round();
            self.work_off(to);
            if self.now() == before && self.next_due() == Some(due) {
                return;
            }
        }
        self.pass_at_once(to);
    }

    /// The loop never sleeps while somebody has a turn, and a turn takes no time to speak of.
    fn work_off(&mut self, to: Moment) {
        while self.now().after(LATE as u64) < to && self.dispatcher.has_turns() {
            self.round();
        }
    }

    /// Time passes, but not while a peer is in the middle of what must come without a pause: that
    /// peer goes on first.
    fn pass_at_once(&mut self, to: Moment) {
        let mut to = to.max(self.now());
        let limits = self.shared.plan.limits;
        let mut went_on = false;
        if self.shared.random.chance(20) && self.speak_at_the_last_moment(to) {
            return;
        }
        // Serving one peer may have read the beginning of what another says.
        for _ in 0..self.peers.len() + 2 {
            for socket in self.live() {
                let must = socket.borrow().must_speak(&limits);
                if let Some((end, _)) = must.filter(|(_, until)| *until < to) {
                    self.go_on(&socket, end);
                    went_on = true;
                }
            }
        }
        if went_on && let Some(due) = self.next_due() {
            to = to.min(due.max(self.now()).after(LATE as u64));
        }
        for socket in self.live() {
            if let Some((_, until)) = socket.borrow().must_speak(&limits) {
                to = to.min(until.max(self.now()));
            }
        }
        let micros = to.0 - self.now().0;
        if micros > 0 {
            self.shared.note(Event::Passed { micros });
            self.shared.now.set(to);
        }
    }

    /// A silence is over and the byte that voids it has come, both before the turn. Only where the
    /// kernel keeps nothing back.
    fn speak_at_the_last_moment(&mut self, to: Moment) -> bool {
        let limits = self.shared.plan.limits;
        let late = |socket: &Handle| {
            let must = socket.borrow().must_speak(&limits);
            must.filter(|(_, until)| *until < to)
        };
        let live = self.live();
        let whole = |socket: &&Handle| {
            let socket = socket.borrow();
            late_is_free(&socket)
        };
        let late: Vec<_> = live
            .iter()
            .filter(|socket| late(socket).is_some())
            .collect();
        let blocks = self.shared.plan.faults.would_block > 0;
        if late.is_empty() || blocks || !late.iter().all(whole) {
            return false;
        }
        let micros = to.0 - self.now().0;
        self.shared.note(Event::Passed { micros });
        self.shared.now.set(to);
        for socket in late {
            let rest = {
                let delays = socket.borrow().must_speak(&limits);
                delays.map_or(0, |(end, _)| end.saturating_sub(socket.borrow().arrived))
            };
            self.speak(socket, rest, true);
            socket.borrow_mut().owed = true;
            self.deliver_edge(socket);
        }
        self.round();
        true
    }

    /// What the peer has begun to say arrives and is read.
    fn go_on(&mut self, socket: &Handle, end: usize) {
        let mode = self.shared.mode.replace(Mode::Calm);
        let (never_reads, never_writes) = {
            let mut socket = socket.borrow_mut();
            let before = (socket.never_reads, socket.never_writes);
            (socket.never_reads, socket.never_writes) = (false, false);
            before
        };
        for _ in 0..10 {
            let arrived = socket.borrow().arrived;
            self.speak(socket, end.saturating_sub(arrived), true);
            self.hear(socket, usize::MAX);
            self.settle();
        }
        let mut socket = socket.borrow_mut();
        (socket.never_reads, socket.never_writes) = (never_reads, never_writes);
        self.shared.mode.set(mode);
    }
}

/// Whether what is left of the peer's words can come at once, and be read at once.
fn late_is_free(socket: &SimSocket) -> bool {
    !socket.never_writes && socket.urgent.is_none() && socket.pending_now() == 0
}
