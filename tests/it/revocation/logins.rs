//! A revocation beats every login that began before it.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::{sync::Barrier, task::JoinSet};

use super::*;
use crate::log::Log;

/// Bans the user at a login that returns to `/banned`, by a layer that shares the list.
async fn ban_during_login(login: QqLogin, layer: QqAuthLayer) -> Verdict {
    if login.return_to() == "/banned" {
        layer.revoke_user(login.user().openid()).await.unwrap();
    }
    Verdict::allow()
}

/// Like [`ban_during_login`], with a verdict that ends all other sessions.
async fn ban_and_end_others(login: QqLogin, layer: QqAuthLayer) -> Verdict {
    ban_during_login(login, layer).await.end_other_sessions()
}

const BANNED: &str = "/auth/qq/login?return_to=/banned";

async fn assert_ban_beats_the_login((site, _): (Site, QqAuthLayer)) {
    let mut browser = site.browser().program();
    let reply = browser.sign_in(&site.qq, BANNED).await;
    reply.assert_failed(403, "refused");
    assert!(!is_signed_in(&browser).await);
    // This hook is asked after the ban.
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(reply.location(), "/");
    assert!(is_signed_in(&browser).await);
}

#[tokio::test]
async fn a_ban_during_on_login_refuses_the_login_and_not_the_next_one() {
    let memory = InMemoryRevocations::new;
    let settings = |layer| layer;
    assert_ban_beats_the_login(site_with_hook(memory(), ban_during_login, settings)).await;
    assert_ban_beats_the_login(site_with_hook(TestList::new(), ban_during_login, settings)).await;
    assert_ban_beats_the_login(site_with_hook(memory(), ban_and_end_others, settings)).await;
    assert_ban_beats_the_login(site_with_hook(
        TestList::new(),
        ban_and_end_others,
        settings,
    ))
    .await;
}

#[tokio::test]
async fn a_ban_by_another_machine_during_on_login_refuses_the_login() {
    let list = TestList::new();
    let (_, other) = site_and_layer(list.clone());
    let hook = move |login, _| ban_during_login(login, other.clone());
    let site = site_with_hook(list, hook, |layer| layer);
    assert_ban_beats_the_login(site).await;
}

#[tokio::test]
async fn a_ban_during_a_second_login_ends_both_sessions() {
    let (site, _) = site_with_hook(InMemoryRevocations::new(), ban_during_login, |layer| layer);
    let phone = site.signed_in().await;
    let mut computer = site.browser().program();
    let reply = computer.sign_in(&site.qq, BANNED).await;
    reply.assert_failed(403, "refused");
    assert!(!is_signed_in(&phone).await);
}

#[tokio::test(start_paused = true)]
async fn a_ban_between_the_hook_and_the_cookie_ends_the_session() {
    let list = TestList::new();
    let slow = list.clone();
    let hook = move |_, _| {
        // The next call answers late, with what was true before the ban.
        slow.set(Mode::Slow);
        async { Verdict::allow() }
    };
    let (site, layer) = site_with_hook(list.clone(), hook, |layer| layer);
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let (reply, ban) = tokio::join!(browser.get(&callback), async {
        sleep(50 * MILLISECOND).await;
        list.set(Mode::Working);
        layer.revoke_user(&openid(&site, 0)).await
    });
    ban.unwrap();
    assert_eq!(reply.location(), "/", "the list confirmed the login");
    assert!(browser.jar.contains_key(SESSION));
    assert!(!is_signed_in(&browser).await);
}

#[tokio::test]
async fn a_ban_after_a_login_that_ended_the_other_sessions_ends_the_new_one() {
    let hook = async |_, _| Verdict::allow().end_other_sessions();
    for rounds in 1..4 {
        let (site, layer) = site_with_hook(InMemoryRevocations::new(), hook, |layer| layer);
        let mut browsers = Vec::new();
        for _ in 0..rounds {
            browsers.push(site.signed_in().await);
        }
        let newest = browsers.pop().unwrap();
        assert!(is_signed_in(&newest).await);
        for browser in &browsers {
            assert!(!is_signed_in(browser).await);
        }
        layer.revoke_user(&openid(&site, 0)).await.unwrap();
        assert!(!is_signed_in(&newest).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_logins_at_once_that_end_the_other_sessions_one_survives() {
    // With the barrier both logins have read the list before one of them ends the other sessions.
    for meet in [true, false] {
        let barrier = Arc::new(Barrier::new(2));
        let hook = move |_, _| {
            let barrier = Arc::clone(&barrier);
            async move {
                if meet {
                    barrier.wait().await;
                }
                Verdict::allow().end_other_sessions()
            }
        };
        let (site, _) = site_with_hook(InMemoryRevocations::new(), hook, |layer| layer);
        for _ in 0..100 {
            let mut logins = JoinSet::new();
            for _ in 0..2 {
                let (mut browser, qq) = (site.browser(), site.qq.clone());
                logins.spawn(async move {
                    browser.sign_in(&qq, "/auth/qq/login").await;
                    browser
                });
            }
            let mut alive = 0;
            for browser in logins.join_all().await {
                alive += usize::from(is_signed_in(&browser).await);
            }
            assert_eq!(alive, 1);
        }
    }
}

#[tokio::test]
async fn ending_the_other_sessions_needs_a_list() {
    let hook = async |_, _| Ok(Verdict::allow().end_other_sessions());
    let site = Site::with(|app| app, |layer| layer.on_login(hook));
    let mut browser = site.browser().program();
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(424, "misconfigured");
}

#[tokio::test]
async fn the_first_request_after_a_login_needs_no_call() {
    let list = TestList::new();
    let site = site(list.clone());
    let browser = site.signed_in().await;
    let checks = list.checks();
    assert_eq!(checks.len(), 2, "before the hook, and before the cookie");
    assert!(is_signed_in(&browser).await);
    assert_eq!(list.checks(), checks);
}

#[tokio::test(start_paused = true)]
async fn a_login_while_the_list_is_unavailable_is_unverified_unless_the_app_accepts_that() {
    for mode in [Mode::Failing, Mode::Hanging, Mode::Panicking] {
        for (fails_in_hook, ends_others, accepts, is_accepted) in [
            (false, false, false, false),
            (true, false, false, false),
            (true, true, false, false),
            (false, false, true, true),
            (true, false, true, true),
            // The other sessions would live on.
            (true, true, true, false),
        ] {
            let case = format!("{mode:?} {fails_in_hook} {ends_others} {accepts}");
            let list = TestList::new();
            let (failing, hooks) = (list.clone(), Arc::new(AtomicUsize::new(0)));
            let count = Arc::clone(&hooks);
            let hook = move |_, _| {
                count.fetch_add(1, Relaxed);
                if fails_in_hook {
                    failing.set(mode);
                }
                async move {
                    match ends_others {
                        true => Verdict::allow().end_other_sessions(),
                        false => Verdict::allow(),
                    }
                }
            };
            let (site, _) = site_with_hook(list.clone(), hook, |layer| match accepts {
                true => layer.accept_unverified_sessions(),
                false => layer,
            });
            if !fails_in_hook {
                list.set(mode);
            }
            let log = Log::start();
            let mut browser = site.browser().program();
            let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
            if is_accepted {
                assert_eq!(reply.location(), "/", "{case}");
            } else {
                reply.assert_failed(424, "session_unverified");
                assert_eq!(reply.header("retry-after"), "1");
            }
            let asks_hook = fails_in_hook || accepts;
            assert_eq!(hooks.load(Relaxed), usize::from(asks_hook), "{case}");
            let errors = log.text().lines().filter(|it| it.contains("ERROR")).count();
            let failed_calls = 1 + usize::from(!fails_in_hook && accepts);
            assert_eq!(errors, failed_calls, "{case}: {}", log.text());

            list.set(Mode::Working);
            sleep(SECOND).await;
            assert_eq!(is_signed_in(&browser).await, is_accepted, "{case}");
        }
    }
}
