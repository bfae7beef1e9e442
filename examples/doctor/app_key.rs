//! The app key: a token call without a code.
//!
//! QQ checks the app id and the key before the code, so that 100005 (no code) shows that both are
//! right. Nothing is used up.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use reqwest::{Client, Url};
use tower::service_fn;
use tower_qq_auth::{LoginErrorKind, QqApp, QqClient};

use crate::client::{network_advice, no_answer, report_failure, report_time};
use crate::language::say;
use crate::refusal::report_refusal;
use crate::report::{Check, Report};

const MISSING_CODE: i64 = 100005;

/// The outcome of the call for the HTTP client.
#[derive(Default)]
struct Call {
    elapsed: Option<Duration>,
    error: Option<reqwest::Error>,
}

pub(crate) async fn check(report: &mut Report, client: Client, app: QqApp, qq: &Url) {
    let redirect_uri = app.redirect_uri().to_owned();
    let call = Arc::new(Mutex::new(Call::default()));
    let record = Arc::clone(&call);
    // The crate's own login makes the request and reads the reply.
    let send = service_fn(move |request| send(client.clone(), request, Arc::clone(&record)));
    let result = QqClient::with_service(app, send).login("0").await;
    let call = std::mem::take(&mut *call.lock().expect("no panic holds the lock"));
    if let Some(elapsed) = call.elapsed {
        report_time(report, "token", elapsed);
    }
    if let Some(error) = call.error {
        return report_failure(report, Check::AppKey, qq, &error);
    }
    let error = match result {
        Err(error) if error.step() == Some("token") => error,
        _ => {
            let finding = say(
                "a token came without a code: this is not QQ",
                "没有 code 也返回了 token：对方不是 QQ",
            );
            return report.error(Check::AppKey, finding, network_advice());
        }
    };
    match (error.kind(), error.qq_code()) {
        (_, Some(MISSING_CODE)) => {
            let finding = say(
                "QQ accepts app id and key (it misses a code, as it should)",
                "QQ 接受 APP ID 和 APP Key（只提示缺少 code，属正常）",
            );
            report.ok(Check::AppKey, finding);
        }
        (_, Some(code)) => report_refusal(report, Check::AppKey, Some(code), &redirect_uri),
        (LoginErrorKind::QqTimeout, None) => {
            report.error(Check::AppKey, no_answer(), network_advice());
        }
        _ => {
            let finding = say(error.to_string(), format!("无法识别 QQ 的响应（{error}）"));
            report.error(Check::AppKey, finding, network_advice());
        }
    }
}

/// Sends a token call without its code, and nothing else.
async fn send(
    client: Client,
    request: Request<Full<Bytes>>,
    call: Arc<Mutex<Call>>,
) -> Result<Response<reqwest::Body>, &'static str> {
    let uri = request.uri().to_string();
    let (path, query) = uri.split_once('?').unwrap_or_default();
    if !path.ends_with("/oauth2.0/token") {
        return Err("only the token call is sent");
    }
    let query = query.split('&').filter(|pair| !pair.starts_with("code="));
    let url = format!("{path}?{}", query.collect::<Vec<_>>().join("&"));
    let start = Instant::now();
    let result = client.get(url).send().await;
    let mut call = call.lock().expect("no panic holds the lock");
    match result {
        Ok(response) => {
            call.elapsed = Some(start.elapsed());
            Ok(response.into())
        }
        Err(error) => {
            call.error = Some(error.without_url());
            Err("no response")
        }
    }
}
