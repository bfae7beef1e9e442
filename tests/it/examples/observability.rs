//! The example with metrics, a log in JSON and request ids.

use std::sync::Arc;

use http::StatusCode;
use reqwest::{Client, Response};
use serde_json::Value;

use super::{assert_shows, sign_in, text};
use crate::process::{Cookies, Running, browser};
use crate::site::param;

/// The example, the URL of its site and that of its metrics.
pub(crate) struct Observed {
    running: Running,
    pub(crate) site: String,
    pub(crate) metrics: String,
}

impl Observed {
    /// Starts the example. A test that does not read its log sets the level `off`: a full pipe would
    /// stop the site.
    pub(crate) async fn start(log: &str) -> Self {
        let environment = [
            ("LISTEN", "127.0.0.1:0"),
            ("METRICS_LISTEN", "127.0.0.1:0"),
            ("RUST_LOG", log),
        ];
        let mut running = Running::start("observability", &environment);
        Self {
            metrics: running.printed("metrics").await,
            site: running.printed("open").await,
            running,
        }
    }

    pub(crate) async fn metrics(&self) -> String {
        text(&browser(), &self.metrics).await
    }

    /// Waits for the end of a request, and returns the lines of the log up to it.
    async fn log_of(&mut self, request_id: &str) -> Vec<Value> {
        let mut lines = Vec::new();
        loop {
            let line = self.running.logged("").await;
            let line: Value = serde_json::from_str(&line).unwrap();
            let is_end = line["message"] == "finished processing request";
            let is_last = is_end && line["span"]["request_id"] == request_id;
            lines.push(line);
            if is_last {
                return lines;
            }
        }
    }
}

/// Returns a browser behind a proxy that adds this id to each request, and its cookies.
fn browser_with_id(id: &str) -> (Client, Arc<Cookies>) {
    let cookies = Arc::new(Cookies::default());
    let id = ("x-request-id".parse().unwrap(), id.parse().unwrap());
    let client = Client::builder()
        .no_proxy()
        .default_headers([id].into_iter().collect())
        .cookie_provider(Arc::clone(&cookies));
    (client.build().unwrap(), cookies)
}

/// Opens the home page with these request ids, and returns the one of the response.
async fn visit(site: &str, ids: &[&str]) -> String {
    let request = browser().get(site);
    let request = ids
        .iter()
        .fold(request, |it, id| it.header("x-request-id", *id));
    request_id(&request.send().await.unwrap()).to_owned()
}

fn request_id(response: &Response) -> &str {
    response.headers()["x-request-id"].to_str().unwrap()
}

#[tokio::test]
async fn metrics_are_described_at_zero_from_the_start_and_count_a_login() {
    let observed = Observed::start("off").await;
    let before = observed.metrics().await;
    assert_shows(
        &before,
        &[
            "# HELP qq_auth_logins_total Logins that ended, by outcome and cause.\n",
            "# TYPE qq_auth_logins_total counter\n",
            "qq_auth_logins_total{outcome=\"ok\"} 0\n",
            "qq_auth_login_starts_total 0\n",
            "# TYPE qq_auth_logins_in_flight gauge\n",
            "qq_auth_revocation_calls_total{call=\"revoke\",result=\"failed\"} 0\n",
            "qq_auth_sessions_unconfirmed_total{status=\"unverified\"} 0\n",
        ],
    );
    for line in before.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.is_empty() || line.ends_with(" 0"), "{line}");
    }

    let end = sign_in(&browser(), &observed.site, 0).await;
    assert_eq!(end.status(), StatusCode::OK);
    assert_shows(
        &observed.metrics().await,
        &[
            "# TYPE qq_auth_qq_call_seconds histogram\n",
            "qq_auth_logins_total{outcome=\"ok\"} 1\n",
            "qq_auth_login_starts_total 1\n",
            "qq_auth_qq_calls_total{step=\"token\",result=\"ok\"} 1\n",
            "qq_auth_qq_call_seconds_bucket{step=\"token\",le=\"0.05\"}",
            "qq_auth_qq_call_seconds_bucket{step=\"token\",le=\"10\"} 1\n",
            "qq_auth_login_seconds_count{outcome=\"ok\"} 1\n",
        ],
    );
    let public = browser().get(format!("{}metrics", observed.site));
    let public = public.send().await.unwrap();
    assert_eq!(public.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_support_code_of_a_failed_login_is_in_the_log_beside_the_request_id_of_the_proxy() {
    let mut observed = Observed::start("trace").await;
    let (browser, cookies) = browser_with_id("4bf92f3577b34da6-a3ce929d0e0e4736");
    let failed = sign_in(&browser, &observed.site, 4).await;
    assert_eq!(failed.status(), StatusCode::FAILED_DEPENDENCY);
    let id = request_id(&failed).to_owned();
    assert_eq!(id, "4bf92f3577b34da6-a3ce929d0e0e4736");
    let callback = failed.url().to_string();
    let shown = failed.text().await.unwrap();

    let mut log = observed.log_of(&id).await; // the start
    log.extend(observed.log_of(&id).await); // the callback
    let failures: Vec<_> = log.iter().filter(|it| it["outcome"].is_string()).collect();
    let [line] = failures[..] else {
        panic!("{failures:?}")
    };
    assert_shows(&shown, &[line["support_code"].as_str().unwrap()]);
    assert_eq!(line["outcome"], "not_approved");
    assert_eq!(
        (&line["step"], &line["qq_code"]),
        (&"token".into(), &110406.into())
    );
    let span = &line["span"];
    assert_eq!(span["request_id"], *id);
    assert_eq!(span["path"], "/auth/qq/callback");

    let log = serde_json::to_string(&log).unwrap();
    let sent = cookies.set("qq_login_");
    let value = |cookie: &String| cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    let mut secrets: Vec<_> = sent.iter().map(value).collect();
    secrets.retain(|value| !value.is_empty());
    assert!(!secrets.is_empty(), "{sent:?}");
    secrets.extend(["code", "state"].map(|name| param(&callback, name).to_owned()));
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in {log}");
    }
}

#[tokio::test]
async fn a_request_id_that_could_flood_or_forge_the_log_is_replaced() {
    let mut observed = Observed::start("trace").await;
    let long = "a".repeat(65);
    let cases: [&[&str]; 7] = [
        &[],
        &[""],
        &["short"],
        &[&long],
        &["a\" \"level\":\"ERROR"],
        &["0123456789 abcdef"],
        &["0123456789", "9876543210"],
    ];
    for ids in cases {
        let new = visit(&observed.site, ids).await;
        assert_eq!(new.len(), 36, "{ids:?}: {new}");
        let log = serde_json::to_string(&observed.log_of(&new).await).unwrap();
        for id in ids.iter().filter(|id| !id.is_empty()) {
            assert!(!log.contains(id), "{id} is in {log}");
        }
    }
    for id in ["01234567", &long[1..], "a_b-c.D9"] {
        assert_eq!(visit(&observed.site, &[id]).await, id);
    }
}
