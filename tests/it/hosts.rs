//! Several apps in one process, picked by the host of the request, which the layer never reads.

use std::net::SocketAddr;

use axum::{Router, body::Body};
use http::{HeaderValue, Request, StatusCode, header};
use reqwest::Client;
use serde_json::Value;
use tower::{ServiceExt, service_fn, steer::Steer};
use tower_qq_auth::{
    QqApp, QqAuthLayer, QqClient,
    mock::{Endpoint, MockQq, Person},
};

use crate::{
    process::{Running, choose, page},
    site::{APP_KEY, Browser, Site, keys, pages, param},
};

#[path = "../../examples/sites/examples/hosts/pick.rs"]
mod pick;

const HOSTS: [&str; 2] = ["a.example", "b.example"];

/// Returns the site at this host, and its QQ, whose only user is named like the host.
fn app(host: &str, id: &str) -> (Router, MockQq) {
    let callback = format!("https://{host}/auth/qq/callback");
    let qq = MockQq::new(id, APP_KEY, &callback);
    qq.set_people([Person::new("OPENID", host)]);
    let app = QqApp::new(id, APP_KEY, &callback).unwrap();
    let layer = QqAuthLayer::new(QqClient::with_service(app, qq.clone()), keys());
    (pages().layer(layer), qq)
}

/// Returns a browser without a host, and the QQ of each site. The sites share their session keys.
fn start() -> (Browser, [MockQq; 2]) {
    let ((a, at_a), (b, at_b)) = (app(HOSTS[0], "101"), app(HOSTS[1], "102"));
    let sites = [a, b, pages()];
    let pick = |request: &Request<Body>, _: &[Router]| pick::pick(request, &HOSTS);
    let by_host =
        service_fn(move |request: Request<Body>| Steer::new(sites.clone(), pick).oneshot(request));
    let router = Router::new().fallback_service(by_host);
    let browser = Browser {
        router,
        ..Site::new().browser()
    };
    (browser, [at_a, at_b])
}

/// Returns this browser, with its cookies, at another host.
fn at(browser: &Browser, host: &str) -> Browser {
    browser.clone().header("host", host)
}

async fn name(mut browser: Browser) -> Value {
    browser.whoami().await["nickname"].take()
}

#[tokio::test]
async fn each_host_has_its_own_app_and_its_own_users() {
    let (browser, [at_a, at_b]) = start();
    let [mut a, b] = HOSTS.map(|host| at(&browser, host));
    for (browser, id) in [(&a, "101"), (&b, "102")] {
        let start = browser.clone().get("/auth/qq/login").await;
        assert_eq!(param(start.location(), "client_id"), id);
    }
    assert_eq!(a.sign_in(&at_a, "/auth/qq/login").await.location(), "/");
    assert_eq!(name(a.clone()).await, "a.example");

    // All cookies have the same names at both hosts.
    let mut b = at(&a, HOSTS[1]);
    assert_eq!(name(b.clone()).await, Value::Null);
    assert_eq!(
        b.get("/me").await.location(),
        "/auth/qq/login?return_to=/me"
    );
    let callback = a.callback_from(&at_a, "/auth/qq/login").await;
    let mut elsewhere = at(&a, HOSTS[1]).program();
    elsewhere
        .get(&callback)
        .await
        .assert_failed(400, "invalid_state");
    assert_eq!(at_b.calls(Endpoint::Token), 0);
    assert_eq!(b.sign_in(&at_b, "/auth/qq/login").await.location(), "/");
    assert_eq!(name(b.clone()).await, "b.example");
    assert_eq!(name(at(&b, HOSTS[0])).await, Value::Null);
}

#[tokio::test]
async fn a_host_without_a_site_has_no_user_and_no_login() {
    let (browser, [at_a, _]) = start();
    let mut a = at(&browser, HOSTS[0]);
    a.sign_in(&at_a, "/auth/qq/login").await;
    for host in [
        "",
        "evil.example",
        "a.example.evil.example",
        "xa.example",
        "a.example..",
        "a.example, b.example",
        "a.example/",
        "127.0.0.1",
        "[::1]:3000",
        ".",
    ] {
        let mut other = at(&a, host);
        assert_eq!(name(other.clone()).await, Value::Null, "{host}");
        let login = other.get("/auth/qq/login").await;
        assert_eq!(login.status, StatusCode::NOT_FOUND, "{host}");
        assert_eq!(other.get("/me").await.status, StatusCode::UNAUTHORIZED);
    }
    let mut two = a.clone();
    let second = HeaderValue::from_static("b.example");
    two.headers.append(header::HOST, second);
    assert_eq!(name(two).await, Value::Null);
    a.headers.remove(header::HOST);
    assert_eq!(name(a).await, Value::Null);
}

#[tokio::test]
async fn a_host_counts_without_its_case_its_port_and_its_last_dot() {
    let (browser, [at_a, _]) = start();
    let mut a = at(&browser, HOSTS[0]);
    a.sign_in(&at_a, "/auth/qq/login").await;
    for host in [
        "a.example",
        "A.Example",
        "a.example:443",
        "a.example:8443",
        "a.example.",
        "A.EXAMPLE.:443",
    ] {
        assert_eq!(name(at(&a, host)).await, "a.example", "{host}");
        // `:authority` of HTTP/2 comes before a `Host`.
        let mut by_authority = at(&a, HOSTS[1]);
        let reply = by_authority.get(&format!("https://{host}/whoami")).await;
        assert!(reply.body.contains("OPENID"), "{host}: {}", reply.body);
    }
    let reply = a.get("https://b.example/whoami").await;
    assert_eq!(reply.body, "null");
}

#[tokio::test]
async fn the_example_serves_two_sites() {
    let mut running = Running::start("hosts", &[("LISTEN", "127.0.0.1:0")]);
    let (a, b) = (running.printed("open").await, running.printed("open").await);
    let port = a.trim_end_matches('/').rsplit(':').next().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
    let browser = Client::builder().no_proxy().cookie_store(true);
    let browser = browser.resolve("site-a.localhost", address);
    let browser = browser.resolve("site-b.localhost", address);
    let browser = browser.build().unwrap();
    let text = async |url: &str| page(&browser, url).await.text().await.unwrap();

    let end = choose(&browser, page(&browser, &format!("{a}me")).await, 0).await;
    assert_eq!(end.url().as_str(), format!("{a}me"));
    assert!(text(&a).await.contains("小明"));
    assert!(text(&b).await.contains("href=\"/auth/qq/login\""));
    let end = choose(&browser, page(&browser, &format!("{b}me")).await, 1).await;
    assert_eq!(end.url().as_str(), format!("{b}me"));
    assert!(text(&b).await.contains("企鹅"));
    assert!(text(&a).await.contains("小明"));

    let other = format!("http://{address}/");
    let home = text(&other).await;
    assert!(home.contains("No site here"), "{home}");
    assert!(!home.contains("href=\"/auth"), "{home}");
    let login = page(&browser, &format!("{other}auth/qq/login")).await;
    assert_eq!(login.status(), StatusCode::NOT_FOUND);
    for (host, is_site) in [
        ("SITE-A.localhost.:80", true),
        ("site-a.localhost.evil.example", false),
        ("evil.example", false),
    ] {
        let login = browser.get(format!("{other}auth/qq/login"));
        let login = login
            .header("host", host)
            .header("accept", "application/json");
        let login = login.send().await.unwrap();
        assert_eq!(login.status().is_success(), is_site, "{host}");
    }
}
