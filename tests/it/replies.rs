//! Replies of QQ: shapes, fields and error codes.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use http_body_util::Full;
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tower::{ServiceExt, service_fn};
use tower_qq_auth::{
    LoginErrorKind, OpenId, QqAppBuilder, QqClient, QqLogin,
    mock::{Endpoint, Fault, MockQq},
};

use crate::{
    attempt::{Attempt, Calls},
    site::{APP_ID, CALLBACK, Site, app, app_builder, param, path, qq},
};

const UNAVAILABLE: (u16, &str) = (424, "qq_unavailable");
const MISMATCH: (u16, &str) = (424, "audience_mismatch");
const OPENID: &str = "CC7F5CEFEFC0EBAB9B07EB481AEBC29C";
const UNIONID: &str = "UID_2B409A92E88F2D4091EE665EC2C1411F";

const TOKEN: &str = r#"{"access_token":"T0KEN","expires_in":"7776000","refresh_token":"R3FRESH","openid":"CC7F5CEFEFC0EBAB9B07EB481AEBC29C"}"#;
const ME: &str = r#"{"client_id":"101905280","openid":"CC7F5CEFEFC0EBAB9B07EB481AEBC29C"}"#;
const PROFILE: &str = r#"{"ret":0,"msg":"","nickname":"小明"}"#;

/// Logs in with these replies. Without an openid in the token reply, the client calls `/me`.
async fn login(token: &[u8], me: Option<&[u8]>, profile: &[u8]) -> Attempt {
    login_with(|app| app, token, me, profile).await
}

async fn login_with(
    configure: impl FnOnce(QqAppBuilder) -> QqAppBuilder,
    token: &[u8],
    me: Option<&[u8]>,
    profile: &[u8],
) -> Attempt {
    Attempt::with(configure, |qq| {
        qq.reply(Endpoint::Token, token.to_vec());
        qq.reply(Endpoint::UserInfo, profile.to_vec());
        if let Some(me) = me {
            qq.reply(Endpoint::Me, me.to_vec());
        }
    })
    .await
}

async fn login_with_token_reply(token: &str) -> Attempt {
    login(token.as_bytes(), None, PROFILE.as_bytes()).await
}

/// Logs in with a token reply without openid, so that `/me` decides.
async fn login_with_me_reply(me: &str) -> Attempt {
    let token = r#"{"access_token":"T0KEN"}"#.as_bytes();
    login(token, Some(me.as_bytes()), PROFILE.as_bytes()).await
}

async fn login_with_profile_reply(profile: &str) -> Attempt {
    login(TOKEN.as_bytes(), None, profile.as_bytes()).await
}

/// Logs in with a bare client, without a site.
async fn client_login(qq: &MockQq) -> QqLogin {
    let client = QqClient::with_service(app(), qq.clone());
    let callback = path(&qq.approve(&client.authorize_url("state", false)).unwrap());
    client.login(param(&callback, "code")).await.unwrap()
}

fn prepend_field(object: &str, field: &str) -> String {
    format!("{{{field},{}", &object[1..])
}

#[tokio::test]
async fn reads_json_and_jsonp_in_every_layout() {
    let layouts: [fn(&str) -> String; 15] = [
        |json| json.into(),
        |json| format!("\u{feff}{json}"),
        |json| format!("\n\u{feff} {json}"),
        |json| format!("\u{feff}callback( {json} );\n"),
        |json| format!("{json}\n"),
        |json| format!(" \r\n\t{json}\r\n "),
        |json| json.replace(",", " ,\r\n    ").replace("\":", "\" : "),
        |json| format!("callback( {json} );\n"),
        |json| format!("callback({json});"),
        |json| format!("callback({json})"),
        |json| format!("callback( {json} )\n"),
        |json| format!("callback (\n{json}\n)\n;\n"),
        |json| format!("\r\ncallback\t(\r\n\t{json}\r\n)\t;\r\n"),
        |json| format!("callback(\n{}\n);\n", json.replace(",", ",\n    ")),
        |json| prepend_field(json, r#""new":{"a":[{"b":null}],"a":1}"#),
    ];
    for layout in layouts {
        let (token, me, profile) = (layout(TOKEN), layout(ME), layout(PROFILE));
        let attempt = login_with_token_reply(&token).await;
        assert_eq!(
            attempt.assert_signed_in(&token, [1, 0, 1])["openid"],
            OPENID
        );
        let attempt = login_with_me_reply(&me).await;
        assert_eq!(attempt.assert_signed_in(&me, [1, 1, 1])["openid"], OPENID);
        let attempt = login_with_profile_reply(&profile).await;
        assert_eq!(
            attempt.assert_signed_in(&profile, [1, 0, 1])["nickname"],
            "小明"
        );
    }
}

#[tokio::test]
async fn rejects_bodies_that_are_almost_json_or_jsonp() {
    let texts: [fn(&str) -> Vec<u8>; 39] = [
        |_| "".into(),
        |_| " \r\n".into(),
        |_| "null".into(),
        |_| "{}".into(),
        |_| "callback();".into(),
        |_| "<html><body>canary-page</body></html>".into(),
        |_| "canary-page=1".into(),
        |json| format!("[{json}]").into(),
        |json| format!("{json}{json}").into(),
        |json| format!("{json};").into(),
        |json| format!("{json},").into(),
        |json| format!("({json})").into(),
        |json| format!("x{json}").into(),
        |json| format!("x={json}").into(),
        |json| json[..json.len() - 1].into(),
        |json| json[1..].into(),
        |json| json.replace('"', "'").into(),
        |json| json.replace('}', ",}").into(),
        |json| prepend_field(json, r#""a":NaN"#).into(),
        |json| prepend_field(json, r#""a":Infinity"#).into(),
        |json| prepend_field(json, r#""a":1 /* note */"#).into(),
        |json| prepend_field(json, &format!(r#""a":{}"#, "[".repeat(10_000))).into(),
        |json| prepend_field(json, &format!(r#""a":{0}1"#, r#"{"b":"#.repeat(10_000))).into(),
        |json| format!("calback( {json} );").into(),
        |json| format!("Callback( {json} );").into(),
        |json| format!("xcallback( {json} );").into(),
        |json| format!("callback2( {json} );").into(),
        |json| format!("var a = 1; callback( {json} );").into(),
        |json| format!("callback( {json} ); callback( {json} );").into(),
        |json| format!("callback( {json} ); // done").into(),
        |json| format!("callback( {json} );;").into(),
        |json| format!("callback( {json} );\\n").into(),
        |json| format!("\u{feff}\u{feff}{json}").into(),
        |json| format!("{json}\u{feff}").into(),
        |json| json.replace(':', "\u{3000}:").into(),
        |json| format!("callback(( {json} ));").into(),
        |json| format!("callback( {json} ").into(),
        |json| format!("callback {json};").into(),
        |json| format!("callback( {json}, 1 );").into(),
    ];
    let bytes: [fn(&str) -> Vec<u8>; 2] = [
        |json| json.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        |json| [json.as_bytes(), b"\xff"].concat(),
    ];
    for spoil in texts.into_iter().chain(bytes) {
        let case = String::from_utf8_lossy(&spoil(TOKEN))
            .chars()
            .take(80)
            .collect::<String>();
        let (token, profile) = (TOKEN.as_bytes(), PROFILE.as_bytes());
        let attempt = login(&spoil(TOKEN), None, profile).await;
        attempt.assert_failed(&case, UNAVAILABLE, [1, 0, 0]);
        assert!(!attempt.reply.body.contains("canary-page"));

        let me = spoil(ME);
        let attempt = login(br#"{"access_token":"T0KEN"}"#, Some(&me), profile).await;
        attempt.assert_failed(&case, UNAVAILABLE, [1, 1, 0]);

        let attempt = login(token, None, &spoil(PROFILE)).await;
        let user = attempt.assert_signed_in(&case, [1, 0, 1]);
        assert_eq!(user["nickname"], "", "{case}");
        assert_eq!(user["profile_complete"], false, "{case}");

        let strict = QqAppBuilder::require_profile;
        let attempt = login_with(strict, token, None, &spoil(PROFILE)).await;
        attempt.assert_failed(&case, UNAVAILABLE, [1, 0, 1]);
    }
}

#[tokio::test]
async fn rejects_replies_with_a_repeated_field() {
    for field in [
        r#""access_token":"T0KEN""#,
        r#""access_token":"OTHER""#,
        r#""access\u005ftoken":"OTHER""#,
        r#""expires_in":1"#,
        r#""openid":"OTHER""#,
        r#""error":0,"error":0"#,
        r#""new":1,"new":2"#,
    ] {
        let attempt = login_with_token_reply(&prepend_field(TOKEN, field)).await;
        attempt.assert_failed(field, UNAVAILABLE, [1, 0, 0]);
    }
    for field in [
        r#""client_id":"101905280""#,
        r#""client_id":"100000001""#,
        r#""openid":"OTHER""#,
        r#""unionid":"UID_1","unionid":"UID_2""#,
        r#""error":0,"error":0"#,
    ] {
        let attempt = login_with_me_reply(&prepend_field(ME, field)).await;
        attempt.assert_failed(field, UNAVAILABLE, [1, 1, 0]);
    }
    for field in [r#""ret":0"#, r#""nickname":"x""#] {
        let attempt = login_with_profile_reply(&prepend_field(PROFILE, field)).await;
        assert_eq!(
            attempt.assert_signed_in(field, [1, 0, 1])["nickname"],
            "",
            "{field}"
        );
    }
    for form in [
        "access_token=T&expires_in=60&access_token=T",
        "access_token=T&expires_in=60&expires_in=60",
        "access_token=T&expires_in=60&error=1&error=1",
        "access_token=T&expires_in=60&access%5Ftoken=T",
    ] {
        let attempt = login_with_token_reply(form).await;
        attempt.assert_failed(form, UNAVAILABLE, [1, 0, 0]);
    }
}

#[tokio::test]
async fn accepts_a_form_as_token_reply_only_if_it_is_complete() {
    let complete = [
        "access_token=T0KEN&expires_in=7776000&refresh_token=R3FRESH",
        "access_token=T0KEN&expires_in=7776000",
        "expires_in=7776000&access_token=T0KEN",
        "\r\naccess_token=T0KEN&expires_in=7776000\r\n",
        "access_token=T0KEN&expires_in=60&new=%E6%96%B0&empty=",
        "access_token=T0KEN&expires_in=60&error=0",
        "access_token=T0KEN&expires_in=60&error=",
        "\u{feff}access_token=T0KEN&expires_in=60",
    ];
    for form in complete {
        let attempt = login(form.as_bytes(), Some(ME.as_bytes()), PROFILE.as_bytes()).await;
        attempt.assert_signed_in(form, [1, 1, 1]);
    }
    let incomplete = [
        "access_token=T0KEN",
        "access_token=T0K",
        "access_token=T0KEN&",
        "access_token=T0KEN&expires_in",
        "access_token=T0KEN&expires_in=",
        "access_token=T0KEN&expires_in=soon",
        "access_token=T0KEN&expires_in=60&",
        "access_token=T0KEN&expires_in=60&refresh_token",
        "access_token=&expires_in=60",
        "expires_in=60",
        "access_token=T0KEN&expires_in=60&error=100020",
        "access_token=T0KEN&expires_in=60&ret=-1",
        "access_token=T0KEN&expires_in=60&code=100020&msg=",
        "access_token=T0KEN&expires_in=60&a=%ff",
        "access_token=T0%0D%0AKEN&expires_in=60",
        "access_token=T0%00KEN&expires_in=60",
        "access_token=T0+KEN&expires_in=60",
        "access_token=T0KEN\r\n&expires_in=60",
        "access_token=<b>&expires_in=60",
        "<access_token=T0KEN&expires_in=60",
    ];
    for form in incomplete {
        let attempt = login_with_token_reply(form).await;
        attempt.assert_failed(form, UNAVAILABLE, [1, 0, 0]);
    }
}

#[tokio::test]
async fn never_reads_openid_or_profile_from_a_form() {
    let me = format!("client_id={APP_ID}&openid={OPENID}&expires_in=60");
    let attempt = login_with_me_reply(&me).await;
    attempt.assert_failed("/me", UNAVAILABLE, [1, 1, 0]);
    let attempt = login_with_profile_reply("ret=0&msg=&nickname=x").await;
    assert_eq!(
        attempt.assert_signed_in("profile", [1, 0, 1])["nickname"],
        ""
    );
}

#[tokio::test]
async fn rejects_replies_that_hold_both_a_result_and_an_error() {
    for marker in [
        r#""error":100020"#,
        r#""error":"100020""#,
        r#""error":null"#,
        r#""error":"access_denied""#,
        r#""error":{}"#,
        r#""ret":-1"#,
        r#""ret":"1""#,
        r#""ret":null"#,
        r#""code":100020,"msg":"used""#,
    ] {
        let attempt = login_with_token_reply(&prepend_field(TOKEN, marker)).await;
        attempt.assert_failed(marker, UNAVAILABLE, [1, 0, 0]);
        let attempt = login_with_me_reply(&prepend_field(ME, marker)).await;
        attempt.assert_failed(marker, UNAVAILABLE, [1, 1, 0]);
    }
    for harmless in [
        r#""ret":0,"msg":"""#,
        r#""ret":"0""#,
        r#""msg":"ok""#,
        r#""code":0"#,
        r#""code":0,"msg":"""#,
        r#""error":0"#,
        r#""error":"0""#,
        r#""error":"","error_description":"""#,
        r#""ret":"""#,
    ] {
        let attempt = login_with_token_reply(&prepend_field(TOKEN, harmless)).await;
        attempt.assert_signed_in(harmless, [1, 0, 1]);
        let attempt = login_with_me_reply(&prepend_field(ME, harmless)).await;
        attempt.assert_signed_in(harmless, [1, 1, 1]);
    }
}

#[tokio::test]
async fn makes_no_call_with_a_malformed_token() {
    let long = format!("\"{}\"", "T".repeat(10 * 1024));
    for token in [
        r#""""#,
        r#"" ""#,
        r#"" T0KEN""#,
        r#""T0KEN ""#,
        r#""T0\r\nKEN""#,
        r#""T0\u0000KEN""#,
        r#""T0\tKEN""#,
        r#""令牌""#,
        &long,
        "null",
        "true",
        "1234567890",
        r#"["T0KEN"]"#,
        r#"{"access_token":"T0KEN"}"#,
    ] {
        let reply = format!(r#"{{"access_token":{token},"expires_in":60,"openid":"{OPENID}"}}"#);
        let attempt = login_with_token_reply(&reply).await;
        attempt.assert_failed(token, UNAVAILABLE, [1, 0, 0]);
    }
    let reply = format!(r#"{{"expires_in":60,"openid":"{OPENID}"}}"#);
    let attempt = login_with_token_reply(&reply).await;
    attempt.assert_failed("no token", UNAVAILABLE, [1, 0, 0]);
}

#[tokio::test]
async fn sends_the_token_as_exactly_one_parameter() {
    for token in [
        "a&openid=b",
        "a#b",
        "a?b=c",
        "a%26b",
        "a%2526b",
        "a+b",
        "a=b==",
        "a/../b",
        "a;b",
        "'\"<>\\",
        "********",
    ] {
        let site = Site::with(QqAppBuilder::request_union_id, |layer| layer);
        let reply = json!({ "access_token": token, "openid": OPENID }).to_string();
        site.qq.reply(Endpoint::Token, reply);
        site.qq.reply(Endpoint::Me, ME);
        site.qq.reply(Endpoint::UserInfo, PROFILE);
        Attempt::at(&site).await.assert_signed_in(token, [1, 1, 1]);
        for call in site.qq.journal() {
            let expected = match call.endpoint {
                Endpoint::Me => vec![("access_token", token), ("fmt", "json"), ("unionid", "1")],
                Endpoint::UserInfo => vec![
                    ("access_token", token),
                    ("oauth_consumer_key", APP_ID),
                    ("openid", OPENID),
                ],
                _ => continue,
            };
            let mut sent = call.params.clone();
            sent.sort();
            let sent: Vec<_> = sent
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            assert_eq!(sent, expected, "{:?}", call.endpoint);
        }
    }
}

#[test]
fn authorize_url_has_the_documented_parameters_in_their_order() {
    let client = QqClient::with_service(app(), qq());
    let names = |mobile| {
        let url = client.authorize_url("s-_1", mobile);
        let (page, query) = url.split_once('?').unwrap();
        assert_eq!(page, "https://graph.qq.com/oauth2.0/authorize");
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap().0);
        pairs.collect::<Vec<_>>().join(", ")
    };
    let documented = "response_type, client_id, redirect_uri, state, scope";
    assert_eq!(names(false), documented);
    assert_eq!(names(true), format!("{documented}, display"));
}

#[tokio::test]
async fn token_request_has_the_documented_parameters() {
    let site = Site::new();
    Attempt::at(&site)
        .await
        .assert_signed_in("plain", [1, 0, 1]);
    let journal = site.qq.journal();
    let call = journal
        .iter()
        .find(|call| call.endpoint == Endpoint::Token)
        .unwrap();
    let mut names: Vec<_> = call.params.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "client_id",
            "client_secret",
            "code",
            "fmt",
            "grant_type",
            "need_openid",
            "redirect_uri"
        ]
    );
    assert_eq!(call.method, http::Method::GET);
    assert_eq!(call.param("grant_type"), Some("authorization_code"));
    assert_eq!(call.param("redirect_uri"), Some(CALLBACK));
    assert_eq!(call.param("fmt"), Some("json"));
    assert_eq!(call.param("need_openid"), Some("1"));
    assert!(!call.headers.contains_key("referer"));
    assert!(!call.headers.contains_key("cookie"));
}

#[tokio::test]
async fn an_unreadable_token_lifetime_never_fails_the_login() {
    let cases: [(&str, Option<u64>); 24] = [
        ("7776000", Some(7_776_000)),
        (r#""7776000""#, Some(7_776_000)),
        (r#""5184000""#, Some(5_184_000)),
        ("1", Some(1)),
        ("0", None),
        (r#""0""#, None),
        ("-1", None),
        (r#""-1""#, None),
        ("1.5", None),
        (r#""1.5""#, None),
        ("1e300", None),
        ("9223372036854775807", None),
        ("-9223372036854775808", None),
        ("18446744073709551615", None),
        ("99999999999999999999999999", None),
        (r#""99999999999999999999999999""#, None),
        (r#""""#, None),
        (r#"" 60""#, None),
        (r#""+60""#, None),
        (r#""sixty""#, None),
        ("null", None),
        ("true", None),
        ("[60]", None),
        (r#"{"a":60}"#, None),
    ];
    for (expires_in, seconds) in cases {
        let reply =
            format!(r#"{{"access_token":"T","expires_in":{expires_in},"openid":"{OPENID}"}}"#);
        let qq = qq();
        qq.reply(Endpoint::Token, reply);
        qq.reply(Endpoint::UserInfo, PROFILE);
        let login = client_login(&qq).await;
        assert_eq!(
            login.tokens().expires_in(),
            seconds.map(Duration::from_secs),
            "{expires_in}"
        );
    }
    let qq = qq();
    qq.reply(
        Endpoint::Token,
        format!(r#"{{"access_token":"T","openid":"{OPENID}"}}"#),
    );
    let login = client_login(&qq).await;
    assert_eq!(login.tokens().expires_in(), None);
    assert_eq!(login.tokens().refresh_token(), None);
}

#[tokio::test]
async fn keeps_a_valid_openid_byte_for_byte_and_rejects_others() {
    let longest = "x".repeat(128);
    for openid in [OPENID, "cc7f5cefefc0ebab9b07eb481aebc29c", "_-9", &longest] {
        let attempt = login_with_token_reply(&TOKEN.replace(OPENID, openid)).await;
        assert_eq!(
            attempt.assert_signed_in(openid, [1, 0, 1])["openid"],
            openid
        );
        let attempt = login_with_me_reply(&ME.replace(OPENID, openid)).await;
        assert_eq!(
            attempt.assert_signed_in(openid, [1, 1, 1])["openid"],
            openid
        );
    }
    let too_long = format!("\"{}\"", "x".repeat(129));
    let giant = format!("\"{}\"", "x".repeat(10 * 1024));
    for openid in [
        r#""""#,
        r#"" ""#,
        r#""CC7F ""#,
        r#"" CC7F""#,
        r#""CC7F\r\n""#,
        r#""CC\r\n7F""#,
        r#""CC7F\u0000""#,
        r#""CC7F\u200b""#,
        r#""ＣＣ７Ｆ""#,
        r#""CC7F&openid=x""#,
        r#""CC%37F""#,
        &too_long,
        &giant,
        "null",
        "12345678901234567890",
        "true",
        r#"["CC7F"]"#,
        "{}",
    ] {
        let quoted = format!("\"{OPENID}\"");
        // An openid that cannot be read is as good as none: `/me` has it.
        let token = TOKEN.replace(&quoted, openid);
        let (me, profile) = (Some(ME.as_bytes()), PROFILE.as_bytes());
        let attempt = login(token.as_bytes(), me, profile).await;
        assert_eq!(
            attempt.assert_signed_in(openid, [1, 1, 1])["openid"],
            OPENID
        );
        let attempt = login_with_me_reply(&ME.replace(&quoted, openid)).await;
        attempt.assert_failed(openid, UNAVAILABLE, [1, 1, 0]);
    }
    let attempt = login_with_me_reply(r#"{"client_id":"101905280"}"#).await;
    attempt.assert_failed("no openid", UNAVAILABLE, [1, 1, 0]);
}

#[tokio::test]
async fn rejects_a_token_with_a_foreign_or_missing_client_id() {
    for client_id in [
        r#""100000001""#,
        r#""""#,
        r#"" 101905280""#,
        r#""101905280 ""#,
        r#""0101905280""#,
        r#""1019052800""#,
        "101905280",
        "null",
        r#"["101905280"]"#,
    ] {
        let me = ME.replace(r#""101905280""#, client_id);
        let attempt = login_with_me_reply(&me).await;
        attempt.assert_failed(client_id, MISMATCH, [1, 1, 0]);
    }
    let attempt = login_with_me_reply(&format!(r#"{{"openid":"{OPENID}"}}"#)).await;
    attempt.assert_failed("no client_id", MISMATCH, [1, 1, 0]);
}

#[tokio::test]
async fn calls_me_if_the_token_reply_has_no_openid() {
    for ignored in [false, true] {
        let attempt = Attempt::with(
            |app| app,
            |qq| {
                qq.ignore_need_openid(ignored);
            },
        )
        .await;
        let user = attempt.assert_signed_in("login", [1, ignored.into(), 1]);
        assert_eq!(user["openid"], qq().people()[0].openid);
        assert_eq!(user["nickname"], "小明");
    }
}

#[tokio::test]
async fn returns_the_unionid_if_requested_and_granted() {
    struct Case {
        requested: bool,
        granted: bool,
        omitted: bool,
        openid_known: bool,
        calls: Calls,
    }
    let case = |requested, granted, omitted, openid_known, calls| Case {
        requested,
        granted,
        omitted,
        openid_known,
        calls,
    };
    let cases = [
        case(false, true, false, true, [1, 0, 1]),
        case(false, true, false, false, [1, 1, 1]),
        case(true, true, false, true, [1, 1, 1]),
        case(true, true, false, false, [1, 1, 1]),
        // 100048: `/me` is not called again if the openid is known.
        case(true, false, false, true, [1, 1, 1]),
        case(true, false, false, false, [1, 2, 1]),
        // The reply succeeds without a UnionID.
        case(true, false, true, true, [1, 1, 1]),
        case(true, false, true, false, [1, 1, 1]),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let site = Site::with(
            |app| match case.requested {
                true => app.request_union_id(),
                false => app,
            },
            |layer| layer,
        );
        site.qq
            .grant_union_id(case.granted)
            .omit_union_id(case.omitted)
            .ignore_need_openid(!case.openid_known);
        let attempt = Attempt::at(&site).await;
        let user = attempt.assert_signed_in(&format!("row {number}"), case.calls);
        let person = &site.qq.people()[0];
        assert_eq!(user["openid"], person.openid);
        let unionid = (case.requested && case.granted).then_some(&person.unionid);
        assert_eq!(user["unionid"], json!(unionid), "row {number}");
        assert_eq!(user["profile_complete"], true, "row {number}");

        let journal = site.qq.journal();
        let sent: Vec<_> = journal
            .iter()
            .filter(|call| call.endpoint == Endpoint::Me)
            .map(|call| call.param("unionid"))
            .collect();
        let mut expected = vec![Some("1").filter(|_| case.requested); case.calls[1].min(1)];
        expected.extend((case.calls[1] == 2).then_some(None));
        assert_eq!(sent, expected, "row {number}");
    }
}

#[tokio::test]
async fn logs_in_without_unionid_on_codes_100048_and_100049() {
    for code in [100048, 100049] {
        for openid_known in [true, false] {
            let attempt = Attempt::with(QqAppBuilder::request_union_id, |qq| {
                qq.ignore_need_openid(!openid_known)
                    .grant_union_id(true)
                    .fault(Endpoint::Me, 1, Fault::Code(code));
            })
            .await;
            let calls = [1, if openid_known { 1 } else { 2 }, 1];
            let user = attempt.assert_signed_in(&code.to_string(), calls);
            assert_eq!(user["unionid"], Value::Null);
        }
    }
}

#[tokio::test]
async fn accepts_a_valid_or_absent_unionid() {
    let longest = "U".repeat(128);
    let quoted = format!("\"{longest}\"");
    for (unionid, expected) in [
        (format!("\"{UNIONID}\""), Some(UNIONID)),
        (quoted, Some(longest.as_str())),
        (r#""""#.into(), None),
        ("null".into(), None),
    ] {
        let me = prepend_field(ME, &format!(r#""unionid":{unionid}"#));
        let attempt = login_with_me_reply(&me).await;
        let user = attempt.assert_signed_in(&unionid, [1, 1, 1]);
        assert_eq!(user["unionid"], json!(expected));
        assert_eq!(user["openid"], OPENID);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_unionid_and_profile_concurrently() {
    let qq = qq();
    qq.grant_union_id(true);
    let (inner, both) = (qq.clone(), Arc::new(Barrier::new(2)));
    let service = service_fn(move |request: http::Request<Full<bytes::Bytes>>| {
        let (inner, both) = (inner.clone(), Arc::clone(&both));
        async move {
            if !request.uri().path().ends_with("/token") {
                // Holds both replies back until both requests have arrived.
                both.wait().await;
            }
            inner.oneshot(request).await
        }
    });
    let app = app_builder().request_union_id().build().unwrap();
    let client = QqClient::with_service(app, service);
    let callback = path(&qq.approve(&client.authorize_url("state", false)).unwrap());
    let login = client.login(param(&callback, "code")).await.unwrap();
    assert!(login.user().unionid().is_some());
    assert!(login.user().profile_complete());
}

#[tokio::test]
async fn cleans_the_nickname_for_display() {
    let text = |nickname: &str| json!(nickname).to_string();
    let cases: Vec<(String, String)> = vec![
        (text("小明"), "小明".into()),
        (text("a 🐧 b"), "a 🐧 b".into()),
        (text("👨‍👩‍👧"), "👨‍👩‍👧".into()),
        (text("[k2]<b>\"&amp;'</b>"), "[k2]<b>\"&amp;'</b>".into()),
        (text("  a  "), "a".into()),
        (
            text("a\u{0}b\u{7}c\u{1b}[31md\u{7f}e\u{85}f"),
            "abc[31mdef".into(),
        ),
        (text("a\r\nSet-Cookie: b\tc"), "aSet-Cookie: bc".into()),
        (
            text("\u{202e}gpj.\u{202c}\u{2066}x\u{2069}\u{200f}\u{200e}\u{61c}\u{2028}\u{2029}"),
            "gpj.x".into(),
        ),
        (r#""\ud83d\udc27""#.into(), "🐧".into()),
        (text(&"x".repeat(256)), "x".repeat(256)),
        (text(&"x".repeat(257)), "x".repeat(256)),
        (text(&"x".repeat(60_000)), "x".repeat(256)),
        // 255 bytes and an emoji of 4 bytes, which is dropped as a whole.
        (text(&format!("{}🐧y", "x".repeat(255))), "x".repeat(255)),
        (text(&"🐧".repeat(100)), "🐧".repeat(64)),
        (text(&"小".repeat(100)), "小".repeat(85)),
        (
            text(&format!("{}{}", "\u{202e}".repeat(1000), "x".repeat(300))),
            "x".repeat(256),
        ),
    ];
    for (nickname, shown) in cases {
        let profile = format!(r#"{{"ret":0,"msg":"","nickname":{nickname}}}"#);
        let case: String = nickname.chars().take(60).collect();
        let attempt = login_with_profile_reply(&profile).await;
        let user = attempt.assert_signed_in(&case, [1, 0, 1]);
        assert_eq!(user["nickname"], shown, "{case}");
        assert_eq!(user["profile_complete"], true, "{case}");
    }
}

#[tokio::test]
async fn a_profile_is_complete_with_a_nickname_and_without_is_lost() {
    let cases = [
        (r#""nickname":"小明""#, "小明", true),
        (r#""nickname":"小明","is_lost":0"#, "小明", true),
        (r#""nickname":"小明","is_lost":"0""#, "小明", true),
        (r#""nickname":"小明","is_lost":null"#, "小明", true),
        (r#""nickname":"小明","is_lost":1"#, "小明", false),
        (r#""nickname":"小明","is_lost":"1""#, "小明", false),
        (r#""nickname":"qzuser""#, "qzuser", false),
        (r#""nickname":"qquser""#, "qquser", false),
        (r#""nickname":"QZuser""#, "QZuser", true),
        (r#""nickname":"""#, "", false),
        (r#""nickname":" \u202e ""#, "", false),
        (r#""nickname":null"#, "", false),
        (r#""nickname":17"#, "", false),
        (r#""nickname":["小明"]"#, "", false),
        (r#""is_lost":0"#, "", false),
    ];
    for (fields, nickname, complete) in cases {
        let attempt = login_with_profile_reply(&format!(r#"{{"ret":0,{fields}}}"#)).await;
        let user = attempt.assert_signed_in(fields, [1, 0, 1]);
        assert_eq!(user["nickname"], nickname, "{fields}");
        assert_eq!(user["profile_complete"], complete, "{fields}");
    }
}

#[tokio::test]
async fn a_nickname_that_shows_nothing_is_empty() {
    for invisible in [
        "\u{2800}",
        "\u{fe0f}",
        "\u{ffa0}",
        "\u{115f}",
        "\u{1160}",
        "\u{34f}",
        "\u{17b4}",
        "\u{17b5}",
        "\u{200b}",
        "\u{200c}",
        "\u{200d}",
        "\u{200e}",
        "\u{200f}",
        "\u{206a}",
        "\u{206f}",
        "\u{3164}",
        "\u{3000}",
        "\u{2800}\u{fe0f} \u{200d}",
    ] {
        for nickname in [invisible.to_owned(), invisible.repeat(200)] {
            let profile = json!({ "ret": 0, "nickname": nickname }).to_string();
            let attempt = login_with_profile_reply(&profile).await;
            let user = attempt.assert_signed_in("invisible", [1, 0, 1]);
            assert_eq!(user["nickname"], "", "{invisible:?}");
            assert_eq!(user["profile_complete"], false, "{invisible:?}");
        }
    }
    for visible in [
        "❤\u{fe0f}",
        "\u{2800}x\u{2800}",
        "👩\u{200d}🚀",
        "🏴\u{e0067}\u{e007f}",
    ] {
        let profile = json!({ "ret": 0, "nickname": visible }).to_string();
        let attempt = login_with_profile_reply(&profile).await;
        let user = attempt.assert_signed_in(visible, [1, 0, 1]);
        assert_eq!(user["nickname"], visible);
        assert_eq!(user["profile_complete"], true, "{visible:?}");
    }
}

#[tokio::test]
async fn a_damaged_text_costs_the_nickname_but_not_the_picture() {
    // GBK (some of whose second bytes are ASCII), cut UTF-8, and halves of surrogate pairs.
    let damaged: [&[u8]; 16] = [
        b"\xc0\xcf\xcd\xf5",
        b"\x95\\",
        b"\xd0\xa1\x95\\",
        b"a\x81{\x81}\x81|",
        b"\xce\xd2\\\"x",
        b"\xe5\xb0\x8f\xe6\x98",
        b"\xf0\x9f\x90",
        b"\xff",
        br"a\ud83db",
        br"\ude00",
        br"\ude00\ud83d",
        br"\ud83d\ud83d\ude00",
        br"\ud83d\n",
        br"\uD83D",
        br#"\\\ud83d\""#,
        b"\x07\xff\\ud800",
    ];
    for damaged in damaged {
        let profile = [
            br#"{"ret":0,"nickname":""#,
            damaged,
            r#"","city":"深圳","figureurl_qq_2":"https://q.qlogo.cn/x"}"#.as_bytes(),
        ];
        let profile = profile.concat();
        let case = profile.escape_ascii().to_string();
        let attempt = login(TOKEN.as_bytes(), None, &profile).await;
        let user = attempt.assert_signed_in(&case, [1, 0, 1]);
        assert_eq!(user["nickname"], "", "{case}");
        assert_eq!(user["avatar"], "https://q.qlogo.cn/x", "{case}");
        assert_eq!(user["profile_complete"], false, "{case}");

        let field = [b"{\"a\":\"", damaged, b"\","].concat();
        let token = [&field, &TOKEN.as_bytes()[1..]].concat();
        let attempt = login(&token, None, PROFILE.as_bytes()).await;
        attempt.assert_failed(&case, UNAVAILABLE, [1, 0, 0]);
        let me = [&field, &ME.as_bytes()[1..]].concat();
        let attempt = login(br#"{"access_token":"T"}"#, Some(&me), PROFILE.as_bytes()).await;
        attempt.assert_failed(&case, UNAVAILABLE, [1, 1, 0]);
    }
    // Not damaged: an escaped backslash before `ud83d`, and a whole pair.
    for (text, nickname) in [(r"a\\ud83db", r"a\ud83db"), (r"\ud83d\ude00", "😀")] {
        let profile = format!("{{\"ret\":0,\"nickname\":\"{text}\",\"x\":\"\u{1}\"}}");
        let attempt = login_with_profile_reply(&profile).await;
        assert_eq!(
            attempt.assert_signed_in(text, [1, 0, 1])["nickname"],
            nickname
        );
    }
}

#[tokio::test]
async fn raw_control_characters_do_not_lose_the_profile() {
    let attempt =
        login_with_profile_reply("{\"ret\":0,\"nickname\":\"a\u{0}b\nc\",\"x\":\"\u{1}\"}").await;
    let user = attempt.assert_signed_in("raw", [1, 0, 1]);
    assert_eq!(user["nickname"], "a b c");
}

#[tokio::test]
async fn accepts_a_profile_only_with_ret_0() {
    for ret in ["0", r#""0""#, r#"0,"error":0"#, r#"0,"error":"""#] {
        let profile = format!(r#"{{"ret":{ret},"nickname":"小明"}}"#);
        let attempt = login_with_profile_reply(&profile).await;
        assert_eq!(
            attempt.assert_signed_in(ret, [1, 0, 1])["nickname"],
            "小明",
            "{ret}"
        );
    }
    for start in [
        r#""ret":1,"#,
        r#""ret":-1,"#,
        r#""ret":"-22","#,
        r#""ret":1002,"#,
        r#""ret":0.5,"#,
        r#""ret":null,"#,
        r#""ret":"","#,
        r#""ret":[0],"#,
        r#""error":100030,"#,
        "",
    ] {
        let profile = format!(r#"{{{start}"nickname":"小明"}}"#);
        let attempt = login_with_profile_reply(&profile).await;
        let user = attempt.assert_signed_in(start, [1, 0, 1]);
        assert_eq!(user["nickname"], "", "{start}");
        assert_eq!(user["profile_complete"], false, "{start}");
    }
}

#[tokio::test]
async fn the_avatar_is_an_https_url_or_absent() {
    let of_length = |length: usize| format!("https://q.qlogo.cn/{}", "x".repeat(length - 19));
    let (longest, too_long, giant) = (of_length(512), of_length(513), of_length(60_000));
    // The `s` of `https` counts.
    let too_long_once_secure = longest.replace("https", "http") + "x";
    let cases = [
        (
            "http://q.qlogo.cn/qqapp/1/2/100",
            Some("https://q.qlogo.cn/qqapp/1/2/100"),
        ),
        (
            "http://thirdqq.qlogo.cn/g?b=oidb&k=x&s=100",
            Some("https://thirdqq.qlogo.cn/g?b=oidb&k=x&s=100"),
        ),
        ("http://a.b.qq.com/x", Some("https://a.b.qq.com/x")),
        ("https://q.qlogo.cn/x", Some("https://q.qlogo.cn/x")),
        (
            "https://cdn.example/x.png",
            Some("https://cdn.example/x.png"),
        ),
        ("http://cdn.example/x.png", None),
        ("http://evilqlogo.cn/x", None),
        ("http://evil.example/.qlogo.cn", None),
        ("http://evil.example/?.qq.com", None),
        ("http://evil.example#.qq.com", None),
        ("http://q.qlogo.cn.evil.example/x", None),
        ("http://q.qlogo.cn@evil.example/x", None),
        ("https://user:password@q.qlogo.cn/x", None),
        ("http://q.qlogo.cn:8080/x", None),
        ("//q.qlogo.cn/x", None),
        ("/x", None),
        ("javascript:alert(1)", None),
        ("javascript://q.qlogo.cn/%0aalert(1)", None),
        ("data:image/png;base64,AAAA", None),
        ("ftp://q.qlogo.cn/x", None),
        ("https:", None),
        ("https://", None),
        ("https://q.qlogo.cn/\"onerror=\"alert(1)", None),
        ("https://q.qlogo.cn/'x", None),
        ("https://q.qlogo.cn/<x>", None),
        ("https://q.qlogo.cn/a b", None),
        ("https://q.qlogo.cn/a\r\nb", None),
        (" https://q.qlogo.cn/x", None),
        ("https://q.qlogo.cn/图", None),
        (longest.as_str(), Some(longest.as_str())),
        (too_long.as_str(), None),
        (too_long_once_secure.as_str(), None),
        (giant.as_str(), None),
        ("", None),
    ];
    for (url, picture) in cases {
        let case: String = url.chars().take(80).collect();
        let profile = json!({ "ret": 0, "nickname": "小明", "figureurl_qq_2": url }).to_string();
        let attempt = login_with_profile_reply(&profile).await;
        let user = attempt.assert_signed_in(&case, [1, 0, 1]);
        assert_eq!(user["avatar"], json!(picture), "{case}");
        assert_eq!(user["profile_complete"], true, "{case}");
    }
}

#[tokio::test]
async fn picks_the_first_usable_avatar_by_preference() {
    let names = [
        "figureurl_qq_2",
        "figureurl_qq",
        "figureurl_qq_1",
        "figureurl_2",
    ];
    for missing in 0..=names.len() {
        for unusable in [
            json!(""),
            json!(null),
            json!(17),
            json!("http://evil.example/"),
        ] {
            let mut profile = json!({
                "ret": 0,
                "figureurl": "http://qzapp.qlogo.cn/30",
                "figureurl_1": "http://qzapp.qlogo.cn/50",
            });
            for (at, name) in names.iter().enumerate() {
                profile[*name] = if at < missing {
                    unusable.clone()
                } else {
                    format!("http://q.qlogo.cn/{name}").into()
                };
            }
            let attempt = login_with_profile_reply(&profile.to_string()).await;
            let user = attempt.assert_signed_in("picture", [1, 0, 1]);
            let best = names.get(missing);
            let best = best.map(|name| format!("https://q.qlogo.cn/{name}"));
            assert_eq!(user["avatar"], json!(best), "{profile}");
        }
    }
}

#[tokio::test]
async fn the_largest_session_fits_into_a_cookie() {
    let openid = "O".repeat(128);
    let me = json!({ "client_id": APP_ID, "openid": openid, "unionid": "U".repeat(128) });
    let profile = json!({
        "ret": 0,
        "nickname": "🐧".repeat(64),
        "figureurl_qq_2": format!("https://q.qlogo.cn/{}", "x".repeat(512 - 19)),
    });
    let attempt = login_with(
        QqAppBuilder::request_union_id,
        br#"{"access_token":"T0KEN"}"#,
        Some(me.to_string().as_bytes()),
        profile.to_string().as_bytes(),
    )
    .await;
    // `assert_signed_in` also checks the length of the cookie.
    let user = attempt.assert_signed_in("largest", [1, 1, 1]);
    assert_eq!(user["openid"], openid);
    assert_eq!(user["avatar"].as_str().unwrap().len(), 512);
}

/// The groups of QQ error codes that fail a login, each with the status and code of the response.
const CODES: &[((u16, &str), &[i64])] = &[
    (
        (424, "misconfigured"),
        &[
            100000, 100001, 100002, 100003, 100004, 100008, 100009, 100010, 100012, 100017, 100029,
            100031, 100040, 100041, 100043, 100044, 110401, 110404, 110407, -2, -3, -4, -5, -9,
        ],
    ),
    ((424, "not_approved"), &[100011, 100051, 110406]),
    (
        (400, "code_rejected"),
        &[100005, 100018, 100019, 100020, 100067, 100068],
    ),
    (
        (400, "code_rejected"),
        &[
            100006, 100007, 100013, 100014, 100015, 100016, 100021, 100022, 100035, 100036, 100037,
            100038, 100039, 100042, 100045, 1002, -21, -22, -23, -24,
        ],
    ),
    (
        (424, "qq_busy"),
        &[100032, 100062, 110405, 110504, 1001, -6, -8, -58, -60],
    ),
    // Codes of no group, and unknown codes.
    (
        UNAVAILABLE,
        &[
            100023,
            100028,
            100033,
            100034,
            100046,
            100050,
            100047,
            100052,
            100066,
            110500,
            110503,
            110505,
            110510,
            110599,
            2021,
            1,
            -1,
            -7,
            0x7fff_ffff_ffff_ffff,
        ],
    ),
];

#[tokio::test]
async fn error_codes_fail_the_login_by_group_in_every_shape() {
    let shapes: [fn(i64) -> String; 9] = [
        |code| format!(r#"{{"error":{code},"error_description":"canary-page "}}"#),
        |code| format!(r#"{{"error":"{code}","error_description":"canary-page "}}"#),
        |code| format!("callback( {{\"error\":{code},\"error_description\":\"canary-page\"}} );\n"),
        |code| format!("callback({{\"error\":\"{code}\"}})"),
        |code| format!(r#"{{"ret":{code},"msg":"canary-page"}}"#),
        |code| format!(r#"{{"ret":"{code}","msg":"canary-page"}}"#),
        |code| format!(r#"{{"code":{code},"msg":"canary-page"}}"#),
        |code| format!("code={code}&msg=canary-page"),
        |code| format!("error={code}&error_description=canary-page"),
    ];
    for &(end, codes) in CODES {
        for &code in codes {
            for shape in shapes {
                let reply = shape(code);
                let attempt = login_with_token_reply(&reply).await;
                attempt.assert_failed(&reply, end, [1, 0, 0]);
                assert!(!attempt.reply.body.contains("canary-page"), "{reply}");
                let retry_after = attempt.reply.headers.contains_key("retry-after");
                assert_eq!(retry_after, end.1 == "qq_busy", "{reply}");
            }
            let reply = shapes[0](code);
            let attempt = login_with_me_reply(&reply).await;
            attempt.assert_failed(&reply, end, [1, 1, 0]);
        }
    }
}

#[tokio::test]
async fn an_error_code_counts_whatever_the_status() {
    let at_status = |status: u16, body: &str| {
        let response = http::Response::builder().status(status);
        Fault::from(response.body(body.to_owned()).unwrap())
    };
    let ends = [
        (100009, (424, "misconfigured")),
        (100020, (400, "code_rejected")),
        (100062, (424, "qq_busy")),
        (100046, UNAVAILABLE),
    ];
    let strict = QqAppBuilder::require_profile;
    for status in [201, 302, 400, 401, 403, 404, 429, 500, 502, 503] {
        for (code, end) in ends {
            let case = format!("{code} with status {status}");
            for body in [
                format!(r#"{{"error":{code},"error_description":"x"}}"#),
                format!("callback( {{\"error\":\"{code}\"}} );\n"),
            ] {
                let attempt = Attempt::with(strict, |qq| {
                    qq.fault(Endpoint::Token, 1, at_status(status, &body));
                })
                .await;
                attempt.assert_failed(&case, end, [1, 0, 0]);
                // An answer of QQ, so a 5xx is no reason to repeat the call.
                let attempt = Attempt::with(strict, |qq| {
                    qq.ignore_need_openid(true).fault(
                        Endpoint::Me,
                        usize::MAX,
                        at_status(status, &body),
                    );
                })
                .await;
                attempt.assert_failed(&case, end, [1, 1, 0]);
            }
        }
        let profile = r#"{"ret":-22,"msg":"openid is invalid"}"#;
        let attempt = Attempt::with(
            |app| app,
            |qq| {
                qq.fault(Endpoint::UserInfo, usize::MAX, at_status(status, profile));
            },
        )
        .await;
        attempt.assert_signed_in("profile", [1, 0, 1]);
    }
    // Without one of QQ's numbers the status decides, a good reply included.
    for body in [
        TOKEN,
        r#"{"error":"invalid_request"}"#,
        r#"{"code":502,"msg":"bad gateway"}"#,
    ] {
        for (status, end) in [
            (400, UNAVAILABLE),
            (502, UNAVAILABLE),
            (503, (424, "qq_busy")),
        ] {
            let attempt = Attempt::with(
                |app| app,
                |qq| {
                    qq.fault(Endpoint::Token, 1, at_status(status, body));
                },
            )
            .await;
            attempt.assert_failed(body, end, [1, 0, 0]);
        }
    }
}

#[tokio::test]
async fn an_error_without_a_code_fails_the_login() {
    for reply in [
        r#"{"error":"access_denied"}"#,
        r#"{"error":null}"#,
        r#"{"error":""}"#,
        r#"{"error":{}}"#,
        r#"{"error":100020.5}"#,
        r#"{"error":"100020x"}"#,
        r#"{"error":"99999999999999999999"}"#,
        r#"{"ret":null}"#,
        "error=&msg=",
    ] {
        let attempt = login_with_token_reply(reply).await;
        attempt.assert_failed(reply, UNAVAILABLE, [1, 0, 0]);
        let attempt = login_with_me_reply(reply).await;
        attempt.assert_failed(reply, UNAVAILABLE, [1, 1, 0]);
    }
}

#[tokio::test]
async fn profile_error_codes_fail_only_apps_that_require_it() {
    let not_granted = &[100030, -20][..];
    let groups = CODES.iter().copied().chain([(UNAVAILABLE, not_granted)]);
    for (end, codes) in groups {
        // The authorization code was accepted; only the profile is missing.
        let end = if end.1 == "code_rejected" {
            UNAVAILABLE
        } else {
            end
        };
        for code in codes {
            let profile = format!(r#"{{"ret":{code},"msg":"","nickname":"小明"}}"#);
            let attempt = login_with_profile_reply(&profile).await;
            let user = attempt.assert_signed_in(&profile, [1, 0, 1]);
            assert_eq!(user["openid"], OPENID, "{profile}");
            assert_eq!(user["nickname"], "", "{profile}");
            assert_eq!(user["profile_complete"], false, "{profile}");

            let strict = QqAppBuilder::require_profile;
            let attempt = login_with(strict, TOKEN.as_bytes(), None, profile.as_bytes()).await;
            attempt.assert_failed(&profile, end, [1, 0, 1]);
        }
    }
}

#[tokio::test]
async fn a_refresh_token_works_once() {
    let qq = qq();
    let client = QqClient::with_service(app(), qq.clone());
    let login = client_login(&qq).await;
    let old = login.tokens();
    assert!(old.refresh_token().is_some());
    let new = client.refresh(old).await.unwrap();
    assert_ne!(new.access_token(), old.access_token());
    assert_ne!(new.refresh_token(), old.refresh_token());
    assert_eq!(new.expires_in(), Some(Duration::from_secs(5_184_000)));
    client.user_info(&new, login.user().openid()).await.unwrap();

    let reused = client.refresh(old).await.unwrap_err();
    assert_eq!(reused.kind(), LoginErrorKind::CodeRejected);
    assert_eq!(reused.qq_code(), Some(100036));
    let calls = qq.calls(Endpoint::Token);
    qq.fault(Endpoint::Token, 1, Fault::CutBody);
    assert!(new.refresh_token().is_some());
    let lost = client.refresh(&new).await;
    assert_eq!(lost.unwrap_err().kind(), LoginErrorKind::QqUnavailable);
    assert_eq!(
        qq.calls(Endpoint::Token),
        calls + 1,
        "a refresh is never retried"
    );
}

#[tokio::test]
async fn user_info_returns_the_current_profile() {
    let qq = qq();
    let client = QqClient::with_service(app(), qq.clone());
    let login = client_login(&qq).await;
    let (tokens, openid) = (login.tokens(), login.user().openid());
    let mut person = qq.people()[0].clone();
    person.nickname = "新名字".into();
    qq.set_people([person]);
    let user = client.user_info(tokens, openid).await.unwrap();
    assert_eq!(user.openid(), openid);
    assert_eq!(user.nickname(), "新名字");
    assert!(user.profile_complete());

    let other = OpenId::new("0000000000000000000000000000000A").unwrap();
    let error = client.user_info(tokens, &other).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.qq_code()),
        (LoginErrorKind::CodeRejected, Some(-22))
    );
    qq.revoke_tokens(openid.as_str());
    let error = client.user_info(tokens, openid).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.qq_code()),
        (LoginErrorKind::CodeRejected, Some(-23))
    );
}

#[tokio::test]
async fn open_api_calls_other_qq_apis() {
    let qq = qq();
    let path = "/user/get_vip_info";
    qq.api(path, r#"{"ret":0,"msg":"","vip":"1","list":[1,{"a":"b"}]}"#);
    let app = app_builder().scope("get_user_info,get_vip_info");
    let client = QqClient::with_service(app.build().unwrap(), qq.clone());
    let callback = qq.approve(&client.authorize_url("state", false)).unwrap();
    let login = client.login(param(&callback, "code")).await.unwrap();
    let (tokens, openid) = (login.tokens(), login.user().openid());

    let reply = client
        .open_api(path, tokens, openid, &[("format", "a&b=c 1%")])
        .await
        .unwrap();
    assert_eq!(
        Value::Object(reply),
        json!({"ret": 0, "msg": "", "vip": "1", "list": [1, {"a": "b"}]})
    );
    let call = qq.journal().pop().unwrap();
    assert_eq!(call.param("format"), Some("a&b=c 1%"));
    assert_eq!(call.param("oauth_consumer_key"), Some(APP_ID));
    assert_eq!(call.params.len(), 4);

    let bad = [
        (r#"{"ret":-22,"msg":""}"#, LoginErrorKind::CodeRejected),
        (r#"{"ret":100030,"msg":""}"#, LoginErrorKind::CodeRejected),
        (r#"{"ret":-6}"#, LoginErrorKind::QqBusy),
        (r#"{"msg":"no ret"}"#, LoginErrorKind::QqUnavailable),
        ("<html>", LoginErrorKind::QqUnavailable),
        ("", LoginErrorKind::QqUnavailable),
    ];
    for (body, kind) in bad {
        qq.reply(Endpoint::Api, body);
        let error = client
            .open_api(path, tokens, openid, &[])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{body}");
    }
    let error = client.open_api("/unknown", tokens, openid, &[]).await;
    assert_eq!(error.unwrap_err().kind(), LoginErrorKind::QqUnavailable);
}

#[tokio::test]
async fn open_api_sends_nothing_to_other_hosts() {
    let qq = qq();
    let login = client_login(&qq).await;
    let (tokens, openid) = (login.tokens(), login.user().openid());
    let requested = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&requested);
    let service = service_fn(move |request: http::Request<Full<bytes::Bytes>>| {
        record.lock().unwrap().push(request.uri().clone());
        let body = Full::<bytes::Bytes>::from(r#"{"ret":0}"#);
        std::future::ready(Ok::<_, Infallible>(http::Response::new(body)))
    });
    let client = QqClient::with_service(app(), service);
    for path in [
        ".evil.example/user/x",
        "@evil.example/user/x",
        ":81/user/x",
        "user/x",
        "",
        "/user/x?openid=other",
        "/user/x#",
        "/user/\r\n",
        "/user/ x",
    ] {
        let error = client
            .open_api(path, tokens, openid, &[])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::Misconfigured, "{path:?}");
        assert!(requested.lock().unwrap().is_empty(), "{path:?}");
    }
    let reserved = ("a&openid=x b", "c");
    client
        .open_api("/user/x", tokens, openid, &[reserved])
        .await
        .unwrap();
    let requested = requested.lock().unwrap();
    let [uri] = &requested[..] else {
        panic!("{requested:?}")
    };
    assert!(
        uri.to_string().starts_with("https://graph.qq.com/user/x?"),
        "{uri}"
    );
    assert!(uri.query().unwrap().ends_with("&a%26openid%3Dx%20b=c"));
}
