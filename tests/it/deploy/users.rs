//! Signing in and out behind each proxy.

use http::{StatusCode, header};
use serde_json::Value;
use tower_qq_auth::mock::{Endpoint, Person};

use super::{
    behind_each,
    front::{BARE, WWW},
    site::{Deployment, browser},
};
use crate::{
    redis::server::eventually,
    site::{Browser, LOGIN, SESSION},
};

/// Waits until no instance takes the session any more.
async fn wait_until_signed_out(browser: &Browser) {
    eventually("both instances know of the revocation", async || {
        let mut copy = browser.clone();
        for _ in 0..4 {
            if copy.whoami().await != Value::Null {
                return false;
            }
        }
        true
    })
    .await;
}

async fn signs_in_and_out(deployment: Deployment) {
    let qq = &deployment.qq.mock;
    let mut browser = deployment.browser();
    let callback = browser.callback_from(qq, "/auth/qq/login").await;
    for _ in 0..4 {
        assert_eq!(browser.get(&callback).await.location(), "/");
    }
    assert_eq!(qq.calls(Endpoint::Token), 1, "a reload spends no code");
    let names: Vec<_> = browser.jar.keys().collect();
    assert_eq!(names, [SESSION]);
    for _ in 0..4 {
        assert_ne!(browser.whoami().await, Value::Null);
    }

    let stolen = browser.clone();
    let end = browser.post("/auth/qq/logout").await;
    assert_eq!((end.location(), browser.jar.len()), ("/", 0));
    wait_until_signed_out(&stolen).await;

    let mut phone = deployment.signed_in().await;
    let mut computer = deployment.signed_in().await;
    for browser in [&mut phone, &mut computer] {
        assert_ne!(browser.whoami().await, Value::Null);
    }
    let revoked = phone.post("/leave-everywhere").await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    wait_until_signed_out(&computer).await;
}

#[tokio::test]
async fn a_login_a_reload_a_logout_and_a_revocation_count_on_both_instances() {
    behind_each(signs_in_and_out).await;
}

async fn redirects_to_www(deployment: Deployment) {
    let front = &deployment.front;
    for router in [front.http(BARE), front.http(WWW), front.https(BARE)] {
        let reply = browser(router).get("/me?a=%2F").await;
        assert_eq!(reply.status, StatusCode::MOVED_PERMANENTLY, "{reply:?}");
        assert_eq!(reply.header("location"), "https://www.site.test/me?a=%2F");
    }
}

#[tokio::test]
async fn http_and_the_bare_domain_lead_to_www_by_https_in_one_step() {
    behind_each(redirects_to_www).await;
}

/// A session and a return path as large as they get.
async fn passes_large_headers(deployment: Deployment) {
    let qq = &deployment.qq.mock;
    let mut person = Person::new("F".repeat(32), "企鹅".repeat(50));
    person.avatar_100 = format!("https://thirdqq.qlogo.cn/g?k={}", "k".repeat(470));
    qq.set_people([person]);
    let page = format!("/me?q={}", "%E4%BD%A0".repeat(89));
    let login = format!("/auth/qq/login?return_to={}", page.replace('%', "%25"));
    let mut browser = deployment.browser();
    for _ in 0..2 {
        let end = browser.sign_in(qq, &login).await;
        assert_eq!(end.location(), page);
        // Tabs that start a login at the same time do not see each other's cookies.
        while browser.pending_logins() < 8 {
            let mut tab = browser.clone();
            tab.jar.retain(|name, _| name == SESSION);
            assert_eq!(tab.get(&login).await.status, StatusCode::SEE_OTHER);
            browser.jar.append(&mut tab.jar);
        }
    }
    let size = |browser: &Browser| -> usize {
        let sizes = browser.jar.iter().map(|(n, v)| n.len() + v.len());
        sizes.sum()
    };
    assert!(browser.jar.keys().any(|name| name.starts_with(LOGIN)));
    let ours = size(&browser);
    assert!(ours > 4_000, "{ours} bytes of cookies");
    // Room for cookies of the app, which fill the rest of 10 KB.
    let theirs = "x".repeat(10_000 - ours);
    browser.jar.insert("app".into(), theirs);
    for page in ["/", "/me", "/whoami", &login] {
        let reply = browser.get(page).await;
        let is_fine = reply.status == StatusCode::OK || reply.status == StatusCode::SEE_OTHER;
        assert!(is_fine, "{page}: {reply:?}");
    }
    assert_ne!(browser.whoami().await, Value::Null);
    let end = browser.post("/auth/qq/logout").await;
    assert!(end.headers.contains_key(header::SET_COOKIE), "{end:?}");
}

#[tokio::test]
async fn the_largest_session_and_eight_logins_pass_beside_cookies_of_the_app() {
    behind_each(passes_large_headers).await;
}
