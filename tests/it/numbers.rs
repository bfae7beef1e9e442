//! The metrics of the feature `metrics`.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit, with_local_recorder,
};
use tower_qq_auth::{
    OpenId, QqAuthLayer, QqClient, QqTokens, SessionKeys,
    mock::{Endpoint, Fault},
};

use crate::{
    load::now,
    phone,
    site::{SESSION, Site, app, block_on, pages},
};

type Values = Arc<Mutex<BTreeMap<String, f64>>>;

/// Totals by `name{label=value,…}`. The total of a histogram is its number of samples. A metric that
/// is not described, and a counter that does not start at zero, fail the test.
#[derive(Clone, Default)]
struct Totals {
    values: Values,
    /// The sums of the histograms.
    seconds: Values,
    described: Arc<Mutex<BTreeSet<String>>>,
}

struct Total {
    key: String,
    values: Values,
    seconds: Values,
}

impl Totals {
    fn describe(&self, name: &KeyName, unit: Option<Unit>, text: &SharedString) {
        assert!(text.ends_with('.'), "{text}");
        assert!(unit.is_some(), "{text}");
        self.described.lock().unwrap().insert(name.as_str().into());
    }

    fn total(&self, key: &Key) -> Arc<Total> {
        let described = self.described.lock().unwrap();
        assert!(described.contains(key.name()), "{key} is not described");
        let labels = key
            .labels()
            .map(|it| format!("{}={}", it.key(), it.value()));
        let mut labels: Vec<_> = labels.collect();
        labels.sort();
        Arc::new(Total {
            key: format!("{}{{{}}}", key.name(), labels.join(",")),
            values: self.values.clone(),
            seconds: self.seconds.clone(),
        })
    }

    #[track_caller]
    fn assert(&self, name: &str, expected: &[(&str, f64)]) {
        assert_eq!(by_labels(&self.values, name), labels(expected), "{name}");
    }

    #[track_caller]
    fn assert_seconds(&self, name: &str, expected: &[(&str, f64)]) {
        let seconds = by_labels(&self.seconds, name);
        let tenths = |(labels, seconds): (String, f64)| (labels, (seconds * 10.0).round() / 10.0);
        let seconds: Vec<_> = seconds.into_iter().map(tenths).collect();
        assert_eq!(seconds, labels(expected), "{name}");
    }
}

/// Returns the values of a metric by its labels, but for those of zero.
fn by_labels(values: &Values, name: &str) -> Vec<(String, f64)> {
    let values = values.lock().unwrap();
    let labels = |key: &str| Some(key.strip_prefix(name)?.trim_matches(['{', '}']).into());
    let values = values.iter().filter(|(_, value)| **value != 0.0);
    values
        .filter_map(|(key, value)| Some((labels(key)?, *value)))
        .collect()
}

fn labels(values: &[(&str, f64)]) -> Vec<(String, f64)> {
    let owned = |(labels, value): &(&str, f64)| ((*labels).to_owned(), *value);
    values.iter().map(owned).collect()
}

impl Total {
    fn add(&self, value: f64) {
        let mut values = self.values.lock().unwrap();
        *values.entry(self.key.clone()).or_default() += value;
    }
}

impl CounterFn for Total {
    fn increment(&self, value: u64) {
        let starts = self.values.lock().unwrap().contains_key(&self.key);
        assert!(starts || value == 0, "{} starts at {value}", self.key);
        self.add(value as f64);
    }
    fn absolute(&self, _: u64) {
        panic!("a counter is never set");
    }
}

impl GaugeFn for Total {
    fn increment(&self, value: f64) {
        self.add(value);
    }
    fn decrement(&self, value: f64) {
        self.add(-value);
    }
    fn set(&self, _: f64) {
        panic!("a gauge that many layers share is never set");
    }
}

impl HistogramFn for Total {
    fn record(&self, value: f64) {
        assert!((0.0..60.0).contains(&value), "{value} seconds");
        self.add(1.0);
        let mut seconds = self.seconds.lock().unwrap();
        *seconds.entry(self.key.clone()).or_default() += value;
    }
}

impl Recorder for Totals {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&name, unit, &text);
    }
    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&name, unit, &text);
    }
    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&name, unit, &text);
    }
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.total(key).into()
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.total(key).into()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.total(key).into()
    }
}

/// Runs the test and returns what it recorded.
fn record(test: impl AsyncFnOnce(&Totals)) -> Totals {
    let totals = Totals::default();
    with_local_recorder(&totals, || block_on(test(&totals)));
    totals
}

const LOGINS: &str = "qq_auth_logins_total";
const SECONDS: &str = "qq_auth_login_seconds";
const IN_FLIGHT: &str = "qq_auth_logins_in_flight";
const CALLS: &str = "qq_auth_qq_calls_total";

#[test]
fn logins_are_counted_by_outcome() {
    let totals = record(async |totals| {
        let site = Site::new();
        let mut browser = site.browser().program();
        browser.get("/auth/qq/callback").await;
        totals.assert(IN_FLIGHT, &[]);
        site.qq.fault(Endpoint::Token, 1, Fault::Code(100020));
        for _ in 0..3 {
            browser.sign_in(&site.qq, "/auth/qq/login").await;
        }
        browser.whoami().await;
    });
    let outcomes = [
        ("outcome=code_rejected", 1.0),
        ("outcome=invalid_state", 1.0),
        ("outcome=ok", 2.0),
    ];
    totals.assert(SECONDS, &outcomes);
    totals.assert(
        LOGINS,
        &[
            ("cause=no_state,outcome=invalid_state", 1.0),
            ("outcome=code_rejected", 1.0),
            ("outcome=ok", 2.0),
        ],
    );
    totals.assert("qq_auth_login_starts_total", &[("", 3.0)]);
    totals.assert(IN_FLIGHT, &[]);
}

#[test]
fn every_verification_is_counted_by_its_outcome() {
    const VERIFICATIONS: &str = "qq_auth_verifications_total";
    let totals = record(async |totals| {
        let site = phone::site();
        totals.assert(VERIFICATIONS, &[]);
        let log_in = async |token: &str| {
            phone::log_in_with(&mut site.browser().program(), token).await;
        };
        log_in(&phone::token(&site, phone::PHONE_APP, 0)).await;
        log_in(&phone::token(&site, phone::STRANGER, 0)).await;
        log_in("not one word").await;
        // All of them, unlike the lines of the log.
        for number in 0..100 {
            log_in(&format!("GARBAGE{number}")).await;
        }
        site.qq.fault(Endpoint::Me, 1, Fault::Code(100032));
        log_in("T0KEN").await;
        site.qq.fault(Endpoint::Me, 2, Fault::CutBody);
        log_in("T0KEN").await;
    });
    totals.assert(
        VERIFICATIONS,
        &[
            ("outcome=audience_mismatch", 1.0),
            ("outcome=code_rejected", 101.0),
            ("outcome=ok", 1.0),
            ("outcome=qq_busy", 1.0),
            ("outcome=qq_unavailable", 1.0),
        ],
    );
    // What `begin` starts is a login as any other.
    totals.assert(LOGINS, &[("outcome=ok", 1.0)]);
}

#[test]
fn a_login_that_no_request_fetches_is_counted_as_abandoned() {
    record(async |totals| {
        tokio::time::pause();
        let site = Site::with(|app| app, |layer| layer.max_logins_in_flight(1));
        let mut browser = site.browser().program();
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        let slow = Fault::Latency(Duration::from_secs(1));
        site.qq.fault(Endpoint::Token, 1, slow);
        assert!(now(pin!(browser.get(&callback))).is_none());
        totals.assert(IN_FLIGHT, &[("", 1.0)]);
        tokio::time::sleep(Duration::from_secs(2)).await;
        totals.assert(IN_FLIGHT, &[]);
        totals.assert(LOGINS, &[]);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let abandoned = [("outcome=abandoned", 1.0)];
        totals.assert(LOGINS, &abandoned);
        totals.assert(SECONDS, &abandoned);
        let next = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(next.location(), "/", "the slot is free again");
        totals.assert(LOGINS, &[("outcome=abandoned", 1.0), ("outcome=ok", 1.0)]);
    });
}

#[test]
fn session_cookies_that_no_key_opens_are_counted() {
    record(async |totals| {
        let site = Site::new();
        let mut browser = site.signed_in().await;
        browser.whoami().await;
        totals.assert("qq_auth_sessions_unreadable_total", &[]);
        browser.jar.insert(SESSION.into(), "A".repeat(200));
        for _ in 0..20 {
            assert_eq!(browser.whoami().await, serde_json::Value::Null);
        }
        totals.assert("qq_auth_sessions_unreadable_total", &[("", 20.0)]);
    });
}

#[test]
fn calls_to_qq_are_counted_by_step_and_result() {
    let totals = record(async |_| {
        let site = Site::new();
        let down = || Fault::Status(http::StatusCode::BAD_GATEWAY);
        let mut browser = site.browser();
        site.qq.fault(Endpoint::Token, 1, Fault::Code(100020));
        site.qq.fault(Endpoint::Token, 1, down());
        site.qq.ignore_need_openid(true);
        site.qq.fault(Endpoint::Me, 1, down());
        site.qq.fault(Endpoint::UserInfo, 2, down());
        for _ in 0..3 {
            browser.sign_in(&site.qq, "/auth/qq/login").await;
        }
        let client = QqClient::with_service(app(), site.qq.clone());
        let unknown = QqTokens::new("unknown", Some("unknown".into()), None);
        client.refresh(&unknown).await.unwrap_err();
        let openid = OpenId::new("OPENID").unwrap();
        let api = client.open_api("/user/get_vip_info", &unknown, &openid, &[]);
        api.await.unwrap_err();
    });
    let calls = [
        ("result=code_rejected,step=token", 2.0),
        ("result=ok,step=openid", 1.0),
        ("result=ok,step=token", 1.0),
        ("result=qq_unavailable,step=open_api", 1.0),
        ("result=qq_unavailable,step=openid", 1.0),
        ("result=qq_unavailable,step=profile", 2.0),
        ("result=qq_unavailable,step=token", 1.0),
    ];
    totals.assert(CALLS, &calls);
    let replies = [
        ("step=open_api", 1.0),
        ("step=openid", 2.0),
        ("step=profile", 2.0),
        ("step=token", 4.0),
    ];
    totals.assert("qq_auth_qq_call_seconds", &replies);
}

#[test]
fn the_time_of_a_call_to_qq_ends_with_its_reply() {
    let totals = record(async |_| {
        tokio::time::pause();
        let site = Site::new();
        let slow = Fault::Latency(Duration::from_millis(1_500));
        site.qq.fault(Endpoint::Token, 1, slow);
        site.qq.fault(Endpoint::UserInfo, 1, Fault::Silence);
        site.signed_in().await;
    });
    totals.assert_seconds(
        "qq_auth_qq_call_seconds",
        &[("step=profile", 5.0), ("step=token", 1.5)],
    );
}

#[test]
fn every_counter_is_at_zero_when_the_layer_is_built() {
    let totals = record(async |_| {
        Site::new();
    });
    let values = totals.values.lock().unwrap();
    assert!(values.values().all(|total| *total == 0.0), "{values:?}");
    for known in [
        "qq_auth_login_starts_total{}",
        "qq_auth_logins_in_flight{}",
        "qq_auth_logins_total{outcome=ok}",
        "qq_auth_logins_total{outcome=app_failed}",
        "qq_auth_logins_total{cause=forged,outcome=invalid_state}",
        "qq_auth_qq_calls_total{result=qq_timeout,step=token}",
        "qq_auth_sessions_unreadable_total{}",
        "qq_auth_old_key_used_total{}",
    ] {
        assert!(values.contains_key(known), "{known}: {values:?}");
    }
    let has_list = |key: &String| key.starts_with("qq_auth_revocation");
    assert!(
        !values.keys().any(has_list),
        "the site has no list: {values:?}"
    );
}

#[test]
fn cookies_under_an_old_key_are_counted_until_they_are_renewed() {
    let old = "52043fcb5b0cc662a9b2dba76c3ada8adf52a8151c479996942a95d8755e5c6c";
    let new = "0a14983ae332e8d89e40cc103202851adaf970b47f759202d22e1d1198cfa9bc";
    let site = Site::new();
    let router_with_keys = |keys: &str| {
        let clock = site.clock.clone();
        let client = QqClient::with_service(app(), site.qq.clone());
        let keys = SessionKeys::parse(keys).unwrap();
        let layer = QqAuthLayer::builder(client, keys).clock(move || clock.now());
        pages().layer(layer.build().unwrap())
    };
    record(async |totals| {
        let mut browser = site.browser();
        browser.router = router_with_keys(old);
        browser.sign_in(&site.qq, "/auth/qq/login").await;
        browser.router = router_with_keys(&format!("{new},{old}"));
        browser.get("/").await;
        browser.get("/").await;
        totals.assert("qq_auth_old_key_used_total", &[("", 2.0)]);
        site.clock.advance(Duration::from_secs(4 * 24 * 60 * 60));
        browser = browser.header("sec-fetch-mode", "navigate");
        browser.get("/").await;
        totals.assert("qq_auth_old_key_used_total", &[("", 3.0)]);
        browser.get("/").await;
        totals.assert("qq_auth_old_key_used_total", &[("", 3.0)]);
        assert_eq!(browser.get("/me").await.status, 200);

        // A robot with the cookie of a session that has ended must not keep the old key in use.
        let mut browser = site.browser();
        browser.router = router_with_keys(old);
        browser.sign_in(&site.qq, "/auth/qq/login").await;
        site.clock.advance(Duration::from_secs(8 * 24 * 60 * 60));
        browser.router = router_with_keys(&format!("{new},{old}"));
        assert_eq!(browser.whoami().await, serde_json::Value::Null);
        totals.assert("qq_auth_old_key_used_total", &[("", 3.0)]);
    });
}

#[cfg(feature = "revocation")]
#[test]
fn calls_of_the_revocation_list_and_sessions_without_an_answer_are_counted() {
    use crate::list::{Mode, TestList};

    const LIST_CALLS: &str = "qq_auth_revocation_calls_total";
    const UNCONFIRMED: &str = "qq_auth_sessions_unconfirmed_total";
    for accepts in [false, true] {
        record(async |totals| {
            tokio::time::pause();
            let list = TestList::new();
            let site = Site::with(
                |app| app,
                |layer| match accepts {
                    true => layer.revocations(list.clone()).accept_unverified_sessions(),
                    false => layer.revocations(list.clone()),
                },
            );
            let mut browser = site.signed_in().await;
            let logins = [("call=check,result=ok", 2.0)];
            totals.assert(LIST_CALLS, &logins);
            browser.whoami().await;
            totals.assert(LIST_CALLS, &logins);
            totals.assert(UNCONFIRMED, &[]);

            // Four requests: the first of each second asks the list.
            let mut ask = async || {
                for pause in [0, 0, 1, 0] {
                    tokio::time::advance(Duration::from_secs(pause)).await;
                    browser.whoami().await;
                }
            };
            list.set(Mode::Failing);
            tokio::time::advance(Duration::from_secs(10)).await;
            ask().await;
            let calls = [
                ("call=check,result=failed", 2.0),
                ("call=check,result=ok", 2.0),
            ];
            totals.assert(LIST_CALLS, &calls);
            totals.assert(UNCONFIRMED, &[("status=grace", 4.0)]);

            tokio::time::advance(Duration::from_secs(60)).await;
            ask().await;
            let calls = [
                ("call=check,result=failed", 4.0),
                ("call=check,result=ok", 2.0),
            ];
            totals.assert(LIST_CALLS, &calls);
            match accepts {
                true => {
                    let expected = [("status=accepted", 4.0), ("status=grace", 4.0)];
                    totals.assert(UNCONFIRMED, &expected);
                }
                false => {
                    let expected = [("status=grace", 4.0), ("status=unverified", 4.0)];
                    totals.assert(UNCONFIRMED, &expected);
                }
            }
            browser.post("/auth/qq/logout").await;
            list.set(Mode::Working);
            tokio::time::advance(Duration::from_secs(10)).await;
            let mut browser = site.signed_in().await;
            browser.post("/auth/qq/logout").await;
            let expected = [
                ("call=check,result=failed", 4.0),
                ("call=check,result=ok", 4.0),
                ("call=revoke,result=failed", 1.0),
                ("call=revoke,result=ok", 1.0),
            ];
            totals.assert(LIST_CALLS, &expected);
        });
    }
}
