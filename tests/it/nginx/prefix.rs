//! Two apps of one host, each under a path prefix that nginx strips.

use std::net::SocketAddr;

use axum::Router;
use http::StatusCode;
use serde_json::Value;
use tower_qq_auth::{
    QqApp, QqAuthLayer, QqClient,
    mock::{MockQq, Person},
};

use crate::{
    site::{APP_KEY, Browser, Reply, Site, keys, pages, path},
    support::nginx::Nginx,
};

/// Returns the machine of an app under `/{name}`, and its QQ, whose only user has the same name.
fn app(name: &str, id: &str) -> (Router, MockQq) {
    let callback = format!("https://site.example/{name}/auth/qq/callback");
    let qq = MockQq::new(id, APP_KEY, &callback);
    qq.set_people([Person::new(format!("PERSON-{name}"), name)]);
    let app = QqApp::new(id, APP_KEY, &callback).unwrap();
    let layer = QqAuthLayer::builder(QqClient::with_service(app, qq.clone()), keys())
        .public_prefix(format!("/{name}"))
        .cookie_prefix(name);
    (pages().layer(layer.build().unwrap()), qq)
}

/// Starts `/club` and `/shop`, and returns a browser that visits both.
async fn start() -> Option<(Browser, [MockQq; 2], Nginx)> {
    let ((club, at_club), (shop, at_shop)) = (app("club", "101"), app("shop", "102"));
    let locations = |addresses: &[SocketAddr]| {
        let location =
            |(name, address)| format!("location /{name}/ {{ proxy_pass http://{address}/; }}\n");
        ["club", "shop"]
            .iter()
            .zip(addresses)
            .map(location)
            .collect::<String>()
    };
    let nginx = Nginx::with_locations([club, shop], locations).await?;
    let router = nginx.router();
    let browser = Browser {
        router,
        ..Site::new().browser()
    };
    Some((browser, [at_club, at_shop], nginx))
}

/// Follows redirects from `uri`, by the page of QQ as well. Returns the last path and its response.
async fn follow(browser: &mut Browser, qq: &MockQq, uri: &str) -> (String, Reply) {
    let mut uri = uri.to_owned();
    for _ in 0..5 {
        let reply = browser.get(&uri).await;
        if reply.status != StatusCode::SEE_OTHER {
            return (uri, reply);
        }
        uri = match reply.location() {
            url if url.starts_with("https://graph.qq.com/") => path(&qq.approve(url).unwrap()),
            path => path.to_owned(),
        };
    }
    panic!("redirected without end to {uri}");
}

async fn user(browser: &mut Browser, name: &str) -> Value {
    let reply = browser.get(&format!("/{name}/whoami")).await;
    serde_json::from_str::<Value>(&reply.body).unwrap()["nickname"].take()
}

#[tokio::test]
async fn a_browser_signs_in_and_out_under_a_prefix_that_nginx_strips() {
    let Some((mut browser, [qq, _], _nginx)) = start().await else {
        return;
    };
    for page in ["/club/deep/page", "/club/deep/page?a=b%2Fc", "/club/me"] {
        browser.jar.clear();
        let (end, reply) = follow(&mut browser, &qq, page).await;
        assert_eq!((&*end, reply.status), (page, StatusCode::OK));
        assert!(reply.body.contains("PERSON-club"), "{}", reply.body);
    }
    let page = browser.get("/club/auth/qq/logout?return_to=/whoami").await;
    assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED);
    let action = page.body.split_once("action=\"").unwrap().1;
    let action = action.split_once('"').unwrap().0;
    let end = browser.post(action).await.location().to_owned();
    assert_eq!(end, "/club/whoami");
    assert_eq!(browser.get(&end).await.body, "null");

    let login = "/club/auth/qq/login?return_to=/clubx";
    let (end, reply) = follow(&mut browser, &qq, login).await;
    assert_eq!((&*end, reply.status.as_u16()), ("/club/clubx", 404));
    let outside = browser.get("/auth/qq/login").await;
    assert_eq!(outside.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn two_apps_under_two_prefixes_of_one_host_stay_apart() {
    let Some((mut browser, [at_club, at_shop], _nginx)) = start().await else {
        return;
    };
    follow(&mut browser, &at_club, "/club/me").await;
    assert_eq!(user(&mut browser, "club").await, "club");
    assert_eq!(user(&mut browser, "shop").await, Value::Null);
    assert_eq!(at_shop.journal().len(), 0);

    follow(&mut browser, &at_shop, "/shop/me").await;
    let names: Vec<_> = browser.jar.keys().collect();
    assert_eq!(names, ["__Host-club_session", "__Host-shop_session"]);
    assert_eq!(user(&mut browser, "club").await, "club");
    assert_eq!(user(&mut browser, "shop").await, "shop");

    // A login of one app does not end at the other.
    let login = "/club/auth/qq/login?return_to=/me";
    let callback = browser.callback_from(&at_club, login).await;
    let elsewhere = callback.replace("/club/", "/shop/");
    assert_eq!(browser.get(&elsewhere).await.location(), "/shop/");
    assert_eq!(browser.get(&callback).await.location(), "/club/me");

    let gone = browser.post("/club/auth/qq/logout").await;
    assert_eq!(gone.location(), "/club/");
    assert_eq!(user(&mut browser, "club").await, Value::Null);
    assert_eq!(user(&mut browser, "shop").await, "shop");
}
