//! Reads a folder, sorts its entries and writes its list, in bounded steps on a helper thread.

use super::sorted_names::{Merge, Runs};
use super::{FolderStamp, List, ListJob, SharedLists, lock};
use crate::store::error::StoreError;
use crate::store::root::ListedFolder;
use crate::store::{ListEntry, ListStyle};
use cap_std::fs::ReadDir;
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, Weak};

/// Large folders of each device, in the order in which their lists are built. A device is in the
/// map while a job builds its lists.
#[derive(Default)]
pub(super) struct Queues(Mutex<HashMap<u64, VecDeque<ListBuilder>>>);

/// Builds one list.
pub(super) struct ListBuilder {
    /// Dropped when no client waits for the list any more.
    job: Weak<ListJob>,
    shared: Arc<SharedLists>,
    stage: BuildStage,
}

enum BuildStage {
    NotStarted,
    Reading(ReadDir, Runs),
    Merging(Box<Merge>, Output),
}

/// The destination of a list.
struct Output {
    text: Vec<u8>,
    /// The memory file and the number of bytes written to it; `None` for a short list.
    file: Option<(File, u64)>,
    /// The number of entries so far.
    entries: usize,
}

impl Output {
    fn write(&mut self, name: &[u8], folder: &ListedFolder, style: ListStyle) {
        match style {
            ListStyle::Names => {
                self.text.extend_from_slice(name);
                self.text.push(b'\n');
            }
            ListStyle::Details { write, .. } => {
                let name = std::str::from_utf8(name).expect("it was a str");
                // An entry that was removed meanwhile is left out.
                let Some(version) = folder.version(name) else {
                    return;
                };
                let is_first = self.entries == 0;
                write(
                    &ListEntry {
                        name,
                        version,
                        is_first,
                    },
                    &mut self.text,
                );
            }
        }
        self.entries += 1;
    }
}

impl ListBuilder {
    pub(super) fn new(job: &Arc<ListJob>, shared: Arc<SharedLists>) -> ListBuilder {
        ListBuilder {
            job: Arc::downgrade(job),
            shared,
            stage: BuildStage::NotStarted,
        }
    }

    /// Builds the list of a small folder. A larger folder is queued, and later read from its start.
    pub(super) fn build_if_small(mut self) {
        let mut is_finished = self.step();
        while !is_finished && matches!(self.stage, BuildStage::Merging(..)) {
            is_finished = self.step();
        }
        let Some(job) = self.job.upgrade().filter(|_| !is_finished) else {
            return;
        };
        self.stage = BuildStage::NotStarted;
        job.begin(None);
        let (shared, lane) = (self.shared.clone(), job.lane());
        let mut waiting = lock(&shared.queues.0);
        match waiting.entry(lane.device) {
            Entry::Occupied(mut queue) => queue.get_mut().push_back(self),
            Entry::Vacant(place) => {
                place.insert([self].into());
                drop(waiting);
                let mut current = None;
                let step = move || shared.queues.step(lane.device, &mut current);
                job.workers.spawn_in_pieces(lane, step);
            }
        }
    }

    /// Runs one step; returns `true` when the list is complete or not needed any more.
    fn step(&mut self) -> bool {
        let Some(job) = self.job.upgrade() else {
            return true;
        };
        let outcome = match self.advance(&job) {
            Ok(None) => return false,
            Ok(Some(list)) => Ok(list),
            Err(error) => Err(error),
        };
        job.finish(outcome);
        true
    }

    fn advance(&mut self, job: &ListJob) -> Result<Option<List>, StoreError> {
        match std::mem::replace(&mut self.stage, BuildStage::NotStarted) {
            BuildStage::NotStarted => {
                job.begin(Some(FolderStamp::now(job.open_folder().folder())?));
                let source = match job
                    .open_folder()
                    .folder()
                    .entries()
                    .map_err(StoreError::from)
                {
                    // The folder was removed after it was opened.
                    Err(StoreError::NotFound) => return Err(StoreError::NoFolder),
                    source => source?,
                };
                self.read(job, source, Runs::default())
            }
            BuildStage::Reading(source, runs) => self.read(job, source, runs),
            BuildStage::Merging(merge, target) => self.merge(job, merge, target),
        }
    }

    fn read(
        &mut self,
        job: &ListJob,
        mut source: ReadDir,
        mut runs: Runs,
    ) -> Result<Option<List>, StoreError> {
        let limits = &self.shared.limits;
        let open_folder = job.open_folder();
        for _ in 0..limits.step {
            let Some(entry) = source.next() else {
                runs.end_run();
                let length = runs.list_length();
                let file = if length > limits.inline_limit {
                    self.shared.make_room(length as u64);
                    Some((memory_file()?, 0))
                } else {
                    None
                };
                let to = Output {
                    text: Vec::new(),
                    file,
                    entries: 0,
                };
                self.stage = BuildStage::Merging(Box::new(runs.merge()), to);
                return Ok(None);
            };
            if let Some(name) = open_folder.listed_name(&entry?) {
                if runs.count() == limits.entries {
                    return Err(StoreError::TooManyEntries(limits.entries));
                }
                runs.push(&name);
            }
        }
        runs.end_run();
        self.stage = BuildStage::Reading(source, runs);
        Ok(None)
    }

    fn merge(
        &mut self,
        job: &ListJob,
        mut merge: Box<Merge>,
        mut to: Output,
    ) -> Result<Option<List>, StoreError> {
        let limits = &self.shared.limits;
        let open_folder = job.open_folder();
        let is_more = (0..limits.step).all(|_| match merge.next_name() {
            None => false,
            Some(name) => {
                to.write(name, &open_folder, job.style);
                true
            }
        });
        // The length of a list with details is not known before.
        if to.file.is_none() && to.text.len() > limits.inline_limit {
            to.file = Some((memory_file()?, 0));
        }
        if let Some((file, written)) = &mut to.file {
            file.write_all(&to.text)?;
            *written += to.text.len() as u64;
            to.text.clear();
            if *written > limits.memory {
                return Err(StoreError::TooManyEntries(to.entries));
            }
            self.shared.make_room(*written);
        }
        if is_more {
            self.stage = BuildStage::Merging(merge, to);
            return Ok(None);
        }
        Ok(Some(match to.file {
            None => List::Text(to.text),
            Some((file, length)) => List::File(file, length),
        }))
    }
}

impl Queues {
    /// Runs one step of the current list of a device, or the first of the next; `false` when its
    /// queue is empty.
    fn step(&self, device: u64, current: &mut Option<ListBuilder>) -> bool {
        let builder = match current {
            Some(builder) => builder,
            None => {
                let mut waiting = lock(&self.0);
                let Some(next) = waiting.get_mut(&device).and_then(VecDeque::pop_front) else {
                    waiting.remove(&device);
                    return false;
                };
                current.insert(next)
            }
        };
        if builder.step() {
            *current = None;
        }
        true
    }
}

/// A file in memory, without a name.
fn memory_file() -> Result<File, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL;
    let file = match rustix::fs::memfd_create("list", flags) {
        // Linux before 6.3 does not know the flag; later versions may require it (vm.memfd_noexec).
        Err(Errno::INVAL) => rustix::fs::memfd_create("list", MemfdFlags::CLOEXEC)?,
        file => file?,
    };
    Ok(File::from(file))
}
