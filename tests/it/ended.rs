//! `QqSession::ended`, for connections that stay open.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, routing::get};
use tokio::{
    task::{JoinHandle, yield_now},
    time::{Instant, advance},
};
use tower_qq_auth::{
    OpenId, QqAuthLayer, QqAuthLayerBuilder, QqSession, revocation::InMemoryRevocations,
};

use crate::site::{Browser, Clock, Site};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A site whose page `/open` keeps a connection open.
struct OpenSite {
    site: Site,
    layer: QqAuthLayer,
    opened: Arc<Mutex<Vec<QqSession>>>,
}

impl OpenSite {
    /// The clock of the site follows the paused time of tokio.
    fn new(configure: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder) -> Self {
        let opened: Arc<Mutex<Vec<QqSession>>> = Arc::default();
        let keep = Arc::clone(&opened);
        let open = get(async move |session: QqSession| keep.lock().unwrap().push(session));
        let (start, clock) = (Instant::now(), Clock::new());
        let now = move || clock.now() + start.elapsed();
        let (site, layer) = Site::with_layer(
            |_| Router::new().route("/open", open),
            |layer| configure(layer.clock(now)),
        );
        Self {
            site,
            layer,
            opened,
        }
    }

    fn openid(&self) -> OpenId {
        OpenId::new(self.site.qq.people()[0].openid.clone()).unwrap()
    }

    /// Opens a connection that lasts until its session has ended.
    async fn open(&self, browser: &mut Browser) -> JoinHandle<()> {
        browser.get("/open").await;
        let session = self.opened.lock().unwrap().pop().expect("a session");
        let task = tokio::spawn(async move { session.ended().await });
        yield_now().await;
        task
    }
}

/// Lets time pass in steps, so that every timer in between runs.
async fn pass(time: Duration, step: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        advance(step.min(end - Instant::now())).await;
        for _ in 0..10 {
            yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_the_absolute_end_and_not_for_the_idle_end() {
    let with_list = |layer: QqAuthLayerBuilder| layer.revocations(InMemoryRevocations::new());
    let without_list = |layer: QqAuthLayerBuilder| layer;
    for site in [OpenSite::new(with_list), OpenSite::new(without_list)] {
        let mut browser = site.site.signed_in().await;
        let open = site.open(&mut browser).await;
        pass(8 * DAY, HOUR).await;
        assert!(browser.whoami().await.is_null(), "the idle time is over");
        assert!(!open.is_finished());
        pass(22 * DAY - SECOND, HOUR).await;
        assert!(!open.is_finished());
        pass(SECOND, SECOND).await;
        assert!(open.is_finished());
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_not_remembered_ends_after_twelve_hours() {
    let site = OpenSite::new(|layer| layer);
    let mut browser = site.site.browser();
    let login = "/auth/qq/login?remember=0";
    browser.sign_in(&site.site.qq, login).await;
    let open = site.open(&mut browser).await;
    pass(12 * HOUR - SECOND, HOUR).await;
    assert!(!open.is_finished());
    pass(SECOND, SECOND).await;
    assert!(open.is_finished());
}

#[tokio::test(start_paused = true)]
async fn after_the_end_it_does_not_wait() {
    let site = OpenSite::new(|layer| layer.session_lifetime(HOUR));
    let mut browser = site.site.signed_in().await;
    browser.get("/open").await;
    let session = site.opened.lock().unwrap().pop().unwrap();
    pass(2 * HOUR, HOUR).await;
    tokio::time::timeout(SECOND, session.ended()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_revocation_ends_the_connections_of_its_sessions_and_no_other() {
    let site = OpenSite::new(|layer| layer.revocations(InMemoryRevocations::new()));
    let mut one = site.site.signed_in().await;
    let mut two = site.site.signed_in().await;
    let other = site.site.bare_login(1).await;
    let other = site.layer.begin(other).await.unwrap();
    let other = tokio::spawn(async move { other.ended().await });
    let first = [site.open(&mut one).await, site.open(&mut one).await];
    let second = site.open(&mut two).await;
    pass(HOUR, SECOND).await;
    assert!(!first[0].is_finished() && !second.is_finished());

    // Logout in another tab.
    one.post("/auth/qq/logout").await;
    pass(2 * SECOND, SECOND).await;
    assert!(first.iter().all(JoinHandle::is_finished));
    assert!(!second.is_finished());

    site.layer.revoke_user(&site.openid()).await.unwrap();
    pass(2 * SECOND, SECOND).await;
    assert!(second.is_finished());
    assert!(!other.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_revocation_by_id_ends_the_connections_of_one_session() {
    let site = OpenSite::new(|layer| layer.revocations(InMemoryRevocations::new()));
    let (mut one, mut two) = (site.site.signed_in().await, site.site.signed_in().await);
    let id = {
        one.get("/open").await;
        site.opened.lock().unwrap().pop().unwrap().id()
    };
    let first = site.open(&mut one).await;
    let second = site.open(&mut two).await;
    site.layer.revoke_session(&site.openid(), id).await.unwrap();
    pass(2 * SECOND, SECOND).await;
    assert!(first.is_finished() && !second.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_session_revoked_before_it_is_awaited_has_ended() {
    let site = OpenSite::new(|layer| layer.revocations(InMemoryRevocations::new()));
    let mut browser = site.site.signed_in().await;
    browser.get("/open").await;
    let session = site.opened.lock().unwrap().pop().unwrap();
    browser.post("/auth/qq/logout").await;
    tokio::time::timeout(SECOND, session.ended()).await.unwrap();
}
