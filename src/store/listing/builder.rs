//! Reads a folder, sorts its entries and writes its list, in bounded pieces on a helper thread.

use super::sorted_names::{Merge, Runs};
use super::{Desk, List, Order, Seen, lock};
use crate::store::error::StoreError;
use crate::store::workers::Worker;
use cap_std::fs::ReadDir;
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, Weak};

/// Large folders, in the order in which their lists are made.
#[derive(Default)]
pub(super) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    makers: VecDeque<Maker>,
    /// The helper is at work on the one that was taken out last.
    busy: bool,
}

/// One list on its way.
pub(super) struct Maker {
    /// Gone as soon as no peer waits for the list any more.
    order: Weak<Order>,
    desk: Arc<Desk>,
    stage: Stage,
}

enum Stage {
    Ordered,
    Reading(ReadDir, Runs),
    Merging(Box<Merge>, Target),
}

/// Where a list is written to.
struct Target {
    text: Vec<u8>,
    /// The file and what of the list is in it, unless the list is short.
    file: Option<(File, u64)>,
}

impl Maker {
    pub(super) fn new(order: &Arc<Order>, desk: Arc<Desk>) -> Maker {
        Maker {
            order: Arc::downgrade(order),
            desk,
            stage: Stage::Ordered,
        }
    }

    /// Makes the list of a small folder. A larger one waits for its turn and is begun anew then.
    pub(super) fn make_if_small(mut self) {
        let mut is_finished = self.piece();
        while !is_finished && matches!(self.stage, Stage::Merging(..)) {
            is_finished = self.piece();
        }
        let Some(order) = self.order.upgrade().filter(|_| !is_finished) else {
            return;
        };
        self.stage = Stage::Ordered;
        order.begin(None);
        let desk = self.desk.clone();
        let mut waiting = lock(&desk.queue.0);
        waiting.makers.push_back(self);
        if !std::mem::replace(&mut waiting.busy, true) {
            drop(waiting);
            let mut current = None;
            let piece = move || desk.queue.piece(&mut current);
            order.workers.spawn_in_pieces(Worker::LookUps, piece);
        }
    }

    /// One piece of work; `true` when nothing is left to do.
    fn piece(&mut self) -> bool {
        let Some(order) = self.order.upgrade() else {
            return true;
        };
        let outcome = match self.advance(&order) {
            Ok(None) => return false,
            Ok(Some(list)) => Ok(list),
            Err(error) => Err(error),
        };
        order.finish(outcome);
        true
    }

    fn advance(&mut self, order: &Order) -> Result<Option<List>, StoreError> {
        match std::mem::replace(&mut self.stage, Stage::Ordered) {
            Stage::Ordered => {
                order.begin(Some(Seen::now(order.listed().folder())?));
                let source = match order.listed().folder().entries().map_err(StoreError::from) {
                    // It was removed since it was opened.
                    Err(StoreError::NotFound) => return Err(StoreError::NoFolder),
                    source => source?,
                };
                self.read(order, source, Runs::default())
            }
            Stage::Reading(source, runs) => self.read(order, source, runs),
            Stage::Merging(merge, target) => self.merge(merge, target),
        }
    }

    fn read(
        &mut self,
        order: &Order,
        mut source: ReadDir,
        mut runs: Runs,
    ) -> Result<Option<List>, StoreError> {
        let limits = &self.desk.limits;
        let listed = order.listed();
        for _ in 0..limits.step {
            let Some(entry) = source.next() else {
                runs.end_run();
                let length = runs.list_length();
                let file = if length > limits.short {
                    self.desk.make_room(length as u64);
                    Some((memory_file()?, 0))
                } else {
                    None
                };
                let text = Vec::new();
                self.stage = Stage::Merging(Box::new(runs.merge()), Target { text, file });
                return Ok(None);
            };
            if let Some(name) = listed.listed_name(&entry?) {
                if runs.count() == limits.entries {
                    return Err(StoreError::TooManyEntries(limits.entries));
                }
                runs.push(&name);
            }
        }
        runs.end_run();
        self.stage = Stage::Reading(source, runs);
        Ok(None)
    }

    fn merge(&mut self, mut merge: Box<Merge>, mut to: Target) -> Result<Option<List>, StoreError> {
        let mut lines = 0..self.desk.limits.step;
        let is_more = lines.all(|_| merge.take_line(&mut to.text));
        if let Some((file, written)) = &mut to.file {
            file.write_all(&to.text)?;
            *written += to.text.len() as u64;
            to.text.clear();
        }
        if is_more {
            self.stage = Stage::Merging(merge, to);
            return Ok(None);
        }
        Ok(Some(match to.file {
            None => List::Text(to.text),
            Some((file, length)) => List::File(file, length),
        }))
    }
}

impl Queue {
    /// One piece of the list that is being made, or the first one of the next list; `false` when
    /// none is left.
    fn piece(&self, current: &mut Option<Maker>) -> bool {
        let maker = match current {
            Some(maker) => maker,
            None => {
                let mut waiting = lock(&self.0);
                let Some(next) = waiting.makers.pop_front() else {
                    waiting.busy = false;
                    return false;
                };
                current.insert(next)
            }
        };
        if maker.piece() {
            *current = None;
        }
        true
    }
}

/// A file without a name, which no disk and no permission is needed for.
fn memory_file() -> Result<File, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL;
    let file = match rustix::fs::memfd_create("list", flags) {
        // Linux before 6.3; later ones can be told to make no file without that flag.
        Err(Errno::INVAL) => rustix::fs::memfd_create("list", MemfdFlags::CLOEXEC)?,
        file => file?,
    };
    Ok(File::from(file))
}
