//! Sessions that end before their time, and a list of them that cannot be asked.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use http::StatusCode;
use serde_json::{Value, json};
use tower_qq_auth::{
    Answer, CachedRevocations, InMemoryRevocations, LookUp, OpenId, QqAuthLayer, QqLogin,
    Revocation, RevocationList, SessionIds, Verdict, mock::Endpoint,
};

use crate::site::{SESSION, Site, layer, pages, qq};

fn site(list: impl RevocationList) -> Site {
    Site::with(|app| app, |layer| layer.revocations(list))
}

/// The layer of a site, for calls from the app; it shares the list with the router.
fn with_handle(list: impl RevocationList + Clone) -> (Site, QqAuthLayer) {
    let base = Site::new();
    let clock = base.clock.clone();
    let handle = layer(&base.qq).clock(move || clock.now()).revocations(list);
    let router = pages().layer(handle.clone());
    (Site { router, ..base }, handle)
}

fn openid(site: &Site, person: usize) -> OpenId {
    OpenId::new(site.qq.people()[person].openid.clone()).unwrap()
}

#[tokio::test]
async fn logout_makes_the_cookie_worthless_and_not_only_deleted() {
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
        "another session of the same person"
    );
}

#[tokio::test]
async fn a_person_is_signed_out_everywhere_and_can_sign_in_again() {
    let (site, handle) = with_handle(InMemoryRevocations::new());
    let mut phone = site.signed_in().await;
    let mut computer = site.signed_in().await;
    let mut other = site.browser();
    let start = other.get("/auth/qq/login").await;
    let callback = site
        .qq
        .approve_as(start.location(), openid(&site, 1).as_str())
        .unwrap();
    other.get(&crate::site::path(&callback)).await;

    site.clock.advance(Duration::from_millis(1));
    handle.revoke_user(&openid(&site, 0)).await.unwrap();
    assert_eq!(phone.whoami().await, Value::Null);
    assert_eq!(computer.whoami().await, Value::Null);
    assert_ne!(other.whoami().await, Value::Null);

    site.clock.advance(Duration::from_millis(1));
    phone.sign_in(&site.qq, "/auth/qq/login").await;
    assert_ne!(phone.whoami().await, Value::Null);
    assert_eq!(computer.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_renewed_session_is_revoked_with_its_first_cookie() {
    let (site, handle) = with_handle(InMemoryRevocations::new());
    let mut browser = site.signed_in().await;
    let first = browser.jar[SESSION].clone();
    site.clock.advance(Duration::from_secs(4 * 24 * 60 * 60));
    browser.get("/").await;
    assert_ne!(browser.jar[SESSION], first);
    let mut copy = browser.clone();
    copy.jar.insert(SESSION.into(), first);
    browser.post("/auth/qq/logout").await;
    assert_eq!(copy.whoami().await, Value::Null);
    let _ = handle;
}

#[tokio::test]
async fn without_a_list_nobody_can_be_revoked_and_the_app_is_told() {
    let error = layer(&qq()).revoke_user(&OpenId::new("A").unwrap()).await;
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("QqAuthLayer::revocations")
    );
}

#[tokio::test]
async fn a_revoked_person_is_nobody_to_a_login_with_an_intent() {
    let site = site(InMemoryRevocations::new());
    let mut browser = site.signed_in().await;
    let stolen = browser.jar.clone();
    let mut thief = browser.clone().header("sec-fetch-site", "same-origin");
    let start = thief.get("/auth/qq/login?intent=bind").await;
    let callback = crate::site::path(&site.qq.approve(start.location()).unwrap());
    thief.jar.extend(stolen);
    browser.post("/auth/qq/logout").await;
    thief
        .program()
        .get(&callback)
        .await
        .assert_failed(403, "refused");
}

/// A list that does as it is told.
#[derive(Clone, Default)]
struct Fickle {
    mood: Arc<Mutex<Mood>>,
    asked: Arc<AtomicUsize>,
    revoked: Arc<Mutex<Vec<Revocation>>>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Mood {
    #[default]
    Well,
    Failing,
    Late,
    Silent,
}

impl Fickle {
    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

async fn in_mood<T>(mood: Mood, well: T) -> Result<T, tower::BoxError> {
    match mood {
        Mood::Well => Ok(well),
        Mood::Failing => Err("canary".into()),
        Mood::Late => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(well)
        }
        Mood::Silent => std::future::pending().await,
    }
}

impl RevocationList for Fickle {
    fn look_up(&self, session: SessionIds) -> LookUp {
        self.asked.fetch_add(1, Relaxed);
        let revoked = self.revoked.lock().unwrap();
        let hit = |it: &&Revocation| {
            it.user() == session.user() && it.session().is_none_or(|id| id == session.session())
        };
        let cutoff: Option<SystemTime> = revoked.iter().filter(hit).map(Revocation::cutoff).max();
        let answer = Box::pin(in_mood(*self.mood.lock().unwrap(), cutoff));
        LookUp::Asking {
            stale: None,
            answer,
        }
    }

    fn revoke(&self, revocation: Revocation) -> Answer<()> {
        let list = self.clone();
        Box::pin(async move {
            let mood = *list.mood.lock().unwrap();
            in_mood(mood, ()).await?;
            list.revoked.lock().unwrap().push(revocation);
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_asked_costs_half_a_second_and_only_who_needs_it() {
    for mood in [Mood::Failing, Mood::Silent] {
        let list = Fickle::default();
        let site = site(list.clone());
        let mut browser = site.signed_in().await;
        assert_ne!(browser.whoami().await, Value::Null);
        list.is(mood);
        let start = tokio::time::Instant::now();
        assert_eq!(
            browser.whoami().await,
            Value::Null,
            "a public page stays one"
        );
        let waited = start.elapsed();
        assert!(waited <= Duration::from_millis(500), "{waited:?}");

        let page = browser.get("/deep/page").await;
        assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
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
        assert_eq!(browser.jar.len(), 1, "the session is kept");

        let asked = list.asked();
        let mut nobody = site.browser();
        assert_eq!(nobody.whoami().await, Value::Null);
        assert_eq!(nobody.get("/me").await.status, StatusCode::SEE_OTHER);
        assert_eq!(list.asked(), asked, "who has no cookie is not asked about");

        list.is(Mood::Well);
        assert_eq!(
            browser.get("/me").await.status,
            StatusCode::OK,
            "well again by itself"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_can_take_sessions_on_trust() {
    let list = Fickle::default();
    let site = Site::with(
        |app| app,
        |layer| {
            let layer = layer.revocations(list.clone()).accept_unverified_sessions();
            layer.revocation_timeout(Duration::from_millis(20)).unwrap()
        },
    );
    let mut browser = site.signed_in().await;
    list.is(Mood::Silent);
    let start = tokio::time::Instant::now();
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
    assert_eq!(start.elapsed().as_millis(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_cannot_be_recorded_still_deletes_the_cookie() {
    let list = Fickle::default();
    let (site, handle) = with_handle(list.clone());
    let mut browser = site.signed_in().await;
    for mood in [Mood::Failing, Mood::Silent] {
        list.is(mood);
        let mut leaving = browser.clone();
        assert_eq!(leaving.post("/auth/qq/logout").await.location(), "/");
        assert!(leaving.jar.is_empty());
        let error = handle.revoke_user(&openid(&site, 0)).await.unwrap_err();
        assert!(!error.to_string().contains("canary"));
    }
    list.is(Mood::Well);
    assert_ne!(browser.whoami().await, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn most_requests_do_not_ask_and_a_short_outage_is_not_noticed() {
    let list = Fickle::default();
    let site = site(CachedRevocations::new(list.clone()));
    let mut browser = site.signed_in().await;
    for _ in 0..50 {
        assert_ne!(browser.whoami().await, Value::Null);
    }
    assert_eq!(list.asked(), 1);
    tokio::time::advance(Duration::from_secs(3)).await;
    browser.whoami().await;
    assert_eq!(list.asked(), 2);

    list.is(Mood::Silent);
    tokio::time::advance(Duration::from_secs(4)).await;
    let start = tokio::time::Instant::now();
    for _ in 0..50 {
        assert_ne!(browser.whoami().await, Value::Null, "what was known serves");
    }
    assert_eq!(
        start.elapsed().as_millis(),
        500,
        "and only the first waited"
    );
    assert_eq!(list.asked(), 3);

    tokio::time::advance(Duration::from_secs(57)).await;
    assert_eq!(
        browser.get("/me").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    list.is(Mood::Well);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_is_seen_at_once_here_and_in_seconds_elsewhere() {
    let list = Fickle::default();
    let here = site(CachedRevocations::new(list.clone()));
    let mut browser = here.signed_in().await;
    let clock = here.clock.clone();
    let there = layer(&here.qq)
        .clock(move || clock.now())
        .revocations(CachedRevocations::new(list.clone()));
    let mut elsewhere = browser.clone();
    elsewhere.router = pages().layer(there);
    assert_ne!(elsewhere.whoami().await, Value::Null);
    let mut here_again = browser.clone();
    browser.post("/auth/qq/logout").await;
    assert_eq!(here_again.whoami().await, Value::Null);
    assert_ne!(elsewhere.whoami().await, Value::Null, "its cache is fresh");
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(elsewhere.whoami().await, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_asked_for_before_a_revocation_is_not_kept() {
    let list = Fickle::default();
    let (site, handle) = with_handle(CachedRevocations::new(list.clone()));
    let mut browser = site.signed_in().await;
    list.is(Mood::Late);
    let (before, revoked) = tokio::join!(browser.whoami(), async {
        list.is(Mood::Well);
        handle.revoke_user(&openid(&site, 0)).await
    });
    assert_ne!(before, Value::Null, "it was asked for before");
    revoked.unwrap();
    assert_eq!(browser.whoami().await, Value::Null);

    tokio::time::advance(Duration::from_secs(1)).await;
    let asked = list.asked();
    for _ in 0..5 {
        assert_eq!(browser.whoami().await, Value::Null);
    }
    assert!(list.asked() <= asked + 1, "what is asked for later is kept");
}

#[tokio::test(start_paused = true)]
async fn clients_that_hang_up_do_not_make_the_list_look_broken() {
    let list = Fickle::default();
    let site = site(CachedRevocations::new(list.clone()));
    let mut browser = site.signed_in().await;
    list.is(Mood::Silent);
    let mut hasty = browser.clone();
    let hung_up = tokio::time::timeout(Duration::from_millis(5), hasty.get("/me")).await;
    assert!(hung_up.is_err());
    list.is(Mood::Well);
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_the_list_holds_says_nothing_of_anybody_and_ends_with_the_session() {
    let list = Fickle::default();
    let (site, handle) = with_handle(list.clone());
    let mut browser = site.signed_in().await;
    browser.post("/auth/qq/logout").await;
    handle.revoke_user(&openid(&site, 0)).await.unwrap();
    let entries = list.revoked.lock().unwrap().clone();
    let [session, user] = entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!(session.user(), user.user());
    assert_eq!((session.session().is_some(), user.session()), (true, None));
    assert!(!format!("{entries:?}").contains(&site.qq.people()[0].openid));
    let month = Duration::from_secs(30 * 24 * 60 * 60);
    for entry in entries {
        assert!(
            entry.keep() >= month && entry.keep() < month * 2,
            "{entry:?}"
        );
    }
}

#[tokio::test]
async fn a_revocation_outlives_a_change_of_keys() {
    use tower_qq_auth::{QqClient, SessionKeys};
    let list = InMemoryRevocations::new();
    let base = Site::new();
    let ring = |keys: &str| {
        let clock = base.clock.clone();
        let client = QqClient::with_service(crate::site::app(), base.qq.clone());
        QqAuthLayer::with_client(client, SessionKeys::parse(keys).unwrap())
            .clock(move || clock.now())
            .revocations(list.clone())
    };
    let old = "8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6e8fa0c1e2d3f4a5b6c7d8e9fa0b1c2d3";
    let new = "00112233445566778899aabbccddeeff102132435465768798a9babbdcddedfe";
    let before = Site {
        router: pages().layer(ring(old)),
        ..base.clone()
    };
    let mut browser = before.signed_in().await;
    let after = ring(&format!("{new},{old}"));
    browser.router = pages().layer(after.clone());
    assert_ne!(browser.whoami().await, Value::Null);
    base.clock.advance(Duration::from_millis(1));
    after.revoke_user(&openid(&base, 0)).await.unwrap();
    assert_eq!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_logout_during_a_change_of_keys_ends_the_copies_under_the_old_key_too() {
    use tower_qq_auth::{QqClient, SessionKeys};
    let list = Fickle::default();
    let base = Site::new();
    let ring = |keys: &str| {
        let clock = base.clock.clone();
        let client = QqClient::with_service(crate::site::app(), base.qq.clone());
        let layer = QqAuthLayer::with_client(client, SessionKeys::parse(keys).unwrap());
        pages().layer(layer.clock(move || clock.now()).revocations(list.clone()))
    };
    let old = "8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6e8fa0c1e2d3f4a5b6c7d8e9fa0b1c2d3";
    let new = "00112233445566778899aabbccddeeff102132435465768798a9babbdcddedfe";
    let before = Site {
        router: ring(old),
        ..base.clone()
    };
    let mut browser = before.signed_in().await;
    let mut copy = browser.clone();
    browser.router = ring(&format!("{new},{old}"));
    copy.router = browser.router.clone();
    base.clock.advance(Duration::from_secs(4 * 24 * 60 * 60));
    browser.get("/").await;
    assert_ne!(browser.jar, copy.jar, "renewed under the new key");
    assert_ne!(copy.clone().whoami().await, Value::Null);
    browser.post("/auth/qq/logout").await;
    assert_eq!(copy.whoami().await, Value::Null);
}

#[tokio::test]
async fn renewals_at_once_are_all_good() {
    let site = site(InMemoryRevocations::new());
    let mut one = site.signed_in().await;
    site.clock.advance(Duration::from_secs(4 * 24 * 60 * 60));
    let mut two = one.clone();
    one.get("/").await;
    two.get("/").await;
    assert_ne!(one.jar, two.jar);
    site.clock.advance(Duration::from_secs(4 * 24 * 60 * 60));
    assert_ne!(one.whoami().await, Value::Null);
    assert_ne!(two.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_full_list_forgets_the_oldest_and_takes_the_newest() {
    let list = InMemoryRevocations::with_capacity(2);
    let site = site(list);
    let mut copies = Vec::new();
    for _ in 0..6 {
        let mut browser = site.signed_in().await;
        copies.push(browser.clone());
        browser.post("/auth/qq/logout").await;
    }
    assert_eq!(copies[5].whoami().await, Value::Null);
}

#[tokio::test]
async fn the_button_of_a_page_that_cannot_be_checked_stays_on_the_site() {
    let list = Fickle::default();
    let base = Site::new();
    let mut browser = base.signed_in().await;
    let clock = base.clock.clone();
    let members = axum::Router::new().fallback(async |_: tower_qq_auth::QqUser| "for members");
    let qq = layer(&base.qq).clock(move || clock.now());
    browser.router = members.layer(qq.revocations(list.clone()));
    list.is(Mood::Failing);
    for page in [
        "//evil.example/x",
        "/..//evil.example",
        "/auth/qq/login/../login",
    ] {
        let page = browser.get(page).await;
        assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(page.body.contains("href=\"/\""), "{}", page.body);
    }
}

#[tokio::test]
async fn a_session_that_a_login_replaces_is_revoked() {
    let site = site(InMemoryRevocations::new());
    let mut browser = site.signed_in().await;
    let replaced = browser.clone();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(replaced.clone().whoami().await, Value::Null);
    assert_ne!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_login_that_fails_leaves_the_session_before_it_alone() {
    let site = Site::with(
        |app| app,
        |layer| {
            layer
                .revocations(InMemoryRevocations::new())
                .keep_tokens()
                .on_login(async |login: QqLogin, _| {
                    Ok::<_, tower::BoxError>(match login.return_to() {
                        "/refused" => Verdict::RefuseTo("/".into()),
                        _ => Verdict::Allow,
                    })
                })
        },
    );
    let mut browser = site.signed_in().await.program();
    browser
        .sign_in(&site.qq, "/auth/qq/login?return_to=/refused")
        .await;
    assert_ne!(browser.whoami().await, Value::Null);

    // More than fits into a cookie.
    let tokens = json!({
        "access_token": "a".repeat(1024), "refresh_token": "r".repeat(1024),
        "openid": openid(&site, 0).as_str(),
    });
    let picture = format!("https://thirdqq.qlogo.cn/{}", "a".repeat(990));
    let profile = json!({ "ret": 0, "nickname": "小明", "figureurl_qq_2": picture });
    site.qq.reply(Endpoint::Token, tokens.to_string());
    site.qq.reply(Endpoint::UserInfo, profile.to_string());
    let end = browser.sign_in(&site.qq, "/auth/qq/login").await;
    end.assert_failed(502, "misconfigured");
    assert_ne!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn nothing_is_bound_to_an_account_that_cannot_be_checked() {
    let list = Fickle::default();
    let site = site(list.clone());
    let mut browser = site
        .signed_in()
        .await
        .header("sec-fetch-site", "same-origin");
    list.is(Mood::Failing);
    let reply = browser.get("/auth/qq/login?intent=bind").await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);

    list.is(Mood::Well);
    let start = browser.get("/auth/qq/login?intent=bind").await;
    let callback = crate::site::path(&site.qq.approve(start.location()).unwrap());
    list.is(Mood::Failing);
    browser
        .program()
        .get(&callback)
        .await
        .assert_failed(403, "refused");
}

/// A list that falls over whenever it is asked, at once or later.
struct Panics(bool);

impl RevocationList for Panics {
    fn look_up(&self, _: SessionIds) -> LookUp {
        assert!(self.0, "on purpose");
        LookUp::Asking {
            stale: None,
            answer: Box::pin(async { panic!("on purpose") }),
        }
    }

    fn revoke(&self, _: Revocation) -> Answer<()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn a_list_that_panics_ends_the_requests_that_ask_it_and_no_other() {
    for later in [false, true] {
        let site = Site::with(|app| app, |layer| layer.revocations(Panics(later)));
        let mut member = site.signed_in().await;
        for _ in 0..3 {
            let mut visitor = member.clone();
            // A server runs each connection in a task of its own.
            let visit = tokio::spawn(async move { visitor.get("/me").await });
            assert!(visit.await.unwrap_err().is_panic());
        }
        assert_eq!(site.browser().get("/").await.body, "nobody");
        member.jar.clear();
        let end = member.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(end.location(), "/");
    }
}
