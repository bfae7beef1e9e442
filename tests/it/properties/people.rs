//! What QQ says of a person, at `/me` and of the profile: in any layout, and not quite.

use axum::body::Body;
use http::{Request, Response};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::{BoxError, service_fn};
use tower_qq_auth::{LoginError, LoginErrorKind, QqClient, QqLogin};

use super::{object, object_in};
use crate::site::{APP_ID, app, block_on};

const ME: &str = r#"{"client_id":"101905280","openid":"CC7F5CEFEFC0EBAB9B07EB481AEBC29C"}"#;
const PROFILE: &str = r#"{"ret":0,"msg":"","nickname":"N"}"#;

/// A login at a QQ that replies like this to `/me` and of the profile.
fn login(
    needs_profile: bool,
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
    let client = QqClient::with_service(app().require_profile(needs_profile), qq);
    block_on(client.login("C0DE"))
}

/// The reply with a byte left out, added or replaced, with more around it, or without its end.
fn almost(replies: Vec<&'static str>) -> impl Strategy<Value = String> {
    let reply = prop::sample::select(replies);
    let more = "[ -~]{1,8}";
    let edit = (0..5_usize, any::<prop::sample::Index>(), more);
    (reply, edit).prop_map(|(reply, (edit, at, more))| {
        let at = at.index(reply.len());
        let (before, rest) = reply.split_at(at);
        match edit {
            0 => format!("{before}{}", &rest[1..]),
            1 => format!("{before}{}{}", &more[..1], &rest[1..]),
            2 => format!("{before}{}{rest}", &more[..1]),
            3 => format!("{more}{reply}"),
            _ => format!("{before}{more}"),
        }
    })
}

/// Whether it is what QQ calls 0.
fn is_zero(value: &Value) -> bool {
    let text = value.as_str().map(|it| it.strip_prefix('-').unwrap_or(it));
    value == 0 || text.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte == b'0'))
}

/// A number as QQ may write it.
fn written(number: i64) -> impl Strategy<Value = Value> {
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
    let name = "[a-zA-Z中文\"\\\\/(){}]{1,20}";
    let numbers = (written(0), any::<bool>());
    (name, numbers)
        .prop_flat_map(|(name, (ret, is_lost))| {
            let lost = written(is_lost.into());
            (Just(name), Just(ret), Just(is_lost), lost)
        })
        .prop_flat_map(|(name, ret, is_lost, lost)| {
            let fields = vec![
                ("ret", ret),
                ("is_lost", lost),
                ("nickname", name.clone().into()),
            ];
            (Just(name), Just(is_lost), object(fields))
        })
}

/// A number of an error, and how QQ may write it.
fn refusal(name: &'static str) -> impl Strategy<Value = (i64, String)> {
    let number = prop_oneof![
        2 => any::<i64>(),
        2 => 99_990..110_600_i64,
        1 => -100..1_100_i64
    ];
    number
        .prop_filter("0 is no error", |number| *number != 0)
        .prop_flat_map(|number| (Just(number), written(number)))
        .prop_flat_map(move |(number, it)| (Just(number), object(vec![(name, it)])))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn who_it_is_is_read_in_any_layout((openid, reply) in me()) {
        let login = login(true, reply.clone(), PROFILE);
        let login = login.unwrap_or_else(|error| panic!("{error}: {reply}"));
        prop_assert_eq!(login.user().openid().as_str(), openid);
    }

    #[test]
    fn a_profile_is_read_in_any_layout((name, is_lost, reply) in profile()) {
        let login = login(true, ME, reply.clone());
        let login = login.unwrap_or_else(|error| panic!("{error}: {reply}"));
        prop_assert_eq!(login.user().nickname(), name.as_str());
        prop_assert_eq!(login.user().profile_complete(), !is_lost);
        prop_assert_eq!(&login.profile().unwrap()["nickname"], &Value::from(name));
    }

    #[test]
    fn almost_a_person_is_read_only_if_another_parser_finds_one(
        reply in almost(vec![
            ME,
            r#"callback( {"client_id":"101905280","openid":"CC7F5CEFEFC0EBAB9B07EB481AEBC29C"} );"#,
        ]),
    ) {
        let expected = object_in(&reply).and_then(|found| {
            let openid = found["openid"].as_str()?.to_owned();
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            let good = found["client_id"] == APP_ID
                && (1..=128).contains(&openid.len())
                && openid.bytes().all(allowed);
            good.then_some(openid)
        });
        let read = login(true, reply.clone(), PROFILE).ok();
        let read = read.map(|login| login.user().openid().to_string());
        prop_assert_eq!(read, expected, "{}", reply);
    }

    #[test]
    fn almost_a_profile_is_read_only_if_another_parser_finds_one(
        reply in almost(vec![
            PROFILE,
            r#"{"ret":"0","msg":"","nickname":"N"}"#,
            r#"callback( {"ret":0,"msg":"","nickname":"N"} );"#,
        ]),
    ) {
        let found = object_in(&reply).filter(|found| is_zero(&found["ret"]));
        let read = login(true, ME, reply.clone()).ok();
        let read = read.map(|login| Value::from(login.profile().unwrap().clone()));
        prop_assert_eq!(read, found, "{}", reply);
    }

    #[test]
    fn an_error_is_the_same_as_a_number_and_as_text((number, reply) in refusal("error")) {
        let bare = json!({ "error": number }).to_string();
        let calls = [
            |reply: &str| login(true, reply, PROFILE),
            |reply: &str| login(true, ME, reply),
        ];
        for login in calls {
            let (error, expected) = (login(&reply).unwrap_err(), login(&bare).unwrap_err());
            prop_assert_eq!(error.qq_code(), Some(number));
            prop_assert_eq!(error.kind(), expected.kind());
        }
    }

    #[test]
    fn a_profile_that_is_refused_is_so_as_a_number_and_as_text((number, reply) in refusal("ret")) {
        let expected = login(true, ME, json!({ "ret": number }).to_string()).unwrap_err();
        let error = login(true, ME, reply.clone()).unwrap_err();
        prop_assert_eq!(error.qq_code(), Some(number));
        prop_assert_eq!(error.kind(), expected.kind());
        prop_assert!(login(false, ME, reply).unwrap().profile().is_none());
    }

    #[test]
    fn no_bytes_make_a_login_panic_and_none_of_the_profile_cost_it(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        start in prop::sample::select(vec!["", "{", "callback(", "{\"ret\":", "ret=0&", "openid="]),
    ) {
        let reply = [start.as_bytes(), &bytes].concat();
        if let Err(error) = login(true, reply.clone(), PROFILE) {
            prop_assert_eq!(error.kind(), LoginErrorKind::QqUnavailable);
        }
        let login = login(false, ME, reply).unwrap();
        prop_assert!(ME.contains(login.user().openid().as_str()));
    }
}
