//! The rate limit of logins. Caddy has none.

use futures_util::future::join_all;
use http::StatusCode;

use super::{behind, front::Proxy, machines::assert_offers_a_login, site::Deployment};

async fn limits_logins(deployment: Deployment) {
    let mut browser = deployment.browser();
    // As many users as share an address may sign in at once.
    for _ in 0..50 {
        deployment.signed_in().await;
    }
    // At once: a slow machine would stay below the limit one by one.
    let flood = (0..400).map(|_| {
        let mut browser = browser.clone();
        async move {
            browser
                .get("/auth/qq/callback?code=C0DE&state=forged")
                .await
        }
    });
    let replies = join_all(flood).await;
    let (passed, refused): (Vec<_>, Vec<_>) = replies
        .into_iter()
        .partition(|reply| reply.status == StatusCode::BAD_REQUEST);
    assert!(!passed.is_empty());
    let refused = refused.into_iter().next().expect("limited");
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{refused:?}");
    assert_eq!(refused.header("content-type"), "text/html; charset=utf-8");
    assert_offers_a_login(&refused);
    for page in ["/", "/whoami", "/style.css"] {
        assert_eq!(browser.get(page).await.status, StatusCode::OK, "{page}");
    }
    deployment.assert_both_serve().await;
}

#[tokio::test]
async fn an_address_that_floods_the_login_gets_429_and_other_pages_as_before() {
    behind(&[Proxy::Nginx, Proxy::Haproxy], limits_logins).await;
}
