//! The token that a phone sends appears in no answer, log line, error or debug output.

use serde_json::json;
use tower_qq_auth::mock::{Endpoint, MockQq};

use super::{
    canaries::{ACCESS, Log, OPENID, SECRETS, assert_hidden},
    faults, shown,
};
use crate::phone::{PHONE_APP, log_in_with, site_with};

/// Schedules the replies of one verification, because the mock does not know `ACCESS`.
fn plant(qq: &MockQq) {
    let me = json!({ "client_id": PHONE_APP, "openid": OPENID, "unionid": "UID_1" });
    qq.reply(Endpoint::Me, me.to_string())
        .reply(Endpoint::UserInfo, r#"{"ret":0,"nickname":"小明"}"#);
}

/// Verifies `ACCESS` with every fault at every step, by the site's route and by the client.
/// Returns all output.
pub(super) async fn matrix() -> String {
    let mut output = String::new();
    for requires_profile in [false, true] {
        let (site, layer) = site_with(
            |app| match requires_profile {
                true => app.request_union_id().require_profile(),
                false => app.request_union_id(),
            },
            |layer| layer.keep_tokens(),
        );
        let cases = [Endpoint::Me, Endpoint::UserInfo]
            .into_iter()
            .flat_map(|endpoint| {
                faults()
                    .into_iter()
                    .map(move |fault| Some((endpoint, fault)))
            });
        for case in cases.chain([None]) {
            let log = Log::start();
            let mut shown_here = String::new();
            let prepare = || {
                site.qq.clear_faults();
                if let Some((endpoint, fault)) = &case {
                    site.qq.fault(*endpoint, 2, fault.clone());
                }
                plant(&site.qq);
            };
            prepare();
            let mut phone = site.browser().program();
            let reply = log_in_with(&mut phone, ACCESS).await;
            shown_here += &shown(&reply);
            shown_here += &shown(&phone.get("/whoami").await);

            prepare();
            match layer.client().verify(ACCESS).await {
                Ok(login) => {
                    assert_eq!(login.tokens().access_token(), ACCESS);
                    let (user, tokens) = (login.user(), login.tokens());
                    shown_here += &format!("{login:?} {login:#?} {user:?} {tokens:?}");
                    let session = layer.begin(login).await.unwrap();
                    shown_here += &format!("{session:?} {session:#?}");
                }
                Err(error) => {
                    assert!(std::error::Error::source(&error).is_none());
                    shown_here += &format!("{error} {error:?} {error:#?}");
                }
            }
            // Refused without a call.
            let error = layer
                .client()
                .verify(&format!("{ACCESS}\n"))
                .await
                .unwrap_err();
            shown_here += &format!("{error} {error:?}");
            let reply = log_in_with(&mut phone, &format!("{ACCESS} {}", "A".repeat(600))).await;
            shown_here += &shown(&reply);

            let lines = log.text();
            let mut secrets = SECRETS.to_vec();
            secrets.extend(phone.jar.values().map(String::as_str));
            assert_hidden(&shown_here, &secrets);
            assert_hidden(&lines, &secrets);
            output += &shown_here;
            output += &lines;
        }
    }
    output
}

#[tokio::test(start_paused = true)]
async fn a_phone_s_token_is_in_no_output() {
    let output = matrix().await;
    let count = |text: &str| output.matches(text).count();
    for text in [
        "outcome=\"ok\"",
        "access token not verified: ",
        "signing in without a profile",
        "\"code\":\"qq_unavailable\"",
        "\"code\":\"audience_mismatch\"",
        "QqLogin",
        "QqTokens",
        "QqSession",
        "LoginError",
    ] {
        assert!(count(text) > 1, "{text} appears {} times", count(text));
    }
}
