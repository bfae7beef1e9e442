//! What the operator is told: one event for each login that ended.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    future::pending,
    pin::pin,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tower::BoxError;
use tower_qq_auth::{
    Answer, LookUp, Revocation, RevocationList, SessionIds, Verdict,
    mock::{Endpoint, Fault},
};
use tracing::{Dispatch, Event, Level, Subscriber, field::Field, subscriber::DefaultGuard};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry,
};

use crate::{
    load::now,
    site::{Reply, Site, path},
};

type Fields = BTreeMap<&'static str, String>;

/// The events of this thread that say that a login ended.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<(Level, Fields)>>>);

impl Events {
    fn start() -> (Self, DefaultGuard) {
        // With two subscribers alive, an event that happens first in a thread without one is not switched off.
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
        let ended = fields
            .get("message")
            .is_some_and(|it| it.starts_with("login ended"));
        if ended && event.metadata().target().starts_with("tower_qq_auth") {
            self.0
                .lock()
                .unwrap()
                .push((*event.metadata().level(), fields));
        }
    }
}

/// Fails unless exactly this was told, and the page shows the same code.
#[track_caller]
fn assert_told(
    events: &Events,
    reply: &Reply,
    (level, outcome): (Level, &str),
    (hop, qq_code): (Option<&str>, Option<&str>),
) {
    let told = events.take();
    let [(told_level, fields)] = &told[..] else {
        panic!("{told:?}")
    };
    let field = |name| fields.get(name).map(String::as_str);
    assert_eq!((*told_level, field("outcome")), (level, Some(outcome)));
    assert_eq!(
        (field("hop"), field("qq_code")),
        (hop, qq_code),
        "{outcome}"
    );
    let elapsed: u64 = field("elapsed_ms").unwrap().parse().unwrap();
    assert!(elapsed < 60_000, "{elapsed} ms");
    if reply.status.is_redirection() {
        assert_eq!(field("support_code"), None, "no page shows it");
    } else {
        let problem = reply.problem();
        assert_eq!(field("support_code"), problem["support_code"].as_str());
        assert!(field("support_code").is_some());
    }
}

#[tokio::test]
async fn each_login_that_ended_is_told_once_under_the_code_of_its_page() {
    let (events, _guard) = Events::start();
    let site = Site::new();
    let none = (None, None);
    let mut browser = site.browser().program();
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_told(&events, &reply, (Level::INFO, "ok"), none);
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
        assert_told(&events, &reply, (level, outcome), (Some("token"), qq_code));
    }
    let reply = browser.get("/auth/qq/callback?code=A&state=B").await;
    assert_told(&events, &reply, (Level::INFO, "invalid_state"), none);
    let mut person = browser.clone().header("accept", "text/html");
    let start = person.get("/auth/qq/login").await;
    browser.jar = person.jar;
    let cancelled = site.qq.cancel(start.location()).unwrap();
    let reply = browser.get(&path(&cancelled)).await;
    assert_told(&events, &reply, (Level::INFO, "cancelled"), none);
    // Without a profile the login still succeeds: one event, not two.
    site.qq.fault(Endpoint::UserInfo, 1, Fault::Code(-23));
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_told(&events, &reply, (Level::INFO, "ok"), none);
}

#[tokio::test]
async fn what_the_app_decides_is_told_once_as_well() {
    let (events, _guard) = Events::start();
    let cases = [
        (Ok(Verdict::Allow), "ok"),
        (Ok(Verdict::AllowTo("//evil.example".into())), "ok"),
        (Ok(Verdict::Refuse("no".into())), "refused"),
        (Ok(Verdict::RefuseTo("/closed".into())), "refused"),
        (Err("broken"), "refused"),
    ];
    for (verdict, outcome) in cases {
        let site = Site::with(
            |app| app,
            |layer| {
                layer.on_login(move |_, _| {
                    let verdict = verdict.clone().map_err(BoxError::from);
                    std::future::ready(verdict)
                })
            },
        );
        let mut browser = site.browser().program();
        let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_told(&events, &reply, (Level::INFO, outcome), (None, None));
    }
}

/// A list that takes no entry and never says so.
struct Mute;

impl RevocationList for Mute {
    fn look_up(&self, _: SessionIds) -> LookUp {
        LookUp::Known(None)
    }

    fn revoke(&self, _: Revocation) -> Answer<()> {
        Box::pin(pending())
    }
}

#[tokio::test]
async fn a_login_whose_client_leaves_is_told_once_as_abandoned() {
    let (events, _guard) = Events::start();
    for hop in ["token", "openid", "profile", "hook", "list"] {
        let hangs = Arc::new(AtomicBool::new(hop == "hook"));
        let hanging = Arc::clone(&hangs);
        let hook = move |_, _| {
            let hangs = hanging.load(Relaxed);
            async move {
                if hangs {
                    pending::<()>().await;
                }
                Ok::<_, BoxError>(Verdict::Allow)
            }
        };
        let site = Site::with(|app| app, |layer| layer.on_login(hook).revocations(Mute));
        site.qq.ignore_need_openid(true);
        let silence = |endpoint| {
            site.qq.fault(endpoint, 1, Fault::Silence);
        };
        let mut browser = site.browser();
        match hop {
            "token" => silence(Endpoint::Token),
            "openid" => silence(Endpoint::Me),
            "profile" => silence(Endpoint::UserInfo),
            // A session that the new one takes the place of is revoked first.
            "list" => browser = site.signed_in().await,
            _ => {}
        }
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        events.take();
        {
            let mut login = pin!(browser.get(&callback));
            assert!(now(login.as_mut()).is_none(), "{hop}");
            assert_eq!(events.take(), [], "{hop}: it may still end well");
        }
        let told = events.take();
        let [(Level::INFO, fields)] = &told[..] else {
            panic!("{hop}: {told:?}")
        };
        assert_eq!(fields["outcome"], "abandoned", "{hop}");
        assert!(fields.contains_key("elapsed_ms"), "{hop}");

        hangs.store(false, Relaxed);
        site.signed_in().await;
        let told = events.take();
        assert_eq!(told.len(), 1, "{hop}: {told:?}");
        assert_eq!(told[0].1["outcome"], "ok", "{hop}");
    }
}

#[tokio::test]
async fn a_login_that_the_app_answers_is_not_abandoned_when_its_client_leaves_the_app() {
    let (events, _guard) = Events::start();
    let callback_page = |_: &_| {
        let page = axum::routing::get(async || pending::<()>().await);
        axum::Router::new().route("/auth/qq/callback", page)
    };
    let site = Site::with_pages(callback_page, |layer| layer.forward_callback());
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    assert!(now(pin!(browser.get(&callback))).is_none());
    let told = events.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].1["outcome"], "ok");
}
