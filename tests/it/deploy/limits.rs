//! The rate limit of logins. Caddy has none.

use http::StatusCode;

use super::{behind, front::Proxy, machines::assert_offers_a_login, site::Deployment};

async fn limits_logins(deployment: Deployment) {
    let mut browser = deployment.browser();
    // As many users as share an address may sign in at once.
    for _ in 0..50 {
        deployment.signed_in().await;
    }
    let mut refused = None;
    for _ in 0..400 {
        let reply = browser
            .get("/auth/qq/callback?code=C0DE&state=forged")
            .await;
        match reply.status {
            StatusCode::BAD_REQUEST => {}
            _ => refused = Some(reply),
        }
        if refused.is_some() {
            break;
        }
    }
    let refused = refused.expect("limited");
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
