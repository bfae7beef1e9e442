//! The log event of a login that ended.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    future::pending,
    pin::pin,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{sleep, timeout};
use tower_qq_auth::{
    QqLogin, Verdict,
    mock::{Endpoint, Fault},
};
use tracing::{
    Dispatch, Event, Instrument, Level, Subscriber, field::Field, subscriber::DefaultGuard,
};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry,
};

use crate::{
    load::now,
    log::Log,
    site::{Browser, Reply, Site, path},
};

type Fields = BTreeMap<&'static str, String>;

/// Collects the events of ended logins in this thread.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<(Level, Fields)>>>);

impl Events {
    fn start() -> (Self, DefaultGuard) {
        // With only one subscriber alive, tracing disables a callsite for good if a thread without
        // a subscriber reaches it first.
        static OTHER: LazyLock<Dispatch> =
            LazyLock::new(|| registry().with(Events::default()).into());
        LazyLock::force(&OTHER);
        let events = Self::default();
        let subscriber = registry().with(events.clone());
        (events, tracing::subscriber::set_default(subscriber))
    }

    fn take(&self) -> Vec<(Level, Fields)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Visit(Fields);
        impl tracing::field::Visit for Visit {
            fn record_str(&mut self, field: &Field, value: &str) {
                self.0.insert(field.name(), value.to_owned());
            }
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.0.insert(field.name(), format!("{value:?}"));
            }
        }
        let mut visit = Visit(Fields::new());
        event.record(&mut visit);
        let Visit(fields) = visit;
        let is_login = fields
            .get("message")
            .is_some_and(|it| it.starts_with("login ended"));
        if is_login && event.metadata().target().starts_with("tower_qq_auth") {
            self.0
                .lock()
                .unwrap()
                .push((*event.metadata().level(), fields));
        }
    }
}

/// Asserts that there is exactly this event, and that the page shows its support code.
#[track_caller]
fn assert_logged(
    events: &Events,
    reply: &Reply,
    (level, outcome): (Level, &str),
    (step, qq_code): (Option<&str>, Option<&str>),
) {
    let logged = events.take();
    let [(logged_level, fields)] = &logged[..] else {
        panic!("{logged:?}")
    };
    let field = |name| fields.get(name).map(String::as_str);
    assert_eq!((*logged_level, field("outcome")), (level, Some(outcome)));
    assert_eq!(
        (field("step"), field("qq_code")),
        (step, qq_code),
        "{outcome}"
    );
    let elapsed: u64 = field("elapsed_ms").unwrap().parse().unwrap();
    assert!(elapsed < 60_000, "{elapsed} ms");
    if reply.status.is_redirection() {
        assert_eq!(field("support_code"), None, "no page shows a support code");
    } else {
        let problem = reply.problem();
        assert_eq!(field("support_code"), problem["support_code"].as_str());
        assert!(field("support_code").is_some());
    }
}

#[tokio::test]
async fn each_login_logs_one_event_with_the_support_code_of_its_page() {
    let (events, _guard) = Events::start();
    let site = Site::new();
    let none = (None, None);
    let mut browser = site.browser().program();
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_logged(&events, &reply, (Level::INFO, "ok"), none);
    browser.whoami().await;
    browser.get("/auth/qq/callback").await;
    browser.post("/auth/qq/logout").await;
    assert_eq!(events.take(), [], "no login ended");

    let faults = [
        (
            Fault::Code(100020),
            Level::WARN,
            "code_rejected",
            Some("100020"),
        ),
        (
            Fault::Code(100009),
            Level::ERROR,
            "misconfigured",
            Some("100009"),
        ),
        (Fault::Code(100032), Level::WARN, "qq_busy", Some("100032")),
        (
            Fault::Status(http::StatusCode::BAD_GATEWAY),
            Level::WARN,
            "qq_unavailable",
            None,
        ),
    ];
    for (fault, level, outcome, qq_code) in faults {
        site.qq.fault(Endpoint::Token, 1, fault);
        let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_logged(&events, &reply, (level, outcome), (Some("token"), qq_code));
    }
    let reply = browser.get("/auth/qq/callback?code=A&state=B").await;
    assert_logged(&events, &reply, (Level::INFO, "invalid_state"), none);
    let mut page = browser.clone().header("accept", "text/html");
    let start = page.get("/auth/qq/login").await;
    browser.jar = page.jar;
    let cancelled = site.qq.cancel(start.location()).unwrap();
    let reply = browser.get(&path(&cancelled)).await;
    assert_logged(&events, &reply, (Level::INFO, "cancelled"), none);
    // Without a profile the login still succeeds and logs only one event.
    site.qq.fault(Endpoint::UserInfo, 1, Fault::Code(-23));
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_logged(&events, &reply, (Level::INFO, "ok"), none);
}

#[tokio::test]
async fn a_decision_of_the_hook_logs_one_event() {
    let (events, _guard) = Events::start();
    let (info, error) = (Level::INFO, Level::ERROR);
    let elsewhere = Verdict::allow().redirect_to("//evil.example");
    let closed = Verdict::refuse("no").redirect_to("/closed");
    let cases = [
        (Ok(Verdict::allow()), (info, "ok")),
        (Ok(elsewhere), (info, "ok")),
        (Ok(Verdict::refuse("no")), (info, "refused")),
        (Ok(closed), (info, "refused")),
        (Err("broken"), (error, "app_failed")),
    ];
    for (verdict, expected) in cases {
        let site = Site::with(
            |app| app,
            |layer| layer.on_login(async move |_, _| Ok(verdict?)),
        );
        let mut browser = site.browser().program();
        let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_logged(&events, &reply, expected, (None, None));
    }
}

/// Asserts that a login whose client leaves logs nothing until its outcome is dropped, and then one
/// `abandoned` event with this result.
async fn assert_abandoned(events: &Events, site: &Site, browser: &mut Browser, result: &str) {
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    events.take();
    assert!(now(pin!(browser.get(&callback))).is_none(), "{result}");
    sleep(Duration::from_secs(10)).await;
    assert_eq!(events.take(), [], "{result}: a request may still fetch it");
    sleep(Duration::from_secs(11)).await;
    let logged = events.take();
    let [(Level::INFO, fields)] = &logged[..] else {
        panic!("{result}: {logged:?}")
    };
    assert_eq!(fields["outcome"], "abandoned", "{result}");
    assert!(fields["message"].contains(result), "{}", fields["message"]);
    assert!(fields.contains_key("elapsed_ms"), "{result}");
}

/// Asserts that the next login logs one `ok` event.
async fn assert_next_login_is_ok(events: &Events, site: &Site, step: &str) {
    site.signed_in().await;
    let logged = events.take();
    assert_eq!(logged.len(), 1, "{step}: {logged:?}");
    assert_eq!(logged[0].1["outcome"], "ok", "{step}");
}

#[tokio::test(start_paused = true)]
async fn a_login_whose_outcome_no_request_fetches_logs_one_abandoned_event() {
    let (events, _guard) = Events::start();
    for (step, result) in [
        ("none", "ok"),
        ("token", "qq_timeout at token"),
        ("hook", "app_failed"),
    ] {
        let hangs = Arc::new(AtomicBool::new(step == "hook"));
        let hook_hangs = Arc::clone(&hangs);
        let site = Site::with(
            |app| app,
            |layer| {
                layer.on_login(async move |_, _| {
                    if hook_hangs.load(Relaxed) {
                        pending::<()>().await;
                    }
                    Ok(Verdict::allow())
                })
            },
        );
        site.qq.fault(
            Endpoint::Token,
            1,
            match step {
                "token" => Fault::Silence,
                _ => Fault::Latency(Duration::from_secs(1)),
            },
        );
        assert_abandoned(&events, &site, &mut site.browser(), result).await;
        hangs.store(false, Relaxed);
        assert_next_login_is_ok(&events, &site, step).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_runs_in_the_span_of_its_request() {
    let spans = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&spans);
    let hook = async move |_: QqLogin, _: http::request::Parts| {
        let span = tracing::Span::current();
        let name = span.metadata().map(|metadata| metadata.name());
        seen.lock().unwrap().push(name);
        Ok(Verdict::allow())
    };
    let (_events, _guard) = Events::start();
    let site = Site::with(|app| app, |layer| layer.on_login(hook));
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let span = tracing::info_span!("request");
    browser.get(&callback).instrument(span).await;
    assert_eq!(*spans.lock().unwrap(), [Some("request")]);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_a_reload_fetches_logs_its_own_outcome() {
    let (events, _guard) = Events::start();
    let site = Site::new();
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let slow = Fault::Latency(Duration::from_secs(1));
    site.qq.fault(Endpoint::Token, 1, slow);
    assert!(now(pin!(browser.clone().get(&callback))).is_none());
    assert_eq!(browser.get(&callback).await.location(), "/");
    sleep(Duration::from_secs(60)).await;
    let logged = events.take();
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_eq!(logged[0].1["outcome"], "ok");
}

#[cfg(feature = "revocation")]
mod with_a_revocation_list {
    use std::time::SystemTime;

    use tower::BoxError;
    use tower_qq_auth::revocation::{RevocationList, Subject};

    use super::*;

    /// A list whose `raise_cutoff` never ends.
    struct HangingList;

    impl RevocationList for HangingList {
        async fn latest_cutoff(&self, _: Subject) -> Result<Option<SystemTime>, BoxError> {
            Ok(None)
        }

        async fn raise_cutoff(
            &self,
            _: Subject,
            _: SystemTime,
            _: Duration,
        ) -> Result<SystemTime, BoxError> {
            pending().await
        }

        async fn raise_user_cutoff(
            &self,
            _: Subject,
            _: SystemTime,
            _: SystemTime,
            _: Duration,
        ) -> Result<Option<SystemTime>, BoxError> {
            pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_whose_client_leaves_during_a_revocation_is_abandoned() {
        let (events, _guard) = Events::start();
        let site = Site::with(|app| app, |layer| layer.revocations(HangingList));
        site.qq.ignore_need_openid(true);
        // The login first revokes the session that it replaces.
        let mut browser = site.signed_in().await;
        assert_abandoned(&events, &site, &mut browser, "ok").await;
        assert_next_login_is_ok(&events, &site, "list").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_forwarded_login_is_not_abandoned_if_the_client_leaves_the_app() {
    let (events, _guard) = Events::start();
    let callback_page = |_: &_| {
        let page = axum::routing::get(async || pending::<()>().await);
        axum::Router::new().route("/auth/qq/callback", page)
    };
    let site = Site::with_pages(callback_page, |layer| layer.forward_callback());
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let request = browser.get(&callback);
    assert!(timeout(Duration::from_secs(1), request).await.is_err());
    sleep(Duration::from_secs(60)).await;
    let logged = events.take();
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_eq!(logged[0].1["outcome"], "ok");
}

/// Sends the callback and asserts that it logs one `invalid_state` with this cause.
async fn assert_cause(
    events: &Events,
    mut browser: Browser,
    callback: &str,
    cause: &str,
) -> Fields {
    let reply = browser.get(callback).await;
    reply.assert_failed(400, "invalid_state");
    let logged = events.take();
    let [(Level::INFO, fields)] = &logged[..] else {
        panic!("{cause}: {logged:?}")
    };
    assert_eq!(fields["outcome"], "invalid_state");
    assert_eq!(fields["cause"], cause);
    fields.clone()
}

#[tokio::test(start_paused = true)]
async fn an_invalid_state_names_its_cause() {
    let (events, _guard) = Events::start();
    let site = Site::new();
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let name = browser.jar.keys().next().unwrap().clone();

    let no_state = "/auth/qq/callback?code=A";
    assert_cause(&events, browser.clone(), no_state, "no_state").await;
    let no_cookie = site.browser().program();
    assert_cause(&events, no_cookie, &callback, "no_cookie").await;
    let state = crate::site::param(&callback, "state");
    let forged = callback.replace(state, &format!("{}{}", &state[..1], "A".repeat(22)));
    assert_cause(&events, browser.clone(), &forged, "forged").await;
    let malformed = callback.replace(state, "A");
    assert_cause(&events, browser.clone(), &malformed, "forged").await;
    let repeated = format!("{callback}&state=B");
    assert_cause(&events, browser.clone(), &repeated, "forged").await;
    let mut unknown_key = browser.clone();
    unknown_key.jar.insert(name, "A".repeat(120));
    assert_cause(&events, unknown_key, &callback, "unknown_key").await;

    browser.clone().get(&callback).await;
    events.take();
    sleep(Duration::from_secs(11)).await;
    assert_cause(&events, browser.clone(), &callback, "used").await;
    site.clock.advance(Duration::from_secs(601));
    assert_cause(&events, browser, &callback, "expired").await;
}

#[tokio::test]
async fn a_host_that_is_not_the_sites_is_in_the_log_alone() {
    let (events, _guard) = Events::start();
    let site = Site::new();
    let callback = site
        .browser()
        .callback_from(&site.qq, "/auth/qq/login")
        .await;
    let at = |host: &[u8]| {
        let mut browser = site.browser().program();
        let host = http::HeaderValue::from_bytes(host).unwrap();
        browser.headers.insert("host", host);
        browser
    };
    for host in ["site.example", "SITE.example", "site.example:443"] {
        let fields = assert_cause(&events, at(host.as_bytes()), &callback, "no_cookie").await;
        assert!(!fields.contains_key("host"), "{host}");
    }
    let fields = assert_cause(&events, at(b"example"), &callback, "other_host").await;
    assert_eq!(fields["host"], "example");
    let odd = [b"evil\xFF\"".as_slice(), &[b'a'; 500]].concat();
    let fields = assert_cause(&events, at(&odd), &callback, "other_host").await;
    assert!(
        fields["host"].starts_with(r#"evil\xff\""#),
        "{}",
        fields["host"]
    );
    assert_eq!(fields["host"].len(), 100);

    let page = |host: &[u8]| {
        let mut browser = at(host).header("accept", "text/html");
        let callback = callback.clone();
        async move { browser.get(&callback).await.body }
    };
    let (own, other) = (page(b"site.example").await, page(b"other.example").await);
    let without_code = |page: &str| page.split("<code>").next().unwrap().to_owned();
    assert_eq!(without_code(&own), without_code(&other));
}

#[tokio::test]
async fn a_flood_of_forged_callbacks_writes_a_few_lines_and_counts_the_rest() {
    let (events, _guard) = Events::start();
    let site = Site::new();
    let mut stranger = site.browser().program();
    let forged = "/auth/qq/callback?code=A&state=B";
    let start = std::time::Instant::now();
    let mut sent = 0_usize;
    // The limit is for a second of the real clock, so the test runs across its end.
    while start.elapsed() < Duration::from_millis(1_100) {
        stranger.get(forged).await;
        sent += 1;
    }
    let logged = events.take();
    assert!((6..=10).contains(&logged.len()), "{} lines", logged.len());
    let left_out: usize = logged
        .iter()
        .filter_map(|(_, fields)| fields.get("left_out"))
        .map(|count| count.parse::<usize>().unwrap())
        .sum();
    assert!(
        left_out > 0 && left_out + logged.len() <= sent,
        "{left_out} of {sent}"
    );

    // A kind of its own, and a login with its cookie, are not left out.
    stranger.get("/auth/qq/callback?code=A").await;
    assert_eq!(events.take()[0].1["cause"], "no_state");
    site.signed_in().await;
    assert_eq!(events.take()[0].1["outcome"], "ok");
}

#[tokio::test]
async fn a_login_that_starts_at_another_host_is_in_the_log() {
    for (host, is_logged) in [
        ("site.example", false),
        ("SITE.example:443", false),
        ("localhost:3000", true),
    ] {
        let log = Log::start();
        let site = Site::new();
        let mut browser = site.browser().header("host", host);
        let start = browser.get("/auth/qq/login").await;
        assert_eq!(start.status, 303);
        let text = log.text();
        assert_eq!(
            text.contains("a login starts at another host"),
            is_logged,
            "{host}: {text}"
        );
        assert_eq!(text.contains("localhost:3000"), is_logged);
    }
}
