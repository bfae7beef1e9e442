//! The cache in front of a remote list, and local lists, which have none.

use tokio::{
    task::JoinSet,
    time::{Instant, advance},
};

use tower_qq_auth::revocation::RevocationError;

use super::{outages::without_cache, *};

#[tokio::test]
async fn a_local_list_is_asked_at_every_request() {
    const { assert!(InMemoryRevocations::IS_LOCAL) };
    let list = TestList::local();
    let site = site(list.clone());
    let mut browser = site.signed_in().await;
    let before = list.checks().len();
    for _ in 0..10 {
        assert_ne!(browser.whoami().await, Value::Null);
    }
    assert_eq!(list.checks().len(), before + 10);

    list.set(Mode::Failing);
    for _ in 0..2 {
        let page = browser.get("/me").await;
        assert_eq!(page.status, StatusCode::FAILED_DEPENDENCY);
    }
    assert_eq!(
        list.checks().len(),
        before + 12,
        "there is no pause after a failure"
    );
    list.set(Mode::Working);
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn the_cache_saves_calls_and_bridges_a_short_outage() {
    let list = TestList::new();
    let site = site(list.clone());
    let mut browser = site.signed_in().await;
    let before = list.checks().len();
    for _ in 0..50 {
        assert_ne!(browser.whoami().await, Value::Null);
    }
    assert_eq!(list.checks().len(), before);
    advance(3 * SECOND).await;
    browser.whoami().await;
    assert_eq!(list.checks().len(), before + 1);

    list.set(Mode::Hanging);
    advance(4 * SECOND).await;
    let start = Instant::now();
    for _ in 0..50 {
        let user = browser.whoami().await;
        assert_ne!(user, Value::Null, "an old answer still counts");
    }
    let waited = start.elapsed();
    assert_eq!(waited.as_millis(), 500, "only the first request waits");
    assert_eq!(list.checks().len(), before + 2);

    advance(57 * SECOND).await;
    let page = browser.get("/me").await;
    assert_eq!(page.status, StatusCode::FAILED_DEPENDENCY);
    list.set(Mode::Working);
    advance(SECOND).await;
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn the_freshness_and_the_grace_of_answers_can_be_set() {
    let list = TestList::new();
    let (site, _) = machine(&Site::new(), list.clone(), |layer| {
        layer
            .revocation_freshness(10 * SECOND)
            .revocation_grace(20 * SECOND)
    });
    let mut browser = site.signed_in().await;
    let before = list.checks().len();
    advance(10 * SECOND - MILLISECOND).await;
    assert_ne!(browser.whoami().await, Value::Null);
    assert_eq!(list.checks().len(), before);
    advance(MILLISECOND).await;
    assert_ne!(browser.whoami().await, Value::Null);
    assert_eq!(list.checks().len(), before + 1);

    list.set(Mode::Failing);
    advance(19 * SECOND).await;
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
    assert_eq!(list.checks().len(), before + 2);
    advance(SECOND).await;
    let page = browser.get("/me").await;
    assert_eq!(page.status, StatusCode::FAILED_DEPENDENCY);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_counts_at_once_here_and_within_seconds_elsewhere() {
    let list = TestList::new();
    let (here, _) = site_and_layer(list.clone());
    let (there, _) = machine(&here, list, |layer| layer);
    let mut browser = here.signed_in().await;
    let mut elsewhere = browser.clone();
    elsewhere.router = there.router;
    assert!(is_signed_in(&elsewhere).await);
    let copy = browser.clone();
    browser.post("/auth/qq/logout").await;
    assert!(!is_signed_in(&copy).await);
    assert!(is_signed_in(&elsewhere).await, "its cache is fresh");
    advance(3 * SECOND).await;
    assert!(!is_signed_in(&elsewhere).await);
}

/// Sends 100 requests of one session at once while the list is slow, and returns the number of its
/// calls.
async fn calls_of_100_requests(freshness: Duration) -> usize {
    let list = TestList::new();
    let (site, _) = machine(&Site::new(), list.clone(), |layer| {
        layer.revocation_freshness(freshness)
    });
    let browser = site.signed_in().await;
    list.set(Mode::Slow);
    sleep(10 * SECOND).await;
    let before = list.checks().len();
    let start = Instant::now();
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let mut browser = browser.clone();
        requests.spawn(async move { browser.get("/me").await.status });
    }
    for status in requests.join_all().await {
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(start.elapsed().as_millis(), 100);
    list.checks().len() - before
}

#[tokio::test(start_paused = true)]
async fn parallel_requests_of_one_session_share_a_call_unless_the_freshness_is_zero() {
    assert_eq!(calls_of_100_requests(3 * SECOND).await, 1);
    assert_eq!(calls_of_100_requests(Duration::ZERO).await, 100);
}

#[tokio::test(start_paused = true)]
async fn parallel_requests_of_different_sessions_share_no_call() {
    let list = TestList::new();
    let site = site(list.clone());
    let (mut one, mut two) = (site.signed_in().await, site.signed_in().await);
    list.set(Mode::Slow);
    sleep(10 * SECOND).await;
    let before = list.checks().len();
    let (one, two) = tokio::join!(one.get("/me"), two.get("/me"));
    assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(list.checks().len(), before + 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_revocation_is_not_cached() {
    let list = TestList::new();
    let (site, layer) = site_and_layer(list.clone());
    let mut browser = site.signed_in().await;
    list.set(Mode::Slow);
    sleep(10 * SECOND).await;
    let late = browser.clone();
    let (before, (revoked, next)) = tokio::join!(browser.whoami(), async {
        sleep(50 * MILLISECOND).await;
        list.set(Mode::Working);
        let revoked = layer.revoke_user(&openid(&site, 0)).await;
        // The first call is still under way.
        sleep(10 * MILLISECOND).await;
        (revoked, is_signed_in(&late).await)
    });
    assert_ne!(before, Value::Null, "the call came first");
    revoked.unwrap();
    assert!(!next, "the next request asks again");
    assert_eq!(browser.whoami().await, Value::Null);

    advance(SECOND).await;
    let calls = list.checks().len();
    for _ in 0..5 {
        assert_eq!(browser.whoami().await, Value::Null);
    }
    assert!(list.checks().len() <= calls + 1, "later answers are cached");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_neither_cancels_a_call_nor_fails_it() {
    let list = TestList::new();
    let site = site(list.clone());
    let browser = site.signed_in().await;
    list.set(Mode::Slow);
    sleep(10 * SECOND).await;
    let before = list.checks().len();
    let (mut hasty, mut patient) = (browser.clone(), browser.clone());
    let hung_up = timeout(10 * MILLISECOND, hasty.get("/me")).await;
    assert!(hung_up.is_err());
    let start = Instant::now();
    assert_eq!(patient.get("/me").await.status, StatusCode::OK);
    assert_eq!(start.elapsed().as_millis(), 90, "the call went on");
    assert_eq!(list.checks().len(), before + 1);
    assert!(is_signed_in(&browser).await);
    assert_eq!(list.checks().len(), before + 1, "its answer is cached");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_marks_no_list_as_failed() {
    let list = TestList::new();
    let (site, _) = machine(&Site::new(), list.clone(), without_cache);
    let mut browser = site.signed_in().await;
    list.set(Mode::Hanging);
    let mut hasty = browser.clone();
    let hung_up = timeout(5 * MILLISECOND, hasty.get("/me")).await;
    assert!(hung_up.is_err());
    list.set(Mode::Working);
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
}

async fn assert_panics_are_failures<const IS_LOCAL: bool>(
    list: TestList<IS_LOCAL>,
    settings: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
) {
    let (site, layer) = machine(&Site::new(), list.clone(), settings);
    let mut member = site.signed_in().await;
    for mode in [Mode::PanickingAtOnce, Mode::Panicking] {
        list.set(mode);
        advance(100 * SECOND).await;
        for _ in 0..3 {
            let page = member.get("/me").await;
            assert_eq!(page.status, StatusCode::FAILED_DEPENDENCY, "{mode:?}");
            assert_eq!(site.browser().get("/").await.body, "signed out");
        }
        let mut program = site.browser().program();
        let reply = program.sign_in(&site.qq, "/auth/qq/login").await;
        reply.assert_failed(424, "session_unverified");
        list.set(Mode::Panicking);
        let error = layer.revoke_user(&openid(&site, 0)).await.unwrap_err();
        assert_eq!(error, RevocationError::Failed);
        list.set(Mode::Working);
        advance(SECOND).await;
        assert_eq!(member.get("/me").await.status, StatusCode::OK, "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_panics_counts_as_unavailable() {
    assert_panics_are_failures(TestList::local(), |layer| layer).await;
    assert_panics_are_failures(TestList::new(), |layer| layer).await;
    assert_panics_are_failures(TestList::new(), without_cache).await;
}
