//! Callbacks of one login that arrive more than once: reloads, parallel requests, dropped
//! connections.

use std::{
    collections::BTreeSet,
    future::pending,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use http::StatusCode;
use tokio::{
    task::yield_now,
    time::{sleep, timeout},
};
use tower_qq_auth::{
    QqApp, QqAuthLayer, QqClient, QqLogin, Verdict,
    mock::{Endpoint, Fault},
};

use crate::{
    load::now,
    site::{APP_ID, APP_KEY, Browser, CALLBACK, Reply, SESSION, Site, keys, pages, param, path},
};

const RETURN: &str = "/auth/qq/login?return_to=/x";

/// Returns the session id of a response: what a revocation list would know it by.
///
/// The cookie is sealed anew for each response, so its text tells nothing.
async fn user_of(reply: &Reply, site: &Site) -> serde_json::Value {
    let mut browser = site.browser();
    let cookies = reply.cookies();
    let session = cookies.iter().find(|cookie| cookie.starts_with(SESSION));
    let session = session.unwrap_or_else(|| panic!("no session: {reply:?}"));
    let (pair, _) = session.split_once(';').unwrap();
    let (name, value) = pair.split_once('=').unwrap();
    browser.jar.insert(name.into(), value.into());
    browser.whoami().await
}

fn slow(site: &Site) {
    let second = Fault::Latency(Duration::from_secs(1));
    site.qq.fault(Endpoint::Token, 1, second);
}

#[tokio::test(start_paused = true)]
async fn a_reload_while_the_callback_loads_joins_the_login() {
    let site = Site::new();
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    slow(&site);
    let mut reload = browser.clone();
    let (first, second) = tokio::join!(browser.get(&callback), reload.get(&callback));
    for reply in [&first, &second] {
        assert_eq!(reply.location(), "/x");
        assert_ne!(user_of(reply, &site).await, serde_json::Value::Null);
    }
    assert_ne!(browser.jar[SESSION], reload.jar[SESSION], "sealed anew");
    assert_eq!(site.qq.calls(Endpoint::Token), 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_goes_on_when_the_client_leaves_and_a_reload_gets_it() {
    let site = Site::new();
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    slow(&site);
    assert!(now(pin!(browser.clone().get(&callback))).is_none());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(site.qq.calls(Endpoint::UserInfo), 1, "the login went on");
    assert_eq!(browser.get(&callback).await.location(), "/x");
    assert_ne!(browser.whoami().await, serde_json::Value::Null);
    assert_eq!(site.qq.calls(Endpoint::Token), 1);
}

#[tokio::test(start_paused = true)]
async fn the_outcome_is_handed_out_for_ten_seconds() {
    let site = Site::new();
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    browser.clone().get(&callback).await;
    sleep(Duration::from_millis(9_900)).await;
    assert_eq!(browser.clone().get(&callback).await.location(), "/x");
    sleep(Duration::from_millis(200)).await;
    let late = browser.clone().get(&callback).await;
    late.assert_failed(400, "invalid_state");
    assert_eq!(late.problem()["login_url"], RETURN);
    sleep(Duration::from_secs(9 * 60)).await;
    browser
        .get(&callback)
        .await
        .assert_failed(400, "invalid_state");
    assert_eq!(site.qq.calls(Endpoint::Token), 1);
}

#[tokio::test(start_paused = true)]
async fn every_request_gets_the_same_failure_under_the_same_support_code() {
    let site = Site::new();
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    site.qq.fault(Endpoint::Token, 1, Fault::Code(100020));
    let replies = [
        browser.clone().get(&callback).await,
        browser.clone().get(&callback).await,
    ];
    for reply in &replies {
        reply.assert_failed(400, "code_rejected");
        assert_eq!(reply.problem()["login_url"], RETURN);
    }
    let codes = replies.map(|reply| reply.problem()["support_code"].clone());
    assert_eq!(codes[0], codes[1]);
    sleep(Duration::from_secs(11)).await;
    browser
        .get(&callback)
        .await
        .assert_failed(400, "invalid_state");
    assert_eq!(site.qq.calls(Endpoint::Token), 1);
}

#[tokio::test(start_paused = true)]
async fn another_code_with_the_same_state_never_reaches_qq() {
    let site = Site::new();
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    let state = param(&callback, "state").to_owned();
    let other = |number: usize| format!("/auth/qq/callback?code=GUESS{number}&state={state}");

    slow(&site);
    let login = browser.clone();
    let mut login = pin!(async move { login.clone().get(&callback).await });
    assert!(now(login.as_mut()).is_none());
    let during = browser.get(&other(0)).await;
    during.assert_failed(400, "invalid_state");
    assert_eq!(
        browser.pending_logins(),
        1,
        "the running login keeps its cookie"
    );
    assert_eq!(login.await.location(), "/x");

    for number in 1..500 {
        let reply = browser.clone().get(&other(number)).await;
        reply.assert_failed(400, "invalid_state");
    }
    sleep(Duration::from_secs(60)).await;
    browser
        .get(&other(500))
        .await
        .assert_failed(400, "invalid_state");
    assert_eq!(site.qq.calls(Endpoint::Token), 1);
}

#[tokio::test]
async fn without_the_login_cookie_no_answer_tells_whether_a_login_runs() {
    let site = Site::new();
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    let mut stranger = site.browser().program();
    let answer = |reply: Reply| {
        reply.assert_failed(400, "invalid_state");
        let mut problem = reply.problem();
        problem["support_code"].take();
        (problem.to_string(), reply.cookies().len())
    };
    let before = answer(stranger.get(&callback).await);
    site.qq.fault(Endpoint::Token, 1, Fault::Silence);
    let mut login = pin!(browser.get(&callback));
    assert!(now(login.as_mut()).is_none());
    assert_eq!(answer(stranger.get(&callback).await), before);
}

#[tokio::test(start_paused = true)]
async fn at_most_eight_requests_wait_for_one_login() {
    let site = Site::new();
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    slow(&site);
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (mut browser, callback) = (browser.clone(), callback.clone());
        requests.spawn(async move {
            let reply = browser.get(&callback).await;
            (reply, browser.pending_logins())
        });
    }
    let replies = requests.join_all().await;
    let signed_in = replies.iter().filter(|(reply, _)| reply.status == 303);
    assert_eq!(signed_in.count(), 8);
    for (reply, pending) in replies.iter().filter(|(reply, _)| reply.status != 303) {
        reply.assert_failed(424, "overloaded");
        assert_eq!(*pending, 1, "a reload tries again");
    }
    assert_eq!(browser.get(&callback).await.location(), "/x");
    assert_eq!(site.qq.calls(Endpoint::Token), 1);
}

#[tokio::test(start_paused = true)]
async fn one_browser_cannot_use_up_the_logins_in_flight() {
    let site = Site::with(|app| app, |layer| layer.max_logins_in_flight(2));
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    site.qq.fault(Endpoint::Token, 1, Fault::Silence);
    let mut waiting: Vec<_> = (0..256)
        .map(|_| {
            let (mut browser, callback) = (browser.clone(), callback.clone());
            Box::pin(async move { browser.get(&callback).await })
        })
        .collect();
    for request in &mut waiting {
        let _ = now(request.as_mut());
    }
    yield_now().await;
    assert_eq!(site.signed_in().await.get("/me").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_never_sent_can_be_tried_again_by_a_reload() {
    let site = Site::with(|app| app, |layer| layer.max_logins_in_flight(1));
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    let mut other = site.browser();
    let hanging = other.callback_from(&site.qq, "/auth/qq/login").await;
    slow(&site);
    let mut login = pin!(other.get(&hanging));
    assert!(now(login.as_mut()).is_none());
    browser
        .get(&callback)
        .await
        .assert_failed(424, "overloaded");
    login.await;
    sleep(Duration::from_secs(110)).await;
    assert_eq!(browser.get(&callback).await.location(), "/x");
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_not_handed_out_after_a_logout() {
    let site = Site::new();
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    let before = browser.clone();
    browser.get(&callback).await;
    browser.post("/auth/qq/logout").await;
    let reply = before.clone().get(&callback).await;
    reply.assert_failed(400, "invalid_state");
    assert_eq!(site.qq.calls(Endpoint::Token), 1);
}

#[cfg(feature = "revocation")]
#[tokio::test(start_paused = true)]
async fn an_outcome_is_not_handed_out_after_a_revocation() {
    use tower_qq_auth::{OpenId, revocation::InMemoryRevocations};

    let qq = crate::site::qq();
    let list = InMemoryRevocations::new();
    let layer = crate::site::builder(&qq).revocations(list).build().unwrap();
    let site = Site {
        router: pages().layer(layer.clone()),
        qq,
        ..Site::new()
    };
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    let before = browser.clone();
    browser.get(&callback).await;
    let openid = OpenId::new(&*site.qq.people()[0].openid).unwrap();
    layer.revoke_user(&openid).await.unwrap();
    let reply = before.clone().get(&callback).await;
    reply.assert_failed(400, "invalid_state");
}

#[tokio::test(start_paused = true)]
async fn a_login_with_an_intent_is_handed_out_to_its_own_account_only() {
    let site = Site::new();
    let mut browser = site
        .signed_in()
        .await
        .header("sec-fetch-site", "same-origin");
    let bind = "/auth/qq/login?intent=bind&return_to=/x";
    let callback = browser.callback_from(&site.qq, bind).await;
    slow(&site);
    let mut stranger = browser.clone().program();
    stranger.jar.remove(SESSION);
    let (own, other) = tokio::join!(browser.get(&callback), stranger.get(&callback));
    assert_eq!(own.location(), "/x");
    other.assert_failed(403, "refused");
}

#[tokio::test(start_paused = true)]
async fn the_hook_runs_once_however_many_requests_join() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let hook = async move |_: QqLogin, _: http::request::Parts| {
        count.fetch_add(1, Relaxed);
        sleep(Duration::from_secs(1)).await;
        Ok(Verdict::allow().redirect_to("/welcome"))
    };
    let site = Site::with(|app| app, |layer| layer.on_login(hook));
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    let (mut two, mut three) = (browser.clone(), browser.clone());
    let replies = tokio::join!(
        browser.get(&callback),
        two.get(&callback),
        three.get(&callback)
    );
    for reply in [replies.0, replies.1, replies.2] {
        assert_eq!(reply.location(), "/welcome");
    }
    assert_eq!(calls.load(Relaxed), 1);
}

#[tokio::test]
async fn a_client_that_panics_ends_its_login_as_app_failed() {
    let panics = tower::service_fn(
        async |_: http::Request<_>| -> Result<http::Response<String>, tower::BoxError> {
            yield_now().await;
            panic!("on purpose")
        },
    );
    let app = QqApp::new(APP_ID, APP_KEY, CALLBACK).unwrap();
    let layer = QqAuthLayer::new(QqClient::with_service(app, panics), keys());
    let site = Site {
        router: pages().layer(layer),
        ..Site::new()
    };
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    let mut joiner = browser.clone();
    let (leader, joiner) = tokio::join!(browser.get(&callback), joiner.get(&callback));
    leader.assert_failed(424, "app_failed");
    joiner.assert_failed(424, "app_failed");
}

/// A site whose handler answers the callback after a second, and counts how often it starts and
/// ends.
fn forwarding_site(status: StatusCode) -> (Site, Arc<[AtomicUsize; 3]>) {
    let counts = Arc::<[AtomicUsize; 3]>::default();
    let shared = Arc::clone(&counts);
    let handler = async move |_: QqLogin| {
        let [running, started, ended] = &*shared;
        struct Guard<'c>(&'c AtomicUsize);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Relaxed);
            }
        }
        assert_eq!(
            running.fetch_add(1, Relaxed),
            0,
            "never twice at the same time"
        );
        let _guard = Guard(running);
        started.fetch_add(1, Relaxed);
        sleep(Duration::from_secs(1)).await;
        ended.fetch_add(1, Relaxed);
        status
    };
    let pages = Router::new().route("/auth/qq/callback", get(handler));
    let site = Site::with_pages(|_| pages, |layer| layer.forward_callback());
    (site, counts)
}

fn totals(counts: &[AtomicUsize; 3]) -> [usize; 2] {
    [counts[1].load(Relaxed), counts[2].load(Relaxed)]
}

#[tokio::test(start_paused = true)]
async fn a_forwarded_login_is_answered_once() {
    for status in [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR] {
        let (site, counts) = forwarding_site(status);
        let mut browser = site.browser().program();
        let callback = browser.callback_from(&site.qq, RETURN).await;
        let mut reload = browser.clone();
        let (one, two) = tokio::join!(browser.get(&callback), reload.get(&callback));
        // Either of the two can be first at the handler.
        let (first, second) = match one.status == status {
            true => (one, two),
            false => (two, one),
        };
        assert_eq!(first.status, status);
        second.assert_failed(400, "invalid_state");
        assert_eq!(totals(&counts), [1, 1]);
        assert_eq!(first.header("referrer-policy"), "no-referrer");
        assert_eq!(first.header("cache-control"), "no-store");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forwarded_login_whose_client_left_goes_to_the_next_request() {
    let (site, counts) = forwarding_site(StatusCode::OK);
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    let mut first = browser.clone();
    let half = Duration::from_millis(500);
    assert!(timeout(half, first.get(&callback)).await.is_err());
    assert_eq!(totals(&counts), [1, 0]);
    assert_eq!(browser.get(&callback).await.status, 200);
    assert_eq!(totals(&counts), [2, 1]);
    assert_ne!(browser.whoami().await, serde_json::Value::Null);
    assert_eq!(site.qq.calls(Endpoint::Token), 1);
}

#[tokio::test]
async fn on_another_machine_a_reload_ends_with_a_button() {
    let site = Site::new();
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    let before = browser.clone();
    browser.get(&callback).await;
    let other_machine = crate::site::layer(&site.qq);
    let mut reload = Browser {
        router: pages().layer(other_machine),
        ..before
    };
    // The machines of this test do not share a clock.
    let clock = site.clock.now();
    let layer = crate::site::builder(&site.qq).clock(move || clock);
    reload.router = pages().layer(layer.build().unwrap());
    let page = reload.get(&callback).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(
        page.body.contains("href=\"/auth/qq/login?return_to=/x\""),
        "{}",
        page.body
    );
}

#[tokio::test(start_paused = true)]
async fn four_thousand_logins_later_a_used_state_is_still_used() {
    let site = Site::new();
    let mut first = site.browser().program();
    let callback = first.callback_from(&site.qq, RETURN).await;
    first.clone().get(&callback).await;
    for _ in 0..4_200 {
        site.signed_in().await;
    }
    let calls = site.qq.calls(Endpoint::Token);
    first
        .get(&callback)
        .await
        .assert_failed(400, "invalid_state");
    assert_eq!(site.qq.calls(Endpoint::Token), calls);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_hangs_keeps_no_request_waiting_longer_than_the_timeout() {
    let hook = async |_: QqLogin, _: http::request::Parts| pending().await;
    let site = Site::with(|app| app, |layer| layer.on_login(hook));
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, RETURN).await;
    let mut joiner = browser.clone();
    let (leader, joiner) = tokio::join!(browser.get(&callback), async {
        sleep(Duration::from_secs(9)).await;
        joiner.get(&callback).await
    });
    leader.assert_failed(424, "app_failed");
    joiner.assert_failed(424, "app_failed");
}

#[tokio::test]
async fn signed_in_users_who_reload_an_old_callback_land_on_the_home_page() {
    let site = Site::new();
    let mut browser = site.browser();
    let start = browser.get(RETURN).await;
    let callback = path(&site.qq.approve(start.location()).unwrap());
    browser.get(&callback).await;
    let sessions: BTreeSet<_> = browser.jar.values().cloned().collect();
    assert_eq!(browser.get(&callback).await.location(), "/");
    assert_eq!(sessions, browser.jar.values().cloned().collect());
}
