//! The alert rules in `docs/deploy`, by promtool and by a running Prometheus that scrapes the
//! example `observability`.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Stdio};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

use crate::examples::{observability::Observed, sign_in};
use crate::process::{browser, installed, replace};
use crate::redis::server::eventually;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/deploy");
const RULES: &str = include_str!("../../docs/deploy/alerts.yml");
const CONFIGURATION: &str = include_str!("../../docs/deploy/prometheus.yml");

#[tokio::test]
async fn each_alert_fires_and_stays_silent_as_it_should() {
    let Some(promtool) = installed("promtool", "prometheus") else {
        return;
    };
    for arguments in [
        &["check", "rules", "alerts.yml"][..],
        &["check", "config", "prometheus.yml"],
        &["test", "rules", "alerts.test.yml", "alerts.keys.test.yml"],
    ] {
        let mut command = Command::new(&promtool);
        let output = command.args(arguments).current_dir(FOLDER).output();
        let output = output.await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn each_alert_has_a_test_that_lets_it_fire() {
    let tests = ["alerts.test.yml", "alerts.keys.test.yml"];
    let tests = tests.map(|file| fs::read_to_string(format!("{FOLDER}/{file}")).unwrap());
    let alerts: Vec<_> = RULES.split("- alert: ").skip(1).collect();
    assert!(!alerts.is_empty());
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        let fires = format!("alertname=\"{name}\"");
        assert!(tests.concat().contains(&fires), "{name}");
    }
}

/// Returns the names of metrics, and the matchers of labels as their name and the start of each
/// value.
fn names_and_labels(rules: &str) -> (BTreeSet<&str>, BTreeSet<String>) {
    // `up` is Prometheus's own.
    let is_own = |line: &&str| !line.trim().starts_with('#') && !line.contains("up{");
    let rules = rules.lines().filter(is_own);
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let (mut names, mut labels) = (BTreeSet::new(), BTreeSet::new());
    for line in rules {
        let words = line.split(|char| !is_name(char));
        names.extend(words.filter(|word| word.starts_with("qq_auth_")));
        for operator in ["=\"", "=~\"", "!~\""] {
            for (at, _) in line.match_indices(operator) {
                let name = line[..at].rsplit(|char| !is_name(char)).next().unwrap();
                let values = line[at + operator.len()..].split('"').next().unwrap();
                for value in values.split('|') {
                    labels.insert(match value.strip_suffix(".*") {
                        Some(start) => format!("{name}=\"{start}"),
                        None => format!("{name}=\"{value}\""),
                    });
                }
            }
        }
    }
    (names, labels)
}

#[tokio::test]
async fn each_metric_and_label_in_the_rules_is_one_that_the_site_exports() {
    let observed = Observed::start("off").await;
    sign_in(&browser(), &observed.site, 0).await;
    let metrics = observed.metrics().await;
    let exported: BTreeSet<_> = metrics
        .lines()
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let (names, labels) = names_and_labels(RULES);
    assert!(names.len() > 5 && labels.len() > 10, "{names:?} {labels:?}");
    for name in names {
        assert!(exported.contains(name), "{name} is not in {metrics}");
    }
    for label in labels {
        assert!(metrics.contains(&label), "{label} is not in {metrics}");
    }
}

/// A running Prometheus.
struct Prometheus {
    _process: Child,
    _log: Lines<BufReader<ChildStderr>>,
    folder: PathBuf,
    url: String,
}

impl Prometheus {
    /// Scrapes the target every second. Alerts fire at once. Returns `None` if Prometheus is not
    /// installed.
    async fn start(target: &str) -> Option<Self> {
        let program = installed("prometheus", "prometheus")?;
        let folder = format!("tower-qq-auth-prometheus-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir(&folder).unwrap();
        let configuration = replace(CONFIGURATION, "_interval: 15s", "_interval: 1s");
        let configuration = replace(&configuration, "127.0.0.1:9464", target);
        fs::write(folder.join("prometheus.yml"), configuration).unwrap();
        let rules = replace(RULES, "for: 5m", "for: 0s");
        fs::write(folder.join("alerts.yml"), rules).unwrap();
        let mut process = Command::new(program)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg("--web.listen-address=127.0.0.1:0")
            .current_dir(&folder)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = loop {
            let line = log.next_line().await.unwrap().expect("Prometheus runs");
            if let Some((_, address)) = line.split_once("\"Listening on\" address=") {
                break address.to_owned();
            }
        };
        Some(Self {
            _process: process,
            _log: log,
            folder,
            url: format!("http://{address}/api/v1/"),
        })
    }

    /// Returns the data of a response of the API, or `null` while Prometheus starts.
    async fn ask(&self, path: &str) -> Value {
        let response = browser().get(format!("{}{path}", self.url)).send().await;
        let body = response.unwrap().bytes().await.unwrap();
        let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
        body["data"].take()
    }

    /// Returns the last scraped value of a metric without labels.
    async fn value(&self, metric: &str) -> Option<String> {
        let data = self.ask(&format!("query?query={metric}")).await;
        Some(data["result"][0]["value"][1].as_str()?.to_owned())
    }

    async fn firing(&self) -> BTreeSet<String> {
        let data = self.ask("alerts").await;
        let alerts = data["alerts"].as_array().into_iter().flatten();
        let firing = alerts.filter(|alert| alert["state"] == "firing");
        firing
            .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until these alerts fire, and no others.
    async fn wait_for(&self, alerts: &[&str]) {
        let alerts: BTreeSet<_> = alerts.iter().map(|&name| name.to_owned()).collect();
        let what = format!("{alerts:?} fire");
        eventually(&what, async || self.firing().await == alerts).await;
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn a_running_prometheus_raises_the_alerts() {
    let observed = Observed::start("off").await;
    let target = observed.metrics.trim_start_matches("http://");
    let target = target.trim_end_matches("/metrics");
    let Some(prometheus) = Prometheus::start(target).await else {
        return;
    };
    // Prometheus has to see a counter before it counts, or there is no increase.
    let starts = "qq_auth_login_starts_total";
    let has_zero = async || prometheus.value(starts).await.as_deref() == Some("0");
    eventually("the first scrape", has_zero).await;
    sign_in(&browser(), &observed.site, 0).await;
    let has_one = async || prometheus.value(starts).await.as_deref() == Some("1");
    eventually("the scrape of a login", has_one).await;
    assert_eq!(prometheus.firing().await, BTreeSet::new());

    sign_in(&browser(), &observed.site, 4).await; // not approved
    let refused = ["QqAuthMisconfigured", "QqAuthRefusedByQq"];
    prometheus.wait_for(&refused).await;

    let stranger = browser();
    for _ in 0..200 {
        let forged = format!("{}auth/qq/callback?code=C0DE&state=forged", observed.site);
        assert_eq!(stranger.get(forged).send().await.unwrap().status(), 400);
    }
    let attacked = [&refused[..], &["QqAuthForgedCallbacks"]].concat();
    prometheus.wait_for(&attacked).await;

    for _ in 0..5 {
        sign_in(&browser(), &observed.site, 3).await; // QQ is busy
    }
    let failing = ["QqAuthLoginsFailing", "QqAuthQqFailing"];
    prometheus
        .wait_for(&[&attacked[..], &failing].concat())
        .await;
}
