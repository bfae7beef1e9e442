//! Replies to `/me` that sign in no user.

use http::Response;
use serde_json::json;
use tower_qq_auth::{
    QqAppBuilder,
    mock::{Endpoint, Fault},
};

use crate::{
    phone::{Attempt, PHONE_APP, STRANGER, site, site_with, token},
    site::APP_ID,
};

const OPENID: &str = "CC7F5CEFEFC0EBAB9B07EB481AEBC29C";
const ME: &str = r#"{"client_id":"1106123456","openid":"CC7F5CEFEFC0EBAB9B07EB481AEBC29C"}"#;

/// Verifies a token for which QQ sends this reply. The profile is the same for every openid.
async fn attempt(me: impl Into<Vec<u8>>) -> Attempt {
    let site = site();
    site.qq.reply(Endpoint::Me, me.into());
    site.qq
        .reply(Endpoint::UserInfo, r#"{"ret":0,"nickname":"N"}"#);
    Attempt::at(&site, "T0KEN").await
}

#[tokio::test]
async fn json_and_jsonp_in_any_layout_sign_in() {
    for me in [
        ME,
        &format!("callback( {ME} );\n"),
        &format!("callback({ME})"),
        &format!("\u{feff}{ME}\r\n"),
        &ME.replace(',', " ,\n  ").replace(':', " : "),
        &ME.replace('}', r#","new":{"client_id":"1109999999"}}"#),
        &ME.replace("1106123456", r"\u0031106123456"),
    ] {
        let attempt = attempt(me).await;
        let user = attempt.assert_signed_in(me, [1, 1]);
        assert_eq!(
            (&user["app_id"], &user["openid"]),
            (&json!(PHONE_APP), &json!(OPENID))
        );
    }
}

#[tokio::test]
async fn a_reply_that_names_another_app_or_none_is_a_mismatch() {
    for client_id in [
        format!("\"{STRANGER}\""),
        format!("\"{APP_ID}\""),
        r#""""#.into(),
        r#"" 1106123456""#.into(),
        r#""1106123456 ""#.into(),
        r#""01106123456""#.into(),
        r#""11061234560""#.into(),
        r#""110612345""#.into(),
        r#""１１０６１２３４５６""#.into(),
        r#""1106123456,101905280""#.into(),
        "1106123456".into(),
        "null".into(),
        "true".into(),
        r#"["1106123456"]"#.into(),
        r#"{"1106123456":"1106123456"}"#.into(),
    ] {
        let me = ME.replace(r#""1106123456""#, &client_id);
        attempt(me)
            .await
            .assert_failed(&client_id, 424, "audience_mismatch", [1, 0]);
    }
    for me in [
        format!(r#"{{"openid":"{OPENID}"}}"#),
        format!(r#"{{"Client_id":"{PHONE_APP}","openid":"{OPENID}"}}"#),
        format!(r#"{{"appid":"{PHONE_APP}","openid":"{OPENID}"}}"#),
        format!(r#"{{"client_id":"{STRANGER}"}}"#),
    ] {
        let attempt = attempt(me.clone()).await;
        attempt.assert_failed(&me, 424, "audience_mismatch", [1, 0]);
    }
}

#[tokio::test]
async fn a_reply_without_a_readable_openid_signs_in_no_user() {
    let giant = format!("\"{}\"", "x".repeat(10 * 1024));
    for openid in [
        r#""""#,
        r#"" ""#,
        r#""CC7F\n""#,
        r#""CC\r\n7F""#,
        r#""CC7F\u0000""#,
        r#"" CC7F""#,
        r#""CC7F&openid=x""#,
        r#""1106123456:CC7F""#,
        r#""ＣＣ７Ｆ""#,
        &giant,
        "null",
        "0",
        "true",
        r#"["CC7F"]"#,
        "{}",
    ] {
        let me = ME.replace(&format!("\"{OPENID}\""), openid);
        attempt(me)
            .await
            .assert_failed(openid, 424, "qq_unavailable", [1, 0]);
    }
    let me = r#"{"client_id":"1106123456"}"#;
    attempt(me)
        .await
        .assert_failed(me, 424, "qq_unavailable", [1, 0]);
}

#[tokio::test]
async fn an_unreadable_reply_signs_in_no_user() {
    let fields = format!(r#""client_id":"{PHONE_APP}","openid":"{OPENID}""#);
    let cases: Vec<Vec<u8>> = vec![
        "".into(),
        "null".into(),
        "{}".into(),
        "[]".into(),
        format!("[{ME}]").into(),
        ME[..ME.len() - 1].into(),
        format!("{ME}{ME}").into(),
        format!("{ME},").into(),
        format!("callback( {ME}").into(),
        format!("callback( {ME} ); alert(1)").into(),
        format!("evil( {ME} );").into(),
        format!("client_id={PHONE_APP}&openid={OPENID}").into(),
        format!(r#"{{{fields},"openid":"{OPENID}"}}"#).into(),
        format!(r#"{{"client_id":"{STRANGER}",{fields}}}"#).into(),
        format!(r#"{{{fields},"client_id":"{STRANGER}"}}"#).into(),
        format!(r#"{{{fields},"error":100013}}"#).into(),
        format!(r#"{{"error":"100016",{fields}}}"#).into(),
        format!(r#"{{{fields},"ret":-1}}"#).into(),
        "<html><title>Login</title></html>".into(),
        [b"\xff\xfe".as_slice(), ME.as_bytes()].concat(),
        ME.replace("CC7F", "CC7\u{0}").into(),
        [&ME.as_bytes()[..40], b"\xe4\xbd", &ME.as_bytes()[40..]].concat(),
        "[".repeat(60_000).into(),
        format!("{}{ME}", " ".repeat(65_536)).into(),
        ME.replace('}', &format!(r#","x":"{}"}}"#, "x".repeat(65_536)))
            .into(),
    ];
    for me in cases {
        let case = String::from_utf8_lossy(&me[..me.len().min(120)]).into_owned();
        attempt(me)
            .await
            .assert_failed(&case, 424, "qq_unavailable", [1, 0]);
    }
}

#[tokio::test]
async fn an_error_of_qq_counts_whatever_the_status() {
    let codes = [
        (100007, 400, "code_rejected"),
        (100013, 400, "code_rejected"),
        (100014, 400, "code_rejected"),
        (100015, 400, "code_rejected"),
        (100016, 400, "code_rejected"),
        (100008, 424, "misconfigured"),
        (100011, 424, "not_approved"),
        (100032, 424, "qq_busy"),
        (100048, 424, "misconfigured"),
        (100023, 424, "qq_unavailable"),
        (-1, 424, "qq_unavailable"),
    ];
    for (number, status, code) in codes {
        for shape in ["{}", "callback( {} );"] {
            for http_status in [200, 400] {
                let body = shape.replace("{}", &json!({ "error": number }).to_string());
                let response = Response::builder().status(http_status);
                let site = site();
                let fault = Fault::from(response.body(body.clone()).unwrap());
                site.qq.fault(Endpoint::Me, 1, fault);
                let attempt = Attempt::at(&site, "T0KEN").await;
                attempt.assert_failed(&format!("{http_status} {body}"), status, code, [1, 0]);
                let retry_after = attempt.reply.headers.get("retry-after");
                assert_eq!(retry_after.is_some(), code == "qq_busy", "{body}");
            }
        }
    }
}

#[tokio::test]
async fn a_unionid_of_unknown_shape_is_dropped() {
    for unionid in [r#""A1b2+/==""#, r#""""#, "17", "[]", "null"] {
        let (site, _) = site_with(QqAppBuilder::request_union_id, |layer| layer);
        let token = token(&site, PHONE_APP, 0);
        let me = ME.replace('}', &format!(r#","unionid":{unionid}}}"#));
        site.qq.reply(Endpoint::Me, me);
        site.qq
            .reply(Endpoint::UserInfo, r#"{"ret":0,"nickname":"N"}"#);
        let attempt = Attempt::at(&site, &token).await;
        let user = attempt.assert_signed_in(unionid, [1, 1]);
        assert!(user["unionid"].is_null(), "{unionid}");
    }
}
