//! Moves a run over TCP from stage to stage: when it begins, when it ends, what is waited for.
//! Polls nothing and opens nothing: `driver.rs` has the loop.

use super::board::{Board, Stage};
use super::driver::Driver;
use super::fault::{Fault, LoadError};
use super::report::{Ending, Outcome};
use super::requests::Call;
use crate::reactor::clock::{Moment, SECOND};

impl Driver {
    /// Moves on to the next stage when this one is over. Says whether all are.
    pub(super) fn step(&mut self, now: Moment) -> Result<bool, LoadError> {
        let interrupts = self.poller.signalled();
        match self.stage() {
            Stage::Preparing if interrupts > 0 => Err(LoadError::failure(
                "interrupted before all connections stood; nothing was measured",
            )),
            Stage::Preparing => self.prepared(now).map(|()| false),
            Stage::Running => {
                if interrupts > 0 {
                    self.ending = Ending::Interrupted;
                    self.board.borrow_mut().stop(now);
                }
                let board = self.board.borrow();
                // What was due and could not be made is not tried for ever.
                let end = board.schedule.end();
                let late = end.after(self.settings.limits.late_micros) <= now;
                let is_over = board.schedule.is_over(now) || late;
                drop(board);
                if !is_over {
                    return Ok(false);
                }
                self.enter(Stage::Ending, now);
                // When all is answered already, no event comes any more.
                self.step(now)
            }
            Stage::Ending => {
                // A lane whose connection is still being closed could not be called to clear away.
                let closing = self.settings.reconnects && self.dispatcher.connections() > 0;
                let answered = self.board.borrow().under_way == 0;
                if (closing || !answered) && now < self.deadline && interrupts < 2 {
                    return Ok(false);
                }
                self.give_up();
                self.begin_to_clean_up(now);
                self.step(now)
            }
            Stage::CleaningUp => {
                let open = self.dispatcher.connections();
                let unclean = open + self.calls.waiting() + self.calls.pending();
                if unclean < self.unclean {
                    self.unclean = unclean;
                    self.deadline = now.after(self.settings.limits.clean_up_micros);
                }
                Ok(unclean == 0 || now >= self.deadline || interrupts > 1)
            }
        }
    }

    /// Begins the run once all lanes are ready.
    fn prepared(&mut self, now: Moment) -> Result<(), LoadError> {
        let limits = &self.settings.limits;
        let ready = self.board.borrow().ready;
        let all = self.settings.connections;
        if ready > self.ready {
            self.ready = ready;
            self.deadline = now.after(limits.prepare_micros);
        }
        let dialer = self.calls.dialer();
        let server = dialer.server();
        if now >= self.deadline && dialer.give_up(server) {
            // Whatever is sent to this address is swallowed.
            for call in self.calls.give_up() {
                self.calls.push(call);
            }
            self.deadline = now.after(limits.prepare_micros);
        }
        if now >= self.deadline {
            return Err(LoadError::failure(format!(
                "only {ready} of {all} connections are served by {}, and for {} s no other was; \
                 is this the right port, and does the server take so many?",
                self.settings.at,
                limits.prepare_micros / SECOND
            )));
        }
        if ready == all {
            self.board.borrow_mut().begin(&self.settings, now);
            self.costs.0 = Some(self.poller.cost());
            self.hand_out(now);
        }
        Ok(())
    }

    fn enter(&mut self, stage: Stage, now: Moment) {
        let limits = &self.settings.limits;
        let board = &mut *self.board.borrow_mut();
        board.stage = stage;
        if stage == Stage::Ending {
            self.costs.1 = Some(self.poller.cost());
            while board.schedule.take(board.now).is_some() {
                board.recorder.unmade += 1;
            }
        }
        self.deadline = now.after(match stage {
            Stage::CleaningUp => limits.clean_up_micros,
            _ => limits.last_answers_micros,
        });
    }

    /// What is not answered by now never will be.
    fn give_up(&mut self) {
        let mut board = self.board.borrow_mut();
        let silent = board.under_way;
        if silent > 0 {
            let text = || "the last answers did not come in time".to_owned();
            board.recorder.fault(Fault::Silent, silent, text);
        }
    }

    /// From here on lanes clear away what they leave: those that are idle now, those that are busy
    /// with the end of that, and those that have no connection with a new one.
    pub(super) fn begin_to_clean_up(&mut self, now: Moment) {
        self.enter(Stage::CleaningUp, now);
        self.resting.extend(self.calls.give_up());
        if !self.settings.work.leaves_files() {
            return self.dispatcher.close_all();
        }
        let idle = std::mem::take(&mut self.board.borrow_mut().idle);
        for (_, peer) in idle {
            self.wake(peer);
        }
        for call in std::mem::take(&mut self.resting) {
            self.call_to_clean_up(call);
        }
    }

    /// What may still be on the server, in words.
    fn left_behind(&mut self) -> Option<String> {
        let gone = std::mem::take(&mut self.board.borrow_mut().gone);
        let mut lanes: Vec<Call> = gone.into_iter().map(|gone| gone.call).collect();
        lanes.extend(self.calls.give_up());
        lanes.extend(self.resting.drain(..));
        let names = lanes.iter().filter_map(|call| call.requests.leaves());
        let names: Vec<&str> = names.collect();
        let more = match names.len() {
            0 => return None,
            1 => String::new(),
            count => format!(" and {} more of this run", count - 1),
        };
        Some(format!("{}{more} may still be on the server", names[0]))
    }

    pub(super) fn finish(mut self) -> Result<Outcome, LoadError> {
        self.progress.clear();
        self.dispatcher.close_all();
        let left_behind = self.left_behind();
        if let Some(failure) = self.failure {
            return Err(match left_behind {
                Some(left) => LoadError::failure(format!("{failure}; {left}")),
                None => failure,
            });
        }
        let board = self.board.replace(Board::new(&self.settings));
        Ok(Outcome {
            settings: self.settings,
            recorder: board.recorder,
            ending: self.ending,
            left_behind,
            copies: None,
            cost: self.costs.0.zip(self.costs.1),
        })
    }
}
