//! The layout of session cookies, and the site and the settings to which a cookie belongs.

use std::time::Duration;

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Salt},
};
use axum::{Router, extract::Path, routing::get};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};
#[cfg(feature = "revocation")]
use tower_qq_auth::OpenId;
use tower_qq_auth::{QqApp, QqAuthLayer, QqAuthLayerBuilder, QqClient, QqSession};

use crate::{
    log::Log,
    phone::PHONE_APP,
    properties::config,
    shown::{self, seconds, session},
    site::{self, APP_ID, APP_KEY, Browser, CALLBACK, SESSION, SESSION_KEY, Site},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn builder(site: &Site) -> QqAuthLayerBuilder {
    let clock = site.clock.clone();
    site::builder(&site.qq).clock(move || clock.now())
}

/// The usual pages, one that shows the session and one that sets the account.
fn pages(layer: QqAuthLayerBuilder) -> Router {
    let account = async |Path(account): Path<String>, session: QqSession| {
        (session.with_account(account).unwrap(), "changed")
    };
    let again = async |session: QqSession| {
        let user = session.user().clone();
        (session.with_user(user).unwrap(), "again")
    };
    let more = shown::page()
        .route("/account/{account}", get(account))
        .route("/again", get(again));
    site::pages().merge(more).layer(layer.build().unwrap())
}

/// A browser with this value of the session cookie.
fn browser_with(site: &Site, value: &str) -> Browser {
    let mut browser = site.browser();
    browser.router = pages(builder(site));
    browser.jar.insert(SESSION.into(), value.into());
    browser
}

/// Cookies of version 0.1.0, which every later version must accept.
mod cookies_of_version_0_1_0 {
    use super::*;

    const PLAIN: &str = "4fVx-aooZDyNSzYVQtaFUu3_opFPVN9IefKQMQs7yXiowAFbzBXZ0_7acBWbSxM52f6FcW_1AZwjMs8sdTnw_rgQkA92C1qJHUDqiG85Jvku-IsSt5yCjMqx23aGchEvxy8Bl7b_ng4jgt4";
    /// Not remembered, with tokens, an account and a UnionID.
    const FULL: &str = "7T-NGdyGmMLpDl7vvZWqp9-k9kDvkox-wxzJe-2tl2jd9gwb8gdDwSpWH9pcWk5aLJIb6URF-CC7AmKT3-Sgqzv7T2hKpq7mB1MQa-dzIVUPSlsyuj1uIZrD-20D6vsrhBC_uqkP9nbhWGZN5svp9OIBGQIwubnVv8CGyQTV2l7BNLPwgc3DwQqu_F-fretnNBI5fNYsSNcgkQmzqbwR67PyH69EJH9iOeAgnRUs7GnBHFsRPoAD0mkC3V3pU4II8uWUbhNyZZzYM4YE_N0B";
    /// With an openid and a picture of other shapes than those of QQ.
    const ODD: &str = "kSaUgTp_BvlGqLlITHKi1qGpmmUwrxs7aJI1oc-TemmMRVG2vjEvApCbQumFAmSmMCJRWgUYklm2mSKa6cec82J31hiZaEBCFsXp-XTj-XAPl-2DTGFyvrzOchQFzA5u3siuqMqg4gF0UqDzZMQkudcHefGZ_Xr4lbl2YgwM";

    /// `PLAIN`, from a layer with a revocation list.
    #[cfg(feature = "revocation")]
    const LISTED: &str = "KXtdJ-QcR2nSHHjkel0aWJUAWuwe5OwbxDuDOCV8NY6B05p5MD_b0ngrLC3LS5z2u5rW0hkn7_ECiHWABM6YKfhR5qo80WSyJ_yErPTshCQLkcHzvbBYQj3xW1pisv_cVCsnpsZLioQnYToowxBgAjgyB0PXOVF8tMXHGA";

    #[tokio::test]
    async fn a_session_is_accepted_with_all_that_it_holds() {
        let site = Site::new();
        let started = 4_000_000_000_u64;
        assert_eq!(seconds(site.clock.now()), started);
        let user = json!({
            "app_id": APP_ID,
            "openid": "CC7F5CEFEFC0EBAB9B07EB481AEBC29C",
            "unionid": null,
            "nickname": "江叶",
            "avatar": "https://thirdqq.qlogo.cn/g?b=oidb&k=a&s=100",
            "profile_complete": true,
        });
        let plain = json!({
            "user": user,
            "account": null,
            "access_token": null,
            "id": "65abc25504fe4f9dd3caa44c985bfc75",
            "started_at": started,
            "expires_at": started + 7 * DAY.as_secs(),
        });
        let mut full = plain.clone();
        full["user"]["unionid"] = json!("UID_2B409A92E88F2D4091EE665EC2C1411F");
        full["account"] = json!("账号 42");
        full["access_token"] = json!("62D27091E9DCC09BD83AD939BF54A1AF");
        full["id"] = json!("da64ef7fb49cc30df105bcb9ddc80ca4");
        full["expires_at"] = json!(started + 2 * 60 * 60);
        let mut odd = plain.clone();
        odd["id"] = json!("0fdb3c234b86590abe6637726b30836f");
        odd["user"] = json!({
            "app_id": APP_ID,
            "openid": "an-openid_of-another-shape",
            "unionid": null,
            "nickname": "qzuser",
            "avatar": "https://pictures.example/1",
            "profile_complete": false,
        });
        for (value, expected) in [(PLAIN, plain), (ODD, odd)] {
            let mut browser = browser_with(&site, value);
            assert_eq!(session(&mut browser).await, expected);
        }
        let mut browser = browser_with(&site, FULL);
        browser.router = pages(builder(&site).keep_tokens());
        assert_eq!(session(&mut browser).await, full);
        browser.router = pages(builder(&site));
        full["access_token"] = Value::Null;
        assert_eq!(session(&mut browser).await, full);
    }

    #[tokio::test]
    async fn the_app_of_the_layer_takes_no_byte_and_another_its_digits() {
        let site = Site::new();
        for value in [PLAIN, ODD] {
            for app_id in ["", PHONE_APP] {
                let plain = [&open(value)[..], app_id.as_bytes()].concat();
                let mut browser = browser_with(&site, &seal(&plain));
                let user = &session(&mut browser).await["user"];
                let expected = if app_id.is_empty() { APP_ID } else { app_id };
                assert_eq!(user["app_id"], expected);
                assert_eq!(browser.get("/again").await.body, "again");
                assert_eq!(open(&browser.jar[SESSION]), plain, "written as it was read");
            }
        }
    }

    #[cfg(feature = "revocation")]
    #[tokio::test]
    async fn a_session_is_accepted_and_revoked_with_and_without_the_digest_of_its_user() {
        let list = tower_qq_auth::revocation::InMemoryRevocations::new();
        let (base, layer) = Site::with_layer(|_| shown::page(), |layer| layer.revocations(list));
        let mut browsers = [LISTED, PLAIN].map(|value| {
            let mut browser = base.browser();
            browser.jar.insert(SESSION.into(), value.into());
            browser
        });
        let [one, two] = &mut browsers;
        assert_eq!(session(one).await, session(two).await);
        assert_eq!(one.whoami().await["nickname"], "江叶");
        let openid = OpenId::new("CC7F5CEFEFC0EBAB9B07EB481AEBC29C").unwrap();
        layer.revoke_user(&openid).await.unwrap();
        for browser in &mut browsers {
            assert_eq!(browser.whoami().await, Value::Null);
        }
        let mut without_list = browser_with(&base, LISTED);
        assert_eq!(without_list.whoami().await["nickname"], "江叶");
    }
}

/// Sealed by the same keys before the seal named the redirect URI.
const LAYOUT_1: &str = "KVWfpMhfFj732UaiV7nOOhLhgSIAq-Ef-jYD7jvl35PbHg-mFsD_pgRA7h7lQCkVRgTM1lMDnNdTFj1DdaTu-mmnKgQnlIiUHtz9JyZB-zZAYPPLQezfxoIFiaW2dEXROb0lBFnn_F6NNGhdiA7Jgee2uJzxPV9Eb6p1enUR1KZiNxKfEp9HQet4FGouqxX9UOQQqikyiFklF_gmAuoBz9D5JzCIykweRGzDXzx0a33v2siiy1LKofo3P8U7xFS8GyDyVn_6";

#[tokio::test]
async fn a_session_of_an_earlier_layout_is_signed_out() {
    let site = Site::new();
    let log = Log::start();
    let mut browser = browser_with(&site, LAYOUT_1);
    assert_eq!(browser.whoami().await, Value::Null);
    let location = "/auth/qq/login?return_to=/me";
    assert_eq!(browser.get("/me").await.location(), location);
    assert!(!log.text().contains("ERROR"), "{}", log.text());
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_ne!(browser.whoami().await, Value::Null);
}

/// The seal of session cookies, written a second time.
fn seal_key() -> RandomizedNonceKey {
    let mut key = [0; 32];
    let root = Salt::new(HKDF_SHA256, b"tower-qq-auth 1").extract(SESSION_KEY.as_bytes());
    let okm = root.expand(&[b"session"], HKDF_SHA256).unwrap();
    okm.fill(&mut key).unwrap();
    RandomizedNonceKey::new(&AES_256_GCM_SIV, &key).unwrap()
}

fn context() -> Aad<String> {
    Aad::from(format!("session\n{SESSION}\n{APP_ID}\n{CALLBACK}"))
}

fn seal(plain: &[u8]) -> String {
    let mut sealed = plain.to_vec();
    let nonce = seal_key().seal_in_place_append_tag(context(), &mut sealed);
    BASE64_URL_SAFE_NO_PAD.encode([&nonce.unwrap().as_ref()[..], &sealed].concat())
}

fn open(value: &str) -> Vec<u8> {
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(value).unwrap();
    let (nonce, sealed) = bytes.split_at_mut(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
    seal_key()
        .open_in_place(nonce, context(), sealed)
        .unwrap()
        .to_vec()
}

#[tokio::test]
async fn a_sealed_value_of_another_version_or_cut_short_is_signed_out() {
    let site = Site::new();
    let plain = open(&site.signed_in().await.jar[SESSION]);
    let mut browser = browser_with(&site, &seal(&plain));
    assert_ne!(browser.whoami().await, Value::Null, "sealed a second time");
    for version in [0, 1, 3, 255] {
        let mut other = plain.clone();
        other[0] = version;
        let mut browser = browser_with(&site, &seal(&other));
        assert_eq!(browser.whoami().await, Value::Null, "{version}");
    }
    for length in 0..plain.len() {
        let mut browser = browser_with(&site, &seal(&plain[..length]));
        assert_eq!(browser.whoami().await, Value::Null, "{length}");
    }
}

#[tokio::test]
async fn bytes_at_the_end_are_the_id_of_an_app_or_no_session() {
    let site = Site::new();
    let plain = open(&site.signed_in().await.jar[SESSION]);
    let cases: [(&[u8], bool); 16] = [
        (b"", true),
        (PHONE_APP.as_bytes(), true),
        (APP_ID.as_bytes(), true),
        (b"0", true),
        (b"12345678901234567890", true),
        (b"123456789012345678901", false),
        (b"\0", false),
        (b" ", false),
        (b"1106123456\0", false),
        (b"1106123456\n", false),
        (b" 1106123456", false),
        (b"1106123456:", false),
        (b"-1", false),
        (b"appid", false),
        ("１１０６".as_bytes(), false),
        (b"1106\xff", false),
    ];
    for (end, is_session) in cases {
        let mut browser = browser_with(&site, &seal(&[&plain, end].concat()));
        let user = browser.whoami().await;
        assert_eq!(!user.is_null(), is_session, "{}", end.escape_ascii());
        if is_session {
            let expected = if end.is_empty() {
                APP_ID.as_bytes()
            } else {
                end
            };
            assert_eq!(user["app_id"].as_str().unwrap().as_bytes(), expected);
        }
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn random_bytes_at_the_end_are_the_id_of_an_app_or_no_session(
        end in prop_oneof![
            "[0-9]{0,22}".prop_map(String::into_bytes),
            "[0-9]{0,10}[ -~]{0,2}[0-9]{0,10}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 1..40),
        ],
    ) {
        site::block_on(async {
            let site = Site::new();
            let plain = open(&site.signed_in().await.jar[SESSION]);
            let mut browser = browser_with(&site, &seal(&[&plain[..], &end].concat()));
            let is_session = end.len() <= 20 && end.iter().all(u8::is_ascii_digit);
            assert_eq!(!browser.whoami().await.is_null(), is_session);
        });
    }

    /// A later version may have sealed anything.
    #[test]
    fn whatever_is_sealed_is_a_session_or_none(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        made_up in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        site::block_on(async {
            let site = Site::new();
            let mut edited = open(&site.signed_in().await.jar[SESSION]);
            for (at, byte) in edits {
                let at = at.index(edited.len());
                edited[at] = byte;
            }
            for plain in [edited, [&[2], &made_up[..]].concat(), made_up] {
                let mut browser = browser_with(&site, &seal(&plain));
                assert_eq!(browser.get("/session").await.status, StatusCode::OK);
                let changed = browser.get("/account/42").await;
                assert!([200, 303, 401].contains(&changed.status.as_u16()), "{changed:?}");
            }
        });
    }
}

#[tokio::test]
async fn a_session_belongs_to_one_redirect_uri() {
    let site = Site::new();
    let layer = |uri: &str| {
        let qq = tower_qq_auth::mock::MockQq::new(APP_ID, APP_KEY, uri);
        let client = QqClient::with_service(QqApp::new(APP_ID, APP_KEY, uri).unwrap(), qq.clone());
        let clock = site.clock.clone();
        let layer = QqAuthLayer::builder(client, site::keys()).clock(move || clock.now());
        (pages(layer), qq)
    };
    let here = site.signed_in().await;
    for uri in [
        "https://staging.site.example/auth/qq/callback",
        "https://site.example:8443/auth/qq/callback",
        "https://site.example/auth/qq/other",
    ] {
        let (router, qq) = layer(uri);
        let mut there = here.clone();
        there.router = router;
        assert_eq!(there.whoami().await, Value::Null, "{uri}");
        there.sign_in(&qq, "/auth/qq/login").await;
        assert_ne!(there.whoami().await, Value::Null, "{uri}");
        there.router = here.router.clone();
        assert_eq!(there.whoami().await, Value::Null, "back from {uri}");
    }
    let mut same = here.clone();
    same.router = layer(CALLBACK).0;
    assert_ne!(same.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_longer_lifetime_lengthens_no_session() {
    let site = Site::new();
    let router = |lifetime| pages(builder(&site).session_lifetime(lifetime));
    let mut browser = site.browser();
    browser.router = router(DAY);
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    let end = seconds(site.clock.now() + DAY);
    browser.router = router(30 * DAY);
    assert_eq!(session(&mut browser).await["expires_at"], end);
    site.clock.advance(DAY - Duration::from_secs(2));
    let changed = browser.get("/account/42").await;
    assert!(changed.cookies()[0].ends_with("Max-Age=2"), "{changed:?}");
    assert_eq!(session(&mut browser).await["expires_at"], end);
    site.clock.advance(Duration::from_secs(2));
    assert_eq!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_shorter_lifetime_shortens_sessions() {
    let site = Site::new();
    let router = |lifetime| pages(builder(&site).session_lifetime(lifetime));
    let mut browser = site.browser();
    browser.router = router(30 * DAY);
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    site.clock.advance(2 * DAY);
    let mut other = browser.clone();
    other.router = router(2 * DAY);
    assert_eq!(other.whoami().await, Value::Null, "it is over");

    browser.router = router(3 * DAY);
    let changed = browser.get("/account/42").await;
    assert!(changed.cookies()[0].ends_with(&format!("Max-Age={}", DAY.as_secs())));
    site.clock.advance(DAY);
    assert_eq!(browser.clone().whoami().await, Value::Null);
    // What was sealed at the login is the most that any setting gives.
    browser.router = router(300 * DAY);
    let end = session(&mut browser).await["expires_at"].clone();
    assert_eq!(end, seconds(site.clock.now() + 6 * DAY), "idle since a day");
}

#[tokio::test]
async fn a_clock_that_jumps_both_ways_costs_nothing_within_five_minutes() {
    const MINUTE: Duration = Duration::from_secs(60);
    let site = Site::new();
    let mut browser = site.browser();
    browser.router = pages(builder(&site));
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    let first = session(&mut browser).await;
    for round in 0..4 {
        site.clock.turn_back(4 * MINUTE);
        browser.get(&format!("/account/{round}")).await;
        let mut found = session(&mut browser).await;
        assert_eq!(found["account"], json!(round.to_string()));
        found["account"] = Value::Null;
        assert_eq!(found, first, "neither shorter nor longer");
        site.clock.advance(4 * MINUTE);
        assert_eq!(session(&mut browser).await["id"], first["id"]);
    }
    // Further back it is signed out, and comes back with the clock.
    site.clock.turn_back(6 * MINUTE);
    assert_eq!(browser.whoami().await, Value::Null);
    assert_eq!(
        browser.get("/account/9").await.status,
        StatusCode::SEE_OTHER
    );
    site.clock.advance(6 * MINUTE);
    assert_eq!(session(&mut browser).await["account"], "3");
    // A jump ahead ends it, and back again it counts.
    site.clock.advance(40 * DAY);
    assert_eq!(browser.clone().whoami().await, Value::Null);
    site.clock.turn_back(40 * DAY);
    assert_eq!(session(&mut browser).await["id"], first["id"]);
}
