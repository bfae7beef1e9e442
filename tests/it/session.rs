//! The session cookie: lifetime, renewal, name and seal.

use std::time::{Duration, Instant};

use axum::{Extension, Json, Router, body::Body, routing::get};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::Value;
use tower::ServiceExt;
use tower_qq_auth::{OpenId, QqApp, QqAuthLayer, QqClient, QqTokens, QqUser, SessionKeys};

use crate::site::{self, LOGIN, SESSION, Site};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the user that the site sees for these `Cookie` headers.
async fn whoami(site: &Site, cookies: &[Vec<u8>]) -> Value {
    let mut request = Request::get("/whoami").body(Body::empty()).unwrap();
    for cookie in cookies {
        let value = HeaderValue::from_bytes(cookie).unwrap();
        request.headers_mut().append(header::COOKIE, value);
    }
    let reply = site.router.clone().oneshot(request).await.unwrap();
    assert_eq!(
        reply.status(),
        StatusCode::OK,
        "a public page is served anyway"
    );
    serde_json::from_slice(&reply.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

const CDN: [&str; 7] = [
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "x-litespeed-cache-control",
    "edge-control",
    "surrogate-control",
    "x-accel-expires",
    "expires",
];

#[tokio::test]
async fn a_response_with_a_cookie_stays_out_of_shared_caches() {
    let headers = [(header::CACHE_CONTROL, "public, max-age=600")];
    let targeted = CDN.map(|name| (name, "600"));
    let page =
        get(async move |tokens: Option<Extension<QqTokens>>| (tokens, headers, targeted, "cached"));
    let pages = |_: &_| Router::new().route("/cached", page);
    let site = Site::with_pages(pages, |layer| layer.keep_tokens());
    let before = site.browser().get("/cached").await;
    assert!(CDN.iter().all(|name| before.headers.contains_key(*name)));
    let reply = site.signed_in().await.get("/cached").await;
    assert_eq!(reply.cookies().len(), 1, "the session with the tokens");
    assert_eq!(reply.header("cache-control"), "no-store");
    for name in CDN {
        assert!(!reply.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_session_is_not_renewed_on_a_response_for_shared_caches() {
    let page = async |header: HeaderMap| (header, Json("a page or an API"));
    let pages = |_: &_| {
        let cached = [
            ("/control", (header::CACHE_CONTROL, "max-age=600")),
            (
                "/expires",
                (header::EXPIRES, "Fri, 31 Dec 2100 23:59:59 GMT"),
            ),
            (
                "/targeted",
                (HeaderName::from_static("edge-control"), "max-age=600"),
            ),
            ("/private", (header::CACHE_CONTROL, "private, max-age=600")),
        ];
        let routes = cached.into_iter();
        routes.fold(Router::new(), |router, (path, (name, value))| {
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            router.route(path, get(move || page(headers.clone())))
        })
    };
    let site = Site::with_pages(pages, |layer| layer);
    let mut browser = site.signed_in().await;
    site.clock.advance(DAY * 4);
    for path in ["/control", "/expires", "/targeted"] {
        let reply = browser.get(path).await;
        assert!(reply.cookies().is_empty(), "{reply:?}");
    }
    let reply = browser.get("/private").await;
    assert_eq!(reply.cookies().len(), 1, "{reply:?}");
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_session_is_renewed_only_after_half_of_its_idle_time() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    site.clock.advance(DAY * 7 / 2);
    assert!(browser.get("/whoami").await.cookies().is_empty());

    site.clock.advance(Duration::from_secs(1));
    let renewed = browser.get("/whoami").await;
    let [cookie] = renewed.cookies()[..] else {
        panic!("{renewed:?}")
    };
    assert!(cookie.starts_with(SESSION));
    assert!(cookie.ends_with("Max-Age=604800"));
    assert_eq!(renewed.header("cache-control"), "no-store");
    assert!(browser.get("/whoami").await.cookies().is_empty());

    site.clock.advance(DAY * 7 - Duration::from_secs(1));
    assert_ne!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn an_unused_session_ends_after_seven_days() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    site.clock.advance(DAY * 7 - Duration::from_secs(1));
    assert_ne!(browser.clone().whoami().await, Value::Null);
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_session_in_use_ends_after_thirty_days() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    for _ in 0..29 {
        site.clock.advance(DAY);
        assert_ne!(browser.whoami().await, Value::Null);
    }
    let last = browser.get("/whoami").await;
    assert!(last.cookies().is_empty());
    site.clock.advance(DAY - Duration::from_secs(1));
    assert_ne!(browser.whoami().await, Value::Null);
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_renewed_cookie_does_not_outlive_the_session() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    for _ in 0..6 {
        site.clock.advance(Duration::from_secs(4 * 24 * 60 * 60));
        browser.get("/whoami").await;
    }
    site.clock.advance(Duration::from_secs(4 * 24 * 60 * 60));
    let last = browser.get("/whoami").await;
    let left = 2 * 24 * 60 * 60;
    assert!(
        last.cookies()[0].ends_with(&format!("Max-Age={left}")),
        "{last:?}"
    );
}

#[tokio::test]
async fn a_session_from_a_clock_up_to_five_minutes_ahead_is_accepted() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    site.clock.turn_back(Duration::from_secs(5 * 60));
    assert_ne!(browser.clone().whoami().await, Value::Null);
    site.clock.turn_back(Duration::from_secs(1));
    assert_eq!(browser.whoami().await, Value::Null);
    site.clock.turn_back(Duration::from_secs(1_900_000_000));
    assert_eq!(browser.whoami().await, Value::Null, "before the epoch");
}

#[tokio::test]
async fn session_limits_can_be_set_and_huge_ones_do_not_overflow() {
    let site = Site::with(
        |app| app,
        |layer| {
            layer
                .session_idle(Duration::from_secs(600))
                .session_lifetime(Duration::MAX)
        },
    );
    let mut browser = site.signed_in().await;
    site.clock.advance(Duration::from_secs(599));
    assert_ne!(browser.whoami().await, Value::Null);
    site.clock.advance(Duration::from_secs(600));
    assert_eq!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn the_cookie_is_found_only_by_its_exact_name() {
    let site = Site::new();
    let value = site.signed_in().await.jar[SESSION].clone();
    let valid = [
        format!("{SESSION}={value}"),
        format!(" {SESSION}={value} "),
        format!("\t{SESSION}={value}\t"),
        format!("{SESSION} = {value}"),
        format!("a=1; {SESSION}={value}; b=2"),
        format!("a=1;{SESSION}={value};b=2"),
        format!("; ;;=; a; {SESSION}={value};;"),
        format!("{SESSION}={value}; {SESSION}={value}"),
    ];
    for cookie in valid {
        assert_ne!(
            whoami(&site, &[cookie.clone().into()]).await,
            Value::Null,
            "{cookie}"
        );
    }
    let invalid = [
        format!("__Host%2dqq_session={value}"),
        format!("__Host%2Dqq_session={value}"),
        format!("\u{a0}{SESSION}={value}"),
        format!("{SESSION}\u{2003}={value}"),
        format!("__host-qq_session={value}"),
        format!("qq_session={value}"),
        format!("x{SESSION}={value}"),
        format!("{SESSION}x={value}"),
        format!("{SESSION}=\"{value}\""),
        format!("{SESSION}={value}; {SESSION}=other"),
        format!("{SESSION}=; {SESSION}={value}"),
        format!("{SESSION}=%{value}"),
    ];
    for cookie in invalid {
        assert_eq!(
            whoami(&site, &[cookie.clone().into()]).await,
            Value::Null,
            "{cookie}"
        );
    }
}

#[tokio::test]
async fn other_cookies_do_not_hide_the_session() {
    let site = Site::new();
    let session = format!("{SESSION}={}", site.signed_in().await.jar[SESSION]).into_bytes();
    let many = (0..3000)
        .map(|n| format!("c{n}=v; "))
        .collect::<String>()
        .into_bytes();
    let giant = format!("big={}", "x".repeat(400 * 1024)).into_bytes();
    let foreign = b"lang=\xe4\xb8\xad\xff\xfe; \xf0\x9f=1".to_vec();
    for other in [many, giant, foreign] {
        assert_ne!(
            whoami(&site, &[other.clone(), session.clone()]).await,
            Value::Null
        );
        assert_ne!(
            whoami(&site, &[session.clone(), other.clone()]).await,
            Value::Null
        );
        let joined = [&other[..], b"; ", &session[..]].concat();
        assert_ne!(whoami(&site, &[joined]).await, Value::Null);
    }
    assert_eq!(
        whoami(&site, &[session, format!("{SESSION}=2").into()]).await,
        Value::Null
    );
}

#[tokio::test]
async fn huge_cookie_headers_are_read_in_linear_time() {
    const SIZE: usize = 400 * 1024;
    let site = Site::new();
    let session = site.signed_in().await.jar[SESSION].clone();
    let repeated = [
        ";".into(),
        "=;".into(),
        "a=1; ".into(),
        format!("{SESSION}=x; "),
        format!("{SESSION}={session}; "),
        format!("{SESSION}{session}; "),
        format!("{LOGIN}0=x; "),
        format!("{LOGIN}0={session}; "),
    ];
    for cookie in repeated {
        let many = cookie.repeat(SIZE / cookie.len());
        let browser = site.browser().header("cookie", &many);
        let start = Instant::now();
        for path in [
            "/whoami",
            "/auth/qq/login",
            "/auth/qq/callback?code=C0DE&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            let reply = browser.clone().get(path).await;
            assert!(!reply.status.is_server_error(), "{cookie}: {reply:?}");
        }
        // Linear time takes milliseconds, quadratic time takes minutes.
        let elapsed = start.elapsed();
        assert!(elapsed < Duration::from_secs(10), "{cookie}: {elapsed:?}");
    }
}

#[tokio::test]
async fn login_and_session_cookies_are_not_interchangeable() {
    let site = Site::new();
    let session = site.signed_in().await.jar[SESSION].clone();
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let (name, login) = browser.jar.pop_first().unwrap();
    let cookie = |name: &str, value: &str| vec![format!("{name}={value}").into_bytes()];
    assert_ne!(whoami(&site, &cookie(SESSION, &session)).await, Value::Null);
    assert_eq!(whoami(&site, &cookie(SESSION, &login)).await, Value::Null);

    let calls = site.qq.journal().len();
    browser.jar.insert(name.clone(), session);
    let reply = browser.get(&callback).await;
    reply.assert_failed(400, "invalid_state");
    assert_eq!(site.qq.journal().len(), calls);
    browser.jar.insert(name, login);
    assert_eq!(browser.get(&callback).await.location(), "/");
}

#[tokio::test]
async fn a_session_cookie_with_any_bit_changed_is_ignored() {
    let site = Site::new();
    let value = site.signed_in().await.jar[SESSION].clone().into_bytes();
    for at in 0..value.len() {
        for bit in 0..7 {
            let mut changed = value.clone();
            changed[at] ^= 1 << bit;
            if changed[at].is_ascii_control() || changed[at] == b';' {
                continue;
            }
            let cookie = [SESSION.as_bytes(), b"=", &changed].concat();
            assert_eq!(
                whoami(&site, &[cookie]).await,
                Value::Null,
                "byte {at} bit {bit}"
            );
        }
    }
    let text = String::from_utf8(value).unwrap();
    let reshaped = [
        format!("{text}="),
        format!("{text}=="),
        format!("{text}A"),
        text[1..].into(),
        text[..text.len() - 1].into(),
    ];
    for changed in reshaped {
        assert_eq!(
            whoami(&site, &[format!("{SESSION}={changed}").into()]).await,
            Value::Null
        );
    }
}

#[tokio::test]
async fn cookies_of_other_apps_names_and_keys_are_ignored() {
    let site = Site::new();
    let value = site.signed_in().await.jar[SESSION].clone();
    let layer = |id: &str, uri: &str, keys| {
        let app = QqApp::new(id, "k", uri).unwrap();
        let client = QqClient::with_service(app, site.qq.clone());
        let clock = site.clock.clone();
        let layer = QqAuthLayer::builder(client, keys).clock(move || clock.now());
        layer.build().unwrap()
    };
    let user_at = async |layer: QqAuthLayer, name: &str| {
        let other = Site {
            router: site::pages().layer(layer),
            ..site.clone()
        };
        whoami(&other, &[format!("{name}={value}").into()]).await
    };
    let same = layer(site::APP_ID, site::CALLBACK, site::keys());
    assert_ne!(
        user_at(same, SESSION).await,
        Value::Null,
        "another machine of the same site"
    );
    let other_app = layer("101905281", site::CALLBACK, site::keys());
    assert_eq!(user_at(other_app, SESSION).await, Value::Null);
    let local = layer(
        site::APP_ID,
        "http://localhost:3000/auth/qq/callback",
        site::keys(),
    );
    assert_eq!(user_at(local, "qq_session").await, Value::Null);
    let other_keys = layer(site::APP_ID, site::CALLBACK, SessionKeys::generate());
    assert_eq!(user_at(other_keys, SESSION).await, Value::Null);
}

#[tokio::test]
async fn every_key_opens_cookies_and_the_first_one_seals() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    let (old, new) = (
        site::SESSION_KEY,
        "fresh-session-key \u{1b} H6vB2yNf8jGd5Tc",
    );
    let hex = |key: &str| {
        key.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let router_with_keys = |keys: &str| {
        let client = QqClient::with_service(site::app(), site.qq.clone());
        let clock = site.clock.clone();
        let layer = QqAuthLayer::builder(client, SessionKeys::parse(keys).unwrap());
        site::pages().layer(layer.clock(move || clock.now()).build().unwrap())
    };
    let pending = browser
        .callback_from(&site.qq, "/auth/qq/login?return_to=/x")
        .await;

    browser.router = router_with_keys(&format!("{},{}", hex(new), hex(old)));
    assert_ne!(browser.whoami().await, Value::Null);
    assert_eq!(
        browser.get(&pending).await.location(),
        "/x",
        "a pending login completes"
    );

    let mut stale = site.signed_in().await;
    browser.router = router_with_keys(&hex(new));
    stale.router = browser.router.clone();
    assert_ne!(browser.whoami().await, Value::Null, "sealed by the new key");
    assert_eq!(stale.whoami().await, Value::Null, "sealed by a removed key");
}

#[tokio::test]
async fn identities_from_outside_the_layer_are_ignored() {
    let site = Site::new();
    let mut browser = site
        .browser()
        .header("x-qq-user", "admin")
        .header("x-forwarded-user", "admin");
    assert_eq!(browser.whoami().await, Value::Null);
    let planted = QqUser::new(OpenId::new("PLANTED").unwrap());
    let mut request = Request::get("/whoami").body(Body::empty()).unwrap();
    request.extensions_mut().insert(planted);
    let reply = site.router.oneshot(request).await.unwrap();
    assert_eq!(
        reply.into_body().collect().await.unwrap().to_bytes(),
        "null"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_cookie_header_causes_an_error(cookies in prop::collection::vec(any::<Vec<u8>>(), 0..4)) {
        let cookies: Vec<_> = cookies
            .into_iter()
            .filter(|cookie| HeaderValue::from_bytes(cookie).is_ok())
            .collect();
        let user = site::block_on(async { whoami(&Site::new(), &cookies).await });
        prop_assert_eq!(user, Value::Null);
    }
}
