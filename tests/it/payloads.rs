//! Bodies as QQ sends them, from `tests/payloads`, each through a whole login.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::json;
use tower_qq_auth::mock::{Endpoint, MockQq};

use crate::attempt::{Attempt, Calls};

/// What becomes of a login in which the file is the body of one answer.
enum End {
    /// As openid, unionid, nickname, avatar; whether the profile is complete.
    SignedIn(
        &'static str,
        Option<&'static str>,
        &'static str,
        Option<&'static str>,
        bool,
    ),
    Fails(u16, &'static str),
}

use End::{Fails, SignedIn};

/// The openid of `me-json.json` and `token-json-openid-string.json`.
const XIAO: &str = "CC7F5CEFEFC0EBAB9B07EB481AEBC29C";

/// As the mock's first person; the openid is told with the token.
const FIRST: &str = "C3A5D19E07B24F68913BD0A4E7F2586C";

/// The name and picture of `user-2020.json`.
const NAME: &str = "奔跑的河马";
const PICTURE: Option<&str> =
    Some("https://thirdqq.qlogo.cn/g?b=oidb&k=48f542ccdea6a4647f52ee3&s=100&t=1557635654");

const CASES: &[(&str, End, Calls)] = &[
    (
        "token-form-90d.txt",
        SignedIn(XIAO, None, NAME, PICTURE, true),
        [1, 1, 1],
    ),
    (
        "token-form-60d-doc.txt",
        SignedIn(XIAO, None, NAME, PICTURE, true),
        [1, 1, 1],
    ),
    (
        "token-json-expires-string-60d.json",
        SignedIn(XIAO, None, NAME, PICTURE, true),
        [1, 1, 1],
    ),
    (
        "token-json-openid-string.json",
        SignedIn(XIAO, None, NAME, PICTURE, true),
        [1, 0, 1],
    ),
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
        SignedIn(
            "DCFEB659798D685CB5B647F8970CB25C",
            None,
            NAME,
            PICTURE,
            true,
        ),
        [1, 1, 1],
    ),
    (
        "me-jsonp-nospace.txt",
        SignedIn(
            "4A04A241D0CE22F9053102D9934D7AA5",
            None,
            NAME,
            PICTURE,
            true,
        ),
        [1, 1, 1],
    ),
    (
        "me-json.json",
        SignedIn(XIAO, None, NAME, PICTURE, true),
        [1, 1, 1],
    ),
    (
        "me-json-unionid.json",
        SignedIn(
            "7252752526FA8A65ABD327AA94B2D51E",
            Some("UID_2B409A92E88F2D4091EE665EC2C1411F"),
            NAME,
            PICTURE,
            true,
        ),
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
    // Once more without the UnionID.
    (
        "me-err-100048-json.json",
        SignedIn(XIAO, None, NAME, PICTURE, true),
        [1, 2, 1],
    ),
    (
        "user-2013-pretty.json",
        SignedIn(
            FIRST,
            None,
            "[k2]路边草",
            Some("https://q.qlogo.cn/qqapp/101905280/DCFEB659798D685CB5B647F8970CB25C/100"),
            true,
        ),
        [1, 0, 1],
    ),
    (
        "user-2020.json",
        SignedIn(FIRST, None, NAME, PICTURE, true),
        [1, 0, 1],
    ),
    (
        "user-2023-privacy-defaults.json",
        SignedIn(
            FIRST,
            None,
            "江叶",
            Some(
                "https://thirdqq.qlogo.cn/g?b=oidb&k=85f439e0a595fd7e43e25868&kti=15a77cf43ab&s=100&t=1555473694",
            ),
            true,
        ),
        [1, 0, 1],
    ),
    (
        "user-empty-qq2.json",
        SignedIn(
            FIRST,
            None,
            "路人",
            Some("https://thirdqq.qlogo.cn/g?b=oidb&k=59e56e244400f2e66f9e5a&s=40&t=1593445861"),
            true,
        ),
        [1, 0, 1],
    ),
    (
        "user-minimal.json",
        SignedIn(FIRST, None, "qzuser", None, false),
        [1, 0, 1],
    ),
    (
        "user-control-char-nick.json",
        SignedIn(FIRST, None, "a b c", None, true),
        [1, 0, 1],
    ),
    (
        "user-html-nick.json",
        SignedIn(
            FIRST,
            None,
            "<img src=x onerror=alert(1)>&amp;",
            Some("https://thirdqq.qlogo.cn/g?b=oidb&k=a&s=40"),
            true,
        ),
        [1, 0, 1],
    ),
    (
        "user-err-1002.json",
        SignedIn(FIRST, None, "", None, false),
        [1, 0, 1],
    ),
    (
        "user-err-neg22.json",
        SignedIn(FIRST, None, "", None, false),
        [1, 0, 1],
    ),
];

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "payloads"]
        .iter()
        .collect()
}

fn payload(file: &str) -> Vec<u8> {
    fs::read(folder().join(file)).unwrap()
}

/// The file where it belongs, and whatever the rest of the login needs besides.
fn plant(qq: &MockQq, file: &str) {
    let endpoint = match file.split_once('-').unwrap().0 {
        "token" => Endpoint::Token,
        "me" => Endpoint::Me,
        "user" => Endpoint::UserInfo,
        other => panic!("which answer is {other}?"),
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
async fn every_body_is_read_as_it_is_meant() {
    for (file, end, calls) in CASES {
        let union_id = ["unionid", "100048"].iter().any(|it| file.contains(it));
        let attempt = Attempt::with(|app| app.union_id(union_id), |qq| plant(qq, file)).await;
        match *end {
            SignedIn(openid, unionid, nickname, avatar, complete) => assert_eq!(
                *attempt.assert_signed_in(file, *calls),
                json!({
                    "openid": openid,
                    "unionid": unionid,
                    "nickname": nickname,
                    "avatar": avatar,
                    "profile_complete": complete,
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

#[test]
fn no_file_is_left_out() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let cases: BTreeSet<String> = CASES.iter().map(|(file, ..)| (*file).to_owned()).collect();
    assert_eq!(files, cases);
    assert_eq!(cases.len(), CASES.len(), "one row for each");
}
