//! The contract of revocation lists: what every one has to do, and the one in memory does.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::Barrier, task::JoinSet};
use tower_qq_auth::revocation::{InMemoryRevocations, RevocationList};

use crate::revocation::{noon, subjects};

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Asserts that a revocation counts from the list's own time on, if that is later.
pub(crate) async fn assert_follows_its_own_clock(list: &impl RevocationList) {
    let ([session, ..], user) = subjects().await;
    let an_hour_ago = SystemTime::now() - HOUR;
    let before = SystemTime::now() - MILLISECOND;
    let stored = list.raise_cutoff(session, an_hour_ago, HOUR).await.unwrap();
    assert!((before..=SystemTime::now()).contains(&stored));
    assert_eq!(list.latest_cutoff(session).await.unwrap(), Some(stored));

    let raise = list.raise_user_cutoff(session, noon(), an_hour_ago, HOUR);
    assert_eq!(raise.await.unwrap(), Some(noon()));
    assert_eq!(list.latest_cutoff(user).await.unwrap(), Some(noon()));
}

/// Asserts that a session ends the others of its user only while it is not revoked itself.
pub(crate) async fn assert_only_a_live_session_ends_the_others(list: &impl RevocationList) {
    let ([one, two, three], user) = subjects().await;
    let raise = async |session, started_at| {
        let cutoff = noon() - HOUR;
        let stored = list.raise_user_cutoff(session, started_at, cutoff, HOUR);
        stored.await.unwrap()
    };
    let latest = async |session| list.latest_cutoff(session).await.unwrap();

    // The cutoff covers the session itself and all others that started up to then.
    let first = noon();
    assert_eq!(raise(one, first).await, Some(first));
    for session in [one, two, three, user] {
        assert_eq!(latest(session).await, Some(first));
    }
    assert_eq!(raise(one, first).await, None, "again");
    assert_eq!(raise(two, first - HOUR).await, None, "an older one");

    // A newer one, until its own cutoff.
    let second = first + HOUR;
    list.raise_cutoff(two, second, HOUR).await.unwrap();
    assert_eq!(raise(two, second).await, None, "revoked at its start");
    assert_eq!(raise(two, second - MILLISECOND).await, None);
    assert_eq!(latest(user).await, Some(first), "nothing is stored");
    assert_eq!(raise(three, second).await, Some(second));
    let third = second + MILLISECOND;
    assert_eq!(raise(two, third).await, Some(third));
}

/// Asserts that of many calls for one session one counts.
pub(crate) async fn assert_parallel_calls_end_the_others_once<L: RevocationList>(lists: [L; 2]) {
    const ROUNDS: u32 = 50;
    let ([session, ..], _) = subjects().await;
    let lists = lists.map(Arc::new);
    for round in 0..ROUNDS {
        let started_at = noon() + round * HOUR;
        let barrier = Arc::new(Barrier::new(8));
        let mut calls = JoinSet::new();
        for list in lists.iter().cycle().take(8) {
            let (list, barrier) = (Arc::clone(list), Arc::clone(&barrier));
            calls.spawn(async move {
                barrier.wait().await;
                let raise = list.raise_user_cutoff(session, started_at, noon(), HOUR);
                raise.await.unwrap()
            });
        }
        let stored = calls.join_all().await;
        let stored: Vec<_> = stored.into_iter().flatten().collect();
        assert_eq!(stored, [started_at], "round {round}");
    }
}

#[tokio::test]
async fn the_list_in_memory_follows_its_own_clock() {
    assert_follows_its_own_clock(&InMemoryRevocations::new()).await;
}

#[tokio::test]
async fn only_a_live_session_ends_the_others_in_memory() {
    assert_only_a_live_session_ends_the_others(&InMemoryRevocations::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn parallel_calls_end_the_others_once_in_memory() {
    let list = InMemoryRevocations::new();
    assert_parallel_calls_end_the_others_once([list.clone(), list]).await;
}
