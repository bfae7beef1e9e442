//! `QqClient::verify`: logins with tokens of QQ's SDK in phone apps.

use std::time::Duration;

use serde_json::{Value, json};
use tower_qq_auth::{
    LoginErrorKind, QqAppBuilder, QqClient,
    mock::{Call, Endpoint, Fault, Person},
};

use crate::{
    phone::{Attempt, PHONE_APP, STRANGER, site, site_with, token},
    site::{APP_ID, Site, app},
};

mod handler;
mod places;
mod replies;
mod upstream;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn a_token_of_an_accepted_app_signs_in_the_user_of_that_app() {
    let site = site();
    for (at, person) in site.qq.people()[..3].iter().enumerate() {
        let attempt = Attempt::at(&site, &token(&site, PHONE_APP, at)).await;
        let user = attempt.assert_signed_in(&person.nickname, [1, 1]);
        let openid = site.qq.journal().pop().unwrap();
        assert_eq!(user["app_id"], PHONE_APP);
        assert_eq!(user["openid"], openid.param("openid").unwrap());
        assert_ne!(user["openid"], person.openid);
        assert_eq!(user["nickname"], person.nickname);
        assert_eq!(user["profile_complete"], true);
        assert_eq!(user["unionid"], Value::Null);
    }
}

#[tokio::test]
async fn web_and_phone_have_two_openids_and_one_unionid() {
    let (site, _) = site_with(QqAppBuilder::request_union_id, |layer| layer);
    site.qq.grant_union_id(true);
    let phone = Attempt::at(&site, &token(&site, PHONE_APP, 0)).await;
    let phone = phone.assert_signed_in("phone", [1, 1]);
    let web = site.signed_in().await.whoami().await;
    assert_eq!(
        (&web["app_id"], &phone["app_id"]),
        (&json!(APP_ID), &json!(PHONE_APP))
    );
    assert_ne!(web["openid"], phone["openid"]);
    assert_eq!(web["unionid"], site.qq.people()[0].unionid);
    assert_eq!(phone["unionid"], web["unionid"]);
}

#[tokio::test]
async fn the_unionid_is_a_parameter_of_me_only_if_it_is_wanted() {
    let me_calls = |site: &Site| {
        let mut calls = site.qq.journal();
        calls.retain(|call| call.endpoint == Endpoint::Me);
        let unionid = |call: &Call| call.param("unionid").map(String::from);
        calls.iter().map(unionid).collect::<Vec<_>>()
    };
    let plain = site();
    plain.qq.grant_union_id(true);
    let attempt = Attempt::at(&plain, &token(&plain, PHONE_APP, 0)).await;
    attempt.assert_signed_in("not wanted", [1, 1]);
    assert_eq!(me_calls(&plain), [None]);

    // QQ grants none and says so by an error, or leaves the field out.
    for (omits, calls) in [(false, 2), (true, 1)] {
        let (site, _) = site_with(QqAppBuilder::request_union_id, |layer| layer);
        site.qq.omit_union_id(omits);
        let attempt = Attempt::at(&site, &token(&site, PHONE_APP, 0)).await;
        let user = attempt.assert_signed_in("not granted", [calls, 1]);
        assert_eq!(user["unionid"], Value::Null);
        assert_eq!(me_calls(&site), [Some("1".into()), None][..calls]);
    }
}

#[tokio::test]
async fn a_token_of_an_app_that_is_not_listed_is_refused_before_the_profile() {
    let site = site();
    for app_id in [STRANGER, APP_ID, "1106", "11061234560"] {
        let attempt = Attempt::at(&site, &token(&site, app_id, 0)).await;
        attempt.assert_failed(app_id, 424, "audience_mismatch", [1, 0]);
    }
    // A token of the website's own app, as its callback gets it.
    let login = site.bare_login(0).await;
    let attempt = Attempt::at(&site, login.tokens().access_token()).await;
    attempt.assert_failed("a token of the callback", 424, "audience_mismatch", [1, 0]);
}

#[tokio::test]
async fn every_listed_app_is_accepted_the_website_s_own_too() {
    let apps = [PHONE_APP, APP_ID, "1106000001"];
    let (site, _) = site_with(|app| app.accept_tokens_of(apps), |layer| layer);
    for app_id in apps {
        let attempt = Attempt::at(&site, &token(&site, app_id, 0)).await;
        let user = attempt.assert_signed_in(app_id, [1, 1]);
        assert_eq!(user["app_id"], app_id);
        let is_own = user["openid"] == site.qq.people()[0].openid;
        assert_eq!(is_own, app_id == APP_ID);
    }
    let attempt = Attempt::at(&site, &token(&site, STRANGER, 0)).await;
    attempt.assert_failed("stranger", 424, "audience_mismatch", [1, 0]);
}

#[tokio::test]
async fn without_a_list_the_error_names_the_setting_and_qq_is_not_asked() {
    let none: [&str; 0] = [];
    let (site, layer) = site_with(|app| app.accept_tokens_of(none), |layer| layer);
    let token = token(&site, PHONE_APP, 0);
    let attempt = Attempt::at(&site, &token).await;
    attempt.assert_failed("no list", 424, "misconfigured", [0, 0]);
    for client in [
        layer.client(),
        &QqClient::with_service(app(), site.qq.clone()),
    ] {
        let error = client.verify(&token).await.unwrap_err();
        assert!(error.to_string().contains("accept_tokens_of"), "{error}");
    }
}

#[test]
fn a_listed_app_id_that_is_none_is_an_error_of_the_build() {
    for id in [
        "",
        "1106 123456",
        "appid",
        "１１０６",
        "110612345611061234561",
    ] {
        let builder = crate::site::app_builder().accept_tokens_of([PHONE_APP, id]);
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains("accept_tokens_of"), "{error}");
        assert!(error.contains("1 to 20 digits"), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_qq_no_longer_knows_is_refused() {
    let site = site();
    let fresh = token(&site, PHONE_APP, 0);
    site.qq.advance(90 * DAY - Duration::from_secs(60));
    let attempt = Attempt::at(&site, &fresh).await;
    attempt.assert_signed_in("90 days less a minute", [1, 1]);
    site.qq.advance(Duration::from_secs(60));
    let stale = fresh;

    let revoked = token(&site, PHONE_APP, 0);
    let other_user = token(&site, PHONE_APP, 1);
    site.qq.revoke_tokens(&site.qq.people()[0].openid);
    for token in [
        &stale,
        &revoked,
        "GARBAGE",
        "0123456789ABCDEF0123456789ABCDEF",
    ] {
        let attempt = Attempt::at(&site, token).await;
        attempt.assert_failed(token, 400, "code_rejected", [1, 0]);
    }
    let attempt = Attempt::at(&site, &other_user).await;
    attempt.assert_signed_in("another user", [1, 1]);

    site.qq
        .set_people([Person::new("0000000000000000000000000000000A", "new")]);
    let attempt = Attempt::at(&site, &other_user).await;
    attempt.assert_failed("deleted user", 400, "code_rejected", [1, 0]);
}

#[tokio::test]
async fn text_that_is_no_token_is_refused_without_a_call() {
    let site = site();
    let good = token(&site, PHONE_APP, 0);
    let (long, longer) = ("A".repeat(513), "A".repeat(64 * 1024));
    for text in [
        "",
        " ",
        "\n",
        &format!("{good}\n"),
        &format!("\r\n{good}"),
        &format!("{good} "),
        &format!(" {good}"),
        &format!("{good}\0"),
        &format!("{good}\t"),
        &format!("{good}\u{7f}"),
        &format!("{good}\u{200b}"),
        &format!("\u{feff}{good}"),
        "T0KEN T0KEN",
        "令牌",
        "ＴＯＫＥＮ",
        &long,
        &longer,
    ] {
        let (_, layer) = site_with(|app| app, |layer| layer);
        let error = layer.client().verify(text).await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::CodeRejected, "{text:?}");
        assert_eq!(error.step(), Some("openid"), "{text:?}");
        if text.len() < 4000 {
            let attempt = Attempt::at(&site, text).await;
            attempt.assert_failed(text, 400, "code_rejected", [0, 0]);
        }
    }
    // Only QQ can tell that this is none.
    let attempt = Attempt::at(&site, "null").await;
    attempt.assert_failed("null", 400, "code_rejected", [1, 0]);
}

#[tokio::test]
async fn a_token_of_any_characters_is_sent_as_exactly_one_parameter() {
    let openid = "CC7F5CEFEFC0EBAB9B07EB481AEBC29C";
    let odd = "a&openid=b#c?d=e%26f%2526g+h==/../;'\"<>\\";
    let longest = odd.to_owned() + &"x".repeat(512 - odd.len());
    for token in [odd, &longest] {
        let site = site();
        let me = json!({ "client_id": PHONE_APP, "openid": openid }).to_string();
        site.qq.reply(Endpoint::Me, me);
        site.qq
            .reply(Endpoint::UserInfo, r#"{"ret":0,"nickname":"N"}"#);
        Attempt::at(&site, token)
            .await
            .assert_signed_in(token, [1, 1]);
        let [me, profile] = &site.qq.journal()[..] else {
            panic!("{:?}", site.qq.journal())
        };
        let sent = |call: &Call| {
            let mut params = call.params.clone();
            params.sort();
            params
        };
        let expected = |params: &[(&str, &str)]| {
            let own = params
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()));
            own.collect::<Vec<_>>()
        };
        assert_eq!(
            sent(me),
            expected(&[("access_token", token), ("fmt", "json")])
        );
        let app = ("oauth_consumer_key", PHONE_APP);
        let params = [("access_token", token), app, ("openid", openid)];
        assert_eq!(sent(profile), expected(&params));
    }
}

#[tokio::test]
async fn a_user_whose_profile_fails_is_signed_in_unless_the_app_requires_one() {
    let without_profile = 5;
    for fault in [Fault::Code(100030), Fault::CutBody] {
        let calls = [
            1,
            if matches!(fault, Fault::CutBody) {
                2
            } else {
                1
            },
        ];
        for requires in [false, true] {
            let settings = |app: QqAppBuilder| match requires {
                true => app.require_profile(),
                false => app,
            };
            let (site, _) = site_with(settings, |layer| layer);
            site.qq.fault(Endpoint::UserInfo, usize::MAX, fault.clone());
            let attempt = Attempt::at(&site, &token(&site, PHONE_APP, 0)).await;
            if requires {
                attempt.assert_failed("required", 424, "qq_unavailable", calls);
                continue;
            }
            let user = attempt.assert_signed_in("not required", calls);
            assert_eq!(
                (&user["nickname"], &user["profile_complete"]),
                (&json!(""), &json!(false))
            );
        }
    }
    let site = site();
    let attempt = Attempt::at(&site, &token(&site, PHONE_APP, without_profile)).await;
    let user = attempt.assert_signed_in("a user of the mock without a profile", [1, 1]);
    assert_eq!(user["nickname"], "");
}
