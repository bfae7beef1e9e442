//! `Identity`: the QQ app of a user and the openid there.

use proptest::prelude::*;
use serde_json::{Value, json};
use tower_qq_auth::{Identity, OpenId, QqUser};

use crate::{
    phone::PHONE_APP,
    properties::config,
    site::{APP_ID, Browser, SESSION, Site},
};

const OPENID: &str = "CC7F5CEFEFC0EBAB9B07EB481AEBC29C";

fn openid() -> OpenId {
    OpenId::new(OPENID).unwrap()
}

fn at(app_id: &str) -> Identity {
    Identity::new(app_id, &openid()).unwrap()
}

#[test]
fn the_text_of_an_identity_parses_as_the_same() {
    let longest = "x".repeat(128);
    for (app_id, openid) in [
        (PHONE_APP, OPENID),
        ("0", "_"),
        ("01106", "-1"),
        ("12345678901234567890", &longest),
    ] {
        let identity = Identity::new(app_id, &OpenId::new(openid).unwrap()).unwrap();
        let text = identity.to_string();
        assert_eq!(text, format!("{app_id}:{openid}"));
        assert_eq!(text.parse(), Ok(identity));
    }
}

#[test]
fn text_of_another_form_is_no_identity() {
    let too_long = format!("{PHONE_APP}:{}", "x".repeat(129));
    for text in [
        "",
        ":",
        "::",
        PHONE_APP,
        // The openid alone: an app's own ids may look like one.
        OPENID,
        &format!(":{OPENID}"),
        &format!("{PHONE_APP}:"),
        &format!("{PHONE_APP}::{OPENID}"),
        &format!("{PHONE_APP}:{OPENID}:"),
        &format!("{PHONE_APP}:{PHONE_APP}:{OPENID}"),
        &format!(" {PHONE_APP}:{OPENID}"),
        &format!("{PHONE_APP} :{OPENID}"),
        &format!("{PHONE_APP}: {OPENID}"),
        &format!("{PHONE_APP}:{OPENID}\n"),
        &format!("{PHONE_APP}\0:{OPENID}"),
        &format!("{PHONE_APP}：{OPENID}"),
        &format!("+1:{OPENID}"),
        &format!("-1:{OPENID}"),
        &format!("0x11:{OPENID}"),
        &format!("１１０６:{OPENID}"),
        &format!("123456789012345678901:{OPENID}"),
        &format!("{OPENID}:{PHONE_APP}"),
        &too_long,
    ] {
        let error = text.parse::<Identity>().unwrap_err();
        assert!(error.to_string().starts_with("not "), "{text:?}: {error}");
    }
    for app_id in ["", " ", "appid", "1106:", "123456789012345678901", "１"] {
        assert!(Identity::new(app_id, &openid()).is_err(), "{app_id:?}");
    }
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn text_is_an_identity_exactly_if_it_is_written_as_one(
        text in prop_oneof!["[0-9]{0,22}:?[0-9A-Za-z_:-]{0,130}", any::<String>()],
    ) {
        let is_one = text.split_once(':').is_some_and(|(app_id, openid)| {
            (1..=20).contains(&app_id.len())
                && app_id.chars().all(|ch| ch.is_ascii_digit())
                && (1..=128).contains(&openid.len())
                && openid.chars().all(|ch| ch.is_ascii_alphanumeric() || "_-".contains(ch))
        });
        let parsed = text.parse::<Identity>();
        prop_assert_eq!(parsed.is_ok(), is_one);
        if let Ok(identity) = parsed {
            prop_assert_eq!(identity.to_string(), text);
        }
    }
}

#[test]
fn an_openid_alone_is_an_identity_without_app() {
    let alone = Identity::from(openid());
    assert_eq!(alone, Identity::from(&openid()));
    assert_eq!(alone.to_string(), OPENID);
    assert_ne!(alone, at(APP_ID));
    assert_ne!(at(PHONE_APP), at(APP_ID));
}

#[test]
fn users_of_two_apps_differ_even_with_one_openid() {
    let web = QqUser::new(at(APP_ID)).with_nickname("小明");
    let phone = QqUser::new(at(PHONE_APP)).with_nickname("小明");
    assert_ne!(web, phone);
    assert_eq!(web.openid(), phone.openid());
    assert_ne!(web.identity(), phone.identity());
    assert_eq!(phone, QqUser::new(phone.identity()).with_nickname("小明"));
    assert_eq!((web.app_id(), phone.app_id()), (APP_ID, PHONE_APP));
    assert!(format!("{phone:?}").contains(PHONE_APP), "{phone:?}");
}

#[test]
fn a_user_keeps_the_app_as_json() {
    let user = QqUser::new(at(PHONE_APP)).with_nickname("小明");
    let json = serde_json::to_value(&user).unwrap();
    assert_eq!(
        json,
        json!({
            "app_id": PHONE_APP,
            "openid": OPENID,
            "unionid": null,
            "nickname": "小明",
            "avatar": null,
            "profile_complete": false,
        })
    );
    assert_eq!(serde_json::from_value::<QqUser>(json).unwrap(), user);
}

/// Returns a stored user with this app id, or without one.
fn stored(app_id: Option<Value>) -> Result<QqUser, serde_json::Error> {
    let mut json = serde_json::to_value(QqUser::new(openid())).unwrap();
    let fields = json.as_object_mut().unwrap();
    fields.remove("app_id");
    if let Some(app_id) = app_id {
        fields.insert("app_id".into(), app_id);
    }
    serde_json::from_str(&json.to_string())
}

#[test]
fn a_user_stored_without_an_app_has_none() {
    for app_id in [None, Some(json!(""))] {
        let user = stored(app_id).unwrap();
        assert_eq!((user.app_id(), user.openid()), ("", &openid()));
        assert_eq!(user, QqUser::new(openid()));
        assert_eq!(user.identity(), Identity::from(openid()));
    }
    for app_id in [
        json!(" "),
        json!("appid"),
        json!("1106\n"),
        json!("１１０６"),
        json!("123456789012345678901"),
        json!(1106123456),
        json!([PHONE_APP]),
        Value::Null,
    ] {
        let error = stored(Some(app_id.clone())).unwrap_err();
        assert!(!error.to_string().is_empty(), "{app_id}");
    }
}

/// A browser with a session of this user, sealed for tests of handlers.
fn browser_of(user: &QqUser) -> Browser {
    let site = Site::new();
    let clock = site.clock.clone();
    let layer = crate::site::builder(&site.qq).clock(move || clock.now());
    let cookie = layer.build().unwrap().session_cookie(user, None).unwrap();
    let value = cookie.split_once('=').unwrap().1;
    let mut browser = site.browser();
    browser.jar.insert(SESSION.into(), value.into());
    browser
}

#[tokio::test]
async fn a_user_without_an_app_gets_that_of_the_layer_that_seals_the_session() {
    for (user, app_id) in [
        (QqUser::new(openid()), APP_ID),
        (QqUser::new(at(APP_ID)), APP_ID),
        (QqUser::new(at(PHONE_APP)), PHONE_APP),
        (
            QqUser::new(at("00000000000000000001")),
            "00000000000000000001",
        ),
    ] {
        let found = browser_of(&user).whoami().await;
        assert_eq!(
            (&found["app_id"], &found["openid"]),
            (&json!(app_id), &json!(OPENID))
        );
    }
}
