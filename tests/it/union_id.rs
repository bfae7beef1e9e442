//! `/me` beside a token reply that has the openid: only the UnionID depends on it.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::Value;
use tokio::time::Instant;
use tower_qq_auth::{
    QqAppBuilder, Verdict,
    mock::{Endpoint, Fault, MockQq},
};

use crate::{
    attempt::Attempt,
    log::Log,
    site::{APP_ID, Site},
};

const OPENID: &str = "CC7F5CEFEFC0EBAB9B07EB481AEBC29C";

fn reply(status: u16, body: impl Into<Bytes>) -> Fault {
    let response = Response::builder().status(status);
    response.body(body.into()).unwrap().into()
}

/// Prepares a login whose token reply has the openid.
fn plant_openid(qq: &MockQq) {
    let token = format!(r#"{{"access_token":"T0KEN","openid":"{OPENID}"}}"#);
    qq.reply(Endpoint::Token, token);
    qq.reply(Endpoint::UserInfo, r#"{"ret":0,"msg":"","nickname":"N"}"#);
}

#[tokio::test]
async fn a_me_that_cannot_be_had_or_read_costs_no_login_whose_openid_is_known() {
    let named = |fields: &str| reply(200, format!(r#"{{"client_id":"{APP_ID}"{fields}}}"#));
    let failures = [
        (Fault::Code(100048), 1),
        (Fault::Code(100049), 1),
        (Fault::Code(100013), 1),
        (Fault::Code(100016), 1),
        (Fault::Code(100032), 1),
        (Fault::Code(100008), 1),
        (Fault::CutBody, 2),
        (reply(500, "<html>"), 2),
        (reply(503, ""), 1),
        (reply(403, "<html>"), 1),
        (reply(302, ""), 1),
        (reply(400, r#"{"error":100016}"#), 1),
        (reply(200, ""), 1),
        (reply(200, "{}"), 1),
        (reply(200, "<html>"), 1),
        (reply(200, "{"), 1),
        (reply(200, " ".repeat(70_000)), 1),
        (named(""), 1),
        (named(r#","openid":"""#), 1),
        (named(r#","openid":null"#), 1),
        (
            named(&format!(r#","openid":"{OPENID}","openid":"{OPENID}""#)),
            1,
        ),
        (named(&format!(r#","openid":"{OPENID}","error":1"#)), 1),
    ];
    for (failure, calls) in failures {
        let log = Log::start();
        let case = format!("{failure:?}");
        let attempt = Attempt::with(QqAppBuilder::request_union_id, |qq| {
            plant_openid(qq);
            qq.fault(Endpoint::Me, usize::MAX, failure);
        })
        .await;
        let user = attempt.assert_signed_in(&case, [1, calls, 1]);
        assert_eq!(user["openid"], OPENID, "{case}");
        assert_eq!(user["unionid"], Value::Null, "{case}");
        assert_eq!(user["nickname"], "N", "{case}");
        let [warning] = &log.warnings()[..] else {
            panic!("{case}: {}", log.text())
        };
        assert!(warning.contains("without the UnionID"), "{case}: {warning}");
    }
}

#[tokio::test]
async fn a_me_that_names_another_app_or_user_ends_the_login_even_if_the_openid_is_known() {
    let me = |client_id: &str, openid: &str| {
        format!(r#"{{"client_id":"{client_id}","openid":"{openid}"}}"#)
    };
    for me in [
        me("100000001", OPENID),
        me("", OPENID),
        me("100000001", ""),
        r#"{"client_id":"100000001"}"#.into(),
        format!(r#"{{"openid":"{OPENID}"}}"#),
        me(APP_ID, "0000000000000000000000000000000A"),
        me(APP_ID, &OPENID.to_lowercase()),
    ] {
        let attempt = Attempt::with(QqAppBuilder::request_union_id, |qq| {
            plant_openid(qq);
            qq.reply(Endpoint::Me, me.clone());
        })
        .await;
        // The profile is requested concurrently, so its call may or may not have been made.
        let calls = attempt.calls;
        attempt.assert_failed(&me, (424, "audience_mismatch"), [1, 1, calls[2]]);
    }
}

#[tokio::test]
async fn a_unionid_of_unknown_shape_is_dropped_with_a_warning() {
    for unionid in [r#""A1b2+/==""#, r#""UID \r\n""#, "17", "[]", "true"] {
        for openid_known in [true, false] {
            let log = Log::start();
            let attempt = Attempt::with(QqAppBuilder::request_union_id, |qq| {
                plant_openid(qq);
                if !openid_known {
                    qq.reply(Endpoint::Token, r#"{"access_token":"T0KEN"}"#);
                }
                qq.reply(
                    Endpoint::Me,
                    format!(
                        r#"{{"client_id":"{APP_ID}","openid":"{OPENID}","unionid":{unionid}}}"#
                    ),
                );
            })
            .await;
            let user = attempt.assert_signed_in(unionid, [1, 1, 1]);
            assert_eq!(
                (&user["openid"], &user["unionid"]),
                (&OPENID.into(), &Value::Null)
            );
            assert_eq!(log.warnings().len(), 1, "{}", log.text());
            assert!(!log.text().contains("A1b2"), "{}", log.text());
        }
    }
}

/// Runs a login at which `/me` never answers, and returns its duration.
async fn log_in_beside_a_hanging_me(app: impl FnOnce(QqAppBuilder) -> QqAppBuilder) -> Duration {
    // The hook must get its turn: running late, it would fail the login.
    let site = Site::with(
        |builder| app(builder.request_union_id()),
        |layer| {
            layer.on_login(async |_, _| {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(Verdict::allow())
            })
        },
    );
    site.qq.fault(Endpoint::Me, usize::MAX, Fault::Silence);
    let late = Fault::Latency(Duration::from_secs(4));
    site.qq.fault(Endpoint::UserInfo, 1, late);
    let start = Instant::now();
    let attempt = Attempt::at(&site).await;
    let user = attempt.assert_signed_in("hanging", [1, 1, 1]);
    assert_eq!(
        (&user["nickname"], &user["unionid"]),
        (&"小明".into(), &Value::Null)
    );
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_hanging_me_leaves_time_for_the_profile_and_the_hook() {
    let seconds = Duration::from_secs;
    let elapsed = log_in_beside_a_hanging_me(|app| app).await;
    assert_eq!(elapsed.as_secs(), 5 + 1);
    let elapsed = log_in_beside_a_hanging_me(|app| app.call_timeout(seconds(60))).await;
    assert!(elapsed < seconds(10), "{elapsed:?}");
}
