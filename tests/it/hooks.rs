//! The `on_login` and `failure_page` hooks.

use std::{
    convert::Infallible,
    fmt,
    future::{pending, ready},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Extension,
    response::{Html, IntoResponse, Redirect},
};
use bytes::Bytes;
use http::{Response, StatusCode, request::Parts};
use http_body::{Body, Frame};
use serde_json::Value;
use tokio::{
    task::yield_now,
    time::{Instant, sleep},
};
use tower::BoxError;
use tower_qq_auth::{
    OpenId, QqLogin, QqTokens, QqUser, Verdict,
    mock::{Endpoint, Fault},
};

use crate::site::{LOGIN, Reply, SESSION, Site};

type HookFuture = Pin<Box<dyn Future<Output = Result<Verdict, BoxError>> + Send>>;
type Hook = fn(QqLogin, Parts) -> HookFuture;

/// A site whose hook always returns this verdict.
fn site_with_verdict(verdict: Verdict) -> Site {
    Site::with(
        |app| app,
        |layer| layer.on_login(move |_, _| ready(Ok(verdict.clone()))),
    )
}

/// A site that runs `hook` for its first login and allows all others, one login at a time.
fn site_with_first_hook(hook: Hook) -> Site {
    let logins = Arc::new(AtomicUsize::new(0));
    let hook = move |login, head| match logins.fetch_add(1, Ordering::Relaxed) {
        0 => hook(login, head),
        _ => Box::pin(ready(Ok(Verdict::allow()))) as HookFuture,
    };
    Site::with(
        |app| app,
        |layer| layer.max_logins_in_flight(1).on_login(hook),
    )
}

/// Asserts that the reply clears the login cookie and touches no other cookie.
#[track_caller]
fn assert_only_clears_login_cookie(reply: &Reply) {
    let [cookie] = reply.cookies()[..] else {
        panic!("{reply:?}")
    };
    assert!(cookie.starts_with(LOGIN), "{cookie}");
    assert!(cookie.ends_with("Max-Age=0"), "{cookie}");
}

#[derive(Clone)]
struct Note(&'static str);

#[tokio::test]
async fn the_hook_gets_the_login_the_request_and_the_previous_user() {
    let calls: Arc<Mutex<Vec<(QqLogin, Parts)>>> = Arc::default();
    let log = calls.clone();
    let site = Site::with(
        |app| app,
        |layer| {
            layer.on_login(move |login, head| {
                log.lock().unwrap().push((login, head));
                ready(Ok(Verdict::allow()))
            })
        },
    );
    let planted = QqUser::new(OpenId::new("PLANTED").unwrap());
    let mut browser = site
        .browser()
        .header("x-note", "kept")
        .header("sec-fetch-site", "same-origin");
    browser.router = browser
        .router
        .layer(Extension(planted))
        .layer(Extension(QqTokens::new("planted", None, None)))
        .layer(Extension(Note("from outside")));
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    let (first, _) = calls.lock().unwrap()[0].clone();
    browser.router = browser.router.layer(Extension(first));
    let login = "/auth/qq/login?return_to=/deep/page?x=%2525&intent=bind";
    browser.sign_in(&site.qq, login).await;

    let calls = calls.lock().unwrap();
    let person = &site.qq.people()[0];
    let (login, head) = &calls[1];
    assert_eq!(login.user().openid().as_str(), person.openid);
    assert_eq!(login.user().nickname(), person.nickname);
    assert_eq!(login.profile().unwrap()["city"], "深圳");
    assert!(!login.tokens().access_token().is_empty());
    assert!(login.tokens().refresh_token().is_some());
    let two_months = Duration::from_secs(60 * 24 * 60 * 60);
    assert_eq!(login.tokens().expires_in(), Some(two_months));
    assert_eq!(login.return_to(), "/deep/page?x=%25");
    assert_eq!(login.intent(), Some("bind"));
    assert_eq!(calls[0].0.return_to(), "/");
    assert_eq!(calls[0].0.intent(), None);

    assert_eq!(head.uri.path(), "/auth/qq/callback");
    assert_eq!(head.headers["x-note"], "kept");
    assert_eq!(
        head.extensions.get::<Note>().map(|note| note.0),
        Some("from outside")
    );
    let user_of = |head: &Parts| Some(head.extensions.get::<QqUser>()?.openid().to_string());
    assert_eq!(user_of(&calls[0].1), None, "a planted user is removed");
    assert_eq!(user_of(head), Some(person.openid.clone()));
    assert!(head.extensions.get::<QqLogin>().is_none(), "planted");
    assert!(head.extensions.get::<QqTokens>().is_none(), "planted");
}

#[tokio::test]
async fn an_allowed_login_redirects_within_the_site() {
    let to = |path: &str| Verdict::allow().redirect_to(path);
    let cases = [
        (Verdict::allow(), "/x"),
        (to("/welcome"), "/welcome"),
        (to("/welcome?first=1#top"), "/welcome?first=1#top"),
        (to("/欢迎"), "/%E6%AC%A2%E8%BF%8E"),
        (to("//evil.example"), "/"),
        (to("https://evil.example/"), "/"),
        (to("/\\evil.example"), "/"),
        (to("/a\r\nset-cookie: x=y"), "/"),
        (to("welcome"), "/"),
        (to(""), "/"),
        (to("/auth/qq/login"), "/"),
    ];
    for (verdict, location) in cases {
        let site = site_with_verdict(verdict.clone());
        let mut browser = site.browser();
        let reply = browser
            .sign_in(&site.qq, "/auth/qq/login?return_to=/x")
            .await;
        assert_eq!(reply.location(), location, "{verdict:?}");
        assert_eq!(
            reply.cookies().len(),
            2,
            "sets the session cookie and clears the login cookie"
        );
        assert_ne!(browser.whoami().await, Value::Null);
    }
}

#[tokio::test]
async fn a_refused_login_shows_the_reason_and_sets_no_session() {
    let reason = "<script>alert('封')</script> & \"closed\"";
    let site = site_with_verdict(Verdict::refuse(reason));
    let mut browser = site.browser();
    let page = browser
        .sign_in(&site.qq, "/auth/qq/login?return_to=/x")
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let escaped = "&lt;script&gt;alert(&#x27;封&#x27;)&lt;/script&gt; &amp; &quot;closed&quot;";
    assert!(page.body.contains(escaped), "{}", page.body);
    assert!(!page.body.contains("<script"));
    assert!(page.body.contains("href=\"/auth/qq/login?return_to=/x\""));
    assert_only_clears_login_cookie(&page);
    assert_eq!(browser.whoami().await, Value::Null);

    let mut program = site.browser().program();
    let reply = program.sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(403, "refused");
    assert_eq!(reply.problem()["detail"], reason);
    assert_only_clears_login_cookie(&reply);
}

#[tokio::test]
async fn a_refused_login_can_redirect_within_the_site() {
    for (path, location) in [("/closed?why=1", "/closed?why=1"), ("//evil.example", "/")] {
        let site = site_with_verdict(Verdict::refuse("closed").redirect_to(path));
        let mut browser = site.browser();
        let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(reply.location(), location);
        assert_only_clears_login_cookie(&reply);
        assert_eq!(browser.whoami().await, Value::Null);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_hook_fails_one_login_and_nothing_else() {
    let hooks: [(&str, Hook); 6] = [
        ("an error", |_, _| {
            Box::pin(ready(Err("no database".into())))
        }),
        ("a panic before the future exists", |_, _| panic!("at once")),
        ("a panic at the first poll", |_, _| {
            Box::pin(async { panic!("in the future") })
        }),
        ("a panic at a later poll", |_, _| {
            Box::pin(async {
                yield_now().await;
                panic!("later")
            })
        }),
        ("no answer", |_, _| Box::pin(pending())),
        ("an answer after the timeout", |_, _| {
            Box::pin(async {
                sleep(Duration::from_secs(10)).await;
                yield_now().await;
                Ok(Verdict::allow())
            })
        }),
    ];
    for (case, hook) in hooks {
        let site = site_with_first_hook(hook);
        let mut browser = site.browser().program();
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        let reply = browser.get(&callback).await;
        reply.assert_failed(424, "app_failed");
        assert_only_clears_login_cookie(&reply);
        assert!(!reply.body.contains("no database"), "{case}");
        assert_eq!(browser.whoami().await, Value::Null, "{case}");
        let again = browser.get(&callback).await;
        again.assert_failed(400, "invalid_state");
        assert_eq!(site.qq.calls(Endpoint::Token), 1, "{case}");

        let next = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(next.location(), "/", "the slot is free again after {case}");
        assert_ne!(browser.whoami().await, Value::Null, "{case}");
    }
}

/// An error whose `Display` panics.
#[derive(Debug)]
struct PanickingError;

impl fmt::Display for PanickingError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("on purpose");
    }
}

impl std::error::Error for PanickingError {}

#[tokio::test]
async fn a_hook_error_that_panics_in_display_fails_one_login() {
    let site = site_with_first_hook(|_, _| Box::pin(ready(Err(PanickingError.into()))));
    let mut browser = site.browser().program();
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(424, "app_failed");
    let next = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(next.location(), "/", "the slot is free again");
}

#[tokio::test]
async fn a_refused_login_leaves_the_previous_session_alone() {
    let logins = Arc::new(AtomicUsize::new(0));
    let site = Site::with(
        |app| app,
        |layer| {
            layer.on_login(move |_, _| {
                ready(match logins.fetch_add(1, Ordering::Relaxed) {
                    0 => Ok(Verdict::allow()),
                    1 => Ok(Verdict::refuse("no")),
                    _ => Err("broken".into()),
                })
            })
        },
    );
    let mut browser = site.signed_in().await;
    let before = browser.jar[SESSION].clone();
    for status in [StatusCode::FORBIDDEN, StatusCode::FAILED_DEPENDENCY] {
        let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(reply.status, status);
        assert_eq!(browser.jar[SESSION], before);
    }
}

#[tokio::test(start_paused = true)]
async fn the_hook_runs_within_the_rest_of_the_login_timeout() {
    let site = site_with_first_hook(|_, _| Box::pin(pending()));
    let slow = Fault::Latency(Duration::from_secs(4));
    site.qq.fault(Endpoint::Token, 1, slow);
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let start = Instant::now();
    let login = browser.get(&callback);
    let mut visitor = site.browser();
    let (reply, user) = tokio::join!(login, async {
        sleep(Duration::from_secs(7)).await;
        visitor.whoami().await
    });
    assert_eq!(user, Value::Null, "other requests are served meanwhile");
    reply.assert_failed(424, "app_failed");
    let elapsed = start.elapsed().as_secs_f64();
    assert!((9.9..10.1).contains(&elapsed), "{elapsed} s");
}

#[tokio::test]
async fn the_hook_is_not_called_for_a_login_that_failed_before_it() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let site = Site::with(
        |app| app,
        |layer| {
            layer.on_login(move |_, _| {
                count.fetch_add(1, Ordering::Relaxed);
                ready(Ok(Verdict::allow()))
            })
        },
    );
    let mut browser = site.browser().program();
    site.qq.fault(Endpoint::Token, 1, Fault::Code(100020));
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(400, "code_rejected");
    site.qq.reply(Endpoint::Token, "<html>");
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(424, "qq_unavailable");
    let stray = browser.get("/auth/qq/callback?code=A&state=B").await;
    stray.assert_failed(400, "invalid_state");
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

/// Stands for a connection pool: cheap to clone and used across an `.await`.
#[derive(Clone, Default)]
struct Pool {
    openids: Arc<Mutex<Vec<String>>>,
}

impl Pool {
    async fn insert(&self, login: &QqLogin) -> Result<(), fmt::Error> {
        yield_now().await;
        let openid = login.user().openid().to_string();
        self.openids.lock().unwrap().push(openid);
        yield_now().await;
        Ok(())
    }

    #[track_caller]
    fn assert_holds_logins(&self, logins: usize, site: &Site) {
        let openid = site.qq.people()[0].openid.clone();
        assert_eq!(*self.openids.lock().unwrap(), vec![openid; logins]);
    }
}

#[tokio::test]
async fn the_hook_can_be_an_async_closure() {
    let site = Site::with(
        |app| app,
        |layer| layer.on_login(async |_login, _head| Ok(Verdict::allow())),
    );
    for _ in 0..2 {
        assert_ne!(site.signed_in().await.whoami().await, Value::Null);
    }

    let site = Site::with(
        |app| app,
        |layer| {
            layer.on_login(async |login, head| {
                assert_eq!(head.uri.path(), "/auth/qq/callback");
                Ok(Verdict::refuse(login.user().nickname()))
            })
        },
    );
    let reply = site
        .browser()
        .program()
        .sign_in(&site.qq, "/auth/qq/login")
        .await;
    reply.assert_failed(403, "refused");
    assert_eq!(reply.problem()["detail"], site.qq.people()[0].nickname);
}

#[tokio::test]
async fn the_hook_can_be_an_async_move_closure_that_owns_a_pool() {
    let pool = Pool::default();
    let site = Site::with(|app| app, {
        let pool = pool.clone();
        |layer| {
            layer.on_login(async move |login, _head| {
                pool.insert(&login).await?;
                Ok(Verdict::allow().redirect_to("/welcome"))
            })
        }
    });
    for _ in 0..2 {
        let reply = site.browser().sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(reply.location(), "/welcome");
    }
    pool.assert_holds_logins(2, &site);
}

#[tokio::test]
async fn the_hook_can_be_a_closure_that_returns_an_async_block() {
    let pool = Pool::default();
    let site = Site::with(|app| app, {
        let pool = pool.clone();
        |layer| {
            layer.on_login(move |login, _| {
                let pool = pool.clone();
                async move {
                    pool.insert(&login).await?;
                    Ok(Verdict::allow().redirect_to("/welcome"))
                }
            })
        }
    });
    for _ in 0..2 {
        let reply = site.browser().sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(reply.location(), "/welcome");
    }
    pool.assert_holds_logins(2, &site);
}

#[tokio::test]
async fn the_hook_can_return_any_error_with_a_question_mark() {
    let site = Site::with(
        |app| app,
        |layer| {
            layer.on_login(async |login, _head| {
                let age: u8 = login.return_to().trim_start_matches('/').parse()?;
                Ok(match age {
                    18.. => Verdict::allow(),
                    _ => Verdict::refuse("too young"),
                })
            })
        },
    );
    let sign_in = async |return_to: &str| {
        let login = format!("/auth/qq/login?return_to={return_to}");
        site.browser().program().sign_in(&site.qq, &login).await
    };
    assert_eq!(sign_in("/18").await.location(), "/18");

    let refused = sign_in("/7").await;
    refused.assert_failed(403, "refused");
    assert_eq!(refused.problem()["detail"], "too young");

    let failed = sign_in("/x").await;
    failed.assert_failed(424, "app_failed");
    assert!(!failed.body.contains("digit"), "{}", failed.body);
}

#[tokio::test]
async fn the_failure_page_can_be_axums_html() {
    let site = Site::with(
        |app| app,
        |layer| layer.failure_page(|failure| Html(format!("<h1>{}</h1>", failure.title()))),
    );
    let page = site.browser().get("/auth/qq/callback").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert_eq!(page.body, "<h1>没有正在进行的登录</h1>");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(
        page.header("content-security-policy"),
        "frame-ancestors 'none'"
    );
}

#[tokio::test]
async fn the_failure_page_can_be_a_response_with_a_string() {
    let site = Site::with(
        |app| app,
        |layer| layer.failure_page(|failure| Response::new(failure.code().to_owned())),
    );
    let page = site.browser().get("/auth/qq/callback").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert_eq!(page.body, "invalid_state");
    assert_eq!(page.header("cache-control"), "no-store");
}

/// A body that is pending at its first poll, then has data, then ends.
#[derive(Default)]
struct StreamingBody {
    polls: usize,
}

impl Body for StreamingBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.polls += 1;
        match self.polls {
            1 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            2 => Poll::Ready(Some(Ok(Frame::data("streamed".into())))),
            _ => Poll::Ready(None),
        }
    }
}

#[tokio::test]
async fn a_failure_page_that_streams_is_replaced_by_the_default_page() {
    let site = Site::with(
        |app| app,
        |layer| {
            layer.failure_page(|_| {
                let body = axum::body::Body::new(StreamingBody::default());
                ([("x-page", "streamed")], body).into_response()
            })
        },
    );
    let page = site.browser().get("/auth/qq/callback").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.body.contains("没有正在进行的登录"), "{}", page.body);
    assert!(!page.body.contains("streamed"), "{}", page.body);
    assert!(!page.headers.contains_key("x-page"));
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'")
    );
}

#[tokio::test]
async fn a_failure_page_that_redirects_is_replaced_by_the_default_page() {
    let site = Site::with(
        |app| app,
        |layer| layer.failure_page(|_| Redirect::to("/sorry")),
    );
    let page = site.browser().get("/auth/qq/callback").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.body.contains("没有正在进行的登录"), "{}", page.body);
    assert!(!page.headers.contains_key("location"));
}
