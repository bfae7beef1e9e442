//! "Sign out on all other devices", from a handler.

use super::*;

async fn assert_ends_the_others_and_keeps_the_new_one(list: impl RevocationList, tries: usize) {
    let (site, _) = site_and_layer(list);
    let phone = site.signed_in().await;
    let mut browser = site.signed_in().await;
    for _ in 0..tries {
        let mut stolen = browser.clone();
        let old = id(&mut stolen).await;
        assert_eq!(browser.post("/end-others").await.body, "ended");
        assert!(is_signed_in(&browser).await);
        assert!(!is_signed_in(&stolen).await);
        assert_ne!(id(&mut browser).await, old);
    }
    assert!(!is_signed_in(&phone).await);
}

#[tokio::test]
async fn a_handler_ends_the_other_sessions_and_keeps_the_new_one_in_1000_of_1000_tries() {
    assert_ends_the_others_and_keeps_the_new_one(InMemoryRevocations::new(), 1_000).await;
    assert_ends_the_others_and_keeps_the_new_one(TestList::new(), 200).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_calls_at_once_one_fails_because_the_session_has_ended() {
    let list = TestList::new();
    let (site, _) = site_and_layer(list.clone());
    let mut one = site.signed_in().await;
    let mut two = one.clone();
    // Both handlers run before one of the calls ends.
    list.set(Mode::Slow);
    let replies = tokio::join!(one.post("/end-others"), two.post("/end-others"));
    let mut bodies = [&*replies.0.body, &*replies.1.body];
    bodies.sort_unstable();
    assert_eq!(bodies, ["SessionEnded", "ended"]);
    let signed_in = [is_signed_in(&one).await, is_signed_in(&two).await];
    assert_ne!(
        signed_in[0], signed_in[1],
        "the failed one has its dead cookie"
    );
}

#[tokio::test(start_paused = true)]
async fn a_revoked_session_does_not_come_back_by_ending_the_others() {
    for by_id in [false, true] {
        let list = TestList::new();
        let (here, _) = site_and_layer(list.clone());
        let (_, there) = machine(&here, list, |layer| layer);
        let mut browser = here.signed_in().await;
        let (user, id) = (openid(&here, 0), id(&mut browser).await);
        match by_id {
            false => there.revoke_user(&user).await.unwrap(),
            true => there.revoke_session(&user, id).await.unwrap(),
        }
        assert!(is_signed_in(&browser).await, "the answer here is fresh");
        let reply = browser.post("/end-others").await;
        assert_eq!(reply.body, "SessionEnded");
        assert!(reply.cookies().is_empty());
        // The account can be set, but that brings nothing back.
        browser.post("/account").await;
        sleep(3 * SECOND).await;
        assert!(!is_signed_in(&browser).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_ban_ends_all_sessions_before_during_and_after_the_call() {
    for ban_after in [0, 50, 150] {
        let list = TestList::new();
        let (site, layer) = site_and_layer(list.clone());
        let mut browser = site.signed_in().await;
        let old = browser.clone();
        list.set(Mode::Slow);
        let (reply, ban) = tokio::join!(browser.post("/end-others"), async {
            sleep(ban_after * MILLISECOND).await;
            layer.revoke_user(&openid(&site, 0)).await
        });
        ban.unwrap();
        assert!(
            ["ended", "SessionEnded"].contains(&&*reply.body),
            "{}",
            reply.body
        );
        assert!(!is_signed_in(&old).await, "{ban_after} ms");
        assert!(!is_signed_in(&browser).await, "{ban_after} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_list_does_not_take_is_an_error_and_changes_nothing() {
    for mode in [Mode::Failing, Mode::Hanging, Mode::Panicking] {
        let list = TestList::new();
        let (site, _) = site_and_layer(list.clone());
        let mut browser = site.signed_in().await;
        let other = site.signed_in().await;
        list.set(mode);
        let reply = browser.post("/end-others").await;
        assert_eq!(reply.body, "Failed", "{mode:?}");
        assert!(reply.cookies().is_empty());
        list.set(Mode::Working);
        assert!(is_signed_in(&browser).await);
        assert!(is_signed_in(&other).await);
    }
}
