//! What is counted about logins, by the feature `metrics`.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Arc, Mutex},
    task::Poll,
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit, with_local_recorder,
};
use tower_qq_auth::{
    OpenId, QqClient,
    mock::{Endpoint, Fault},
};

use crate::site::{Site, app, block_on};

type Numbers = Arc<Mutex<BTreeMap<String, f64>>>;

/// Sums by `name{label=value,…}`; of histograms, how much was recorded.
#[derive(Clone, Default)]
struct Sums(Numbers);

struct Sum(String, Numbers);

impl Sums {
    fn sum(&self, key: &Key) -> Arc<Sum> {
        let labels = key
            .labels()
            .map(|it| format!("{}={}", it.key(), it.value()));
        let mut labels: Vec<_> = labels.collect();
        labels.sort();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::new(Sum(name, self.0.clone()))
    }

    /// What this name has come to, by its labels.
    fn of(&self, name: &str) -> Vec<(String, f64)> {
        let sums = self.0.lock().unwrap();
        let labels = |key: &str| Some(key.strip_prefix(name)?.trim_matches(['{', '}']).into());
        let sums = sums.iter();
        sums.filter_map(|(key, sum)| Some((labels(key)?, *sum)))
            .collect()
    }

    #[track_caller]
    fn assert(&self, name: &str, expected: &[(&str, f64)]) {
        let found = self.of(name);
        let found: Vec<_> = found.iter().map(|(key, sum)| (&**key, *sum)).collect();
        assert_eq!(found, expected, "{name}");
    }
}

impl Sum {
    fn add(&self, value: f64) {
        *self.1.lock().unwrap().entry(self.0.clone()).or_default() += value;
    }
}

impl CounterFn for Sum {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }
    fn absolute(&self, _: u64) {
        panic!("counters only go up");
    }
}

impl GaugeFn for Sum {
    fn increment(&self, value: f64) {
        self.add(value);
    }
    fn decrement(&self, value: f64) {
        self.add(-value);
    }
    fn set(&self, _: f64) {
        panic!("many layers share one gauge");
    }
}

impl HistogramFn for Sum {
    fn record(&self, value: f64) {
        assert!((0.0..60.0).contains(&value), "{value} seconds");
        self.add(1.0);
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.sum(key).into()
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.sum(key).into()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.sum(key).into()
    }
}

/// All that is counted while this runs.
fn counted(test: impl AsyncFnOnce(&Sums)) -> Sums {
    let sums = Sums::default();
    with_local_recorder(&sums, || block_on(test(&sums)));
    sums
}

const LOGINS: &str = "qq_auth_logins_total";
const SECONDS: &str = "qq_auth_login_seconds";
const IN_FLIGHT: &str = "qq_auth_logins_in_flight";
const CALLS: &str = "qq_auth_qq_calls_total";

#[test]
fn logins_are_counted_by_what_came_of_them() {
    let sums = counted(async |sums| {
        let site = Site::new();
        let mut browser = site.browser().program();
        browser.get("/auth/qq/callback").await;
        sums.assert(IN_FLIGHT, &[]);
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
    sums.assert(LOGINS, &outcomes);
    sums.assert(SECONDS, &outcomes);
    sums.assert(IN_FLIGHT, &[("", 0.0)]);
}

#[test]
fn a_client_that_hangs_up_has_abandoned_its_login_and_is_in_flight_no_more() {
    counted(async |sums| {
        let site = Site::with(|app| app, |layer| layer.max_logins_in_flight(1).unwrap());
        let mut browser = site.browser().program();
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        site.qq.fault(Endpoint::Token, 1, Fault::Silence);
        {
            let mut login = Box::pin(browser.get(&callback));
            poll_fn(|cx| {
                assert!(login.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            assert_eq!(site.qq.calls(Endpoint::Token), 1);
            sums.assert(IN_FLIGHT, &[("", 1.0)]);
        }
        sums.assert(IN_FLIGHT, &[("", 0.0)]);
        let abandoned = [("outcome=abandoned", 1.0)];
        sums.assert(LOGINS, &abandoned);
        sums.assert(SECONDS, &abandoned);
        let next = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(next.location(), "/", "its place is free");
        sums.assert(LOGINS, &[("outcome=abandoned", 1.0), ("outcome=ok", 1.0)]);
    });
}

#[test]
fn calls_to_qq_are_counted_one_by_one_with_what_qq_said() {
    let sums = counted(async |_| {
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
        client.refresh("none such").await.unwrap_err();
        let openid = OpenId::new("SOMEBODY").unwrap();
        let api = client.open_api("/user/get_vip_info", "none", &openid, &[]);
        api.await.unwrap_err();
    });
    let calls = [
        ("endpoint=open_api,result=qq_unavailable", 1.0),
        ("endpoint=openid,result=ok", 1.0),
        ("endpoint=openid,result=qq_unavailable", 1.0),
        ("endpoint=profile,result=qq_unavailable", 2.0),
        ("endpoint=token,result=code_rejected", 2.0),
        ("endpoint=token,result=ok", 1.0),
        ("endpoint=token,result=qq_unavailable", 1.0),
    ];
    sums.assert(CALLS, &calls);
}

#[test]
fn cookies_of_an_old_key_are_counted_until_they_are_sealed_by_the_new_one() {
    use std::time::Duration;
    use tower_qq_auth::{QqAuthLayer, SessionKeys};

    let old = "8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6e8fa0c1e2d3f4a5b6c7d8e9fa0b1c2d3";
    let new = "00112233445566778899aabbccddeeff102132435465768798a9babbdcddedfe";
    let site = Site::new();
    let ring = |keys: &str| {
        let clock = site.clock.clone();
        let client = QqClient::with_service(app(), site.qq.clone());
        let keys = SessionKeys::parse(keys).unwrap();
        let layer = QqAuthLayer::with_client(client, keys);
        crate::site::pages().layer(layer.clock(move || clock.now()))
    };
    counted(async |sums| {
        let mut browser = site.browser();
        browser.router = ring(old);
        browser.sign_in(&site.qq, "/auth/qq/login").await;
        browser.router = ring(&format!("{new},{old}"));
        browser.get("/").await;
        browser.get("/").await;
        sums.assert("qq_auth_old_key_used_total", &[("", 2.0)]);
        site.clock.advance(Duration::from_secs(4 * 24 * 60 * 60));
        browser.get("/").await;
        sums.assert("qq_auth_old_key_used_total", &[("", 3.0)]);
        browser.get("/").await;
        sums.assert("qq_auth_old_key_used_total", &[("", 3.0)]);
        assert_eq!(browser.get("/me").await.status, 200);
    });
}
