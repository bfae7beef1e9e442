//! Promises that hold for any input, not only for the ones somebody thought of.

use std::time::{Duration, SystemTime};

use axum::{Extension, Router, routing::get};
use http::{Request, header};
use proptest::prelude::*;
use serde_json::Value;
use tower::ServiceExt;
use tower_qq_auth::{
    QqApp, QqAuthLayer, QqClient, QqTokens, SessionKeys,
    mock::{Endpoint, MockQq},
};

use crate::{
    attempt::Attempt,
    site::{APP_ID, APP_KEY, CALLBACK, Clock, LOGIN, SESSION, Site, block_on, keys, pages},
};

mod people;

/// Who the site takes a request with these `Cookie` headers for.
async fn whoami(router: &Router, cookies: &[String]) -> Value {
    let mut request = Request::get("/whoami");
    for cookie in cookies {
        request = request.header(header::COOKIE, cookie);
    }
    let request = request.body(axum::body::Body::empty()).unwrap();
    let reply = router.clone().oneshot(request).await.unwrap();
    assert_eq!(reply.status(), 200);
    let body = axum::body::to_bytes(reply.into_body(), usize::MAX).await;
    serde_json::from_slice(&body.unwrap()).unwrap()
}

/// Another site than `Site::new()`, in one of the ways that count.
fn another_site(way: usize) -> Router {
    let (mut app_id, mut key, mut prefix) = (APP_ID, keys(), "qq");
    match way {
        0 => app_id = "101905281",
        1 => key = SessionKeys::new(b"another-session-key 0123456789abcdef").unwrap(),
        _ => prefix = "other",
    }
    let app = QqApp::new(app_id, APP_KEY, CALLBACK).unwrap();
    let client = QqClient::with_service(app, MockQq::new(app_id, APP_KEY, CALLBACK));
    let now = Clock::new().now();
    let layer = QqAuthLayer::with_client(client, key).clock(move || now);
    pages().layer(layer.cookie_prefix(prefix).unwrap())
}

const BASE64_URL: &str = "[A-Za-z0-9_-]";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_sealed_user_is_read_as_it_was_and_only_where_it_was_sealed(
        openid in "[0-9A-F]{32}",
        nickname in any::<String>(),
        way in 0..3_usize,
    ) {
        block_on(async {
            let site = Site::new();
            let me = serde_json::json!({ "client_id": APP_ID, "openid": openid });
            let profile = serde_json::json!({ "ret": 0, "msg": "", "nickname": nickname });
            site.qq.reply(Endpoint::Token, r#"{"access_token":"T0KEN"}"#);
            site.qq.reply(Endpoint::Me, me.to_string());
            site.qq.reply(Endpoint::UserInfo, profile.to_string());
            let mut browser = site.signed_in().await;
            let user = browser.whoami().await;
            assert_eq!(user["openid"], openid);
            assert_eq!(browser.whoami().await, user);
            let value = &browser.jar[SESSION];
            let foreign = another_site(way);
            for name in [SESSION, "__Host-other_session"] {
                let cookies = [format!("{name}={value}")];
                assert_eq!(whoami(&foreign, &cookies).await, Value::Null);
            }
        });
    }

    #[test]
    fn a_sealed_value_with_any_byte_changed_added_or_left_out_is_nobodys(
        at in any::<prop::sample::Index>(),
        change in prop_oneof![BASE64_URL.prop_map(Some), "[!-:<-~]".prop_map(Some), Just(None)],
        replaced in 0..2_usize,
    ) {
        block_on(async {
            let site = Site::new();
            let mut value = site.signed_in().await.jar[SESSION].clone();
            let at = at.index(value.len());
            let gone = if change.is_none() { 1 } else { replaced };
            let sealed = value.clone();
            value.replace_range(at..at + gone, change.as_deref().unwrap_or_default());
            let is_somebody = whoami(&site.router, &[format!("{SESSION}={value}")]).await != Value::Null;
            assert_eq!(is_somebody, value == sealed, "{value}");
        });
    }

    #[test]
    fn a_session_is_no_pending_login_and_a_pending_login_no_session(intent in any::<bool>()) {
        block_on(async {
            let site = Site::new();
            let mut browser = site.browser().program();
            let login = if intent { "/auth/qq/login?return_to=/x" } else { "/auth/qq/login" };
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

/// Headers in which the session's cookie may be hidden among its likes. `GOOD` stands for the sealed value.
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
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Names of cookies are compared as they are; of two values of one name, neither counts.
    #[test]
    fn the_session_is_found_where_the_cookie_crate_finds_it(headers in cookie_headers()) {
        block_on(async {
            let site = Site::new();
            let sealed = site.signed_in().await.jar[SESSION].clone();
            let headers: Vec<_> = headers.iter().map(|header| header.replace("GOOD", &sealed)).collect();
            let found: Vec<_> = headers
                .iter()
                .flat_map(|header| cookie::Cookie::split_parse(header.as_str()))
                .filter_map(Result::ok)
                .filter(|cookie| cookie.name() == SESSION)
                .collect();
            let expected = !found.is_empty() && found.iter().all(|cookie| cookie.value() == sealed);
            let signed_in = whoami(&site.router, &headers).await != Value::Null;
            assert_eq!(signed_in, expected, "{headers:?}");
        });
    }
}

fn blanks() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,3}"
}

/// One JSON value of a field that nobody asked for.
fn json() -> impl Strategy<Value = Value> {
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

/// An object with these fields and others, as JSON or JSONP, with blanks wherever there is room for them.
fn object(fields: Vec<(&'static str, Value)>) -> impl Strategy<Value = String> {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(it, value)| (it.into(), value))
        .collect();
    let extra = prop::collection::btree_map("x[a-z0-9_]{0,8}", json(), 0..4);
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

/// A token's reply in one of the three shapes.
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

/// The answer to a login at a QQ with this reply to the token's call.
async fn login_by(token: impl Into<bytes::Bytes>) -> Attempt {
    Attempt::with(
        |app| app,
        |qq| {
            qq.reply(Endpoint::Token, token.into());
            let openid = &qq.people()[0].openid;
            let me = serde_json::json!({ "client_id": APP_ID, "openid": openid });
            qq.reply(Endpoint::Me, me.to_string());
            qq.reply(Endpoint::UserInfo, r#"{"ret":0,"msg":"","nickname":"N"}"#);
        },
    )
    .await
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_reply_in_any_layout_of_the_three_shapes_is_read(reply in token_reply()) {
        block_on(async { login_by(reply.clone()).await.assert_signed_in(&reply, [1, 1, 1]); });
    }

    /// A brace, bracket, colon or quote is nothing that a reply can do without.
    #[test]
    fn a_reply_that_lacks_one_byte_of_its_frame_is_refused(
        frame in prop::sample::select(vec![
            r#"{"access_token":"T0KEN","expires_in":7776000}"#,
            r#"callback( {"access_token":"T0KEN","expires_in":7776000} );"#,
        ]),
        at in any::<prop::sample::Index>(),
        instead in prop::option::of("[ -~]"),
    ) {
        let framing: Vec<_> = frame.match_indices(['{', '}', '(', ')', '"', ':', ',']).collect();
        let (at, byte) = framing[at.index(framing.len())];
        let mut broken = frame.to_owned();
        let instead = instead.unwrap_or_default();
        broken.replace_range(at..at + 1, &instead);
        prop_assume!(instead != byte);
        block_on(async {
            let attempt = login_by(broken.clone()).await;
            let read = attempt.reply.status == 303;
            let reread = oracle(&broken);
            assert_eq!(read, reread, "{broken}");
        });
    }

    #[test]
    fn no_reply_makes_a_login_panic_or_end_in_another_way_than_a_page(
        token in prop::collection::vec(any::<u8>(), 0..200),
        shape in prop::sample::select(vec!["", "{", "callback(", "access_token="]),
    ) {
        let reply = [shape.as_bytes(), &token].concat();
        block_on(async {
            let reply = login_by(reply).await.reply;
            assert!([303, 400, 502, 503].contains(&reply.status.as_u16()), "{reply:?}");
        });
    }
}

/// Whether a reply brings a token: by another parser.
fn oracle(reply: &str) -> bool {
    object_in(reply).is_some_and(|value| value["access_token"] == "T0KEN")
}

/// The object of a reply, bare or in `callback(…)`: by another parser.
fn object_in(reply: &str) -> Option<Value> {
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

/// A span of time, from nothing to forever, more often near the limits that count.
fn spans() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0..4_000_000_u64).prop_map(Duration::from_secs),
        2 => (0..900_000_u64).prop_map(Duration::from_millis),
        1 => any::<u32>().prop_map(|secs| Duration::from_secs(secs.into())),
    ]
}

fn limits() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => spans().prop_map(|span| span.max(Duration::from_secs(60))),
        1 => any::<u64>().prop_map(|secs| Duration::from_secs(secs.max(60))),
        1 => Just(Duration::MAX),
    ]
}

/// A site whose sessions have these limits, with a page that exchanges the tokens.
fn site_with_limits(idle: Duration, lifetime: Duration) -> Site {
    let exchange = async || (Extension(QqTokens::new("OTHER", None, None)), "exchanged");
    let exchange = Router::new().route("/exchange", get(exchange));
    let layer = |layer: QqAuthLayer| {
        let layer = layer.session_idle(idle).unwrap().keep_tokens();
        layer.session_lifetime(lifetime).unwrap()
    };
    Site::with_pages(move |_| exchange, layer)
}

/// The times of a session, in numbers that do not overflow.
struct Times {
    idle: u128,
    lifetime: u128,
    began: u128,
    renewed: u128,
}

impl Times {
    const SKEW: u128 = 5 * 60 * 1000;

    fn is_good(&self, now: u128) -> bool {
        self.renewed <= now + Self::SKEW
            && now < self.renewed + self.idle
            && now < self.began + self.lifetime
    }

    fn visit(&mut self, now: u128, exchange: bool) {
        if exchange {
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
enum Step {
    Advance(Duration),
    TurnBack(Duration),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever the limits, the clock and its jumps.
    #[test]
    fn a_session_is_good_within_its_limits_and_never_past_them(
        idle in limits(),
        lifetime in limits(),
        start in prop_oneof![spans(), (0..1_u64 << 45).prop_map(Duration::from_secs)],
        steps in prop::collection::vec(
            (
                prop_oneof![
                    4 => spans().prop_map(Step::Advance),
                    1 => spans().prop_map(Step::TurnBack),
                    1 => (0..400_u64).prop_map(Duration::from_secs).prop_map(Step::TurnBack),
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
            let began = millis(site.clock.now());
            let (idle, lifetime) = (idle.as_millis(), lifetime.as_millis());
            let mut times = Times { idle, lifetime, began, renewed: began };
            for (step, exchange) in steps {
                match step {
                    Step::Advance(by) => site.clock.advance(by),
                    Step::TurnBack(by) => site.clock.turn_back(by),
                }
                let now = millis(site.clock.now());
                let good = times.is_good(now);
                let user = browser.clone().whoami().await;
                assert_eq!(user != Value::Null, good);
                let reply = browser.get(if exchange { "/exchange" } else { "/" }).await;
                assert!(good || reply.cookies().is_empty(), "{reply:?}");
                if good {
                    times.visit(now, exchange);
                }
                if !browser.jar.contains_key(SESSION) {
                    // The last second of a session is too short for a cookie.
                    assert!(times.began + times.lifetime < now + 1000);
                    break;
                }
            }
        });
    }
}
