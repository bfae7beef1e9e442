//! While the list is unavailable: who is served, what is renewed, and what is logged.

use tokio::time::{Instant, advance};
use tower_qq_auth::QqUser;

use super::*;
use crate::log::Log;

pub(super) fn without_cache(layer: QqAuthLayerBuilder) -> QqAuthLayerBuilder {
    layer
        .revocation_freshness(Duration::ZERO)
        .revocation_grace(Duration::ZERO)
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_list_costs_half_a_second_and_only_signed_in_pages() {
    for mode in [Mode::Failing, Mode::Hanging] {
        let list = TestList::new();
        let (site, _) = machine(&Site::new(), list.clone(), without_cache);
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
        assert!(waited <= 500 * MILLISECOND, "{mode:?}: {waited:?}");

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

        let calls = list.checks().len();
        let mut visitor = site.browser();
        assert_eq!(visitor.whoami().await, Value::Null);
        assert_eq!(visitor.get("/me").await.status, StatusCode::SEE_OTHER);
        assert_eq!(
            list.checks().len(),
            calls,
            "no call without a session cookie"
        );

        list.set(Mode::Working);
        advance(SECOND).await;
        assert_eq!(
            browser.get("/me").await.status,
            StatusCode::OK,
            "the session works again"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_failed_is_left_alone_for_a_second() {
    let list = TestList::new();
    let (site, _) = machine(&Site::new(), list.clone(), without_cache);
    let mut browser = site.signed_in().await;
    let before = list.checks().len();
    list.set(Mode::Failing);
    for _ in 0..5 {
        let page = browser.get("/me").await;
        assert_eq!(page.status, StatusCode::FAILED_DEPENDENCY);
    }
    assert_eq!(list.checks().len(), before + 1);
    list.set(Mode::Working);
    advance(Duration::from_millis(999)).await;
    let page = browser.get("/me").await;
    assert_eq!(page.status, StatusCode::FAILED_DEPENDENCY);
    assert_eq!(list.checks().len(), before + 1);
    advance(MILLISECOND).await;
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
    assert_eq!(list.checks().len(), before + 2);
}

#[tokio::test(start_paused = true)]
async fn an_app_can_accept_unverified_sessions() {
    let list = TestList::new();
    let (site, _) = machine(&Site::new(), list.clone(), |layer| {
        without_cache(layer)
            .accept_unverified_sessions()
            .revocation_timeout(20 * MILLISECOND)
    });
    let mut browser = site.signed_in().await;
    list.set(Mode::Hanging);
    let start = Instant::now();
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
    assert_eq!(start.elapsed().as_millis(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_known_to_be_revoked_is_never_accepted_unverified() {
    for mode in [Mode::Failing, Mode::Hanging] {
        let list = TestList::new();
        let (site, layer) = machine(&Site::new(), list.clone(), |layer| {
            layer.accept_unverified_sessions()
        });
        let (revoked, other) = (site.signed_in().await, site.signed_in().await);
        let id = id(&mut revoked.clone()).await;
        layer.revoke_session(&openid(&site, 0), id).await.unwrap();
        advance(MILLISECOND).await;
        assert!(!is_signed_in(&revoked).await);
        list.set(mode);
        for _ in 0..5 {
            // Longer than answers count.
            advance(61 * SECOND).await;
            assert!(is_signed_in(&other).await, "{mode:?}");
            assert!(!is_signed_in(&revoked).await, "{mode:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_cannot_be_recorded_clears_the_cookie_and_ends_copies_here() {
    for mode in [Mode::Failing, Mode::Hanging, Mode::Panicking] {
        let list = TestList::new();
        let (site, layer) = site_and_layer(list.clone());
        let mut browser = site.signed_in().await;
        let copy = browser.clone();
        let other = site.signed_in().await;
        list.set(mode);
        assert_eq!(browser.post("/auth/qq/logout").await.location(), "/");
        assert!(browser.jar.is_empty());
        let error = layer.revoke_user(&openid(&site, 0)).await.unwrap_err();
        assert!(!error.to_string().contains("canary"));
        for _ in 0..5 {
            assert!(!is_signed_in(&copy).await, "{mode:?}");
            assert!(is_signed_in(&other).await, "nothing revoked this one");
            advance(10 * SECOND).await;
        }
    }
}

/// A navigation, which may renew a session.
fn navigating(browser: &Browser) -> Browser {
    browser.clone().header("sec-fetch-mode", "navigate")
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_only_on_a_fresh_answer() {
    for (local, accepts, grace) in [
        (false, false, true),
        (false, true, true),
        (false, true, false),
        (true, true, false),
    ] {
        let case = format!("local {local}, accepts {accepts}, grace {grace}");
        let (remote_list, local_list) = (TestList::new(), TestList::local());
        let settings = |layer: QqAuthLayerBuilder| match accepts {
            true => layer.accept_unverified_sessions(),
            false => layer,
        };
        let (site, _) = match local {
            true => machine(&Site::new(), local_list.clone(), settings),
            false => machine(&Site::new(), remote_list.clone(), settings),
        };
        let set = |mode| {
            remote_list.set(mode);
            local_list.set(mode);
        };
        let mut browser = navigating(&site.signed_in().await);
        site.clock.advance(4 * DAY);
        set(Mode::Failing);
        advance(if grace { 10 * SECOND } else { 100 * SECOND }).await;
        for _ in 0..3 {
            let page = browser.get("/me").await;
            assert_eq!(
                (page.status, page.cookies()),
                (StatusCode::OK, vec![]),
                "{case}"
            );
            advance(SECOND).await;
        }
        // A change writes the cookie, but the idle time goes on.
        let mut changed = browser.clone();
        let reply = changed.post("/account").await;
        assert_eq!(reply.cookies().len(), 1, "{case}");
        assert_ne!(changed.jar, browser.jar);

        set(Mode::Working);
        advance(SECOND).await;
        let mut renewed = changed.clone();
        let page = renewed.get("/me").await;
        assert_eq!(page.cookies().len(), 1, "{case}: renewed again");
        site.clock.advance(3 * DAY);
        assert!(!is_signed_in(&browser).await, "{case}");
        assert!(!is_signed_in(&changed).await, "{case}");
        assert!(is_signed_in(&renewed).await, "{case}");
    }
}

const LINE: &str = "cannot check a session against the revocation list: ";

#[tokio::test(start_paused = true)]
async fn each_failed_call_is_one_error_line() {
    for accepts in [false, true] {
        for (mode, text) in [
            (Mode::Failing, "canary"),
            (Mode::Hanging, "no answer in time"),
        ] {
            let list = TestList::new();
            let (site, _) = machine(&Site::new(), list.clone(), |layer| match accepts {
                true => layer.accept_unverified_sessions(),
                false => layer,
            });
            let mut browsers = Vec::new();
            for _ in 0..3 {
                browsers.push(site.signed_in().await);
            }
            list.set(mode);
            let before = list.checks().len();
            let log = Log::start();
            // Two minutes: answers serve during the first one.
            for _ in 0..400 {
                for browser in &browsers {
                    is_signed_in(browser).await;
                }
                advance(300 * MILLISECOND).await;
            }
            let calls = list.checks().len() - before;
            assert!((60..=120).contains(&calls), "{calls} calls in 2 minutes");
            let log = log.text();
            let lines: Vec<_> = log.lines().filter(|it| it.contains(LINE)).collect();
            assert_eq!(lines.len(), calls, "{mode:?}");
            for line in lines {
                assert!(line.contains("ERROR") && line.ends_with(text), "{line}");
            }
        }
    }
}

#[tokio::test]
async fn the_button_of_the_unverified_page_stays_on_the_site() {
    let list = TestList::new();
    let base = Site::new();
    let mut browser = base.signed_in().await;
    let (_, layer) = machine(&base, list.clone(), |layer| layer);
    let members = Router::new().fallback(async |_: QqUser| "for members");
    browser.router = members.layer(layer);
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

#[tokio::test(start_paused = true)]
async fn a_login_with_an_intent_needs_a_verified_session() {
    let list = TestList::new();
    let (site, _) = machine(&Site::new(), list.clone(), without_cache);
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
    advance(SECOND).await;
    let start = browser.get("/auth/qq/login?intent=bind").await;
    let callback = path(&site.qq.approve(start.location()).unwrap());
    list.set(Mode::Failing);
    let mut program = browser.program();
    let reply = program.get(&callback).await;
    reply.assert_failed(424, "session_unverified");
    assert_eq!(program.pending_logins(), 1, "a reload tries again");
}
