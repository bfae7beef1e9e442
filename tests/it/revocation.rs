//! Revoked sessions, the cache in front of a revocation list, and lists that fail.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use http::StatusCode;
use serde_json::{Value, json};
use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, advance, sleep, timeout},
};
use tower::BoxError;
use tower_qq_auth::{
    OpenId, QqAuthLayer, QqAuthLayerBuilder, QqClient, QqUser, SessionKeys, Verdict,
    mock::Endpoint,
    revocation::{InMemoryRevocations, RevocationList, Subject},
};

use crate::site::{SESSION, Site, app, builder, layer, pages, path, qq};

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const OLD_KEY: &str = "52043fcb5b0cc662a9b2dba76c3ada8adf52a8151c479996942a95d8755e5c6c";
const NEW_KEY: &str = "0a14983ae332e8d89e40cc103202851adaf970b47f759202d22e1d1198cfa9bc";

fn site(list: impl RevocationList) -> Site {
    Site::with(|app| app, |layer| layer.revocations(list))
}

/// A site and its layer, which the app calls.
fn site_and_layer(list: impl RevocationList) -> (Site, QqAuthLayer) {
    let base = Site::new();
    let layer = builder_for(&base, list).build().unwrap();
    let router = pages().layer(layer.clone());
    (Site { router, ..base }, layer)
}

/// Another layer of a site, with the same clock.
fn builder_for(base: &Site, list: impl RevocationList) -> QqAuthLayerBuilder {
    let clock = base.clock.clone();
    builder(&base.qq)
        .clock(move || clock.now())
        .revocations(list)
}

/// Another layer of a site, with other session keys.
fn layer_with_keys(base: &Site, keys: &str, list: impl RevocationList) -> QqAuthLayer {
    let client = QqClient::with_service(app(), base.qq.clone());
    let clock = base.clock.clone();
    QqAuthLayer::builder(client, SessionKeys::parse(keys).unwrap())
        .clock(move || clock.now())
        .revocations(list)
        .build()
        .unwrap()
}

fn without_cache(layer: QqAuthLayerBuilder) -> QqAuthLayerBuilder {
    layer
        .revocation_freshness(Duration::ZERO)
        .revocation_grace(Duration::ZERO)
}

fn openid(site: &Site, person: usize) -> OpenId {
    OpenId::new(site.qq.people()[person].openid.clone()).unwrap()
}

#[tokio::test]
async fn logout_revokes_the_session_and_no_other() {
    let site = site(InMemoryRevocations::new());
    let mut browser = site.signed_in().await;
    let stolen = browser.jar.clone();
    let mut elsewhere = site.signed_in().await;
    browser.post("/auth/qq/logout").await;
    browser.jar = stolen;
    assert_eq!(browser.whoami().await, Value::Null);
    assert_eq!(browser.get("/me").await.status, StatusCode::SEE_OTHER);
    assert_ne!(
        elsewhere.whoami().await,
        Value::Null,
        "another session of the same user"
    );
}

#[tokio::test]
async fn revoke_user_ends_all_earlier_sessions_of_that_user() {
    let (site, layer) = site_and_layer(InMemoryRevocations::new());
    let mut phone = site.signed_in().await;
    let mut computer = site.signed_in().await;
    let mut other = site.browser();
    let start = other.get("/auth/qq/login").await;
    let callback = site
        .qq
        .approve_as(start.location(), openid(&site, 1).as_str())
        .unwrap();
    other.get(&path(&callback)).await;

    site.clock.advance(MILLISECOND);
    layer.revoke_user(&openid(&site, 0)).await.unwrap();
    assert_eq!(phone.whoami().await, Value::Null);
    assert_eq!(computer.whoami().await, Value::Null);
    assert_ne!(other.whoami().await, Value::Null);

    site.clock.advance(MILLISECOND);
    phone.sign_in(&site.qq, "/auth/qq/login").await;
    assert_ne!(phone.whoami().await, Value::Null);
    assert_eq!(computer.whoami().await, Value::Null);
}

#[tokio::test]
async fn logout_revokes_a_renewed_session_together_with_its_first_cookie() {
    let site = site(InMemoryRevocations::new());
    let mut browser = site.signed_in().await;
    let first = browser.jar[SESSION].clone();
    site.clock.advance(4 * DAY);
    browser.get("/").await;
    assert_ne!(browser.jar[SESSION], first);
    let mut copy = browser.clone();
    copy.jar.insert(SESSION.into(), first);
    browser.post("/auth/qq/logout").await;
    assert_eq!(copy.whoami().await, Value::Null);
}

#[tokio::test]
async fn revoke_user_without_a_list_is_an_error_that_names_the_setting() {
    let error = layer(&qq()).revoke_user(&OpenId::new("A").unwrap()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("QqAuthLayerBuilder::revocations"), "{error}");
}

#[tokio::test]
async fn a_revoked_session_cannot_finish_a_login_with_an_intent() {
    let site = site(InMemoryRevocations::new());
    let mut browser = site.signed_in().await;
    let stolen = browser.jar.clone();
    let mut thief = browser.clone().header("sec-fetch-site", "same-origin");
    let start = thief.get("/auth/qq/login?intent=bind").await;
    let callback = path(&site.qq.approve(start.location()).unwrap());
    thief.jar.extend(stolen);
    browser.post("/auth/qq/logout").await;
    thief
        .program()
        .get(&callback)
        .await
        .assert_failed(403, "refused");
}

/// A list that works or fails as the test says.
#[derive(Clone, Default)]
struct TestList {
    mode: Arc<Mutex<Mode>>,
    lookups: Arc<Mutex<Vec<Subject>>>,
    entries: Arc<Mutex<Vec<Entry>>>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Mode {
    #[default]
    Working,
    Failing,
    /// Answers after 100 ms with what was true before.
    Slow,
    Hanging,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    subject: Subject,
    /// The session, or `None` for all of the user.
    id: Option<[u8; 16]>,
    cutoff: SystemTime,
    keep_for: Duration,
}

impl TestList {
    fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    fn lookups(&self) -> usize {
        self.lookups.lock().unwrap().len()
    }

    fn cutoff_of(&self, session: Subject) -> Option<SystemTime> {
        let entries = self.entries.lock().unwrap();
        let matching = entries.iter().filter(|entry| {
            let id = entry.id.as_ref();
            entry.subject.user() == session.user() && (id.is_none() || id == session.session())
        });
        matching.map(|entry| entry.cutoff).max()
    }

    fn raise(
        &self,
        subject: Subject,
        id: Option<[u8; 16]>,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> SystemTime {
        let mut entries = self.entries.lock().unwrap();
        let stored = entries
            .iter_mut()
            .find(|entry| entry.subject.user() == subject.user() && entry.id == id);
        if let Some(entry) = stored {
            entry.cutoff = cutoff.max(entry.cutoff + MILLISECOND);
            entry.keep_for = keep_for.max(entry.keep_for);
            return entry.cutoff;
        }
        entries.push(Entry {
            subject,
            id,
            cutoff,
            keep_for,
        });
        cutoff
    }

    async fn answer<T>(&self, value: T) -> Result<T, BoxError> {
        let mode = *self.mode.lock().unwrap();
        match mode {
            Mode::Working => Ok(value),
            Mode::Failing => Err("canary".into()),
            Mode::Slow => {
                sleep(Duration::from_millis(100)).await;
                Ok(value)
            }
            Mode::Hanging => pending().await,
        }
    }
}

impl RevocationList for TestList {
    async fn latest_cutoff(&self, session: Subject) -> Result<Option<SystemTime>, BoxError> {
        self.lookups.lock().unwrap().push(session);
        self.answer(self.cutoff_of(session)).await
    }

    async fn raise_cutoff(
        &self,
        subject: Subject,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<SystemTime, BoxError> {
        self.answer(()).await?;
        let id = subject.session().copied();
        Ok(self.raise(subject, id, cutoff, keep_for))
    }

    async fn raise_user_cutoff(
        &self,
        session: Subject,
        started_at: SystemTime,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<Option<SystemTime>, BoxError> {
        self.answer(()).await?;
        if self.cutoff_of(session) >= Some(started_at) {
            return Ok(None);
        }
        let cutoff = cutoff.max(started_at);
        Ok(Some(self.raise(session, None, cutoff, keep_for)))
    }
}

/// A list that is declared to be in this process.
struct Local(TestList);

impl RevocationList for Local {
    const IS_LOCAL: bool = true;

    async fn latest_cutoff(&self, session: Subject) -> Result<Option<SystemTime>, BoxError> {
        self.0.latest_cutoff(session).await
    }

    async fn raise_cutoff(
        &self,
        subject: Subject,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<SystemTime, BoxError> {
        self.0.raise_cutoff(subject, cutoff, keep_for).await
    }

    async fn raise_user_cutoff(
        &self,
        session: Subject,
        started_at: SystemTime,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<Option<SystemTime>, BoxError> {
        let raise = self
            .0
            .raise_user_cutoff(session, started_at, cutoff, keep_for);
        raise.await
    }
}

/// Returns three sessions of one user, and that user.
pub(crate) async fn subjects() -> ([Subject; 3], Subject) {
    let list = TestList::default();
    let (site, layer) = site_and_layer(list.clone());
    for _ in 0..3 {
        assert_ne!(site.signed_in().await.whoami().await, Value::Null);
    }
    layer.revoke_user(&openid(&site, 0)).await.unwrap();
    let mut sessions = list.lookups.lock().unwrap().clone();
    // A login looks as well.
    sessions.dedup();
    let user = list.entries.lock().unwrap()[0].subject;
    (sessions.try_into().unwrap(), user)
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
async fn a_local_list_is_asked_at_every_request() {
    const { assert!(InMemoryRevocations::IS_LOCAL) };
    let list = TestList::default();
    let site = site(Local(list.clone()));
    let mut browser = site.signed_in().await;
    for _ in 0..10 {
        assert_ne!(browser.whoami().await, Value::Null);
    }
    assert_eq!(list.lookups(), 10);

    list.set(Mode::Failing);
    for _ in 0..2 {
        let page = browser.get("/me").await;
        assert_eq!(page.status, StatusCode::FAILED_DEPENDENCY);
    }
    assert_eq!(list.lookups(), 12, "there is no pause after a failure");
    list.set(Mode::Working);
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_list_costs_half_a_second_and_only_signed_in_pages() {
    for mode in [Mode::Failing, Mode::Hanging] {
        let list = TestList::default();
        let site = Site::with(
            |app| app,
            |layer| without_cache(layer.revocations(list.clone())),
        );
        let mut browser = site.signed_in().await;
        assert_ne!(browser.whoami().await, Value::Null);
        list.set(mode);
        let start = Instant::now();
        assert_eq!(
            browser.whoami().await,
            Value::Null,
            "a public page is served anyway"
        );
        let waited = start.elapsed();
        assert!(waited <= Duration::from_millis(500), "{mode:?}: {waited:?}");

        let page = browser.get("/deep/page").await;
        assert_eq!(page.status, StatusCode::FAILED_DEPENDENCY);
        assert_eq!(page.header("retry-after"), "1");
        assert!(page.body.contains("暂时无法确认登录状态"));
        assert!(page.body.contains("href=\"/deep/page\""));
        assert!(!page.body.contains("canary"));
        let english = browser.clone().header("accept-language", "en");
        assert!(
            english
                .clone()
                .get("/me")
                .await
                .body
                .contains("cannot be checked")
        );
        let reply = browser.clone().program().get("/me").await;
        assert_eq!(reply.problem()["code"], "session_unverified");
        assert_eq!(browser.jar.len(), 1, "the session cookie stays");

        let lookups = list.lookups();
        let mut visitor = site.browser();
        assert_eq!(visitor.whoami().await, Value::Null);
        assert_eq!(visitor.get("/me").await.status, StatusCode::SEE_OTHER);
        assert_eq!(
            list.lookups(),
            lookups,
            "no look-up without a session cookie"
        );

        list.set(Mode::Working);
        advance(Duration::from_secs(1)).await;
        assert_eq!(
            browser.get("/me").await.status,
            StatusCode::OK,
            "the session works again"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_failed_is_left_alone_for_a_second() {
    let list = TestList::default();
    let site = Site::with(
        |app| app,
        |layer| without_cache(layer.revocations(list.clone())),
    );
    let mut browser = site.signed_in().await;
    list.set(Mode::Failing);
    for _ in 0..5 {
        let page = browser.get("/me").await;
        assert_eq!(page.status, StatusCode::FAILED_DEPENDENCY);
    }
    assert_eq!(list.lookups(), 1);
    list.set(Mode::Working);
    advance(Duration::from_millis(999)).await;
    let page = browser.get("/me").await;
    assert_eq!(page.status, StatusCode::FAILED_DEPENDENCY);
    assert_eq!(list.lookups(), 1);
    advance(MILLISECOND).await;
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
    assert_eq!(list.lookups(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_app_can_accept_unverified_sessions() {
    let list = TestList::default();
    let site = Site::with(
        |app| app,
        |layer| {
            layer
                .revocations(list.clone())
                .accept_unverified_sessions()
                .revocation_timeout(Duration::from_millis(20))
        },
    );
    let mut browser = site.signed_in().await;
    list.set(Mode::Hanging);
    let start = Instant::now();
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
    assert_eq!(start.elapsed().as_millis(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_cannot_be_recorded_still_clears_the_cookie() {
    let list = TestList::default();
    let (site, layer) = site_and_layer(list.clone());
    let mut browser = site.signed_in().await;
    for mode in [Mode::Failing, Mode::Hanging] {
        list.set(mode);
        let mut leaving = browser.clone();
        assert_eq!(leaving.post("/auth/qq/logout").await.location(), "/");
        assert!(leaving.jar.is_empty());
        let error = layer.revoke_user(&openid(&site, 0)).await.unwrap_err();
        assert!(!error.to_string().contains("canary"));
    }
    list.set(Mode::Working);
    advance(Duration::from_secs(1)).await;
    assert_ne!(browser.whoami().await, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn the_cache_saves_look_ups_and_bridges_a_short_outage() {
    let list = TestList::default();
    let site = site(list.clone());
    let mut browser = site.signed_in().await;
    for _ in 0..50 {
        assert_ne!(browser.whoami().await, Value::Null);
    }
    assert_eq!(list.lookups(), 1);
    advance(Duration::from_secs(3)).await;
    browser.whoami().await;
    assert_eq!(list.lookups(), 2);

    list.set(Mode::Hanging);
    advance(Duration::from_secs(4)).await;
    let start = Instant::now();
    for _ in 0..50 {
        assert_ne!(
            browser.whoami().await,
            Value::Null,
            "an old answer still counts"
        );
    }
    assert_eq!(
        start.elapsed().as_millis(),
        500,
        "only the first request waits"
    );
    assert_eq!(list.lookups(), 3);

    advance(Duration::from_secs(57)).await;
    assert_eq!(
        browser.get("/me").await.status,
        StatusCode::FAILED_DEPENDENCY
    );
    list.set(Mode::Working);
    advance(Duration::from_secs(1)).await;
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn the_freshness_and_the_grace_of_answers_can_be_set() {
    let list = TestList::default();
    let site = Site::with(
        |app| app,
        |layer| {
            layer
                .revocations(list.clone())
                .revocation_freshness(Duration::from_secs(10))
                .revocation_grace(Duration::from_secs(20))
        },
    );
    let mut browser = site.signed_in().await;
    assert_ne!(browser.whoami().await, Value::Null);
    advance(Duration::from_millis(9_999)).await;
    assert_ne!(browser.whoami().await, Value::Null);
    assert_eq!(list.lookups(), 1);
    advance(MILLISECOND).await;
    assert_ne!(browser.whoami().await, Value::Null);
    assert_eq!(list.lookups(), 2);

    list.set(Mode::Failing);
    advance(Duration::from_millis(19_000)).await;
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
    assert_eq!(list.lookups(), 3);
    advance(Duration::from_secs(1)).await;
    let page = browser.get("/me").await;
    assert_eq!(page.status, StatusCode::FAILED_DEPENDENCY);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_counts_at_once_here_and_within_seconds_elsewhere() {
    let list = TestList::default();
    let here = site(list.clone());
    let mut browser = here.signed_in().await;
    let there = builder_for(&here, list.clone()).build().unwrap();
    let mut elsewhere = browser.clone();
    elsewhere.router = pages().layer(there);
    assert_ne!(elsewhere.whoami().await, Value::Null);
    let mut copy = browser.clone();
    browser.post("/auth/qq/logout").await;
    assert_eq!(copy.whoami().await, Value::Null);
    assert_ne!(elsewhere.whoami().await, Value::Null, "its cache is fresh");
    advance(Duration::from_secs(3)).await;
    assert_eq!(elsewhere.whoami().await, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_revocation_is_not_cached() {
    let list = TestList::default();
    let (site, layer) = site_and_layer(list.clone());
    let mut browser = site.signed_in().await;
    list.set(Mode::Slow);
    let (before, revoked) = tokio::join!(browser.whoami(), async {
        list.set(Mode::Working);
        layer.revoke_user(&openid(&site, 0)).await
    });
    assert_ne!(before, Value::Null, "the look-up came first");
    revoked.unwrap();
    assert_eq!(browser.whoami().await, Value::Null);

    advance(Duration::from_secs(1)).await;
    let lookups = list.lookups();
    for _ in 0..5 {
        assert_eq!(browser.whoami().await, Value::Null);
    }
    assert!(list.lookups() <= lookups + 1, "later answers are cached");
}

#[tokio::test(start_paused = true)]
async fn clients_that_hang_up_do_not_mark_the_list_as_failed() {
    let list = TestList::default();
    let site = site(list.clone());
    let mut browser = site.signed_in().await;
    list.set(Mode::Hanging);
    let mut hasty = browser.clone();
    let hung_up = timeout(Duration::from_millis(5), hasty.get("/me")).await;
    assert!(hung_up.is_err());
    list.set(Mode::Working);
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn entries_are_anonymous_and_outlive_the_session() {
    let list = TestList::default();
    let (site, layer) = site_and_layer(list.clone());
    let mut browser = site.signed_in().await;
    browser.post("/auth/qq/logout").await;
    layer.revoke_user(&openid(&site, 0)).await.unwrap();
    let entries = list.entries.lock().unwrap().clone();
    let [session, user] = entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!(session.subject.user(), user.subject.user());
    assert!(session.subject.session().is_some());
    assert_eq!(user.subject.session(), None);
    assert!(!format!("{entries:?}").contains(&site.qq.people()[0].openid));
    let month = 30 * DAY;
    for entry in entries {
        assert!(
            entry.keep_for >= month && entry.keep_for < month * 2,
            "{entry:?}"
        );
    }
}

#[tokio::test]
async fn a_revocation_outlives_a_change_of_keys() {
    let list = InMemoryRevocations::new();
    let base = Site::new();
    let before = Site {
        router: pages().layer(layer_with_keys(&base, OLD_KEY, list.clone())),
        ..base.clone()
    };
    let mut browser = before.signed_in().await;
    let after = layer_with_keys(&base, &format!("{NEW_KEY},{OLD_KEY}"), list);
    browser.router = pages().layer(after.clone());
    assert_ne!(browser.whoami().await, Value::Null);
    base.clock.advance(MILLISECOND);
    after.revoke_user(&openid(&base, 0)).await.unwrap();
    assert_eq!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn logout_after_a_change_of_keys_also_ends_copies_under_the_old_key() {
    let list = TestList::default();
    let base = Site::new();
    let router = |keys: &str| pages().layer(layer_with_keys(&base, keys, list.clone()));
    let before = Site {
        router: router(OLD_KEY),
        ..base.clone()
    };
    let mut browser = before.signed_in().await;
    let mut copy = browser.clone();
    browser.router = router(&format!("{NEW_KEY},{OLD_KEY}"));
    copy.router = browser.router.clone();
    base.clock.advance(4 * DAY);
    browser.get("/").await;
    assert_ne!(browser.jar, copy.jar, "renewed under the new key");
    assert_ne!(copy.clone().whoami().await, Value::Null);
    browser.post("/auth/qq/logout").await;
    assert_eq!(copy.whoami().await, Value::Null);
}

#[tokio::test]
async fn parallel_renewals_are_all_accepted() {
    let site = site(InMemoryRevocations::new());
    let mut one = site.signed_in().await;
    site.clock.advance(4 * DAY);
    let mut two = one.clone();
    one.get("/").await;
    two.get("/").await;
    assert_ne!(one.jar, two.jar);
    site.clock.advance(4 * DAY);
    assert_ne!(one.whoami().await, Value::Null);
    assert_ne!(two.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_full_list_evicts_old_entries_and_keeps_the_newest() {
    let site = site(InMemoryRevocations::with_capacity(2));
    let mut copies = Vec::new();
    for _ in 0..6 {
        let mut browser = site.signed_in().await;
        copies.push(browser.clone());
        browser.post("/auth/qq/logout").await;
    }
    assert_eq!(copies[5].whoami().await, Value::Null);
}

#[tokio::test]
async fn the_button_of_the_unverified_page_stays_on_the_site() {
    let list = TestList::default();
    let base = Site::new();
    let mut browser = base.signed_in().await;
    let members = axum::Router::new().fallback(async |_: QqUser| "for members");
    browser.router = members.layer(builder_for(&base, list.clone()).build().unwrap());
    list.set(Mode::Failing);
    for page in [
        "//evil.example/x",
        "/..//evil.example",
        "/auth/qq/login/../login",
    ] {
        let page = browser.get(page).await;
        assert_eq!(page.status, StatusCode::FAILED_DEPENDENCY);
        assert!(page.body.contains("href=\"/\""), "{}", page.body);
    }
}

#[tokio::test]
async fn a_login_revokes_the_session_that_it_replaces() {
    let site = site(InMemoryRevocations::new());
    let mut browser = site.signed_in().await;
    let replaced = browser.clone();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(replaced.clone().whoami().await, Value::Null);
    assert_ne!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_failed_login_leaves_the_previous_session_alone() {
    let site = Site::with(
        |app| app,
        |layer| {
            layer
                .revocations(InMemoryRevocations::new())
                .keep_tokens()
                .on_login(async |login, _| {
                    Ok(match login.return_to() {
                        "/refused" => Verdict::refuse("closed").redirect_to("/"),
                        _ => Verdict::allow(),
                    })
                })
        },
    );
    let mut browser = site.signed_in().await.program();
    browser
        .sign_in(&site.qq, "/auth/qq/login?return_to=/refused")
        .await;
    assert_ne!(browser.whoami().await, Value::Null);

    // Tokens and picture are too large for a cookie.
    let tokens = json!({
        "access_token": "a".repeat(1024), "refresh_token": "r".repeat(1024),
        "openid": openid(&site, 0).as_str(),
    });
    let picture = format!("https://thirdqq.qlogo.cn/{}", "a".repeat(990));
    let profile = json!({ "ret": 0, "nickname": "小明", "figureurl_qq_2": picture });
    site.qq.reply(Endpoint::Token, tokens.to_string());
    site.qq.reply(Endpoint::UserInfo, profile.to_string());
    let end = browser.sign_in(&site.qq, "/auth/qq/login").await;
    end.assert_failed(424, "misconfigured");
    assert_ne!(browser.whoami().await, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_login_with_an_intent_needs_a_verified_session() {
    let list = TestList::default();
    let site = Site::with(
        |app| app,
        |layer| without_cache(layer.revocations(list.clone())),
    );
    let mut browser = site
        .signed_in()
        .await
        .header("sec-fetch-site", "same-origin");
    list.set(Mode::Failing);
    let reply = browser
        .clone()
        .program()
        .get("/auth/qq/login?intent=bind")
        .await;
    reply.assert_failed(424, "session_unverified");

    list.set(Mode::Working);
    advance(Duration::from_secs(1)).await;
    let start = browser.get("/auth/qq/login?intent=bind").await;
    let callback = path(&site.qq.approve(start.location()).unwrap());
    list.set(Mode::Failing);
    let mut program = browser.program();
    let reply = program.get(&callback).await;
    reply.assert_failed(424, "session_unverified");
    assert_eq!(program.pending_logins(), 1, "a reload tries again");
}

/// A list that panics when it is asked: in the call, or in the future that the call returns.
struct PanickingList {
    in_future: bool,
}

impl RevocationList for PanickingList {
    fn latest_cutoff(
        &self,
        _: Subject,
    ) -> impl Future<Output = Result<Option<SystemTime>, BoxError>> + Send {
        assert!(self.in_future, "on purpose");
        async { panic!("on purpose") }
    }

    async fn raise_cutoff(
        &self,
        _: Subject,
        cutoff: SystemTime,
        _: Duration,
    ) -> Result<SystemTime, BoxError> {
        Ok(cutoff)
    }

    async fn raise_user_cutoff(
        &self,
        _: Subject,
        _: SystemTime,
        cutoff: SystemTime,
        _: Duration,
    ) -> Result<Option<SystemTime>, BoxError> {
        Ok(Some(cutoff))
    }
}

#[tokio::test]
async fn a_list_that_panics_fails_only_the_requests_that_ask_it() {
    for in_future in [false, true] {
        let list = PanickingList { in_future };
        let site = site(list);
        let mut member = site.signed_in().await;
        for _ in 0..3 {
            let mut visitor = member.clone();
            // A server runs each connection in its own task.
            let visit = tokio::spawn(async move { visitor.get("/me").await });
            assert!(visit.await.unwrap_err().is_panic());
        }
        assert_eq!(site.browser().get("/").await.body, "signed out");
        member.jar.clear();
        let end = member.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(end.location(), "/");
    }
}

/// Raises cutoffs only after a second.
#[derive(Clone, Default)]
struct SlowList(Arc<InMemoryRevocations>);

impl RevocationList for SlowList {
    async fn latest_cutoff(&self, subject: Subject) -> Result<Option<SystemTime>, BoxError> {
        self.0.latest_cutoff(subject).await
    }

    async fn raise_cutoff(
        &self,
        subject: Subject,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<SystemTime, BoxError> {
        sleep(Duration::from_secs(1)).await;
        self.0.raise_cutoff(subject, cutoff, keep_for).await
    }

    async fn raise_user_cutoff(
        &self,
        session: Subject,
        started_at: SystemTime,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<Option<SystemTime>, BoxError> {
        sleep(Duration::from_secs(1)).await;
        let raise = self
            .0
            .raise_user_cutoff(session, started_at, cutoff, keep_for);
        raise.await
    }
}

#[tokio::test(start_paused = true)]
async fn a_logout_ends_the_session_even_if_the_client_leaves() {
    let site = Site::with(
        |app| app,
        |layer| {
            layer
                .revocations(SlowList::default())
                .revocation_timeout(Duration::from_secs(2))
        },
    );
    let mut browser = site.signed_in().await;
    let mut closing = browser.clone();
    let logout = closing.post("/auth/qq/logout");
    assert!(timeout(Duration::from_millis(100), logout).await.is_err());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(browser.whoami().await, Value::Null);
}
