//! Several machines: clocks that differ, and key rings that do.

use tower_qq_auth::{QqClient, SessionKeys};

use super::*;
use crate::site::app;

const OLD_KEY: &str = "52043fcb5b0cc662a9b2dba76c3ada8adf52a8151c479996942a95d8755e5c6c";
const NEW_KEY: &str = "0a14983ae332e8d89e40cc103202851adaf970b47f759202d22e1d1198cfa9bc";

/// Two machines of one site and one list, the clock of the second four minutes ahead.
fn machines_four_minutes_apart() -> [(Site, QqAuthLayer); 2] {
    let list = InMemoryRevocations::new();
    let base = Site::new();
    let ahead = Site {
        clock: Clock::new(),
        ..base.clone()
    };
    ahead.clock.advance(4 * MINUTE);
    [base, ahead].map(|site| machine(&site, list.clone(), |layer| layer))
}

/// Returns whether the session counts on both machines. Fails if they disagree.
async fn counts(browser: &Browser, machines: [&Site; 2]) -> bool {
    let mut copies = machines.map(|site| Browser {
        router: site.router.clone(),
        ..browser.clone()
    });
    let [one, two] = &mut copies;
    let (one, two) = (one.whoami().await, two.whoami().await);
    assert_eq!(one, two);
    one != Value::Null
}

#[tokio::test]
async fn clocks_four_minutes_apart_weaken_no_revocation_and_block_no_login() {
    for swap in [false, true] {
        let mut machines = machines_four_minutes_apart();
        if swap {
            machines.reverse();
        }
        let [(here, here_layer), (there, there_layer)] = machines;
        let user = openid(&here, 0);
        let counts = async |browser: &Browser| counts(browser, [&here, &there]).await;
        for layer in [&here_layer, &there_layer] {
            let old = [here.signed_in().await, there.signed_in().await];
            for browser in &old {
                assert!(counts(browser).await, "swap: {swap}");
            }
            layer.revoke_user(&user).await.unwrap();
            for browser in &old {
                assert!(!counts(browser).await, "swap: {swap}");
            }
            // Each of these logins begins after the ban.
            let new = [here.signed_in().await, there.signed_in().await];
            for browser in &new {
                assert!(
                    counts(browser).await,
                    "the next login counts at once: {swap}"
                );
            }
            // Banned a second time, by the other machine as well.
            for layer in [&there_layer, &here_layer] {
                layer.revoke_user(&user).await.unwrap();
                for browser in old.iter().chain(&new) {
                    assert!(!counts(browser).await, "swap: {swap}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_single_session_ends_by_its_id_however_late_its_stamp_is() {
    let machines = machines_four_minutes_apart();
    let [(here, here_layer), (there, _)] = &machines;
    for (site, _) in &machines {
        // The session of a machine ahead that has ended the other ones is stamped in the future.
        let mut browser = site.signed_in().await;
        browser.post("/end-others").await;
        assert!(counts(&browser, [here, there]).await);
        let id = id(&mut browser).await;
        here_layer
            .revoke_session(&openid(here, 0), id)
            .await
            .unwrap();
        assert!(!counts(&browser, [here, there]).await);
    }
}

#[tokio::test]
async fn a_ban_by_a_machine_with_another_clock_refuses_a_login_under_way() {
    for ahead in [false, true] {
        let list = InMemoryRevocations::new();
        let there = Site::new();
        match ahead {
            true => there.clock.advance(4 * MINUTE),
            false => there.clock.turn_back(4 * MINUTE),
        }
        let (_, there) = machine(&there, list.clone(), |layer| layer);
        let hook = move |login: QqLogin, _| {
            let there = there.clone();
            async move {
                there.revoke_user(login.user().openid()).await.unwrap();
                Verdict::allow()
            }
        };
        let (here, _) = site_with_hook(list, hook, |layer| layer);
        let mut browser = here.browser().program();
        for _ in 0..2 {
            let reply = browser.sign_in(&here.qq, "/auth/qq/login").await;
            reply.assert_failed(403, "refused");
        }
    }
}

/// A machine of a site with other session keys.
fn machine_with_keys(base: &Site, keys: &str, list: &InMemoryRevocations) -> (Site, QqAuthLayer) {
    let client = QqClient::with_service(app(), base.qq.clone());
    let clock = base.clock.clone();
    let layer = QqAuthLayer::builder(client, SessionKeys::parse(keys).unwrap())
        .clock(move || clock.now())
        .revocations(list.clone())
        .build()
        .unwrap();
    let router = pages_and_changes().layer(layer.clone());
    let site = Site {
        router,
        ..base.clone()
    };
    (site, layer)
}

#[derive(Clone, Copy, Debug)]
enum By {
    User,
    Id,
    Logout,
}

#[tokio::test]
async fn a_session_sealed_under_a_new_key_is_revoked_by_machines_with_either_key() {
    let both = format!("{NEW_KEY},{OLD_KEY}");
    for by in [By::User, By::Id, By::Logout] {
        for keys_of_revoker in [OLD_KEY, NEW_KEY, &both] {
            let (list, base) = (InMemoryRevocations::new(), Site::new());
            let (old, _) = machine_with_keys(&base, OLD_KEY, &list);
            let (new, _) = machine_with_keys(&base, &both, &list);
            let (revoking, revoker) = machine_with_keys(&base, keys_of_revoker, &list);
            let first = old.signed_in().await;
            let mut browser = first.clone();
            browser.router = new.router.clone();
            base.clock.advance(4 * DAY);
            browser.get("/").await;
            assert_ne!(browser.jar, first.jar, "renewed under the new key");
            assert!(is_signed_in(&first).await && is_signed_in(&browser).await);

            let user = openid(&base, 0);
            match by {
                By::User => revoker.revoke_user(&user).await.unwrap(),
                By::Id => {
                    let id = id(&mut browser).await;
                    revoker.revoke_session(&user, id).await.unwrap();
                }
                By::Logout => {
                    // The revoker can open one of the two cookies.
                    let copy = if keys_of_revoker == OLD_KEY {
                        &first
                    } else {
                        &browser
                    };
                    let mut leaving = copy.clone();
                    leaving.router = revoking.router.clone();
                    leaving.post("/auth/qq/logout").await;
                }
            }
            let case = format!("{by:?} by {keys_of_revoker}");
            assert!(!is_signed_in(&first).await, "{case}");
            assert!(!is_signed_in(&browser).await, "{case}");
        }
    }
}
