//! Sorts names in bounded steps: each run as it is read, then a merge of all runs.
//! One sort at the end would delay other work of the thread.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Names, sorted run by run.
#[derive(Default)]
pub struct Runs {
    /// All names, concatenated.
    text: Vec<u8>,
    /// Offset and length of each name.
    entries: Vec<(u32, u16)>,
    /// The end of each run in `entries`.
    ends: Vec<usize>,
}

impl Runs {
    /// Adds a name to the current run.
    pub fn push(&mut self, name: &str) {
        let at = u32::try_from(self.text.len()).expect("the number of names is limited");
        let length = u16::try_from(name.len()).expect("a name of a file is short");
        self.text.extend_from_slice(name.as_bytes());
        self.entries.push((at, length));
    }

    /// Sorts the current run and ends it.
    pub fn end_run(&mut self) {
        let begin = self.ends.last().copied().unwrap_or(0);
        let Runs { text, entries, .. } = self;
        entries[begin..].sort_unstable_by_key(|entry| name_at(text, *entry));
        self.ends.push(entries.len());
    }

    /// The number of names.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// The most bytes that the list can have, one name a line; duplicates make it shorter.
    pub fn list_length(&self) -> usize {
        self.text.len() + self.entries.len()
    }

    /// Starts the merge of the runs.
    pub fn merge(self) -> Merge {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let mut merge = Merge {
            next: begins.take(self.ends.len()).collect(),
            first: BinaryHeap::with_capacity(self.ends.len()),
            last: None,
            runs: self,
        };
        for run in 0..merge.next.len() {
            merge.advance(run);
        }
        merge
    }
}

fn name_at(text: &[u8], (at, length): (u32, u16)) -> &[u8] {
    &text[at as usize..][..usize::from(length)]
}

/// The merge of sorted runs.
pub struct Merge {
    runs: Runs,
    /// The next entry of each run.
    next: Vec<usize>,
    /// The first remaining name of each run, with the index of the run.
    first: BinaryHeap<Reverse<(Box<[u8]>, usize)>>,
    /// The name that was returned last.
    last: Option<Box<[u8]>>,
}

impl Merge {
    /// The next name; a duplicate only once.
    pub fn next_name(&mut self) -> Option<&[u8]> {
        loop {
            let Reverse((name, run)) = self.first.pop()?;
            self.advance(run);
            if self.last.as_ref() != Some(&name) {
                return Some(self.last.insert(name));
            }
        }
    }

    fn advance(&mut self, run: usize) {
        let Runs {
            text,
            entries,
            ends,
        } = &self.runs;
        let entry = self.next[run];
        if entry < ends[run] {
            let name = name_at(text, entries[entry]);
            self.first.push(Reverse((name.into(), run)));
            self.next[run] = entry + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str], run: usize) -> String {
        let mut runs = Runs::default();
        for names in names.chunks(run) {
            names.iter().for_each(|name| runs.push(name));
            runs.end_run();
        }
        // The last step may find only the end of the folder.
        runs.end_run();
        let (mut list, mut merge) = (Vec::new(), runs.merge());
        while let Some(name) = merge.next_name() {
            list.extend_from_slice(name);
            list.push(b'\n');
        }
        String::from_utf8(list).expect("names")
    }

    #[test]
    fn names_are_sorted_by_bytes_for_every_length_of_runs() {
        let names = ["b", "é", "a.d/", "a", "B", "a b", "ab", "a/", "zz", ".h"];
        for run in 1..12 {
            let sorted = ".h\nB\na\na b\na.d/\na/\nab\nb\nzz\né\n";
            assert_eq!(list(&names, run), sorted, "runs of {run}");
        }
        assert_eq!(list(&[], 5), "");
    }

    #[test]
    fn a_duplicate_name_is_listed_once() {
        for run in 1..6 {
            assert_eq!(list(&["b", "a", "b", "a", "a"], run), "a\nb\n");
        }
    }
}
