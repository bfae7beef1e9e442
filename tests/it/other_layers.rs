//! Other layers, inside and outside of the layer.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use tower::util::MapResponseLayer;
use tower_http::{
    compression::CompressionLayer, cors::CorsLayer, decompression::DecompressionLayer,
    set_header::SetResponseHeaderLayer, timeout::TimeoutLayer, trace::TraceLayer,
};
use tower_qq_auth::{
    RequireQqUser,
    mock::{Endpoint, Fault},
};
use tower_sessions::{MemoryStore, SessionManagerLayer};
use tracing::Span;

use crate::{
    mounting::site,
    site::{Browser, SESSION, Site, pages},
};

/// The usual pages, some of which no user has to sign in for.
fn app() -> Router {
    let broken = async || (StatusCode::INTERNAL_SERVER_ERROR, "the database is down");
    let slow = async || pending::<()>().await;
    let members = Router::new()
        .route("/inbox", get(async || "inbox"))
        .route_layer(RequireQqUser);
    pages()
        .route("/broken", get(broken))
        .route("/slow", get(slow))
        .merge(members)
}

fn inside(add: impl FnOnce(Router) -> Router) -> Site {
    site(|qq| add(app()).layer(qq))
}

fn outside(add: impl FnOnce(Router) -> Router) -> Site {
    site(|qq| add(app().layer(qq)))
}

/// A script of this site.
fn script(site: &Site) -> Browser {
    let script = site.browser().header("sec-fetch-mode", "cors");
    script.header("sec-fetch-dest", "empty").program()
}

// CORS.

const CONSOLE: &str = "https://console.site.example";

fn cors(app: Router) -> Router {
    let origins = [CONSOLE, "https://shop.site.example"].map(HeaderValue::from_static);
    let cors = CorsLayer::new()
        .allow_origin(origins)
        .allow_credentials(true);
    app.layer(cors.allow_methods([Method::GET]))
}

/// A script on another origin of the same site.
fn console(site: &Site) -> Browser {
    let script = script(site).header("sec-fetch-site", "same-site");
    script.header("origin", CONSOLE)
}

#[tokio::test]
async fn a_script_of_an_allowed_origin_reads_the_401_and_its_json_in_either_order() {
    for (order, site) in [("inside", inside(cors)), ("outside", outside(cors))] {
        for page in ["/me", "/inbox"] {
            let reply = console(&site).get(page).await;
            reply.assert_failed(401, "login_required");
            assert_eq!(reply.problem()["login_url"], "/auth/qq/login", "{order}");
            let header = |name: &str| reply.headers.get(name).map(|it| it.to_str().unwrap());
            let allowed = header("access-control-allow-origin");
            assert_eq!(allowed, Some(CONSOLE), "{order}, {page}");
            let credentials = header("access-control-allow-credentials");
            assert_eq!(credentials, Some("true"), "{order}, {page}");
            let varies = header("vary").is_some_and(|vary| vary.contains("origin"));
            assert!(varies, "{order}, {page}: {reply:?}");
        }
        let mut preflight = console(&site).header("access-control-request-method", "GET");
        let reply = preflight.send(Method::OPTIONS, "/me").await;
        assert_eq!(reply.status, StatusCode::OK, "{order}");
        let allowed = reply.header("access-control-allow-origin");
        assert_eq!(allowed, CONSOLE, "{order}");
    }
}

#[tokio::test]
async fn a_script_reads_the_answers_of_the_login_paths_only_if_cors_is_outside() {
    for (is_outside, site) in [(false, inside(cors)), (true, outside(cors))] {
        for (method, path) in [
            (Method::GET, "/auth/qq/callback?code=1&state=2"),
            (Method::POST, "/auth/qq/logout"),
        ] {
            let reply = console(&site).send(method, path).await;
            assert!(reply.problem()["code"].is_string(), "{reply:?}");
            let is_readable = reply.headers.contains_key("access-control-allow-origin");
            assert_eq!(is_readable, is_outside, "{path}: {reply:?}");
        }
    }
}

// Tracing.

/// The statuses that a `TraceLayer` saw, and the failures that it would log as errors.
#[derive(Clone, Default)]
struct Trace {
    statuses: Arc<Mutex<Vec<u16>>>,
    failures: Arc<Mutex<Vec<String>>>,
}

impl Trace {
    fn add(&self, app: Router) -> Router {
        let Self { statuses, failures } = self.clone();
        let on_response = move |response: &Response, _: Duration, _: &Span| {
            statuses.lock().unwrap().push(response.status().as_u16());
        };
        let on_failure =
            move |failure: tower_http::classify::ServerErrorsFailureClass, _, _: &Span| {
                failures.lock().unwrap().push(failure.to_string());
            };
        app.layer(
            TraceLayer::new_for_http()
                .on_response(on_response)
                .on_failure(on_failure),
        )
    }

    fn take(&self) -> (Vec<u16>, Vec<String>) {
        let statuses = std::mem::take(&mut *self.statuses.lock().unwrap());
        (statuses, std::mem::take(&mut self.failures.lock().unwrap()))
    }
}

#[tokio::test]
async fn a_signed_out_visit_is_no_error_in_the_log_in_either_order() {
    let trace = Trace::default();
    let add = |app| trace.add(app);
    for (site, of_page, of_program) in [(inside(add), 401, 401), (outside(add), 303, 401)] {
        for page in ["/me", "/inbox"] {
            site.browser().get(page).await;
            script(&site).get(page).await;
            assert_eq!(trace.take(), (vec![of_page, of_program], vec![]), "{page}");
        }
        // An error of the app is one.
        site.browser().get("/broken").await;
        let (statuses, failures) = trace.take();
        assert_eq!((statuses, failures.len()), (vec![500], 1));
    }
}

#[tokio::test]
async fn failed_logins_are_no_server_errors_for_tracing_outside() {
    let trace = Trace::default();
    let site = outside(|app| trace.add(app));
    let statuses = async |fault: Fault| {
        site.qq.fault(Endpoint::Token, 1, fault);
        let mut browser = site.browser();
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        trace.take();
        browser.get(&callback).await;
        trace.take()
    };
    let unavailable = Fault::Status(StatusCode::BAD_GATEWAY);
    assert_eq!(statuses(unavailable).await, (vec![424], vec![]));
    assert_eq!(statuses(Fault::Code(100_020)).await, (vec![400], vec![]));
}

#[tokio::test]
async fn only_tracing_outside_sees_the_requests_of_a_login() {
    let trace = Trace::default();
    let add = |app| trace.add(app);
    for (site, seen) in [(inside(add), vec![]), (outside(add), vec![303, 303, 303])] {
        let mut browser = site.browser();
        browser.sign_in(&site.qq, "/auth/qq/login").await;
        browser.post("/auth/qq/logout").await;
        assert_eq!(trace.take(), (seen, vec![]));
    }
}

// Headers for every answer.

#[tokio::test]
async fn hsts_outside_is_on_every_answer_and_inside_only_on_those_of_the_app() {
    let add = |app: Router| {
        let value = HeaderValue::from_static("max-age=63072000");
        app.layer(SetResponseHeaderLayer::overriding(
            header::STRICT_TRANSPORT_SECURITY,
            value,
        ))
    };
    for (is_outside, site) in [(false, inside(add)), (true, outside(add))] {
        let has = |reply: crate::site::Reply| {
            reply
                .headers
                .contains_key(header::STRICT_TRANSPORT_SECURITY)
        };
        let mut browser = site.browser();
        assert!(has(browser.get("/").await));
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        let ours = [
            ("a redirect to the login", browser.get("/me").await),
            ("a start", browser.get("/auth/qq/login").await),
            ("a page", browser.get("/auth/qq/callback?state=1").await),
            ("a callback", browser.get(&callback).await),
            ("a logout", browser.post("/auth/qq/logout").await),
            ("a 401", script(&site).get("/me").await),
        ];
        for (answer, reply) in ours {
            assert_eq!(has(reply), is_outside, "{answer}");
        }
    }
}

// Compression.

/// Compresses, and decompresses as a browser does. Replies have an `x-encoding` if they were
/// compressed.
fn compress(app: Router) -> Router {
    app.layer(CompressionLayer::new())
}

fn decompress(mut site: Site) -> Site {
    let note = MapResponseLayer::new(|mut response: Response| {
        if let Some(encoding) = response.headers().get(header::CONTENT_ENCODING).cloned() {
            response.headers_mut().insert("x-encoding", encoding);
        }
        response
    });
    site.router = site.router.layer(note).layer(DecompressionLayer::new());
    site
}

#[tokio::test]
async fn the_layers_answers_are_compressed_outside_and_plain_inside() {
    for (is_outside, site) in [(false, inside(compress)), (true, outside(compress))] {
        let site = decompress(site);
        let mut browser = site.browser();
        let page = browser.get("/auth/qq/callback?state=1").await;
        let form = browser.post("/form").await;
        for reply in [&page, &form] {
            assert!(reply.body.contains("</html>"), "{reply:?}");
        }
        let json = script(&site).get("/me").await;
        json.assert_failed(401, "login_required");
        for reply in [page, form, json] {
            let was_compressed = reply.headers.contains_key("x-encoding");
            assert_eq!(was_compressed, is_outside, "{reply:?}");
        }
        // Nothing is left of the 401 of the app, which was compressed inside.
        let redirect = browser.get("/me").await;
        assert_eq!(redirect.location(), "/auth/qq/login?return_to=/me");
        assert!(!redirect.headers.contains_key("x-encoding"));
        assert_eq!(
            (redirect.header("content-length"), &*redirect.body),
            ("0", "")
        );
        let end = browser.sign_in(&site.qq, redirect.location()).await;
        assert_eq!(end.location(), "/me");
        let reply = browser.get("/me").await;
        assert!(reply.headers.contains_key("x-encoding") && reply.body.contains("小明"));
    }
}

// Timeouts.

fn two_seconds(app: Router) -> Router {
    let limit = Duration::from_secs(2);
    let status = StatusCode::REQUEST_TIMEOUT;
    app.layer(TimeoutLayer::with_status_code(status, limit))
}

#[tokio::test(start_paused = true)]
async fn a_login_goes_on_after_a_timeout_outside_and_a_reload_joins_it() {
    let site = outside(two_seconds);
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let slow = Fault::Latency(Duration::from_secs(3));
    site.qq.fault(Endpoint::Token, 1, slow);
    let late = browser.get(&callback).await;
    assert_eq!(late.status, StatusCode::REQUEST_TIMEOUT);

    assert_eq!(browser.get(&callback).await.location(), "/");
    assert_eq!(site.qq.calls(Endpoint::Token), 1);
    assert_ne!(browser.whoami().await, serde_json::Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_inside_limits_the_app_and_no_login() {
    let site = inside(two_seconds);
    let slow = Fault::Latency(Duration::from_secs(3));
    site.qq.fault(Endpoint::Token, 1, slow);
    let mut browser = site.signed_in().await;
    let page = browser.get("/slow").await;
    assert_eq!(page.status, StatusCode::REQUEST_TIMEOUT);
}

// Sessions of the app.

/// Counts the requests that reach the app in a session of tower-sessions.
fn count(app: Router) -> Router {
    let count = async |session: tower_sessions::Session, request: Request, next: Next| {
        let count = session.get::<u64>("count").await.unwrap().unwrap_or(0) + 1;
        session.insert("count", count).await.unwrap();
        let mut response = next.run(request).await;
        response.headers_mut().insert("x-count", count.into());
        response
    };
    app.layer(middleware::from_fn(count))
}

#[tokio::test]
async fn sessions_of_tower_sessions_live_beside_those_of_the_layer_in_either_order() {
    let sessions = || SessionManagerLayer::new(MemoryStore::default());
    for (order, site) in [
        ("inside", inside(|app| count(app).layer(sessions()))),
        (
            "outside",
            site(|qq| count(app()).layer(qq).layer(sessions())),
        ),
    ] {
        let mut browser = site.browser();
        let names = |browser: &Browser| browser.jar.keys().cloned().collect::<Vec<_>>();
        let redirect = browser.get("/me").await;
        assert_eq!(names(&browser), ["id"], "{order}: {redirect:?}");

        let end = browser.sign_in(&site.qq, redirect.location()).await;
        assert_eq!(end.location(), "/me", "{order}");
        assert_eq!(names(&browser), [SESSION, "id"], "{order}");
        // The page sets both cookies: one session of the app goes on, one of the layer is renewed.
        site.clock.advance(Duration::from_secs(5 * 24 * 60 * 60));
        let page = browser.get("/me").await;
        assert_eq!(page.header("x-count"), "2", "{order}");
        assert!(page.body.contains("小明"), "{order}");
        let set = page.cookies();
        assert_eq!(set.len(), 2, "{order}: {set:?}");

        assert_eq!(browser.post("/auth/qq/logout").await.location(), "/");
        assert_eq!(names(&browser), ["id"], "{order}");
        let form = browser.post("/form").await;
        assert_eq!(form.status, StatusCode::UNAUTHORIZED, "{order}");
        assert_eq!(browser.get("/").await.header("x-count"), "4", "{order}");
    }
}

// A page for the app's own errors.

const SORRY: &str = "<h1>Sorry, try again</h1>";

fn error_page(app: Router) -> Router {
    let replace = async |response: Response| {
        let status = response.status();
        match status.is_server_error() {
            true => (status, Html(SORRY)).into_response(),
            false => response,
        }
    };
    app.layer(middleware::map_response(replace))
}

#[tokio::test]
async fn a_page_for_errors_of_the_app_replaces_no_answer_of_the_layer_in_either_order() {
    for (order, site) in [
        ("inside", inside(error_page)),
        ("outside", outside(error_page)),
    ] {
        let mut browser = site.browser();
        let broken = browser.get("/broken").await;
        assert_eq!(
            (broken.status.as_u16(), &*broken.body),
            (500, SORRY),
            "{order}"
        );
        for page in ["/me", "/inbox"] {
            let login = format!("/auth/qq/login?return_to={page}");
            assert_eq!(browser.get(page).await.location(), login, "{order}");
            let program = script(&site).get(page).await;
            program.assert_failed(401, "login_required");
        }
        for fault in [
            Fault::Status(StatusCode::BAD_GATEWAY),
            Fault::Status(StatusCode::SERVICE_UNAVAILABLE),
            Fault::Code(100_008),
            Fault::CutBody,
        ] {
            site.qq.fault(Endpoint::Token, 1, fault);
            let page = browser.sign_in(&site.qq, "/auth/qq/login").await;
            assert!(!page.status.is_success() && page.body != SORRY, "{page:?}");
            assert!(page.body.contains("/auth/qq/login"), "{order}: {page:?}");
        }
        let end = browser
            .sign_in(&site.qq, "/auth/qq/login?return_to=/me")
            .await;
        assert_eq!(end.location(), "/me", "{order}");
        assert_eq!(browser.get("/inbox").await.body, "inbox", "{order}");
    }
}
