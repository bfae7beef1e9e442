//! `on_login`: the app's own say in a login.

use std::{
    future::{pending, ready},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::Extension;
use http::{StatusCode, request::Parts};
use serde_json::Value;
use tokio::time::Instant;
use tower::BoxError;
use tower_qq_auth::{
    OpenId, QqLogin, QqTokens, QqUser, Verdict,
    mock::{Endpoint, Fault},
};

use crate::site::{LOGIN, Reply, SESSION, Site};

type Answer = Pin<Box<dyn Future<Output = Result<Verdict, BoxError>> + Send>>;
type Hook = fn(QqLogin, Parts) -> Answer;

/// A site whose hook always says the same.
fn saying(verdict: Verdict) -> Site {
    Site::with(
        |app| app,
        |layer| layer.on_login(move |_, _| ready(Ok::<_, BoxError>(verdict.clone()))),
    )
}

/// A site whose hook does this at the first login and allows all others; one login at a time.
fn at_first(hook: Hook) -> Site {
    let asked = AtomicUsize::new(0);
    let hook = move |login, head| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => hook(login, head),
        _ => Box::pin(ready(Ok(Verdict::Allow))) as Answer,
    };
    let layer = |layer: tower_qq_auth::QqAuthLayer| layer.max_logins_in_flight(1).unwrap();
    Site::with(|app| app, |it| layer(it).on_login(hook))
}

/// Fails unless all that it does to cookies is to take the login that is over away.
#[track_caller]
fn assert_only_consumed(reply: &Reply) {
    let [consumed] = reply.cookies()[..] else {
        panic!("{reply:?}")
    };
    assert!(consumed.starts_with(LOGIN), "{consumed}");
    assert!(consumed.ends_with("Max-Age=0"), "{consumed}");
}

#[derive(Clone)]
struct Note(&'static str);

#[tokio::test]
async fn the_hook_sees_the_login_the_request_and_who_was_signed_in_before() {
    let seen: Arc<Mutex<Vec<(QqLogin, Parts)>>> = Arc::default();
    let log = seen.clone();
    let site = Site::with(
        |app| app,
        |layer| {
            layer.on_login(move |login, head| {
                log.lock().unwrap().push((login, head));
                ready(Ok::<_, BoxError>(Verdict::Allow))
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
    let (first, _) = seen.lock().unwrap()[0].clone();
    browser.router = browser.router.layer(Extension(first));
    let login = "/auth/qq/login?return_to=/deep/page?x=%2525&intent=bind";
    browser.sign_in(&site.qq, login).await;

    let seen = seen.lock().unwrap();
    let person = &site.qq.people()[0];
    let (login, head) = &seen[1];
    assert_eq!(login.user().openid().as_str(), person.openid);
    assert_eq!(login.user().nickname(), person.nickname);
    assert_eq!(login.profile().unwrap()["city"], "深圳");
    assert!(!login.tokens().access_token().is_empty());
    assert!(login.tokens().refresh_token().is_some());
    let two_months = Duration::from_secs(60 * 24 * 60 * 60);
    assert_eq!(login.tokens().expires_in(), Some(two_months));
    assert_eq!(login.return_to(), "/deep/page?x=%25");
    assert_eq!(login.intent(), Some("bind"));
    assert_eq!(seen[0].0.return_to(), "/");
    assert_eq!(seen[0].0.intent(), None);

    assert_eq!(head.uri.path(), "/auth/qq/callback");
    assert_eq!(head.headers["x-note"], "kept");
    assert_eq!(
        head.extensions.get::<Note>().map(|note| note.0),
        Some("from outside")
    );
    let before = |head: &Parts| Some(head.extensions.get::<QqUser>()?.openid().to_string());
    assert_eq!(before(&seen[0].1), None, "a planted user is nobody");
    assert_eq!(before(head), Some(person.openid.clone()));
    assert!(head.extensions.get::<QqLogin>().is_none(), "planted");
    assert!(head.extensions.get::<QqTokens>().is_none(), "planted");
}

#[tokio::test]
async fn who_is_let_in_goes_where_the_hook_says_if_that_is_on_this_site() {
    let to = |path: &str| Verdict::AllowTo(path.into());
    let cases = [
        (Verdict::Allow, "/x"),
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
    for (verdict, end) in cases {
        let site = saying(verdict.clone());
        let mut browser = site.browser();
        let reply = browser
            .sign_in(&site.qq, "/auth/qq/login?return_to=/x")
            .await;
        assert_eq!(reply.location(), end, "{verdict:?}");
        assert_eq!(reply.cookies().len(), 2, "a session, and the login is over");
        assert_ne!(browser.whoami().await, Value::Null);
    }
}

#[tokio::test]
async fn who_is_refused_is_told_why_and_not_signed_in() {
    let reason = "<script>alert('封')</script> & \"closed\"";
    let site = saying(Verdict::Refuse(reason.into()));
    let mut browser = site.browser();
    let page = browser
        .sign_in(&site.qq, "/auth/qq/login?return_to=/x")
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let escaped = "&lt;script&gt;alert(&#39;封&#39;)&lt;/script&gt; &amp; &quot;closed&quot;";
    assert!(page.body.contains(escaped), "{}", page.body);
    assert!(!page.body.contains("<script"));
    assert!(page.body.contains("href=\"/auth/qq/login?return_to=/x\""));
    assert_only_consumed(&page);
    assert_eq!(browser.whoami().await, Value::Null);

    let mut program = site.browser().program();
    let reply = program.sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(403, "refused");
    assert_eq!(reply.problem()["detail"], reason);
    assert_only_consumed(&reply);
}

#[tokio::test]
async fn who_is_sent_elsewhere_is_not_signed_in_and_stays_on_the_site() {
    for (path, end) in [("/closed?why=1", "/closed?why=1"), ("//evil.example", "/")] {
        let site = saying(Verdict::RefuseTo(path.into()));
        let mut browser = site.browser();
        let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(reply.location(), end);
        assert_only_consumed(&reply);
        assert_eq!(browser.whoami().await, Value::Null);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_hook_hurts_one_login_and_nothing_else() {
    async fn yielded() {
        tokio::task::yield_now().await;
    }
    let broken: [(&str, Hook, (u16, &str)); 6] = [
        (
            "an error",
            |_, _| Box::pin(ready(Err("no database".into()))),
            (403, "refused"),
        ),
        (
            "a panic at once",
            |_, _| panic!("at once"),
            (403, "refused"),
        ),
        (
            "a panic in the future",
            |_, _| Box::pin(async { panic!("in the future") }),
            (403, "refused"),
        ),
        (
            "a panic later in the future",
            |_, _| {
                Box::pin(async {
                    yielded().await;
                    panic!("later")
                })
            },
            (403, "refused"),
        ),
        ("silence", |_, _| Box::pin(pending()), (504, "qq_timeout")),
        (
            "a yes that comes too late",
            |_, _| {
                Box::pin(async {
                    tokio::time::sleep(Duration::from_secs(10)).await;
                    yielded().await;
                    Ok(Verdict::Allow)
                })
            },
            (504, "qq_timeout"),
        ),
    ];
    for (what, hook, (status, code)) in broken {
        let site = at_first(hook);
        let mut browser = site.browser().program();
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        let reply = browser.get(&callback).await;
        reply.assert_failed(status, code);
        assert_only_consumed(&reply);
        assert!(!reply.body.contains("no database"), "{what}");
        assert_eq!(browser.whoami().await, Value::Null, "{what}");
        browser
            .get(&callback)
            .await
            .assert_failed(400, "invalid_state");
        assert_eq!(site.qq.calls(Endpoint::Token), 1, "{what}");

        let next = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(next.location(), "/", "its place is free after {what}");
        assert_ne!(browser.whoami().await, Value::Null, "{what}");
    }
}

/// An error whose own words panic.
#[derive(Debug)]
struct Unspeakable;

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("on purpose");
    }
}

impl std::error::Error for Unspeakable {}

#[tokio::test]
async fn an_error_that_panics_when_it_is_told_refuses_one_login_and_nothing_else() {
    let site = at_first(|_, _| Box::pin(ready(Err(Unspeakable.into()))));
    let mut browser = site.browser().program();
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(403, "refused");
    let next = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(next.location(), "/", "its place is free");
}

#[tokio::test]
async fn a_refused_login_leaves_who_was_signed_in_before_signed_in() {
    let asked = AtomicUsize::new(0);
    let site = Site::with(
        |app| app,
        |layer| {
            layer.on_login(move |_, _| {
                ready(match asked.fetch_add(1, Ordering::Relaxed) {
                    0 => Ok(Verdict::Allow),
                    1 => Ok(Verdict::Refuse("no".into())),
                    _ => Err("broken"),
                })
            })
        },
    );
    let mut browser = site.signed_in().await;
    let before = browser.jar[SESSION].clone();
    for _ in 0..2 {
        let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        assert_eq!(browser.jar[SESSION], before);
    }
}

#[tokio::test(start_paused = true)]
async fn the_hook_has_the_time_that_qq_leaves_of_the_login() {
    let site = at_first(|_, _| Box::pin(pending()));
    let slow = Fault::Latency(Duration::from_secs(4));
    site.qq.fault(Endpoint::Token, 1, slow);
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let start = Instant::now();
    let login = browser.get(&callback);
    let mut visitor = site.browser();
    let (reply, seen) = tokio::join!(login, async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        visitor.whoami().await
    });
    assert_eq!(seen, Value::Null, "others are served meanwhile");
    reply.assert_failed(504, "qq_timeout");
    let taken = start.elapsed().as_secs_f64();
    assert!((9.9..10.1).contains(&taken), "{taken} s");
}

#[tokio::test]
async fn the_hook_is_not_asked_about_logins_that_failed_before() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let site = Site::with(
        |app| app,
        |layer| {
            layer.on_login(move |_, _| {
                count.fetch_add(1, Ordering::Relaxed);
                ready(Ok::<_, BoxError>(Verdict::Allow))
            })
        },
    );
    let mut browser = site.browser().program();
    site.qq.fault(Endpoint::Token, 1, Fault::Code(100020));
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(400, "code_rejected");
    site.qq.reply(Endpoint::Token, "<html>");
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(502, "qq_unavailable");
    let stray = browser.get("/auth/qq/callback?code=A&state=B").await;
    stray.assert_failed(400, "invalid_state");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
