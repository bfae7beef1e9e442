//! No code and no state in the logs of a proxy.

use futures_util::future::join_all;
use http::StatusCode;

use super::{
    behind_each,
    front::{BARE, Proxy, WWW},
    site::{Deployment, browser},
};
use crate::site::param;

async fn logs_no_secrets(mut deployment: Deployment) {
    let qq = deployment.qq.mock.clone();
    let mut secrets = vec!["PLANTED".to_owned()];
    let mut visitor = deployment.browser();
    let callback = visitor.callback_from(&qq, "/auth/qq/login").await;
    secrets.extend(["code", "state"].map(|name| param(&callback, name).to_owned()));
    // A page that keeps its address in the Referer of its links.
    let referer = format!("https://www.site.test{callback}");
    let mut visitor = visitor.header("referer", &referer);
    assert_eq!(visitor.get(&callback).await.location(), "/");
    assert_eq!(visitor.get("/").await.status, StatusCode::OK);

    let planted = "/auth/qq/callback?code=PLANTED-C0DE&state=PLANTED-STATE";
    let stranger = deployment.browser().header("referer", &referer);
    let forged = stranger.clone().get(planted).await;
    assert_eq!(forged.status, StatusCode::BAD_REQUEST);
    let front = &deployment.front;
    for router in [front.http(BARE), front.http(WWW), front.https(BARE)] {
        browser(router).get(planted).await;
    }
    // Too many, and then no instance left: both are errors in the log of nginx.
    let flood = (0..250).map(|_| {
        let mut stranger = stranger.clone();
        async move { stranger.get(planted).await }
    });
    join_all(flood).await;
    for number in [0, 1] {
        deployment.kill(number).await;
    }
    for path in ["/", planted, "/auth/qq/login"] {
        for _ in 0..2 {
            let mut browser = match path {
                // The proxy's own page at the callback sends no Referer.
                "/" => deployment.browser(),
                _ => deployment.browser().header("referer", &referer),
            };
            let reply = browser.get(path).await;
            assert!(reply.status.as_u16() >= 429, "{reply:?}");
        }
    }

    let logs = deployment.front.logs();
    let mut shown = vec!["/auth/qq/callback", "303", "400", "301"];
    match deployment.proxy {
        Proxy::Nginx => shown.extend(["429", "connecting to upstream"]),
        Proxy::Haproxy => shown.extend(["429", "503"]),
        Proxy::Caddy => shown.push("\"status\":50"),
    }
    for text in shown {
        assert!(logs.contains(text), "{text} is not logged");
    }
    for secret in secrets {
        let line = logs.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{secret} is logged");
    }
}

#[tokio::test]
async fn neither_access_nor_error_logs_hold_a_code_or_a_state() {
    behind_each(logs_no_secrets).await;
}
