//! The sample replies in `tests/payloads`, each in a complete login.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use http::Response;
use serde_json::json;
use tower_qq_auth::{
    LoginError,
    mock::{Endpoint, MockQq},
};

use crate::{
    attempt::{Attempt, Calls},
    log::Log,
    site::{APP_ID, Site, param},
};

/// The outcome of a login in which the file is one of the replies.
enum End {
    SignedIn(User),
    Fails(u16, &'static str),
}

use End::{Fails, SignedIn};

#[derive(Clone, Copy)]
struct User {
    openid: &'static str,
    unionid: Option<&'static str>,
    nickname: &'static str,
    avatar: Option<&'static str>,
    profile_complete: bool,
}

/// The user of `me-json.json` and `token-json-openid-string.json`, with the profile of
/// `user-2020.json`.
const USER: User = User {
    openid: "CC7F5CEFEFC0EBAB9B07EB481AEBC29C",
    unionid: None,
    nickname: "奔跑的河马",
    avatar: Some("https://thirdqq.qlogo.cn/g?b=oidb&k=48f542ccdea6a4647f52ee3&s=100&t=1557635654"),
    profile_complete: true,
};

/// The openid of the newer samples.
const OPENID: &str = "91449D8A5C0E4F3B2A1C0D9E8F7A6B5C";

/// The same profile with the openid of the mock's first user, which comes with the token.
const MOCK_USER: User = User {
    openid: "C3A5D19E07B24F68913BD0A4E7F2586C",
    ..USER
};

const MOCK_USER_WITHOUT_PROFILE: User = User {
    nickname: "",
    avatar: None,
    profile_complete: false,
    ..MOCK_USER
};

const CASES: &[(&str, End, Calls)] = &[
    ("token-form-90d.txt", SignedIn(USER), [1, 1, 1]),
    ("token-form-60d-doc.txt", SignedIn(USER), [1, 1, 1]),
    (
        "token-json-expires-string-60d.json",
        SignedIn(USER),
        [1, 1, 1],
    ),
    ("token-json-openid-string.json", SignedIn(USER), [1, 0, 1]),
    (
        "token-err-100010-json.json",
        Fails(424, "misconfigured"),
        [1, 0, 0],
    ),
    (
        "token-err-100020-jsonp.txt",
        Fails(400, "code_rejected"),
        [1, 0, 0],
    ),
    (
        "token-err-100021-nospace-jsonp.txt",
        Fails(400, "code_rejected"),
        [1, 0, 0],
    ),
    (
        "token-err-string-code.json",
        Fails(400, "code_rejected"),
        [1, 0, 0],
    ),
    (
        "token-err-html.txt",
        Fails(424, "qq_unavailable"),
        [1, 0, 0],
    ),
    (
        "token-json-need-openid-number-2024.json",
        SignedIn(User {
            openid: OPENID,
            ..USER
        }),
        [1, 0, 1],
    ),
    ("token-json-openid-null.json", SignedIn(USER), [1, 1, 1]),
    ("token-json-openid-empty.json", SignedIn(USER), [1, 1, 1]),
    ("token-json-error-zero.json", SignedIn(USER), [1, 1, 1]),
    ("token-json-bom.json", SignedIn(USER), [1, 1, 1]),
    ("token-form-2023.txt", SignedIn(USER), [1, 1, 1]),
    // Sent with status 400.
    (
        "token-err-json-with-status-400.json",
        Fails(424, "misconfigured"),
        [1, 0, 0],
    ),
    (
        "token-err-100002-jsonp-2022.txt",
        Fails(424, "misconfigured"),
        [1, 0, 0],
    ),
    (
        "token-err-100005-live-page.txt",
        Fails(400, "code_rejected"),
        [1, 0, 0],
    ),
    (
        "token-err-100020-trailing-blanks.txt",
        Fails(424, "qq_unavailable"),
        [1, 0, 0],
    ),
    (
        "me-jsonp.txt",
        SignedIn(User {
            openid: "DCFEB659798D685CB5B647F8970CB25C",
            ..USER
        }),
        [1, 1, 1],
    ),
    (
        "me-jsonp-nospace.txt",
        SignedIn(User {
            openid: "4A04A241D0CE22F9053102D9934D7AA5",
            ..USER
        }),
        [1, 1, 1],
    ),
    ("me-json.json", SignedIn(USER), [1, 1, 1]),
    (
        "me-json-unionid.json",
        SignedIn(User {
            openid: "7252752526FA8A65ABD327AA94B2D51E",
            unionid: Some("UID_2B409A92E88F2D4091EE665EC2C1411F"),
            ..USER
        }),
        [1, 1, 1],
    ),
    (
        "me-json-foreign-client.json",
        Fails(424, "audience_mismatch"),
        [1, 1, 0],
    ),
    (
        "me-err-100013-json.json",
        Fails(400, "code_rejected"),
        [1, 1, 0],
    ),
    (
        "me-err-100016-jsonp.txt",
        Fails(400, "code_rejected"),
        [1, 1, 0],
    ),
    (
        "me-err-100016-doc-trailing-comma.txt",
        Fails(424, "qq_unavailable"),
        [1, 1, 0],
    ),
    // `/me` is called again without the UnionID.
    ("me-err-100048-json.json", SignedIn(USER), [1, 2, 1]),
    (
        "me-doc-unionid-multiline-2026.txt",
        SignedIn(User {
            openid: OPENID,
            unionid: Some("UID_7BCB35B0C6F331ABE6102F168ECD6399"),
            ..USER
        }),
        [1, 1, 1],
    ),
    (
        "me-doc-typo-unioid-2017.txt",
        SignedIn(User {
            openid: OPENID,
            ..USER
        }),
        [1, 1, 1],
    ),
    (
        "me-unionid-odd-shape.json",
        SignedIn(User {
            openid: OPENID,
            ..USER
        }),
        [1, 1, 1],
    ),
    (
        "me-err-100016-fullwidth-comma-2022.txt",
        Fails(424, "qq_unavailable"),
        [1, 1, 0],
    ),
    (
        "me-jsonp-unionid-mobile-app.txt",
        Fails(424, "audience_mismatch"),
        [1, 1, 0],
    ),
    (
        "me-empty-object.json",
        Fails(424, "qq_unavailable"),
        [1, 1, 0],
    ),
    (
        "user-2013-pretty.json",
        SignedIn(User {
            nickname: "[k2]路边草",
            avatar: Some("https://q.qlogo.cn/qqapp/101905280/DCFEB659798D685CB5B647F8970CB25C/100"),
            ..MOCK_USER
        }),
        [1, 0, 1],
    ),
    ("user-2020.json", SignedIn(MOCK_USER), [1, 0, 1]),
    (
        "user-2023-privacy-defaults.json",
        SignedIn(User {
            nickname: "江叶",
            avatar: Some(
                "https://thirdqq.qlogo.cn/g?b=oidb&k=85f439e0a595fd7e43e25868&kti=15a77cf43ab&s=100&t=1555473694",
            ),
            ..MOCK_USER
        }),
        [1, 0, 1],
    ),
    (
        "user-empty-qq2.json",
        SignedIn(User {
            nickname: "路人",
            avatar: Some(
                "https://thirdqq.qlogo.cn/g?b=oidb&k=59e56e244400f2e66f9e5a&s=40&t=1593445861",
            ),
            ..MOCK_USER
        }),
        [1, 0, 1],
    ),
    (
        "user-minimal.json",
        SignedIn(User {
            nickname: "qzuser",
            ..MOCK_USER_WITHOUT_PROFILE
        }),
        [1, 0, 1],
    ),
    (
        "user-control-char-nick.json",
        SignedIn(User {
            nickname: "a b c",
            avatar: None,
            ..MOCK_USER
        }),
        [1, 0, 1],
    ),
    (
        "user-html-nick.json",
        SignedIn(User {
            nickname: "<img src=x onerror=alert(1)>&amp;",
            avatar: Some("https://thirdqq.qlogo.cn/g?b=oidb&k=a&s=40"),
            ..MOCK_USER
        }),
        [1, 0, 1],
    ),
    (
        "user-err-1002.json",
        SignedIn(MOCK_USER_WITHOUT_PROFILE),
        [1, 0, 1],
    ),
    (
        "user-err-neg22.json",
        SignedIn(MOCK_USER_WITHOUT_PROFILE),
        [1, 0, 1],
    ),
    (
        "user-2024-ek.json",
        SignedIn(User {
            nickname: "小晨",
            avatar: Some(
                "https://thirdqq.qlogo.cn/ek_qqapp/AQRisGkwAGgsORYol4LYUkQV4F5i0Ahw1o5C4d8NFrJfo46toxXuJm1le3lZYhB9HKTO18dHVYmLdRZquLGP3pATj4WAkoh8ZV/100",
            ),
            ..MOCK_USER
        }),
        [1, 0, 1],
    ),
    (
        "user-2026-simple-ek.json",
        SignedIn(User {
            nickname: "qwzrtpb",
            avatar: Some(
                "https://thirdqq.qlogo.cn/ek_qqapp/AQ0xuD2HXCD2D5dVFu60MS5UymB6xedNMD00PPdgFX8HUKukXRLSZI5VPYBv7h41QOh1ohpnOuJGhhqN/100",
            ),
            ..MOCK_USER
        }),
        [1, 0, 1],
    ),
    (
        "user-2022-12-kti.json",
        SignedIn(User {
            nickname: "Kevinn",
            avatar: Some(
                "https://thirdqq.qlogo.cn/g?b=oidb&k=5tbzllAaAe8Zr6rh9v2535&kti=Y6crYAAAAAI&s=100&t=1483280000",
            ),
            ..MOCK_USER
        }),
        [1, 0, 1],
    ),
    (
        "user-2020-egg-one-blank.json",
        SignedIn(User {
            nickname: "sprite",
            avatar: Some(
                "https://thirdqq.qlogo.cn/g?b=oidb&k=LCXecAKGUA9xN1Y3e21IanNeC&s=100&t=1556490000",
            ),
            ..MOCK_USER
        }),
        [1, 0, 1],
    ),
    (
        "user-qh-qqapp.json",
        SignedIn(User {
            nickname: "小雨",
            avatar: Some(
                "https://qh.qlogo.cn/ek_qqapp/AQjJmpKw0TjksPOuw6c2O9zS1RgFDw5rxvovP9hTe7fHSQvftXitw1EOC0LhqN8K6Mgu9WcttARtdZXgODzEF5HP/100",
            ),
            ..MOCK_USER
        }),
        [1, 0, 1],
    ),
    (
        "user-2015-qzuser-default.json",
        SignedIn(User {
            nickname: "qzuser",
            avatar: Some(
                "https://qzapp.qlogo.cn/qzapp/111111/942FEA70050EEAFBD4DCE2C1FC775E56/100",
            ),
            ..MOCK_USER_WITHOUT_PROFILE
        }),
        [1, 0, 1],
    ),
    (
        "user-2019-islost1-qquser.json",
        SignedIn(User {
            nickname: "qquser",
            avatar: Some("https://thirdqq.qlogo.cn/g?b=oidb&k=aicBEyDVTRuFfj8LKWVOfZW&s=100"),
            ..MOCK_USER_WITHOUT_PROFILE
        }),
        [1, 0, 1],
    ),
    (
        "user-islost0-qquser.json",
        SignedIn(User {
            nickname: "qquser",
            avatar: Some(
                "https://thirdqq.qlogo.cn/g?b=oidb&k=dzCD9NlwZ3dHI6LLByoHpL&s=100&t=1590000000",
            ),
            ..MOCK_USER_WITHOUT_PROFILE
        }),
        [1, 0, 1],
    ),
    (
        "user-2020-empty-nick.json",
        SignedIn(User {
            nickname: "",
            avatar: Some(
                "https://thirdqq.qlogo.cn/g?b=oidb&k=AYVRr5zGeuoOxbsd6pwHq7Eh&s=100&t=1587560000",
            ),
            ..MOCK_USER_WITHOUT_PROFILE
        }),
        [1, 0, 1],
    ),
    (
        "user-nick-invisible.json",
        SignedIn(User {
            nickname: "",
            avatar: Some("https://thirdqq.qlogo.cn/g?b=oidb&k=abc&s=100"),
            ..MOCK_USER_WITHOUT_PROFILE
        }),
        [1, 0, 1],
    ),
    (
        "user-nick-gbk.bin",
        SignedIn(User {
            nickname: "",
            avatar: Some("https://thirdqq.qlogo.cn/g?b=oidb&k=abc&s=100"),
            ..MOCK_USER_WITHOUT_PROFILE
        }),
        [1, 0, 1],
    ),
    (
        "user-nick-lone-surrogate.json",
        SignedIn(User {
            nickname: "",
            avatar: Some("https://thirdqq.qlogo.cn/g?b=oidb&k=abc&s=100"),
            ..MOCK_USER_WITHOUT_PROFILE
        }),
        [1, 0, 1],
    ),
    (
        "user-err-neg1-invalid-openid.json",
        SignedIn(MOCK_USER_WITHOUT_PROFILE),
        [1, 0, 1],
    ),
    (
        "user-err-2021-login.json",
        SignedIn(MOCK_USER_WITHOUT_PROFILE),
        [1, 0, 1],
    ),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads")
}

fn payload(file: &str) -> Vec<u8> {
    fs::read(folder().join(file)).unwrap()
}

/// Queues the file as the reply of its step, and good replies for the other steps.
fn queue_replies(qq: &MockQq, file: &str) {
    let endpoint = match file.split_once('-').unwrap().0 {
        "token" => Endpoint::Token,
        "me" => Endpoint::Me,
        "user" => Endpoint::UserInfo,
        other => panic!("unknown kind of reply: {other}"),
    };
    qq.ignore_need_openid(endpoint != Endpoint::UserInfo);
    if file.contains("status-400") {
        let reply = Response::builder().status(400);
        qq.fault(endpoint, 1, reply.body(payload(file)).unwrap());
    } else {
        qq.reply(endpoint, payload(file));
    }
    if endpoint == Endpoint::Token || file.contains("100048") {
        qq.reply(Endpoint::Me, payload("me-json.json"));
    }
    if endpoint != Endpoint::UserInfo {
        qq.reply(Endpoint::UserInfo, payload("user-2020.json"));
    }
}

#[tokio::test]
async fn every_payload_leads_to_the_expected_outcome() {
    for (file, end, calls) in CASES {
        let union_id = file.contains("unionid") || file.contains("100048");
        let attempt = Attempt::with(
            |app| match union_id {
                true => app.request_union_id(),
                false => app,
            },
            |qq| queue_replies(qq, file),
        )
        .await;
        match *end {
            SignedIn(user) => assert_eq!(
                *attempt.assert_signed_in(file, *calls),
                json!({
                    "app_id": APP_ID,
                    "openid": user.openid,
                    "unionid": user.unionid,
                    "nickname": user.nickname,
                    "avatar": user.avatar,
                    "profile_complete": user.profile_complete,
                }),
                "{file}"
            ),
            Fails(status, code) => {
                attempt.assert_failed(file, (status, code), *calls);
                let body = String::from_utf8(payload(file)).unwrap();
                for word in [
                    "Gateway",
                    "illegal",
                    "reused",
                    "or lost",
                    "100000001",
                    body.trim(),
                ] {
                    assert!(!attempt.reply.body.contains(word), "{file} shows through");
                }
            }
        }
    }
}

/// `requests.md` beside the samples: callbacks of real logins, without their states.
#[tokio::test]
async fn callbacks_seen_in_public_are_read_by_their_shape() {
    const CODE: &str = "7C1E0B5A93D24F68A0B1C2D3E4F50617";
    let described = "error_description=redirect+uri+is+illegal";
    let cases = [
        (
            format!("error=100010&{described}"),
            424,
            "misconfigured",
            Some(100010),
        ),
        (
            format!("{described}&error=100010&code={CODE}"),
            424,
            "misconfigured",
            Some(100010),
        ),
        (
            "code=100002&msg=param+client_secret+is+wrong".into(),
            424,
            "misconfigured",
            Some(100002),
        ),
        ("code=100020".into(), 400, "code_rejected", Some(100020)),
        (
            "c%6fde=100044&m%73g=x".into(),
            424,
            "misconfigured",
            Some(100044),
        ),
        ("code=100062&msg=".into(), 424, "qq_busy", Some(100062)),
        ("error=100011".into(), 424, "not_approved", Some(100011)),
        ("error=-1".into(), 424, "qq_unavailable", Some(-1)),
        ("code=999999".into(), 424, "qq_unavailable", Some(999999)),
        ("code=1".into(), 424, "qq_unavailable", Some(1)),
        ("code=0".into(), 424, "qq_unavailable", Some(0)),
        (format!("code={CODE}&msg=x"), 403, "cancelled", None),
        (
            format!("error=access_denied&code={CODE}"),
            403,
            "cancelled",
            None,
        ),
        (
            format!("error=100010&error=100010&code={CODE}"),
            403,
            "cancelled",
            None,
        ),
        (format!("usercancel=1&code={CODE}"), 403, "cancelled", None),
    ];
    for (query, status, kind, number) in cases {
        let log = Log::start();
        let site = Site::new();
        let mut browser = site.browser().program();
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        let state = param(&callback, "state").to_owned();
        let reply = browser
            .get(&format!("/auth/qq/callback?{query}&state={state}"))
            .await;
        reply.assert_failed(status, kind);
        let error = reply.extensions.get::<LoginError>().unwrap();
        assert_eq!(error.qq_code(), number, "{query}");
        if let Some(number) = number {
            let logged = format!("qq_code={number} ");
            assert!(log.text().contains(&logged), "{query}: {}", log.text());
        }
        assert_eq!(site.qq.calls(Endpoint::Token), 0, "{query}");
    }
    // A query of the redirect URI stays, in front.
    let site = Site::new();
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let surl = "?login_type=1&surl=https%3A%2F%2Fy.example.com%2Fp.html&";
    let reply = browser.get(&callback.replace('?', surl)).await;
    assert_eq!(reply.location(), "/");
}

#[test]
fn every_payload_has_a_case() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let cases: Vec<String> = CASES.iter().map(|(file, ..)| (*file).into()).collect();
    assert_eq!(files.len(), cases.len(), "one case for each file");
    assert_eq!(files, cases.into_iter().collect());
}
