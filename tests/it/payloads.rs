//! The sample replies in `tests/payloads`, each in a complete login.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;
use tower_qq_auth::mock::{Endpoint, MockQq};

use crate::attempt::{Attempt, Calls};

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
        Fails(502, "misconfigured"),
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
        Fails(502, "qq_unavailable"),
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
        Fails(502, "audience_mismatch"),
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
        Fails(502, "qq_unavailable"),
        [1, 1, 0],
    ),
    // `/me` is called again without the UnionID.
    ("me-err-100048-json.json", SignedIn(USER), [1, 2, 1]),
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
];

const EMPTY_OBJECT: &str = "me-empty-object.json";

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
    qq.reply(endpoint, payload(file));
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
                for word in ["Gateway", "illegal", "reused", "100000001", body.trim()] {
                    assert!(!attempt.reply.body.contains(word), "{file} shows through");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_empty_object_from_me_is_unavailable_not_a_mismatch() {
    let attempt = Attempt::with(|app| app, |qq| queue_replies(qq, EMPTY_OBJECT)).await;
    attempt.assert_failed(EMPTY_OBJECT, (502, "qq_unavailable"), [1, 1, 0]);
}

#[test]
fn every_payload_has_a_case() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let cases = CASES.iter().map(|(file, ..)| *file).chain([EMPTY_OBJECT]);
    let cases: Vec<String> = cases.map(String::from).collect();
    assert_eq!(files.len(), cases.len(), "one case for each file");
    assert_eq!(files, cases.into_iter().collect());
}
