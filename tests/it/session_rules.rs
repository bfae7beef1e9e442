//! The numbered rules of the module `session`: the change that counts, and on which response.
//!
//! Rule 2 is in `sign_out`, rule 5 in `planted`, and rule 7 in `cross_site`.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::Path,
    middleware::{Next, from_fn},
    response::AppendHeaders,
    routing::get,
};
use http::{Request, Response, StatusCode, header};
use serde_json::{Value, json};
use tower::{Layer, service_fn};
use tower_qq_auth::{LoginRequired, OpenId, QqSession, QqTokens, QqUser, SignOut};

use crate::{
    log::Log,
    shown::{self, account},
    site::{self, Browser, Reply, SESSION, Site},
};

mod planted;
mod sign_out;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const CALLBACK_PATH: &str = "/auth/qq/callback";
const STATUSES: [u16; 6] = [200, 303, 401, 404, 500, 101];

/// The session cookies that a response sets or removes.
fn session_cookies(reply: &Reply) -> Vec<String> {
    let cookies = reply.cookies().into_iter();
    let ours = cookies.filter(|cookie| cookie.starts_with(SESSION));
    ours.map(String::from).collect()
}

fn linked(session: QqSession) -> QqSession {
    session.with_account("42").unwrap()
}

/// A site with a page that shows the session, and `more`.
fn site_with(more: Router) -> Site {
    Site::with_pages(|_| more.merge(shown::page()), |layer| layer)
}

/// Visits a page, and fails unless its session was refused with this reason and nothing was set.
async fn assert_refused(browser: &mut Browser, page: &str, reason: &str) {
    let log = Log::start();
    let reply = browser.get(page).await;
    assert_eq!((reply.status.as_u16(), reply.cookies().len()), (200, 0));
    let (text, expected) = (
        log.text(),
        format!("the app's QqSession is not set: {reason}"),
    );
    let errors: Vec<_> = text.lines().filter(|it| it.contains("ERROR")).collect();
    assert!(errors.len() == 1 && errors[0].contains(&expected), "{text}");
}

#[tokio::test]
async fn rule_1_a_change_by_the_app_wins_over_a_renewal_that_is_due() {
    let site = site_with(Router::new().route(
        "/link",
        get(async |session: QqSession| (linked(session), "linked")),
    ));
    let mut browser = site.signed_in().await;
    site.clock.advance(4 * DAY);
    let reply = browser.get("/link").await;
    let [cookie] = &session_cookies(&reply)[..] else {
        panic!("{reply:?}")
    };
    assert!(cookie.ends_with("Max-Age=604800"), "renewed: {cookie}");
    assert_eq!(account(&mut browser).await, "42");
}

#[tokio::test]
async fn rule_1_the_layer_sets_no_session_beside_that_of_the_app() {
    let own = |value: &str| AppendHeaders([(header::SET_COOKIE, format!("{SESSION}={value}"))]);
    let pages = Router::new()
        .route(
            "/change",
            get(async move |session: QqSession| (own("mine; Path=/"), linked(session), "own")),
        )
        .route(
            "/tokens",
            get(async move || (own("mine; Path=/"), QqTokens::new("NEW", None, None), "own")),
        )
        .route("/renewal", get(async move || own("mine; Path=/")))
        .route("/removal", get(async move || own("; Path=/; Max-Age=0")));
    let site = Site::with_pages(|_| pages, |layer| layer.keep_tokens());
    for (page, left) in [
        ("/change", Some("mine")),
        ("/tokens", Some("mine")),
        ("/renewal", Some("mine")),
        ("/removal", None),
    ] {
        let mut browser = site.signed_in().await;
        site.clock.advance(4 * DAY);
        let reply = browser.get(page).await;
        assert_eq!(session_cookies(&reply).len(), 1, "{page}: {reply:?}");
        assert_eq!(browser.jar.get(SESSION).map(String::as_str), left, "{page}");
    }
}

#[tokio::test]
async fn rule_3_a_session_counts_whatever_the_status_and_a_renewal_only_on_success() {
    let status = |status| StatusCode::from_u16(status).unwrap();
    let link = async move |Path(code): Path<u16>, session: QqSession| {
        (status(code), linked(session), "linked")
    };
    let read = async move |Path(code): Path<u16>, _: QqUser| (status(code), Json("read"));
    let site = site_with(
        Router::new()
            .route("/link/{status}", get(link))
            .route("/read/{status}", get(read)),
    );
    for status in STATUSES {
        let mut browser = site.signed_in().await;
        site.clock.advance(4 * DAY);
        let read = browser.get(&format!("/read/{status}")).await;
        let is_renewed = [200, 303].contains(&status);
        assert_eq!(read.cookies().len(), usize::from(is_renewed), "{status}");
        let reply = browser.get(&format!("/link/{status}")).await;
        assert_eq!((reply.status.as_u16(), &*reply.body), (status, "linked"));
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(account(&mut browser).await, "42", "{status}");
    }
}

#[tokio::test]
async fn rule_3_a_session_counts_beside_login_required() {
    let link = async |session: QqSession| (linked(session), Extension(LoginRequired));
    let site = site_with(Router::new().route("/link", get(link)));
    let mut browser = site.signed_in().await;
    assert_eq!(
        browser.get("/link").await.location(),
        "/auth/qq/login?return_to=/link"
    );
    assert_eq!(account(&mut browser).await, "42");
}

#[tokio::test]
async fn rule_3_an_error_response_to_a_forwarded_callback_starts_only_the_session_it_carries() {
    for (status, carries, signs_in) in [
        (200, false, true),
        (200, true, true),
        (303, true, true),
        (403, false, false),
        (403, true, true),
        (500, false, false),
        (500, true, true),
        (101, false, false),
        (101, true, true),
    ] {
        let handler = async move |session: QqSession| {
            let session = carries.then(|| linked(session));
            (StatusCode::from_u16(status).unwrap(), session, "answered")
        };
        let pages = shown::page().route(CALLBACK_PATH, get(handler));
        let site = Site::with_pages(|_| pages, |layer| layer.forward_callback());
        let mut browser = site.browser();
        let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!((reply.status.as_u16(), &*reply.body), (status, "answered"));
        let cookies = session_cookies(&reply).len();
        assert_eq!(cookies, usize::from(signs_in), "{status} {carries}");
        let expected = if carries { json!("42") } else { Value::Null };
        assert_eq!(account(&mut browser).await, expected, "{status} {carries}");
    }
}

/// Pages that keep the session of a request and return it on another.
fn keeping_pages() -> Router {
    let kept: Arc<Mutex<Option<QqSession>>> = Arc::default();
    let keep = {
        let kept = Arc::clone(&kept);
        get(async move |session: QqSession| *kept.lock().unwrap() = Some(linked(session)))
    };
    let replay = get(async move || (kept.lock().unwrap().clone(), "kept"));
    Router::new().route("/keep", keep).route("/replay", replay)
}

#[tokio::test]
async fn rule_4_a_session_of_another_request_sets_nothing() {
    let site = site_with(keeping_pages());
    let mut browser = site.signed_in().await;
    assert!(browser.get("/keep").await.cookies().is_empty());
    let mut signed_out = site.browser();
    let mut other = site.signed_in().await;
    // The last one is the browser whose request is over.
    for browser in [&mut signed_out, &mut other, &mut browser] {
        let before = browser.jar.clone();
        assert_refused(browser, "/replay", "it belongs to another request").await;
        assert_eq!(browser.jar, before);
    }
    assert_eq!(account(&mut browser).await, Value::Null);
}

#[tokio::test]
async fn rule_4_a_session_of_another_layer_with_the_same_keys_sets_nothing() {
    #[derive(Clone)]
    struct Kept(QqSession);
    let site = site_with(Router::new());
    let layer = || {
        let clock = site.clock.clone();
        let layer = site::builder(&site.qq).clock(move || clock.now());
        layer.build().unwrap()
    };
    // The outer layer knows the session too, and the app brings it past the inner one.
    let keep = from_fn(
        async |session: Option<QqSession>, mut request: axum::extract::Request, next: Next| {
            let kept = session.map(Kept);
            kept.and_then(|kept| request.extensions_mut().insert(kept));
            next.run(request).await
        },
    );
    let replay = get(async |Extension(Kept(session)): Extension<Kept>| (linked(session), "ok"));
    let pages = shown::page().route("/replay", replay);
    let mut browser = site.signed_in().await;
    browser.router = pages.layer(layer()).layer(keep).layer(layer());
    assert_eq!(account(&mut browser).await, Value::Null);
    assert_refused(&mut browser, "/replay", "it belongs to another layer").await;
    assert_eq!(account(&mut browser).await, Value::Null);
}

#[tokio::test]
async fn rule_4_a_new_session_is_set_once_and_only_by_its_layer() {
    let (site, layer) = Site::with_layer(|_| Router::new(), |layer| layer);
    let other = site::layer(&site.qq);
    for (begins, reason) in [
        (&layer, "another response has already set it"),
        (&other, "it belongs to another layer"),
    ] {
        let session = begins.begin(site.bare_login(0).await).await.unwrap();
        let give = get(async move || (session, "given"));
        let mut browser = site.browser();
        browser.router = Router::new()
            .route("/give", give)
            .merge(site::pages())
            .layer(layer.clone());
        if std::ptr::eq(begins, &layer) {
            let reply = browser.clone().get("/give").await;
            assert_eq!(session_cookies(&reply).len(), 1, "{reply:?}");
        }
        assert_refused(&mut browser, "/give", reason).await;
    }
}

#[tokio::test]
async fn rule_4_another_user_needs_a_new_session() {
    let change = get(async |session: QqSession| {
        let other = QqUser::new(OpenId::new("OTHER").unwrap());
        session.with_user(other).unwrap_err().to_string()
    });
    let site = site_with(Router::new().route("/change", change));
    let mut browser = site.signed_in().await;
    let reply = browser.get("/change").await;
    assert!(reply.body.contains("QqAuthLayer::begin"), "{}", reply.body);
    assert!(reply.cookies().is_empty());
}

#[tokio::test]
async fn rule_6_a_copy_of_an_older_cookie_holds_the_older_account() {
    let change = async |Path(account): Path<String>, session: QqSession| {
        (session.with_account(account).unwrap(), "changed")
    };
    let site = site_with(Router::new().route("/account/{account}", get(change)));
    let mut browser = site.signed_in().await;
    browser.get("/account/1").await;
    let mut copy = browser.clone();
    browser.get("/account/2").await;
    assert_eq!(account(&mut browser).await, "2");
    assert_eq!(account(&mut copy).await, "1");
}

#[tokio::test]
async fn of_two_responses_in_parallel_the_last_wins() {
    let change = async |Path(account): Path<String>, session: QqSession| {
        (session.with_account(account).unwrap(), "changed")
    };
    let site = site_with(Router::new().route("/account/{account}", get(change)));
    let mut browser = site.signed_in().await;
    let (mut one, mut two) = (browser.clone(), browser.clone());
    one.get("/account/1").await;
    two.get("/account/2").await;
    for (arrives, expected) in [(&two, "2"), (&one, "1")] {
        browser.jar = arrives.jar.clone();
        assert_eq!(account(&mut browser).await, expected);
    }
}

/// A plain tower service that does what its path says, by extensions alone.
async fn plain(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let session = request.extensions().get::<QqSession>().cloned();
    let mut response = Response::new(Body::from(match &session {
        Some(session) => session.account().unwrap_or("none").to_owned(),
        None => "signed out".to_owned(),
    }));
    let extensions = response.extensions_mut();
    match (request.uri().path(), session) {
        ("/link", Some(session)) => drop(extensions.insert(linked(session))),
        ("/leave", Some(session)) => {
            extensions.insert(SignOut);
            extensions.insert(linked(session));
        }
        ("/required", Some(session)) => {
            extensions.insert(LoginRequired);
            extensions.insert(linked(session));
        }
        _ => {}
    }
    if request.uri().path() == "/link" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

#[tokio::test]
async fn without_axum_the_same_rules_hold_for_extensions() {
    let site = Site::new();
    let clock = site.clock.clone();
    let layer = site::builder(&site.qq).clock(move || clock.now());
    let service = layer.build().unwrap().layer(service_fn(plain));
    let mut browser = site.signed_in().await;
    browser.router = Router::new().fallback_service(service);
    assert_eq!(browser.get("/").await.body, "none");
    assert_eq!(browser.get("/link").await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/").await.body, "42");
    let reply = browser.get("/required").await;
    assert_eq!(reply.location(), "/auth/qq/login?return_to=/required");
    assert_eq!(session_cookies(&reply).len(), 1, "{reply:?}");
    let reply = browser.get("/leave").await;
    assert!(reply.extensions.get::<QqSession>().is_none(), "taken");
    assert_eq!(browser.get("/").await.body, "signed out");
}
