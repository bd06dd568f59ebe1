//! Gives turns to connections: holds their table, the run queue and the timers.
//! Makes system calls only through [`Io`], so it runs in the simulator of `tests/sim` as well.

use super::ReactorLimits; // the numbers of config/reactor.rs
use super::clock::Moment; // a time in microseconds since the start
use super::connection::{Connection, Phase}; // socket, session and readiness; open or lingering
use super::io::Io; // the trait of the system calls
use super::loop_lag::LoopLag; // measures the longest turn, for the log
use super::per_ip_limit::PerIpLimit; // counts connections by address
use super::run_queue::RunQueue; // which connections wait for a turn
use super::table::Table; // the connections, in a slab
use super::timers::Timers; // the silences and deadlines of all connections
use super::turn::{Scratch, Turn}; // the buffers of the running turn; the turn itself
use crate::session::close_reason::CloseReason; // why a connection ends
use crate::session::log_limit::LogLimit; // limits log lines to some a second
use crate::session::notice::{Notice, Post}; // messages between sessions
use crate::session::observer::{Observer, Readiness, TurnEnd, label}; // events and ends of turns
use crate::session::protocol::Protocol; // the state machine of a service
use crate::session::session::Session; // a protocol and its buffers
use crate::session::session_id::SessionId; // slot in the table, and serial against stale events
use crate::session::shared::Shared; // what all sessions share: posts, the time, the observer
use crate::wire::follows::Timer; // kinds of silence
use std::net::SocketAddr;

/// All connections, and the order of their turns.
pub struct Dispatcher<I: Io> {
    pub(super) io: I,
    pub(super) shared: Shared,
    limits: ReactorLimits,
    pub(super) services: Vec<&'static str>,
    pub(super) table: Table<I::Socket>,
    pub(super) queue: RunQueue,
    pub(super) timers: Timers,
    pub(super) per_ip: PerIpLimit,
    loop_lag: LoopLag,
    scratch: Scratch,
    /// The session of the operator, at the console. It is no connection: no limit counts it, no
    /// deadline closes it, and a server that drains does not wait for it.
    pub(super) operator: Option<SessionId>,
    /// The session of the link to other servers. Neither is it a connection of a client.
    pub(super) link: Option<SessionId>,
}

impl<I: Io> Dispatcher<I> {
    /// A dispatcher without connections. `services` has the name of each listener, by its number.
    pub fn new(
        io: I,
        mut shared: Shared,
        limits: ReactorLimits,
        services: Vec<&'static str>,
    ) -> Dispatcher<I> {
        let slots = limits.connections.min(limits.reserved);
        shared.logged = LogLimit::new(limits.uploads_logged);
        Dispatcher {
            io,
            shared,
            services,
            table: Table::with_capacity(slots),
            queue: RunQueue::default(),
            timers: Timers::new(limits),
            per_ip: PerIpLimit::new(limits.per_ip, slots),
            loop_lag: LoopLag::new(limits.slow_micros),
            scratch: Scratch::new(limits.read_buffer),
            operator: None,
            link: None,
            limits,
        }
    }

    /// Adds a connection and queues it for its first turn. A turn registers it.
    pub fn open(
        &mut self,
        socket: I::Socket,
        service: usize,
        peer: SocketAddr,
        make: impl FnOnce(SocketAddr) -> Box<dyn Protocol>,
        now: Moment,
    ) -> SessionId {
        let id = self.insert(socket, service, make(peer), now);
        self.per_ip.enter(id.slot(), peer);
        self.shared
            .observer
            .opened(label(&self.services, service as u16, id), peer);
        let name = self.services[service];
        log::debug!(service = name, peer:%; "conn {} {name} {peer}: opened", id.serial());
        self.deliver();
        id
    }

    pub(super) fn insert(
        &mut self,
        socket: I::Socket,
        service: usize,
        protocol: Box<dyn Protocol>,
        now: Moment,
    ) -> SessionId {
        let id = self.table.next_id();
        let mut session = Session::new(protocol, id);
        session.open(&mut self.shared);
        let mut connection = Connection::new(socket, session, service as u16, now);
        self.timers.update_deadline(id.slot(), &mut connection, now);
        self.table.insert(id, connection);
        self.enqueue(id, false);
        id
    }

    /// Delivers the posts of sessions. Called between turns, since a turn changes no connection but
    /// its own.
    pub fn deliver(&mut self) {
        while !self.shared.posts.is_empty() {
            for post in std::mem::take(&mut self.shared.posts) {
                let Some(id) = self.shared.route(&post, self.operator) else {
                    continue;
                };
                let Some(connection) = self.table.find(id) else {
                    continue;
                };
                match connection.session.notify(&post.notice, &mut self.shared) {
                    Some(reason) => self.close(id, reason),
                    None => self.enqueue(id, false),
                }
            }
        }
        self.prioritize_operator();
    }

    /// Gives the console the next turn when its outbox is above the high-water mark, so that it is
    /// written before more lines are added.
    fn prioritize_operator(&mut self) {
        self.shared.operator_behind = false;
        if let Some(id) = self.operator
            && let Some(connection) = self.table.find(id)
            && let Some(outbox) = connection.session.outbox()
            && outbox.pending() >= self.limits.operator_high_water
        {
            if connection.ready.writable {
                self.queue.push_next(id);
            }
            let last = connection.last_progress.seconds();
            let silent = self.shared.now.saturating_sub(last);
            self.shared.operator_behind = silent < self.limits.operator_stall_seconds;
        }
    }

    /// Queues sessions whose disk operation has completed.
    pub fn end_waits(&mut self, waiting: Vec<SessionId>) {
        for id in waiting {
            if let Some(connection) = self.table.find(id) {
                connection.session.wait_is_over();
                connection.answered = true;
                // A session with more requests in its inbox goes to the bulk queue.
                let bulk = !connection.queued && !connection.session.inbox().is_empty();
                let conn = label(&self.services, connection.service, id);
                self.shared.observer.wait_over(conn, bulk);
                self.enqueue(id, bulk);
            }
        }
    }

    /// The list of posts, to add some from outside; [`Dispatcher::deliver`] delivers them.
    pub fn posts(&mut self) -> &mut Vec<Post> {
        &mut self.shared.posts
    }

    /// Takes the posts to the room, which is no session.
    pub fn take_for_room(&mut self) -> Vec<Post> {
        std::mem::take(&mut self.shared.for_room)
    }

    /// Notes readiness that the kernel has reported. A stale id is ignored.
    pub fn mark(&mut self, id: SessionId, event: Readiness) {
        let Some(connection) = self.table.find(id) else {
            return;
        };
        connection.ready.readable |= event.readable;
        connection.ready.writable |= event.writable;
        connection.ready.drain_to_eof |= event.drain_to_eof;
        // Every event says that the socket is writable, which matters only if output waits.
        let matters = event.readable || connection.session.has_unsent();
        let conn = label(&self.services, connection.service, id);
        self.shared.observer.event(conn, event);
        if matters {
            self.enqueue(id, false);
        }
    }

    /// Whether connections may be accepted in this round.
    pub fn accepts(&mut self) -> bool {
        self.queue.accepts()
    }

    /// Gives the short turns of the queue, for a bounded time, and then bulk turns: one, or as many
    /// as take the time that the short turns took. Without short turns, several bulk turns run
    /// before the next poll, because a poll after each costs a download 2 % of its CPU.
    pub fn round(&mut self, now: Moment) {
        let begin = self.io.now();
        let mut since = begin;
        let short = self.queue.begin_round();
        self.shared.observer.queued(short, self.queue.bulk.len());
        while let Some(id) = self.queue.pop_short() {
            self.turn(id, false, now, &mut since);
            if begin.micros_until(since) >= self.limits.short_micros {
                self.queue.defer_short();
            }
        }
        let short_took = begin.micros_until(since);
        let (begin, mut moved, mut turns) = (since, 0, 0);
        while let Some(id) = self.queue.pop_bulk() {
            let (bytes, posts) = self.turn(id, true, now, &mut since);
            moved += bytes;
            turns += 1;
            let took = begin.micros_until(since);
            let limits = &self.limits;
            let is_over = match short {
                0 => {
                    moved >= limits.bulk_bytes
                        || turns >= limits.bulk_turns
                        || took >= limits.bulk_micros
                }
                _ => took >= short_took,
            };
            // Recipients of posts write in the next round, before more is posted.
            if is_over || posts {
                break;
            }
        }
    }

    /// Gives one turn to one connection. Returns the bytes that it moved, and whether it posted
    /// anything. `since` is the end of the turn before, and is set to the end of this one.
    fn turn(
        &mut self,
        id: SessionId,
        bulk: bool,
        now: Moment,
        since: &mut Moment,
    ) -> (usize, bool) {
        let Some(connection) = self.table.find(id) else {
            return (0, false);
        };
        connection.queued = false;
        let conn = label(&self.services, connection.service, id);
        self.shared.observer.turn(conn, connection.ready);
        let was_open = connection.phase == Phase::Open;
        let calls = match bulk {
            true => self.limits.turn_calls,
            false => self.limits.short_calls,
        };
        let mut turn = Turn {
            io: &mut self.io,
            shared: &mut self.shared,
            scratch: &mut self.scratch,
            limits: &self.limits,
            now,
            bulk,
            calls,
            spent: 0,
        };
        let mut ended = turn.serve(connection);
        let (spent, calls) = (turn.spent, calls - turn.calls);
        let leaves = self.timers.closes_idle(connection) && self.operator != Some(id);
        if leaves && ended == TurnEnd::Parked && !connection.session.is_busy() {
            ended = TurnEnd::Closed(CloseReason::Shutdown);
        }
        if !connection.registered {
            ended = register(&mut self.io, connection, id, ended);
        }
        let (owed, awaited) = (connection.session.owed(), connection.awaited());
        let observer = &mut self.shared.observer;
        observer.turn_ended(conn, ended, owed, awaited);
        if let Phase::Lingering { reason, .. } = connection.phase
            && was_open
        {
            self.shared.observer.lingering(conn, reason);
        }
        let took = since.micros_until(self.io.now());
        self.shared.observer.cost(conn, bulk, spent, calls, took);
        self.loop_lag.record_turn(conn.service, took);
        connection.record_cost(took);
        *since = since.after(took);
        let in_command = [Timer::Interbyte, Timer::Settle, Timer::PartialCommand];
        if connection.last_progress == now && awaited.is_some_and(|it| in_command.contains(&it)) {
            // A command arrives in pieces: the peer sends the next one only after the
            // acknowledgement if it uses Nagle's algorithm (RFC 1122, 4.2.3.4).
            self.io.quick_ack(&mut connection.socket);
        }
        // Needed even if no byte moved: a silence may have completed a command, or the end of the
        // stream an upload. From then on the peer waits for the disk, and is not slow.
        self.timers.update_deadline(id.slot(), connection, now);
        match ended {
            TurnEnd::Parked | TurnEnd::AwaitDisk => self.timers.await_silence(id, connection),
            TurnEnd::Requeue => self.enqueue(id, true),
            TurnEnd::Replace => self.replace(id, now),
            TurnEnd::Closed(reason) => self.close(id, reason),
        }
        let posts = !self.shared.posts.is_empty();
        self.deliver();
        (spent, posts)
    }

    /// Gives turns to connections whose timer has expired, and closes those whose deadline has.
    pub fn on_time(&mut self, now: Moment) {
        (self.shared.now, self.shared.micros) = (now.seconds(), now.0);
        self.shared.unix = self.io.unix_seconds();
        while let Some((delay, id)) = self.timers.pop_silence(&mut self.table, now) {
            let connection = self.table.find(id).expect("its timer has expired");
            let conn = label(&self.services, connection.service, id);
            self.shared.observer.silence(conn, delay);
            self.enqueue(id, false);
        }
        for slot in self.timers.expired(now.seconds()) {
            if let Some(id) = self.table.id_at(slot)
                && let Some(connection) = self.table.find(id)
                && let Some(reason) = self.timers.check_deadline(slot, connection, now)
            {
                // The protocol may tell the peer, unless it is in the middle of another answer.
                let (session, notice) = (&mut connection.session, Notice::Deadline(reason));
                let tells = !session.has_unsent() && {
                    session.notify(&notice, &mut self.shared);
                    session.has_unsent()
                };
                match tells {
                    true => self.enqueue(id, false),
                    false => self.close(id, reason),
                }
            }
        }
        self.deliver();
    }

    /// The time of the next timer or deadline.
    pub fn next_due(&self) -> Option<Moment> {
        self.timers.next_due()
    }

    /// Closes idle connections now, and each other one as soon as it becomes idle.
    pub fn drain(&mut self, now: Moment) {
        self.timers.drain(now);
        for id in self.table.ids() {
            self.enqueue(id, false);
        }
    }

    /// Closes all connections now.
    pub fn close_all(&mut self) {
        for id in self.table.ids() {
            self.close(id, CloseReason::Shutdown);
        }
        self.deliver();
    }

    /// The measurement of how long turns take.
    pub fn loop_lag(&mut self) -> &mut LoopLag {
        &mut self.loop_lag
    }

    /// The number of connections, without the console and the link.
    pub fn connections(&self) -> usize {
        let others = [self.operator, self.link];
        self.table.count() - others.iter().flatten().count()
    }

    /// Whether a connection is queued for a turn, or a post for the room.
    pub fn has_turns(&self) -> bool {
        !self.queue.is_empty() || !self.shared.for_room.is_empty()
    }

    /// The observer of this loop.
    pub fn observer(&mut self) -> &mut dyn Observer {
        &mut *self.shared.observer
    }

    /// Queues a connection for a short turn or a bulk turn, unless it is queued.
    pub(super) fn enqueue(&mut self, id: SessionId, bulk: bool) {
        if let Some(connection) = self.table.find(id)
            && !std::mem::replace(&mut connection.queued, true)
        {
            match bulk {
                true => self.queue.push_bulk(id),
                false => self.queue.push_short(id, connection.cost),
            }
        }
    }

    /// The only place where a connection is closed.
    fn close(&mut self, id: SessionId, reason: CloseReason) {
        let Some(connection) = self.table.find(id) else {
            return;
        };
        let millis = match (reason, connection.session.has_unsent()) {
            // The output is incomplete and of no value to the peer.
            (CloseReason::Shutdown, true) => 0,
            (reason, true) if reason.discards_unsent() => 0,
            (reason, false) if reason.discards_unsent() => 1,
            _ => self.limits.unsent_millis,
        };
        self.io.abort(&mut connection.socket, millis);
        connection.session.end(reason, &mut self.shared);
        let service = connection.service;
        self.table.remove(id);
        if self.operator == Some(id) {
            self.operator = None;
        }
        if self.link == Some(id) {
            self.link = None;
        }
        self.timers.clear(id.slot());
        let peer = self.per_ip.leave(id.slot());
        reason.log(self.services[usize::from(service)], id.serial(), peer);
        self.shared
            .observer
            .closed(label(&self.services, service, id), reason);
    }
}

/// Registers a connection whose turn ends with a wait for events. One that is closed before costs
/// no epoll_ctl(2) and no event, which is 6 % of the CPU of a visit for a file of 4 KiB. No edge is
/// lost: the registration reports what is ready.
fn register<I: Io>(
    io: &mut I,
    connection: &mut Connection<I::Socket>,
    id: SessionId,
    ended: TurnEnd,
) -> TurnEnd {
    connection.ready.drain_to_eof = false;
    if !matches!(ended, TurnEnd::Parked | TurnEnd::AwaitDisk) {
        return ended;
    }
    connection.registered = true;
    match io.register(&mut connection.socket, id) {
        Ok(()) => ended,
        Err(_) => TurnEnd::Closed(CloseReason::Unregistered),
    }
}
