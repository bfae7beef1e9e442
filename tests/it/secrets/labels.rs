//! Metric names and labels.

use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::{
    canaries::{SECRETS, assert_hidden},
    matrix, phone,
};

/// Records every metric name with its labels.
#[derive(Default)]
struct Labels(Mutex<String>);

impl Labels {
    fn record(&self, key: &Key) {
        self.0.lock().unwrap().push_str(&format!("{key:?} {key}\n"));
    }
}

impl Recorder for Labels {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.record(key);
        Counter::noop()
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.record(key);
        Gauge::noop()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.record(key);
        Histogram::noop()
    }
}

#[tokio::test(start_paused = true)]
async fn no_metric_label_contains_a_secret() {
    let labels = Arc::new(Labels::default());
    let _guard = metrics::set_default_local_recorder(&*labels);
    matrix().await;
    phone::matrix().await;
    let labels = labels.0.lock().unwrap().clone();
    for known in [
        "qq_auth_logins_total",
        "qq_auth_qq_calls_total",
        "qq_auth_verifications_total",
        "misconfigured",
    ] {
        assert!(labels.contains(known), "{known}");
    }
    assert_hidden(&labels, SECRETS);
}
