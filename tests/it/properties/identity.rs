//! Properties of the replies to `/me` and of the profile.

use axum::body::Body;
use http::{Request, Response};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::{BoxError, service_fn};
use tower_qq_auth::{LoginError, LoginErrorKind, QqClient, QqLogin};

use super::{config, object, parse_object};
use crate::site::{APP_ID, app_builder, block_on};

const ME: &str = r#"{"client_id":"101905280","openid":"CC7F5CEFEFC0EBAB9B07EB481AEBC29C"}"#;
const PROFILE: &str = r#"{"ret":0,"msg":"","nickname":"N"}"#;

/// Runs a login at a QQ with these replies to `/me` and of the profile.
fn log_in(
    requires_profile: bool,
    me: impl Into<Vec<u8>>,
    profile: impl Into<Vec<u8>>,
) -> Result<QqLogin, LoginError> {
    let (me, profile) = (me.into(), profile.into());
    let qq = service_fn(move |request: Request<_>| {
        let body = match request.uri().path() {
            "/oauth2.0/token" => br#"{"access_token":"T0KEN"}"#.to_vec(),
            "/oauth2.0/me" => me.clone(),
            _ => profile.clone(),
        };
        std::future::ready(Ok::<_, BoxError>(Response::new(Body::from(body))))
    });
    let app = match requires_profile {
        true => app_builder().require_profile(),
        false => app_builder(),
    };
    let client = QqClient::with_service(app.build().unwrap(), qq);
    block_on(client.login("C0DE"))
}

/// One of these replies with a byte removed, inserted or replaced, with a prefix, or with another
/// end.
fn edited(replies: Vec<&'static str>) -> impl Strategy<Value = String> {
    let reply = prop::sample::select(replies);
    let text = "[ -~]{1,8}";
    let edit = (0..5_usize, any::<prop::sample::Index>(), text);
    (reply, edit).prop_map(|(reply, (edit, at, text))| {
        let at = at.index(reply.len());
        let (before, rest) = reply.split_at(at);
        match edit {
            0 => format!("{before}{}", &rest[1..]),
            1 => format!("{before}{}{}", &text[..1], &rest[1..]),
            2 => format!("{before}{}{rest}", &text[..1]),
            3 => format!("{text}{reply}"),
            _ => format!("{before}{text}"),
        }
    })
}

/// Returns whether QQ would mean 0 by this value.
fn is_zero(value: &Value) -> bool {
    let digits = value
        .as_str()
        .map(|text| text.strip_prefix('-').unwrap_or(text));
    value == 0 || digits.is_some_and(|text| !text.is_empty() && text.bytes().all(|it| it == b'0'))
}

/// A number as a JSON number or as a string.
fn number_or_text(number: i64) -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::from(number)),
        Just(Value::from(number.to_string()))
    ]
}

fn me() -> impl Strategy<Value = (String, String)> {
    "[0-9A-Za-z_-]{1,128}".prop_flat_map(|openid| {
        let fields = vec![
            ("client_id", APP_ID.into()),
            ("openid", openid.clone().into()),
        ];
        (Just(openid), object(fields))
    })
}

fn profile() -> impl Strategy<Value = (String, bool, String)> {
    let nickname = "[a-zA-Z中文\"\\\\/(){}]{1,20}";
    let numbers = (number_or_text(0), any::<bool>());
    (nickname, numbers)
        .prop_flat_map(|(nickname, (ret, is_lost))| {
            let is_lost_field = number_or_text(is_lost.into());
            (Just(nickname), Just(ret), Just(is_lost), is_lost_field)
        })
        .prop_flat_map(|(nickname, ret, is_lost, is_lost_field)| {
            let fields = vec![
                ("ret", ret),
                ("is_lost", is_lost_field),
                ("nickname", nickname.clone().into()),
            ];
            (Just(nickname), Just(is_lost), object(fields))
        })
}

/// An error code, and a reply that has it in the field `name`.
fn error_reply(name: &'static str) -> impl Strategy<Value = (i64, String)> {
    let number = prop_oneof![
        2 => any::<i64>(),
        2 => 99_990..110_600_i64,
        1 => -100..1_100_i64
    ];
    number
        .prop_filter("0 is no error", |number| *number != 0)
        .prop_flat_map(|number| (Just(number), number_or_text(number)))
        .prop_flat_map(move |(number, value)| (Just(number), object(vec![(name, value)])))
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn an_openid_is_read_in_any_layout((openid, reply) in me()) {
        let login = log_in(true, reply.clone(), PROFILE);
        let login = login.unwrap_or_else(|error| panic!("{error}: {reply}"));
        prop_assert_eq!(login.user().openid().as_str(), openid);
    }

    #[test]
    fn a_profile_is_read_in_any_layout((nickname, is_lost, reply) in profile()) {
        let login = log_in(true, ME, reply.clone());
        let login = login.unwrap_or_else(|error| panic!("{error}: {reply}"));
        prop_assert_eq!(login.user().nickname(), nickname.as_str());
        prop_assert_eq!(login.user().profile_complete(), !is_lost);
        prop_assert_eq!(&login.profile().unwrap()["nickname"], &Value::from(nickname));
    }

    #[test]
    fn an_edited_openid_reply_is_accepted_only_if_another_parser_accepts_it(
        reply in edited(vec![
            ME,
            r#"callback( {"client_id":"101905280","openid":"CC7F5CEFEFC0EBAB9B07EB481AEBC29C"} );"#,
        ]),
    ) {
        let expected = parse_object(&reply).and_then(|object| {
            let openid = object["openid"].as_str()?.to_owned();
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            let is_good = object["client_id"] == APP_ID
                && (1..=128).contains(&openid.len())
                && openid.bytes().all(is_allowed);
            is_good.then_some(openid)
        });
        let login = log_in(true, reply.clone(), PROFILE).ok();
        let openid = login.map(|login| login.user().openid().to_string());
        prop_assert_eq!(openid, expected, "{}", reply);
    }

    #[test]
    fn an_edited_profile_is_accepted_only_if_another_parser_accepts_it(
        reply in edited(vec![
            PROFILE,
            r#"{"ret":"0","msg":"","nickname":"N"}"#,
            r#"callback( {"ret":0,"msg":"","nickname":"N"} );"#,
        ]),
    ) {
        let expected = parse_object(&reply).filter(|object| is_zero(&object["ret"]));
        let login = log_in(true, ME, reply.clone()).ok();
        let profile = login.map(|login| Value::from(login.profile().unwrap().clone()));
        prop_assert_eq!(profile, expected, "{}", reply);
    }

    #[test]
    fn an_error_code_means_the_same_as_a_number_and_as_text(
        (number, reply) in error_reply("error"),
    ) {
        let plain = json!({ "error": number }).to_string();
        let steps = [
            |reply: &str| log_in(true, reply, PROFILE),
            |reply: &str| log_in(true, ME, reply),
        ];
        for log_in in steps {
            let (error, expected) = (log_in(&reply).unwrap_err(), log_in(&plain).unwrap_err());
            prop_assert_eq!(error.qq_code(), Some(number));
            prop_assert_eq!(error.kind(), expected.kind());
        }
    }

    #[test]
    fn a_profile_error_means_the_same_as_a_number_and_as_text(
        (number, reply) in error_reply("ret"),
    ) {
        let expected = log_in(true, ME, json!({ "ret": number }).to_string()).unwrap_err();
        let error = log_in(true, ME, reply.clone()).unwrap_err();
        prop_assert_eq!(error.qq_code(), Some(number));
        prop_assert_eq!(error.kind(), expected.kind());
        prop_assert!(log_in(false, ME, reply).unwrap().profile().is_none());
    }

    #[test]
    fn garbage_ends_a_login_at_the_openid_but_not_at_the_profile(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        start in prop::sample::select(vec!["", "{", "callback(", "{\"ret\":", "ret=0&", "openid="]),
    ) {
        let reply = [start.as_bytes(), &bytes].concat();
        if let Err(error) = log_in(true, reply.clone(), PROFILE) {
            prop_assert_eq!(error.kind(), LoginErrorKind::QqUnavailable);
        }
        let login = log_in(false, ME, reply).unwrap();
        prop_assert!(ME.contains(login.user().openid().as_str()));
    }
}

/// Found by the property above, and kept here because it is rarely drawn.
#[test]
fn an_openid_reply_without_any_field_is_unavailable() {
    for reply in ["{}", " {} ", "callback( {} );"] {
        let error = log_in(true, reply, PROFILE).unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::QqUnavailable, "{reply}");
        assert_eq!(error.step(), Some("openid"), "{reply}");
    }
}
