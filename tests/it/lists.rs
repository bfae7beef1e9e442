//! The contract of revocation lists: what every one has to do, and the one in memory does.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::Barrier,
    task::{JoinSet, yield_now},
    time::timeout,
};
use tower_qq_auth::revocation::{InMemoryRevocations, RevocationList, Subject};

use crate::{
    list::TestList,
    revocation::{openid, site_and_layer},
};

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Returns three sessions of one user, and that user.
pub(crate) async fn subjects() -> ([Subject; 3], Subject) {
    let list = TestList::new();
    let (site, layer) = site_and_layer(list.clone());
    for _ in 0..3 {
        site.signed_in().await;
    }
    layer.revoke_user(&openid(&site, 0)).await.unwrap();
    // Each login asks twice about its session.
    let checks = list.checks();
    let (user, _) = list.raises()[0];
    ([checks[0], checks[2], checks[4]], user)
}

/// A time in whole milliseconds, later than the lists' own.
pub(crate) fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000)
}

/// Asserts that the list stores max(stored + 1 ms, cutoff) and returns what it stores.
pub(crate) async fn assert_only_raises_cutoffs(list: &impl RevocationList) {
    let ([session, other, _], user) = subjects().await;
    let noon = noon();
    let latest = async |session| list.latest_cutoff(session).await.unwrap();
    let raise = async |subject, cutoff| {
        let stored = list.raise_cutoff(subject, cutoff, HOUR).await;
        stored.unwrap()
    };
    assert_eq!(latest(session).await, None);
    assert_eq!(raise(session, noon).await, noon);
    assert_eq!(latest(session).await, Some(noon));
    assert_eq!(raise(session, noon - HOUR).await, noon + MILLISECOND);
    assert_eq!(raise(session, noon).await, noon + 2 * MILLISECOND);
    assert_eq!(
        latest(session).await,
        Some(noon + 2 * MILLISECOND),
        "an earlier cutoff lowers nothing"
    );
    assert_eq!(raise(session, noon + HOUR).await, noon + HOUR);
    assert_eq!(latest(session).await, Some(noon + HOUR));
    assert_eq!(latest(other).await, None, "another session of the user");

    assert_eq!(raise(user, noon).await, noon);
    assert_eq!(
        latest(session).await,
        Some(noon + HOUR),
        "the cutoff of the session is later than that of the user"
    );
    assert_eq!(latest(other).await, Some(noon));
    assert_eq!(raise(user, noon - HOUR).await, noon + MILLISECOND);
    assert_eq!(raise(user, noon + 2 * HOUR).await, noon + 2 * HOUR);
    assert_eq!(latest(session).await, Some(noon + 2 * HOUR));
    assert_eq!(latest(other).await, Some(noon + 2 * HOUR));
}

/// Asserts that an entry lives as long as the longest `keep_for` says.
pub(crate) async fn assert_never_shortens_an_expiry(list: &impl RevocationList) {
    let ([kept, extended, expiring], _) = subjects().await;
    let latest = async |session| list.latest_cutoff(session).await.unwrap();
    let raise = async |subject, keep_for| {
        let stored = list.raise_cutoff(subject, noon(), keep_for).await;
        stored.unwrap()
    };
    raise(kept, HOUR).await;
    let stored = raise(kept, MILLISECOND).await;
    raise(extended, MILLISECOND).await;
    raise(extended, HOUR).await;
    raise(expiring, MILLISECOND).await;
    // This entry was written last: when it has expired, every other short one has, too.
    let expired = async {
        while latest(expiring).await.is_some() {
            yield_now().await;
        }
    };
    let expired = timeout(Duration::from_secs(10), expired).await;
    expired.expect("an entry expires");
    assert_eq!(latest(kept).await, Some(stored));
    assert!(latest(extended).await.is_some());
}

/// Asserts that parallel raises return distinct, increasing cutoffs.
pub(crate) async fn assert_parallel_raises_are_atomic<L: RevocationList>(lists: [L; 2]) {
    const RAISES: u32 = 20;
    let ([session, ..], _) = subjects().await;
    let lists = lists.map(Arc::new);
    let mut raises = JoinSet::new();
    for list in lists.iter().cycle().take(RAISES as usize) {
        let list = Arc::clone(list);
        raises.spawn(async move {
            let stored = list.raise_cutoff(session, noon(), HOUR).await;
            stored.unwrap()
        });
    }
    let mut stored = raises.join_all().await;
    stored.sort();
    let expected: Vec<_> = (0..RAISES).map(|n| noon() + n * MILLISECOND).collect();
    assert_eq!(stored, expected);
    for list in lists {
        let latest = list.latest_cutoff(session).await.unwrap();
        assert_eq!(latest, expected.last().copied());
    }
}

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
async fn the_list_in_memory_only_raises_cutoffs() {
    assert_only_raises_cutoffs(&InMemoryRevocations::new()).await;
}

#[tokio::test]
async fn the_list_in_memory_never_shortens_an_expiry() {
    assert_never_shortens_an_expiry(&InMemoryRevocations::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_raises_of_the_list_in_memory_are_atomic() {
    let list = InMemoryRevocations::new();
    assert_parallel_raises_are_atomic([list.clone(), list]).await;
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
