//! Properties that hold for any input.
//!
//! Every run tries the same inputs. `EXPLORE=1 cargo test --workspace --all-features properties`
//! tries new ones.

use std::{
    convert::Infallible,
    future::ready,
    hint::black_box,
    pin::pin,
    time::{Duration, SystemTime},
};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    routing::get,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{FileFailurePersistence, RngSeed},
};
use serde_json::{Value, json};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_qq_auth::{
    Identity, OpenId, QqApp, QqAuthLayer, QqAuthLayerBuilder, QqClient, QqTokens, QqUser,
    SessionKeys, UnionId,
    mock::{Endpoint, MockQq},
};

use crate::{
    attempt::Attempt,
    load::now,
    site::{
        APP_ID, APP_KEY, CALLBACK, Clock, LOGIN, SESSION, Site, block_on, keys, layer, pages, qq,
    },
};

mod identity;
mod session;

/// The configuration of every property.
///
/// Without `EXPLORE` the seed is fixed, so that one commit has one result. A failure that exploring
/// finds is written to `tests/proptest-regressions/`; every later run replays it first.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let rng_seed = match std::env::var_os("EXPLORE") {
        Some(_) => RngSeed::Random,
        None => RngSeed::Fixed(1),
    };
    let regressions = FileFailurePersistence::SourceParallel("proptest-regressions");
    ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: Some(Box::new(regressions)),
        ..ProptestConfig::default()
    }
}

/// Sends a GET request with these `Cookie` headers.
async fn send(router: &Router, uri: &str, cookies: &[impl AsRef<[u8]>]) -> (StatusCode, Bytes) {
    let mut request = Request::get(uri).header(header::ACCEPT, "application/json");
    for cookie in cookies {
        request = request.header(header::COOKIE, cookie.as_ref());
    }
    let request = request.body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, body)
}

/// Returns the user that a public page sees, or null.
async fn whoami(router: &Router, cookies: &[impl AsRef<[u8]>]) -> Value {
    let (status, body) = send(router, "/whoami", cookies).await;
    assert_eq!(status, StatusCode::OK);
    serde_json::from_slice(&body).unwrap()
}

/// Fails unless the site rejects the callback without a call to QQ.
async fn assert_rejected(site: &Site, callback: &str, cookies: &[impl AsRef<[u8]>]) {
    let before = site.qq.calls(Endpoint::Token);
    let (status, body) = send(&site.router, callback, cookies).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["code"], "invalid_state");
    assert_eq!(site.qq.calls(Endpoint::Token), before);
}

/// Returns a `Cookie` header.
fn pair(name: &str, value: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b"=", value].concat()
}

/// A login that waits for its callback.
struct PendingLogin {
    name: String,
    value: String,
    callback: String,
}

impl PendingLogin {
    async fn start(site: &Site, url: &str) -> Self {
        let mut browser = site.browser();
        let callback = browser.callback_from(&site.qq, url).await;
        let (name, value) = browser.jar.pop_first().unwrap();
        assert!(name.starts_with(LOGIN));
        Self {
            name,
            value,
            callback,
        }
    }
}

/// The setting in which one site differs from another.
#[derive(Clone, Copy, Debug)]
enum Difference {
    AppId,
    Keys,
    CookiePrefix,
}

fn differences() -> impl Strategy<Value = Difference> {
    prop::sample::select(vec![
        Difference::AppId,
        Difference::Keys,
        Difference::CookiePrefix,
    ])
}

/// Returns the layer of `Site::new()`, or one that differs from it, and its QQ.
fn layer_with(difference: Option<Difference>) -> (QqAuthLayer, MockQq) {
    let (mut app_id, mut keys, mut prefix) = (APP_ID, keys(), "qq");
    match difference {
        Some(Difference::AppId) => app_id = "101905281",
        Some(Difference::Keys) => {
            keys = SessionKeys::new(b"another-session-key \x1b D3kR7nXq9sZv").unwrap();
        }
        Some(Difference::CookiePrefix) => prefix = "other",
        None => {}
    }
    let qq = MockQq::new(app_id, APP_KEY, CALLBACK);
    let app = QqApp::new(app_id, APP_KEY, CALLBACK).unwrap();
    let clock = Clock::new();
    let builder = QqAuthLayer::builder(QqClient::with_service(app, qq.clone()), keys)
        .clock(move || clock.now())
        .cookie_prefix(prefix);
    (builder.build().unwrap(), qq)
}

fn site_with(difference: Difference) -> Site {
    let (layer, qq) = layer_with(Some(difference));
    Site {
        qq,
        router: pages().layer(layer),
        clock: Clock::new(),
    }
}

/// An identity at the app of the layer, or at another one.
fn identity() -> impl Strategy<Value = Identity> {
    let app_id = prop_oneof![Just(APP_ID.to_owned()), "[0-9]{1,20}"];
    (app_id, "[0-9A-Za-z_-]{1,128}")
        .prop_map(|(app_id, openid)| Identity::new(&app_id, &OpenId::new(openid).unwrap()).unwrap())
}

/// A user with any identity and with texts of any length that fits into a cookie.
fn users() -> impl Strategy<Value = QqUser> {
    let id = "[0-9A-Za-z_-]{1,128}";
    let nickname = prop::collection::vec(any::<char>(), 0..400);
    let avatar = prop::option::of("[!-~]{0,400}");
    let complete = any::<bool>();
    let fields = (identity(), prop::option::of(id), nickname, avatar, complete);
    fields.prop_map(|(identity, unionid, nickname, avatar, is_complete)| {
        let user = QqUser::new(identity)
            .with_nickname(nickname.into_iter().collect::<String>())
            .with_profile_complete(is_complete);
        let user = match unionid {
            Some(unionid) => user.with_unionid(UnionId::new(unionid).unwrap()),
            None => user,
        };
        match avatar {
            Some(avatar) => user.with_avatar(avatar),
            None => user,
        }
    })
}

const BASE64_URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A byte of the alphabet that cookie values use.
fn base64_url_byte() -> impl Strategy<Value = u8> {
    prop::sample::select(BASE64_URL)
}

/// A byte that a header may contain.
fn header_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => base64_url_byte(),
        4 => b' '..=b'~',
        2 => 0x80..=0xff_u8,
        1 => Just(b'\t'),
    ]
}

/// A byte that a cookie value may contain anywhere, unlike a blank or a semicolon.
fn value_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => base64_url_byte(),
        2 => b'!'..=b':',
        2 => b'<'..=b'~',
        1 => 0x80..=0xff_u8,
    ]
}

#[derive(Clone, Debug)]
enum Edit {
    Replace(u8),
    Insert(u8),
    Remove,
    Truncate,
}

fn edits() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => header_byte().prop_map(Edit::Replace),
        2 => value_byte().prop_map(Edit::Insert),
        1 => Just(Edit::Remove),
        2 => Just(Edit::Truncate),
    ]
}

impl Edit {
    fn apply(&self, value: &str, at: Index) -> Vec<u8> {
        let mut edited = value.as_bytes().to_vec();
        match *self {
            Self::Replace(byte) => edited[at.index(value.len())] = byte,
            Self::Insert(byte) => edited.insert(at.index(value.len() + 1), byte),
            Self::Remove => {
                edited.remove(at.index(value.len()));
            }
            Self::Truncate => edited.truncate(at.index(value.len())),
        }
        edited
    }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn a_login_keeps_its_user_and_no_other_site_accepts_the_session(
        openid in "[0-9A-F]{32}",
        nickname in any::<String>(),
        difference in differences(),
    ) {
        block_on(async {
            let site = Site::new();
            let me = json!({ "client_id": APP_ID, "openid": openid });
            let profile = json!({ "ret": 0, "msg": "", "nickname": nickname });
            site.qq.reply(Endpoint::Token, r#"{"access_token":"T0KEN"}"#);
            site.qq.reply(Endpoint::Me, me.to_string());
            site.qq.reply(Endpoint::UserInfo, profile.to_string());
            let mut browser = site.signed_in().await;
            let user = browser.whoami().await;
            assert_eq!(user["openid"], openid);
            assert_eq!(browser.whoami().await, user);
            let value = &browser.jar[SESSION];
            let other = site_with(difference);
            for name in [SESSION, "__Host-other_session"] {
                let cookies = [format!("{name}={value}")];
                assert_eq!(whoami(&other.router, &cookies).await, Value::Null);
            }
        });
    }

    #[test]
    fn a_session_cookie_opens_only_with_its_keys_name_and_app(
        user in users(),
        difference in differences(),
    ) {
        block_on(async {
            let (layer, _) = layer_with(None);
            let router = pages().layer(layer.clone());
            let cookie = layer.session_cookie(&user, None).unwrap();
            let (name, value) = cookie.split_once('=').unwrap();
            assert_eq!(name, SESSION);
            assert_eq!(whoami(&router, &[&cookie]).await, json!(user));
            for name in ["__Host-other_session", "qq_session", "__Host-qq_login_0"] {
                assert_eq!(whoami(&router, &[format!("{name}={value}")]).await, Value::Null);
            }
            let other = site_with(difference);
            for name in [SESSION, "__Host-other_session"] {
                let cookies = [format!("{name}={value}")];
                assert_eq!(whoami(&other.router, &cookies).await, Value::Null);
            }
        });
    }

    #[test]
    fn a_login_cookie_opens_only_with_its_keys_name_and_app(
        return_to in "/[a-z0-9]{0,300}",
        difference in differences(),
    ) {
        block_on(async {
            let site = Site::new();
            let url = format!("/auth/qq/login?return_to={return_to}");
            let login = PendingLogin::start(&site, &url).await;
            let other_name = login.name.replace("__Host-qq_", "__Host-other_");
            let cookies = [&login.name, &other_name].map(|name| format!("{name}={}", login.value));
            let other = site_with(difference);
            assert_rejected(&other, &login.callback, &cookies).await;

            // The value of one login under the name of another.
            let second = PendingLogin::start(&site, &url).await;
            let swapped = [format!("{}={}", second.name, login.value)];
            assert_rejected(&site, &second.callback, &swapped).await;

            let mut browser = site.browser();
            browser.jar.insert(login.name, login.value);
            assert_eq!(browser.get(&login.callback).await.location(), return_to);
        });
    }

    #[test]
    fn an_edited_session_or_login_cookie_is_worthless(edit in edits(), at in any::<Index>()) {
        block_on(async {
            let site = Site::new();
            let sealed = site.signed_in().await.jar[SESSION].clone();
            let value = edit.apply(&sealed, at);
            let user = whoami(&site.router, &[pair(SESSION, &value)]).await;
            assert_eq!(user != Value::Null, value == sealed.as_bytes(), "{value:?}");

            let login = PendingLogin::start(&site, "/auth/qq/login?return_to=/x").await;
            let value = edit.apply(&login.value, at);
            let cookies = [pair(&login.name, &value)];
            if value == login.value.as_bytes() {
                let (status, _) = send(&site.router, &login.callback, &cookies).await;
                assert_eq!(status, StatusCode::SEE_OTHER);
            } else {
                assert_rejected(&site, &login.callback, &cookies).await;
            }
        });
    }

    #[test]
    fn a_made_up_value_opens_as_no_session_and_no_login(
        bytes in prop::collection::vec(header_byte(), 0..300),
        text in prop::collection::vec(base64_url_byte(), 0..300),
    ) {
        block_on(async {
            let site = Site::new();
            let login = PendingLogin::start(&site, "/auth/qq/login").await;
            for value in [bytes, text] {
                let session = [pair(SESSION, &value)];
                assert_eq!(whoami(&site.router, &session).await, Value::Null);
                let pending = [pair(&login.name, &value)];
                assert_eq!(whoami(&site.router, &pending).await, Value::Null);
                assert_rejected(&site, &login.callback, &pending).await;
            }
        });
    }

    #[test]
    fn a_value_longer_than_2048_bytes_opens_as_no_session_and_no_login(
        length in 2049..20_000_usize,
        byte in base64_url_byte(),
        keep in any::<bool>(),
    ) {
        block_on(async {
            let site = Site::new();
            let session = site.signed_in().await.jar[SESSION].clone();
            let login = PendingLogin::start(&site, "/auth/qq/login").await;
            let lengthen = |sealed: &str| {
                let mut value = if keep { sealed.as_bytes().to_vec() } else { Vec::new() };
                value.resize(length, byte);
                value
            };
            let cookies = [pair(SESSION, &lengthen(&session))];
            assert_eq!(whoami(&site.router, &cookies).await, Value::Null);
            let cookies = [pair(&login.name, &lengthen(&login.value))];
            assert_rejected(&site, &login.callback, &cookies).await;
        });
    }

    #[test]
    fn a_session_opens_as_no_login_and_a_login_as_no_session(with_return_to in any::<bool>()) {
        block_on(async {
            let site = Site::new();
            let mut browser = site.browser().program();
            let login = if with_return_to {
                "/auth/qq/login?return_to=/x"
            } else {
                "/auth/qq/login"
            };
            let callback = browser.callback_from(&site.qq, login).await;
            let (name, value) = browser.jar.pop_first().unwrap();
            assert!(name.starts_with(LOGIN));
            assert_eq!(whoami(&site.router, &[format!("{SESSION}={value}")]).await, Value::Null);
            let session = site.signed_in().await.jar[SESSION].clone();
            browser.jar.insert(name, session);
            let before = site.qq.calls(Endpoint::Token);
            browser.get(&callback).await.assert_failed(400, "invalid_state");
            assert_eq!(site.qq.calls(Endpoint::Token), before);
        });
    }
}

#[test]
fn the_longest_session_cookie_that_is_issued_opens() {
    let (layer, _) = layer_with(None);
    let router = pages().layer(layer.clone());
    let issue = |length: usize| {
        let user = QqUser::new(OpenId::new("A").unwrap()).with_nickname("n".repeat(length));
        layer.session_cookie(&user, None)
    };
    let longest = (0..2048).rev().find(|length| issue(*length).is_ok());
    let longest = longest.unwrap();
    assert!(issue(longest + 1).is_err());
    let cookie = issue(longest).unwrap();
    assert!((1900..=2048).contains(&cookie.len()), "{}", cookie.len());
    let user = block_on(whoami(&router, &[&cookie]));
    assert_eq!(user["nickname"], "n".repeat(longest));
}

/// No longer value is ever sealed, so this measures that one is not even decoded.
#[test]
fn a_value_longer_than_2048_bytes_is_ignored() {
    const DECODED: u64 = 2048 / 4 * 3;
    let app = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let mut service = layer(&qq()).layer(app);
    let mut allocated = |length: usize| {
        let cookie = format!("{SESSION}={}", "A".repeat(length));
        let request = Request::get("/").header(header::COOKIE, cookie);
        let request = request.body(()).unwrap();
        let memory = allocation_counter::measure(|| {
            let response = now(pin!(service.call(request))).expect("the response is ready");
            assert_eq!(black_box(response).unwrap().status(), StatusCode::OK);
        });
        memory.bytes_total
    };
    // The first request sets up what the thread keeps.
    allocated(2048);
    assert!(allocated(2048) >= DECODED, "the counter counts");
    for length in [2049, 2052, 4096, 1 << 20] {
        assert!(allocated(length) < DECODED, "{length}");
    }
}

#[test]
fn skipping_the_parameters_of_others_allocates_nothing() {
    let app = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let mut service = layer(&qq()).layer(app);
    let mut allocations = |query: &str| {
        let request = Request::get(format!("/auth/qq/callback?{query}"));
        let request = request.body(()).unwrap();
        let memory = allocation_counter::measure(|| {
            let response = now(pin!(service.call(request))).expect("the response is ready");
            assert_eq!(
                black_box(response).unwrap().status(),
                StatusCode::BAD_REQUEST
            );
        });
        memory.count_total
    };
    // The first request sets up what the thread keeps.
    allocations("a");
    let few = allocations("a");
    for pair in [
        "a&",
        "&",
        "codes=%41&",
        "%63ode_=%41+&",
        "error%5Fx&",
        "%25+&",
    ] {
        let many = allocations(&pair.repeat(60_000 / pair.len()));
        assert!(
            many <= few + 8,
            "{pair}: {many} allocations instead of {few}"
        );
    }
}

/// `Cookie` headers with the session cookie among similar ones. `GOOD` stands for the sealed value.
fn cookie_headers() -> impl Strategy<Value = Vec<String>> {
    let blanks = prop::sample::select(vec!["", "", "", " ", "  ", "\t"]);
    let name = prop_oneof![
        4 => Just(SESSION.to_owned()),
        1 => prop::sample::select(vec![
            "__Host%2dqq_session", "__host-qq_session", "__Secure-qq_session", "qq_session",
            "__Host-qq_session_", "x__Host-qq_session", "__Host-qq_sessio", "__Host-qq_session.",
            "$Version", "Path", "",
        ]).prop_map(String::from),
        1 => "[!-:<>-~]{0,12}",
    ];
    let value = prop_oneof![
        4 => Just("GOOD".to_owned()),
        1 => prop::sample::select(vec!["", "\"GOOD\"", "GOOD=", "=GOOD", "GOOD GOOD", "other"])
            .prop_map(String::from),
        1 => "[ -:<-~]{0,12}",
    ];
    let pair = (blanks.clone(), name, blanks.clone(), value, blanks).prop_map(
        |(before, name, within, value, after)| {
            format!("{before}{name}{within}={within}{value}{after}")
        },
    );
    let piece = prop_oneof![6 => pair, 1 => "[ -:<-~]{0,6}", 1 => Just(String::new())];
    let header = prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.join(";"));
    prop::collection::vec(header, 0..3)
}

proptest! {
    #![proptest_config(config(1000))]

    /// Cookie names are compared byte for byte. If two values have the same name, neither counts.
    #[test]
    fn the_session_is_found_wherever_the_cookie_crate_finds_it(headers in cookie_headers()) {
        block_on(async {
            let site = Site::new();
            let sealed = site.signed_in().await.jar[SESSION].clone();
            let headers: Vec<_> = headers
                .iter()
                .map(|header| header.replace("GOOD", &sealed))
                .collect();
            let found: Vec<_> = headers
                .iter()
                .flat_map(|header| cookie::Cookie::split_parse(header.as_str()))
                .filter_map(Result::ok)
                .filter(|cookie| cookie.name() == SESSION)
                .collect();
            let expected = !found.is_empty() && found.iter().all(|cookie| cookie.value() == sealed);
            let is_signed_in = whoami(&site.router, &headers).await != Value::Null;
            assert_eq!(is_signed_in, expected, "{headers:?}");
        });
    }
}

fn blanks() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,3}"
}

/// Any JSON value.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// An object with these and other fields, as JSON or JSONP, with blanks wherever they are allowed.
fn object(fields: Vec<(&'static str, Value)>) -> impl Strategy<Value = String> {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect();
    let extra = prop::collection::btree_map("x[a-z0-9_]{0,8}", json_value(), 0..4);
    let all = extra.prop_map(move |extra| {
        let mut all: Vec<(String, Value)> = fields.clone();
        all.extend(extra);
        all
    });
    let json =
        (all.prop_shuffle(), prop::collection::vec(blanks(), 48)).prop_map(|(fields, blanks)| {
            let mut blanks = blanks.iter().map(String::as_str);
            let mut blank = || blanks.next().unwrap_or_default().to_owned();
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| {
                    let (name, value) = (Value::from(name.as_str()), value.to_string());
                    [
                        &blank(),
                        &name.to_string(),
                        &blank(),
                        ":",
                        &blank(),
                        &value,
                        &blank(),
                    ]
                    .concat()
                })
                .collect();
            format!("{}{{{}}}{}", blank(), fields.join(","), blank())
        });
    let end = prop::sample::select(vec!["", ";", " ;", "\n;\n"]);
    let jsonp = prop::option::of((blanks(), end));
    (json, jsonp).prop_map(|(json, jsonp)| match jsonp {
        Some((blank, end)) => format!("{blank}callback{blank}({json}){end}{blank}"),
        None => json,
    })
}

/// A token reply as JSON, JSONP or a form.
fn token_reply() -> impl Strategy<Value = String> {
    let value = "([A-Za-z0-9._~+-]|%[2-7][0-9]|中){0,9}";
    let form = prop::collection::btree_map("x[A-Za-z0-9_]{0,8}", value, 0..4).prop_map(|extra| {
        let extra = extra.iter().map(|(name, value)| format!("&{name}={value}"));
        format!(
            "access_token=T0KEN&expires_in=7776000{}\n",
            extra.collect::<String>()
        )
    });
    prop_oneof![2 => object(vec![("access_token", "T0KEN".into())]), 1 => form]
}

/// Runs a login in which QQ sends this reply to the token call.
async fn log_in(token: impl Into<Bytes>) -> Attempt {
    Attempt::with(
        |app| app,
        |qq| {
            qq.reply(Endpoint::Token, token.into());
            let openid = &qq.people()[0].openid;
            let me = json!({ "client_id": APP_ID, "openid": openid });
            qq.reply(Endpoint::Me, me.to_string());
            qq.reply(Endpoint::UserInfo, r#"{"ret":0,"msg":"","nickname":"N"}"#);
        },
    )
    .await
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn a_token_reply_is_read_in_any_layout(reply in token_reply()) {
        block_on(async { log_in(reply.clone()).await.assert_signed_in(&reply, [1, 1, 1]); });
    }

    #[test]
    fn a_token_reply_without_one_of_its_delimiters_is_refused(
        reply in prop::sample::select(vec![
            r#"{"access_token":"T0KEN","expires_in":7776000}"#,
            r#"callback( {"access_token":"T0KEN","expires_in":7776000} );"#,
        ]),
        at in any::<Index>(),
        replacement in prop::option::of("[ -~]"),
    ) {
        let delimiters: Vec<_> = reply.match_indices(['{', '}', '(', ')', '"', ':', ',']).collect();
        let (at, delimiter) = delimiters[at.index(delimiters.len())];
        let mut broken = reply.to_owned();
        let replacement = replacement.unwrap_or_default();
        broken.replace_range(at..at + 1, &replacement);
        prop_assume!(replacement != delimiter);
        block_on(async {
            let attempt = log_in(broken.clone()).await;
            let is_accepted = attempt.reply.status == 303;
            let has_token = parse_object(&broken)
                .is_some_and(|reply| reply["access_token"] == "T0KEN");
            assert_eq!(is_accepted, has_token, "{broken}");
        });
    }

    #[test]
    fn a_login_ends_in_a_redirect_or_a_failure_whatever_the_token_reply(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        start in prop::sample::select(vec!["", "{", "callback(", "access_token="]),
    ) {
        let reply = [start.as_bytes(), &bytes].concat();
        block_on(async {
            let reply = log_in(reply).await.reply;
            assert!([303, 400, 424].contains(&reply.status.as_u16()), "{reply:?}");
        });
    }
}

/// Parses a reply, bare or in `callback(…)`, with another parser than the crate's.
fn parse_object(reply: &str) -> Option<Value> {
    let inside = reply.trim().strip_prefix("callback").map(str::trim);
    let json = match inside.and_then(|inside| inside.strip_prefix('(')) {
        Some(inside) => {
            let inside = inside.strip_suffix(';').unwrap_or(inside).trim();
            inside.strip_suffix(')')?
        }
        None => reply,
    };
    let value: Value = serde_json::from_str(json).ok()?;
    value.is_object().then_some(value)
}

/// Any duration, with a preference for those near the limits.
fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0..4_000_000_u64).prop_map(Duration::from_secs),
        2 => (0..900_000_u64).prop_map(Duration::from_millis),
        1 => any::<u32>().prop_map(|secs| Duration::from_secs(secs.into())),
    ]
}

fn limits() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => durations().prop_map(|duration| duration.max(Duration::from_secs(60))),
        1 => any::<u64>().prop_map(|secs| Duration::from_secs(secs.max(60))),
        1 => Just(Duration::MAX),
    ]
}

/// A site with these limits of its sessions, and with a page that replaces the tokens.
fn site_with_limits(idle: Duration, lifetime: Duration) -> Site {
    let replace = async || (Extension(QqTokens::new("OTHER", None, None)), "replaced");
    let page = Router::new().route("/replace-tokens", get(replace));
    let configure = |layer: QqAuthLayerBuilder| {
        let layer = layer.session_idle(idle).session_lifetime(lifetime);
        layer.keep_tokens()
    };
    Site::with_pages(move |_| page, configure)
}

/// The times of a session in milliseconds, with a type that does not overflow.
struct Times {
    idle: u128,
    lifetime: u128,
    started: u128,
    renewed: u128,
}

impl Times {
    const SKEW: u128 = 5 * 60 * 1000;

    fn is_valid(&self, now: u128) -> bool {
        self.renewed <= now + Self::SKEW
            && now < self.renewed + self.idle
            && now < self.started + self.lifetime
    }

    fn visit(&mut self, now: u128, replaces_tokens: bool) {
        if replaces_tokens {
            self.renewed = self.renewed.max(now);
        } else if now > self.renewed + self.idle / 2 {
            self.renewed = now;
        }
    }
}

fn millis(time: SystemTime) -> u128 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_millis()
}

#[derive(Clone, Debug)]
enum ClockChange {
    Advance(Duration),
    TurnBack(Duration),
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn a_session_is_valid_within_its_limits_only_whatever_the_clock_does(
        idle in limits(),
        lifetime in limits(),
        start in prop_oneof![durations(), (0..1_u64 << 45).prop_map(Duration::from_secs)],
        visits in prop::collection::vec(
            (
                prop_oneof![
                    4 => durations().prop_map(ClockChange::Advance),
                    1 => durations().prop_map(ClockChange::TurnBack),
                    1 => (0..400_u64).prop_map(Duration::from_secs).prop_map(ClockChange::TurnBack),
                ],
                any::<bool>(),
            ),
            1..12,
        ),
    ) {
        block_on(async {
            let site = site_with_limits(idle, lifetime);
            site.clock.advance(start);
            let mut browser = site.signed_in().await;
            let started = millis(site.clock.now());
            let (idle, lifetime) = (idle.as_millis(), lifetime.as_millis());
            let mut times = Times { idle, lifetime, started, renewed: started };
            for (change, replaces_tokens) in visits {
                match change {
                    ClockChange::Advance(by) => site.clock.advance(by),
                    ClockChange::TurnBack(by) => site.clock.turn_back(by),
                }
                let now = millis(site.clock.now());
                let is_valid = times.is_valid(now);
                let user = browser.clone().whoami().await;
                assert_eq!(user != Value::Null, is_valid);
                let page = if replaces_tokens { "/replace-tokens" } else { "/" };
                let reply = browser.get(page).await;
                assert!(is_valid || reply.cookies().is_empty(), "{reply:?}");
                if is_valid {
                    times.visit(now, replaces_tokens);
                }
                if !browser.jar.contains_key(SESSION) {
                    // `Max-Age` is 0 in the last second of a session.
                    assert!(times.started + times.lifetime < now + 1000);
                    break;
                }
            }
        });
    }
}
