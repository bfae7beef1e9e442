//! Sessions that end while something else happens: an outage, a slow page, a binding.

use axum::response::Html;
use tokio::time::advance;

use super::*;

#[tokio::test]
async fn a_logout_ends_a_session_that_is_stamped_far_ahead() {
    let list = InMemoryRevocations::new();
    let base = Site::new();
    let ahead = Site {
        clock: Clock::new(),
        ..base.clone()
    };
    ahead.clock.advance(60 * MINUTE);
    let (here, here_layer) = machine(&base, list.clone(), |layer| layer);
    let (_, ahead_layer) = machine(&ahead, list, |layer| layer);
    ahead_layer.revoke_user(&openid(&here, 0)).await.unwrap();
    for by_id in [false, true] {
        let mut browser = here.signed_in().await;
        let id = id(&mut browser).await;
        let copy = browser.clone();
        match by_id {
            true => here_layer
                .revoke_session(&openid(&here, 0), id)
                .await
                .unwrap(),
            false => drop(browser.post("/auth/qq/logout").await),
        }
        assert!(!is_signed_in(&copy).await, "by id: {by_id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_revocation_of_another_user_costs_nobody_the_grace_time() {
    let list = TestList::new();
    let (site, layer) = site_and_layer(list.clone());
    let browser = site.signed_in().await;
    assert!(is_signed_in(&browser).await);
    layer.revoke_user(&openid(&site, 1)).await.unwrap();
    list.set(Mode::Failing);
    advance(4 * SECOND).await;
    assert!(is_signed_in(&browser).await, "the answer is 4 seconds old");
}

#[tokio::test(start_paused = true)]
async fn a_logout_of_a_revoked_session_calls_no_list() {
    let list = TestList::new();
    let site = site(list.clone());
    let mut browser = site.signed_in().await;
    let dead = browser.clone();
    browser.post("/auth/qq/logout").await;
    assert!(!is_signed_in(&dead).await);
    let raises = list.raises().len();
    for _ in 0..10 {
        dead.clone().post("/auth/qq/logout").await;
    }
    assert_eq!(list.raises().len(), raises);
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_is_not_stored_counts_here_when_the_list_is_back() {
    let list = TestList::new();
    let site = site(list.clone());
    let mut browser = site.signed_in().await;
    let copy = browser.clone();
    list.set(Mode::Failing);
    browser.post("/auth/qq/logout").await;
    list.set(Mode::Working);
    for _ in 0..5 {
        advance(10 * SECOND).await;
        assert!(!is_signed_in(&copy).await, "the list answers again");
    }
}

/// A site with a page that takes a second.
fn slow_site(list: impl RevocationList) -> Site {
    let end_others = async |session: QqSession| session.end_other_sessions().await.unwrap();
    let slow = async |_: QqSession| {
        sleep(SECOND).await;
        Html("slow")
    };
    let router = Router::new()
        .route("/end-others", post(end_others))
        .route("/slow", get(slow));
    Site::with_pages(move |_| router, |layer| layer.revocations(list))
}

#[tokio::test(start_paused = true)]
async fn a_slow_page_does_not_renew_a_session_that_ended_meanwhile() {
    async fn is_renewed(list: impl RevocationList, change: &str) -> bool {
        let site = slow_site(list);
        let mut browser = site.signed_in().await;
        site.clock.advance(4 * DAY);
        let mut slow = browser.clone();
        let (reply, ()) = tokio::join!(slow.get("/slow"), async {
            sleep(100 * MILLISECOND).await;
            browser.post(change).await;
        });
        let mut cookies = reply.cookies().into_iter();
        cookies.any(|cookie| cookie.starts_with(SESSION))
    }
    for change in ["/end-others", "/auth/qq/logout"] {
        assert!(!is_renewed(InMemoryRevocations::new(), change).await);
        assert!(!is_renewed(TestList::new(), change).await);
    }
    assert!(is_renewed(InMemoryRevocations::new(), "/").await);
    assert!(is_renewed(TestList::new(), "/").await);
}

#[tokio::test]
async fn a_session_that_is_revoked_during_a_binding_does_not_live_on_in_the_next_one() {
    let first = openid(&Site::new(), 0);
    let (site, _) = site_with_hook(
        InMemoryRevocations::new(),
        move |login, layer| {
            let first = first.clone();
            async move {
                if login.return_to() == "/banned" {
                    layer.revoke_user(&first).await.unwrap();
                }
                Verdict::allow().with_account("1")
            }
        },
        |layer| layer,
    );
    for (return_to, status) in [("/", 303), ("/banned", 403)] {
        let mut browser = site.signed_in().await;
        let mut clicking = browser.clone().header("sec-fetch-site", "same-origin");
        let login = format!("/auth/qq/login?intent=bind&return_to={return_to}");
        let start = clicking.get(&login).await;
        browser.jar = clicking.jar;
        let second = openid(&site, 1);
        let callback = site.qq.approve_as(start.location(), second.as_str());
        let end = browser.get(&path(&callback.unwrap())).await;
        assert_eq!(end.status, status, "{return_to}: {end:?}");
        assert_eq!(is_signed_in(&browser).await, status == 303);
    }
}
