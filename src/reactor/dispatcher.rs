//! Gives turns: keeps the table of connections, the run queue, the delays and the deadlines.
//! Makes no system call and polls nothing; `event_loop.rs` does, and a simulator can.

use super::clock::Moment;
use super::connection::{Connection, Phase, Readiness, bit};
use super::deadlines::Deadlines;
use super::delays::Delays;
use super::kernel::Kernel;
use super::limits::ReactorLimits;
use super::observer::{Observer, Who};
use super::run_queue::RunQueue;
use super::token::Key;
use super::turn::{Ended, Lent, Turn};
use crate::session::close_reason::CloseReason;
use crate::session::protocol::Protocol;
use crate::session::session::Session;
use crate::session::world::World;
use crate::wire::pause::Delay;
use slab::Slab;
use std::net::SocketAddr;

/// Everything above the system calls.
pub struct Dispatcher<K: Kernel, O: Observer> {
    kernel: K,
    world: World,
    observer: O,
    limits: ReactorLimits,
    services: Vec<&'static str>,
    table: Slab<Connection<K::Socket>>,
    serial: u32,
    queue: RunQueue,
    delays: Delays,
    deadlines: Deadlines,
    lent: Lent,
    winding_down: bool,
}

impl<K: Kernel, O: Observer> Dispatcher<K, O> {
    /// An empty table. `services` names the listeners, by their numbers.
    pub fn new(
        kernel: K,
        world: World,
        observer: O,
        limits: ReactorLimits,
        services: Vec<&'static str>,
    ) -> Dispatcher<K, O> {
        Dispatcher {
            kernel,
            world,
            observer,
            services,
            table: Slab::new(),
            serial: 0,
            queue: RunQueue::default(),
            delays: Delays::new(limits.delays),
            deadlines: Deadlines::default(),
            lent: Lent::new(limits.read_buffer),
            winding_down: false,
            limits,
        }
    }

    /// The key that the next connection will have.
    pub fn next_key(&self) -> Key {
        let slot = u32::try_from(self.table.vacant_key()).expect("a slot fits a token");
        Key {
            slot,
            serial: Key::next_serial(self.serial),
        }
    }

    /// Takes a connection that was registered under [`Dispatcher::next_key`], and queues it: it
    /// may have spoken before it was registered.
    pub fn open(
        &mut self,
        socket: K::Socket,
        service: usize,
        protocol: Box<dyn Protocol>,
        peer: SocketAddr,
        now: Moment,
    ) {
        let key = self.next_key();
        self.serial = key.serial;
        let session = Session::new(protocol);
        let connection = Connection::new(socket, session, key.serial, service as u16, now);
        self.table.insert(connection);
        self.observer
            .opened(who(&self.services, service as u16, key.serial), peer);
        log::debug!(
            "conn {} {}: opened by {peer}",
            key.serial,
            self.services[service]
        );
        self.set_deadline(key.slot, now);
        self.enqueue(key);
    }

    /// Notes what the kernel told. A stale key finds nobody.
    pub fn mark(&mut self, key: Key, told: Readiness) {
        let Some(connection) = self.find(key) else {
            return;
        };
        connection.ready.readable |= told.readable;
        connection.ready.writable |= told.writable;
        connection.ready.read_closed |= told.read_closed;
        let service = connection.service;
        self.observer
            .event(who(&self.services, service, key.serial), told);
        self.enqueue(key);
    }

    /// Serves all short turns that stand in the queue now, and then one bulk turn.
    pub fn round(&mut self, now: Moment) {
        for _ in 0..self.queue.short_count() {
            let key = self.queue.pop_short().expect("it was counted");
            self.turn(key, false, now);
        }
        if let Some(key) = self.queue.pop_bulk() {
            self.turn(key, true, now);
        }
    }

    fn turn(&mut self, key: Key, bulk: bool, now: Moment) {
        let Some(connection) = find(&mut self.table, key) else {
            return;
        };
        connection.queued = false;
        let who = who(&self.services, connection.service, key.serial);
        self.observer.turn(who, connection.ready);
        let was_open = connection.phase == Phase::Open;
        let mut turn = Turn {
            kernel: &mut self.kernel,
            world: &mut self.world,
            lent: &mut self.lent,
            limits: &self.limits,
            observer: &mut self.observer,
            now,
            bulk,
        };
        let mut ended = turn.serve(connection);
        if self.winding_down && ended == Ended::Parked && !connection.session.is_busy() {
            ended = Ended::Over(CloseReason::Shutdown);
        }
        let (owes, awaited) = (connection.session.owes(), connection.awaited());
        self.observer.ended(who, &ended, owes, awaited);
        if let Phase::Lingering { reason, .. } = connection.phase
            && was_open
        {
            self.observer.lingers(who, reason);
        }
        if connection.progress == now {
            if matches!(awaited, Some(Delay::Settle | Delay::Word)) {
                // A unit came in pieces: the next one must not wait for a delayed acknowledgement.
                self.kernel.acknowledge_now(&mut connection.socket);
            }
            self.set_deadline(key.slot, now);
        }
        match ended {
            Ended::Parked => self.await_silence(key),
            Ended::Again => self.enqueue(key),
            Ended::Bulk => self.enqueue_bulk(key),
            Ended::Over(reason) => self.close(key, reason),
        }
    }

    /// Begins to measure the silence that the session waits for, unless it is being measured.
    fn await_silence(&mut self, key: Key) {
        let connection = find(&mut self.table, key).expect("it has just had its turn");
        if let Some(delay) = connection.awaited()
            && connection.armed & bit(delay) == 0
        {
            connection.armed |= bit(delay);
            let since = connection.progress;
            self.delays.arm(delay, since, key);
        }
    }

    /// Looks at the clock: silences that have lasted long enough get a turn, deadlines close.
    pub fn on_time(&mut self, now: Moment) {
        while let Some((delay, key)) = self.delays.pop_due(now) {
            self.on_delay(delay, key, now);
        }
        for slot in self.deadlines.expired(now.seconds()) {
            if let Some(connection) = self.table.get(slot as usize) {
                let key = Key {
                    slot,
                    serial: connection.serial,
                };
                self.close(key, CloseReason::Idle);
            }
        }
    }

    fn on_delay(&mut self, delay: Delay, key: Key, now: Moment) {
        let Some(connection) = find(&mut self.table, key) else {
            return;
        };
        connection.armed &= !bit(delay);
        if connection.awaited() != Some(delay) {
            return;
        }
        if self.delays.due(delay, connection.progress) > now {
            // The peer has spoken since: the silence began later.
            return self.await_silence(key);
        }
        connection.passed |= bit(delay);
        connection.silence = Some(delay);
        self.observer
            .silence(who(&self.services, connection.service, key.serial), delay);
        self.enqueue(key);
    }

    /// When [`Dispatcher::on_time`] has something to do, if nobody speaks.
    pub fn next_due(&self) -> Option<Moment> {
        let deadline = self.deadlines.next().map(Moment::of_second);
        self.delays.next_due().into_iter().chain(deadline).min()
    }

    /// Ends what is idle, and everything else as soon as it becomes idle.
    pub fn wind_down(&mut self) {
        self.winding_down = true;
        for key in self.keys() {
            self.enqueue(key);
        }
    }

    /// Ends everything now.
    pub fn close_all(&mut self) {
        for key in self.keys() {
            self.close(key, CloseReason::Shutdown);
        }
    }

    /// Connections in the table.
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    /// Whether somebody waits for a turn.
    pub fn has_turns(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Who watches.
    pub fn observer(&mut self) -> &mut O {
        &mut self.observer
    }

    fn keys(&self) -> Vec<Key> {
        let keys = self.table.iter();
        keys.map(|(slot, found)| Key {
            slot: slot as u32,
            serial: found.serial,
        })
        .collect()
    }

    fn find(&mut self, key: Key) -> Option<&mut Connection<K::Socket>> {
        find(&mut self.table, key)
    }

    fn enqueue(&mut self, key: Key) {
        if let Some(connection) = find(&mut self.table, key)
            && !std::mem::replace(&mut connection.queued, true)
        {
            self.queue.push_short(key);
        }
    }

    fn enqueue_bulk(&mut self, key: Key) {
        if let Some(connection) = find(&mut self.table, key)
            && !std::mem::replace(&mut connection.queued, true)
        {
            self.queue.push_bulk(key);
        }
    }

    fn set_deadline(&mut self, slot: u32, now: Moment) {
        if let Some(idle) = self.limits.idle_seconds {
            self.deadlines
                .set(slot, now.seconds().saturating_add(idle).saturating_add(1));
        }
    }

    /// The one place where connections end.
    fn close(&mut self, key: Key, reason: CloseReason) {
        let Some(connection) = find(&mut self.table, key) else {
            return;
        };
        connection.session.abandon(&mut self.world);
        let service = connection.service;
        self.table.remove(key.slot as usize);
        self.deadlines.clear(key.slot);
        self.observer
            .closed(who(&self.services, service, key.serial), reason);
        let level = if reason.is_surprising() {
            log::Level::Warn
        } else {
            log::Level::Debug
        };
        let name = self.services[usize::from(service)];
        log::log!(level, "conn {} {name}: closed, {reason}", key.serial);
    }
}

fn find<S>(table: &mut Slab<Connection<S>>, key: Key) -> Option<&mut Connection<S>> {
    table
        .get_mut(key.slot as usize)
        .filter(|found| found.serial == key.serial)
}

fn who<'a>(services: &[&'a str], service: u16, serial: u32) -> Who<'a> {
    Who {
        serial,
        service: services[usize::from(service)],
    }
}
