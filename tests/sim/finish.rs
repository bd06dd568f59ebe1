//! Ends a seed: all peers continue without faults, then the results are checked.

use super::engine::Engine;
use super::script::Service;
use super::shared::Mode;
use super::sim_socket::SimSocket;
use super::trace::Event;
use loket::store::Store;
use std::rc::Rc;

/// All peers are done after this number of wake-ups.
const MOST_WAKES: usize = 5_000;

/// The most wake-ups in a row without progress: the rate of a slow body is checked repeatedly.
const MOST_IN_VAIN: usize = 60;

impl Engine {
    /// Runs the whole seed.
    pub fn run(mut self) {
        let random = self.shared.random.within(60..=3000);
        let signal = self.shared.plan.faults.signal.then_some(random / 2);
        let cut = self.shared.random.chance(50);
        for step in 0..random {
            if Some(step) == signal {
                self.wind_down();
            }
            self.step();
        }
        if signal.is_some() && cut {
            self.close_all();
        } else {
            self.finish();
        }
        self.nothing_is_left();
    }

    fn finish(&mut self) {
        self.shared.note(Event::Calm);
        self.shared.mode.set(Mode::Calm);
        self.run_all_peers();
        self.probe();
        for peer in self.peers.clone() {
            let stalled = peer.borrow().never_reads || peer.borrow().never_writes;
            if stalled && self.shared.random.chance(50) {
                self.reset(&peer);
            }
            let mut peer = peer.borrow_mut();
            (peer.never_reads, peer.never_writes) = (false, false);
        }
        let mut operator = self.operator.borrow_mut();
        (operator.never_reads, operator.never_writes) = (false, false);
        drop(operator);
        self.run_all_peers();
        self.probe();
        for peer in &self.peers {
            let peer = peer.borrow();
            assert!(peer.is_over(), "{} never ends", state(&peer));
        }
        self.check_files();
        self.check_screen();
        if !self.shared.draining.get() {
            self.wind_down();
        }
        self.settle();
        assert_eq!(
            self.dispatcher.connections(),
            0,
            "connections are left open"
        );
        self.close_all();
    }

    fn run_all_peers(&mut self) {
        let (mut before, mut in_vain) = (0, 0);
        for _ in 0..MOST_WAKES {
            while self.connected < self.peers.len() {
                self.connect();
            }
            let operator = self.operator.clone();
            for socket in self
                .peers
                .iter()
                .chain([&operator])
                .cloned()
                .collect::<Vec<_>>()
            {
                self.receive(&socket, usize::MAX);
                self.send(&socket, usize::MAX, true);
            }
            self.shared.trace.step();
            self.settle();
            self.check();
            let sockets = self.peers.iter().chain([&self.operator]);
            let moved = sockets.map(|socket| moved(&socket.borrow())).sum::<usize>();
            let unheard = self.peers.iter().any(|peer| {
                let peer = peer.borrow();
                let reads = !peer.is_over() && !peer.never_reads && !peer.reset;
                reads && peer.received < peer.sent
            });
            if moved == before && !unheard {
                in_vain += 1;
                let over = self.is_over() || in_vain > MOST_IN_VAIN;
                let Some(due) = self.next_due().filter(|_| !over) else {
                    return;
                };
                self.pass(due.max(self.now()));
                self.round();
            }
            if moved != before {
                in_vain = 0;
            }
            before = moved;
        }
        let peers = self.peers.iter().map(|peer| peer.borrow());
        let open: Vec<_> = peers
            .filter(|peer| !peer.is_over())
            .map(|peer| state(&peer))
            .collect();
        panic!("the peers are not done: {open:#?}");
    }

    fn is_over(&self) -> bool {
        self.peers.iter().all(|peer| peer.borrow().is_over())
    }

    fn check_files(&self) {
        let files = self.store.files();
        for peer in &self.peers {
            let peer = peer.borrow();
            for (name, content) in &peer.script.untouched {
                let same = files.get(name) == Some(content);
                assert!(same, "{name} was changed by {}", state(&peer));
            }
            let is_complete = peer.closed == Some(peer.script.ends) && peer.has_received_all();
            if !is_complete || peer.reset {
                continue;
            }
            for (name, content) in &peer.script.final_files {
                assert_eq!(
                    files.get(name),
                    content.as_ref(),
                    "{name} of {}",
                    state(&peer)
                );
            }
        }
        for (name, content) in super::make_peers::files() {
            assert_eq!(files.get(&name), Some(&content), "{name} was changed");
        }
    }

    fn check_screen(&self) {
        let operator = self.operator.borrow();
        if operator.closed.is_none() && !operator.reset {
            assert_eq!(operator.pending(), 0, "lines for the operator are not sent");
            let all = operator.script.messages.len();
            assert_eq!(operator.parsed, all, "lines of the operator are not read");
        }
        for peer in &self.peers {
            let peer = peer.borrow();
            let is_complete = peer.closed == Some(peer.script.ends) && !peer.reset;
            if peer.service() == Service::Talk && is_complete {
                let all = peer.script.messages.len();
                assert_eq!(peer.parsed, all, "lines of {} are not read", state(&peer));
            }
        }
    }

    /// No connection, socket, blob or upload is left open.
    fn nothing_is_left(self) {
        assert_eq!(self.dispatcher.connections(), 0);
        assert_eq!(self.dispatcher.operator(), None);
        // Running disk operations complete, although no session waits for them.
        while self.disk.finish(0) {}
        assert!(self.shared.live.borrow().is_empty());
        let open = (self.store.blobs(), self.store.uploads());
        assert_eq!(open, (0, 0), "blobs and uploads are left open");
        self.check_quota();
        assert_eq!(self.store.usage().reserved, 0, "bytes are left reserved");
        self.shared.operator_model.borrow_mut().forget_all();
        for peer in self.peers.iter().chain([&self.operator]) {
            assert_eq!(Rc::strong_count(peer), 1, "a socket is left open");
        }
    }
}

fn moved(socket: &SimSocket) -> usize {
    let over = usize::from(socket.is_over()) + usize::from(socket.end_arrived);
    socket.arrived + socket.taken + socket.sent + socket.received + over
}

/// The state of a peer, for failure messages.
fn state(socket: &SimSocket) -> String {
    format!(
        "peer {} ({:?}; arrived {} of {}, read {}, sent {} of {}, received {}, end {:?}, \\
         closed {:?})",
        socket.number,
        socket.service(),
        socket.arrived,
        socket.script.input.len(),
        socket.taken,
        socket.sent,
        socket.script.expected.len(),
        socket.received,
        (socket.end_arrived, socket.end_read),
        socket.closed,
    )
}
