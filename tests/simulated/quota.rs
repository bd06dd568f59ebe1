//! The quota: what all files hold, and which uploads fit.

use loket::config::store::STORE;
use loket::session::session_id::SessionId;
use loket::store::QuotaLimits;
use loket::store::error::StoreError;
use loket::store::quota::{Counted, Exchange, Quota, Reservation, Usage};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn quota(total: u64, held: u64) -> Arc<Quota> {
    let total = Some(total);
    let quota = Quota::new(QuotaLimits {
        total,
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
    let done = reservation.publish(|| Ok::<_, ()>(((), Exchange { added, removed })));
    assert_eq!(done, Ok(()));
}

fn remove(quota: &Quota, removed: u64) {
    let exchange = Exchange { added: 0, removed };
    quota.change(1, || ((), exchange));
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
fn a_count_is_not_used_if_names_were_changed_meanwhile() {
    let quota = quota(100, 10);
    let mut now = Instant::now();
    let mut count = |change: &dyn Fn()| {
        now += STORE.quota.recount;
        assert!(quota.begin_count(now));
        change();
        quota.end_count(Counted::Bytes(10), now);
        quota.usage().held
    };
    assert_eq!(count(&|| remove(&quota, 3)), Some(7));
    quota.change(1, || {
        assert_eq!(count(&|| {}), Some(7), "a change is running");
        ((), Exchange::default())
    });
    assert_eq!(count(&|| {}), Some(10));
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
