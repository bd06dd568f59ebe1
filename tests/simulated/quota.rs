//! The quota: what all files hold, and which uploads fit.

use crate::memory::random::Random;
use loket::config::store::STORE;
use loket::session::session_id::SessionId;
use loket::store::QuotaLimits;
use loket::store::error::StoreError;
use loket::store::quota::{Counted, Exchange, Quota, Reservation, Usage};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn quota(total: u64, held: u64) -> Arc<Quota> {
    let quota = Quota::new(QuotaLimits {
        total: Some(total),
        last_changes: Duration::ZERO,
        ..STORE.quota
    });
    let now = Instant::now();
    assert!(quota.begin_count(now));
    quota.end_count(Counted::Bytes(held), now);
    quota
}

fn usage(quota: &Quota) -> (Option<u64>, u128) {
    let Usage { held, reserved, .. } = quota.usage();
    (held, reserved)
}

fn exchange(reservation: &Reservation, added: u64, removed: u64) {
    let done = reservation.publish(|| Ok::<_, ()>(((), Exchange::of(added, removed))));
    assert_eq!(done, Ok(()));
}

fn remove(quota: &Quota, removed: u64) {
    quota.change(1, || ((), Exchange::of(0, removed)));
}

fn free(refused: Result<Reservation, StoreError>) -> Option<u64> {
    match refused.err()? {
        StoreError::Full { free, .. } => Some(free),
        error => panic!("{error}"),
    }
}

#[test]
fn two_uploads_whose_sum_does_not_fit_are_not_both_accepted() {
    let quota = quota(100, 30);
    let first = quota.reserve(Some(40), 1, None).unwrap();
    assert_eq!(free(quota.reserve(Some(31), 1, None)), Some(30));
    let second = quota.reserve(Some(30), 2, None).unwrap();
    assert_eq!(free(quota.reserve(Some(0), 1, None)), Some(0));
    drop(first);
    assert!(quota.reserve(Some(40), 1, None).is_ok());
    exchange(&second, 30, 10);
    drop(second);
    assert_eq!(usage(&quota), (Some(50), 0));
    remove(&quota, 50);
    assert_eq!(usage(&quota), (Some(0), 0));
}

#[test]
fn an_upload_of_unknown_size_takes_what_is_free_and_no_more() {
    let quota = quota(100, 30);
    let unknown = quota.reserve(None, 1, None).unwrap();
    unknown.grow(60).unwrap();
    let other = quota.reserve(Some(10), 1, None).unwrap();
    let refused = unknown.grow(61).unwrap_err().to_string();
    assert!(refused.contains("100 bytes") && refused.ends_with("0 are free"));
    drop(other);
    unknown.grow(70).unwrap();
    unknown.grow(5).unwrap();
    assert_eq!(usage(&quota), (Some(30), 70));
    exchange(&unknown, 70, 0);
    drop(unknown);
    assert_eq!(usage(&quota), (Some(100), 0));
}

#[test]
fn the_space_of_a_disk_is_promised_once() {
    let quota = Quota::new(QuotaLimits {
        total: None,
        ..STORE.quota
    });
    let reserve = |size, free| quota.reserve(Some(size), 1, Some(free));
    let first = reserve(60, 100).unwrap();
    assert!(matches!(reserve(41, 100), Err(StoreError::NoSpace)));
    assert!(quota.reserve(Some(41), 2, Some(100)).is_ok());
    // What is written is not free any more.
    first.wrote(50);
    first.wrote(50);
    assert!(matches!(reserve(41, 50), Err(StoreError::NoSpace)));
    let second = reserve(40, 50).unwrap();
    drop(first);
    assert!(reserve(60, 100).is_ok());
    drop(second);
    assert!(reserve(100, 100).is_ok());
    // More announced sizes than a u64 can hold.
    let all: Vec<_> = (0..3)
        .map(|_| quota.reserve(Some(u64::MAX), 1, None))
        .collect();
    assert_eq!(quota.usage().reserved, 3 * u128::from(u64::MAX));
    drop(all);
    assert_eq!(usage(&quota), (None, 0));
}

/// The time this number of seconds after `now`.
fn after(now: Instant, seconds: u64) -> Instant {
    now + Duration::from_secs(seconds)
}

#[test]
fn nothing_fits_while_the_files_are_not_counted() {
    let total = Some(100);
    let quota = Quota::new(QuotaLimits {
        total,
        ..STORE.quota
    });
    let now = Instant::now();
    assert!(quota.begin_count(now) && !quota.begin_count(now));
    let Err(waits) = quota.await_first_count(SessionId(1)).take() else {
        panic!("it must wait")
    };
    assert_eq!(quota.end_count(Counted::Failed, now), [SessionId(1)]);
    assert!(waits.take().is_ok());
    let refused = quota.reserve(Some(1), 1, None);
    assert!(matches!(refused, Err(StoreError::Uncounted)));
    assert!(!quota.begin_count(now), "one has just failed");
    let now = now + STORE.quota.recount;
    assert!(quota.begin_count(now));
    quota.end_count(Counted::Bytes(99), now);
    assert!(quota.reserve(Some(1), 1, None).is_ok());
}

#[test]
fn a_count_is_used_within_the_bounds_of_the_changes_meanwhile() {
    let quota = quota(100, 50);
    let mut now = Instant::now();
    let mut count = |bytes, change: &dyn Fn()| {
        now += STORE.quota.recount;
        assert!(quota.begin_count(now));
        change();
        quota.end_count(Counted::Bytes(bytes), now);
        quota.usage().held.unwrap()
    };
    let exchange = |added, removed| quota.change(1, || ((), Exchange::of(added, removed)));
    // The removed file was counted, or not.
    assert_eq!(count(50, &|| exchange(0, 3)), 47);
    assert_eq!(count(44, &|| exchange(0, 3)), 44);
    // Others have removed 20 bytes; the new file was counted, or not.
    assert_eq!(count(24, &|| exchange(2, 0)), 26);
    // Others have stored 10 bytes.
    assert_eq!(count(38, &|| exchange(0, 2)), 36);
    quota.change(1, || {
        assert_eq!(count(10, &|| {}), 36, "a change is running");
        ((), Exchange::of(0, 0))
    });
    let folder = Exchange {
        moves_folder: true,
        ..Exchange::default()
    };
    assert_eq!(count(10, &|| quota.change(1, || ((), folder))), 36);
    assert_eq!(count(10, &|| {}), 10);
}

/// A tree of files whose walk and whose changes take turns.
struct Tree {
    quota: Arc<Quota>,
    random: Random,
    /// The lengths of the files by name. Each device has every third name.
    names: RefCell<[Option<u64>; 12]>,
    /// The next name of a walk, and what it has counted.
    walk: Cell<Option<(usize, u64)>>,
    /// Bytes that changes during the walk have added and removed.
    moved: Cell<u64>,
    now: Cell<Instant>,
    /// Bytes that others have removed since the last count, and those of a walk.
    freed: Cell<u64>,
    ended: Cell<Option<u64>>,
}

impl Tree {
    fn new(seed: u64) -> Tree {
        Tree {
            quota: quota(1 << 40, 0),
            random: Random::new(seed),
            names: RefCell::default(),
            walk: Cell::default(),
            moved: Cell::default(),
            now: Cell::new(Instant::now()),
            freed: Cell::default(),
            ended: Cell::default(),
        }
    }

    fn truth(&self) -> u64 {
        self.names.borrow().iter().flatten().sum()
    }

    /// A few steps of everything while `depth` changes run.
    fn steps(&self, depth: usize) {
        for _ in 0..self.random.below(6) {
            match self.random.below(4) {
                0 if depth < 3 => self.change(depth),
                _ => self.walk_on(depth),
            }
        }
    }

    fn walk_on(&self, depth: usize) {
        let Some((next, counted)) = self.walk.get() else {
            self.now.set(self.now.get() + STORE.quota.recount);
            assert!(self.quota.begin_count(self.now.get()));
            self.walk.set(Some((0, 0)));
            return self.moved.set(0);
        };
        if let Some(length) = self.names.borrow().get(next) {
            return self
                .walk
                .set(Some((next + 1, counted + length.unwrap_or(0))));
        }
        self.walk.set(None);
        self.quota
            .end_count(Counted::Bytes(counted), self.now.get());
        if depth == 0 {
            self.ended.set(Some(self.moved.get()));
        }
    }

    /// Stores, replaces, removes or renames a file; anything may happen before and after.
    fn change(&self, device: usize) {
        let name = || self.random.below(4) * 3 + device;
        let (from, to) = (name(), name());
        let renames = self.random.below(2) == 0;
        let new = (self.random.below(3) > 0).then(|| 1 + self.random.below(1_000) as u64);
        self.quota.change(device as u64, || {
            self.steps(device + 1);
            let mut names = self.names.borrow_mut();
            let exchange = if renames && names[to].is_none() {
                names[to] = names[from].take();
                Exchange::of(names[to].unwrap_or(0), names[to].unwrap_or(0))
            } else {
                let old = std::mem::replace(&mut names[to], new);
                Exchange::of(new.unwrap_or(0), old.unwrap_or(0))
            };
            drop(names);
            self.steps(device + 1);
            self.moved
                .set(self.moved.get() + exchange.added + exchange.removed);
            ((), exchange)
        });
    }
}

#[test]
fn a_count_beside_any_changes_never_makes_the_number_wrong() {
    for seed in 0..400 {
        let tree = Tree::new(seed);
        for _ in 0..60 {
            tree.steps(0);
            assert_eq!(tree.quota.usage().held, Some(tree.truth()), "seed {seed}");
        }
    }
}

#[test]
fn what_others_have_removed_is_found_beside_any_changes() {
    let mut found = 0;
    for seed in 0..400 {
        let tree = Tree::new(seed);
        for _ in 0..60 {
            if tree.walk.get().is_none() && tree.random.below(4) == 0 {
                let name = tree.random.below(12);
                let freed = tree.names.borrow_mut()[name].take();
                tree.freed.set(tree.freed.get() + freed.unwrap_or(0));
            }
            tree.ended.set(None);
            tree.steps(0);
            let held = tree.quota.usage().held.unwrap();
            let excess = held
                .checked_sub(tree.truth())
                .expect("never less than there is");
            assert!(excess <= tree.freed.get(), "seed {seed}");
            if let Some(moved) = tree.ended.get() {
                assert!(
                    excess <= moved,
                    "seed {seed}: {excess} bytes, {moved} moved"
                );
                found += tree.freed.replace(excess) - excess;
            }
        }
    }
    assert!(found > 20_000, "{found} bytes");
}

#[test]
fn a_count_that_takes_long_is_repeated_less_often() {
    let (quota, now) = (quota(100, 10), Instant::now());
    let QuotaLimits {
        recount,
        recount_share,
        stale,
        ..
    } = STORE.quota;
    assert!(!quota.begin_count(now + recount / 2));
    assert!(!quota.begin_late_count(now + recount) && quota.begin_count(now + recount));
    let (took, now) = (60, now + recount);
    let end = after(now, took);
    quota.end_count(Counted::Bytes(10), end);
    let pause = took * u64::from(recount_share);
    assert!(!quota.begin_count(after(end, pause - 1)));
    assert!(quota.begin_count(after(end, pause)));
    quota.end_count(Counted::Bytes(10), after(end, pause));
    let now = after(end, pause);
    assert!(!quota.begin_late_count(now + stale / 2));
    assert!(quota.begin_late_count(now + stale));
}
