//! Tokens of QQ's SDK, which the mock hands to phone apps.

use super::*;

const APPS: [&str; 2] = ["1106123456", "1109999999"];

async fn me(qq: &MockQq, token: &str) -> String {
    text(qq, &format!("/oauth2.0/me?access_token={token}&fmt=json")).await
}

async fn openid_at(qq: &MockQq, app_id: &str, openid: &str) -> String {
    let token = qq.sdk_token(app_id, openid).unwrap();
    let reply = me(qq, &token).await;
    assert_eq!(field(&reply, "client_id"), app_id);
    field(&reply, "openid")
}

#[tokio::test]
async fn a_user_has_another_openid_at_each_app_and_always_the_same_one() {
    let (qq, again) = (qq(), qq());
    let mut seen = std::collections::HashSet::new();
    for person in qq.people() {
        assert!(seen.insert(person.openid.clone()));
        for app_id in APPS {
            let openid = openid_at(&qq, app_id, &person.openid).await;
            assert_eq!(openid_at(&qq, app_id, &person.openid).await, openid);
            assert_eq!(openid_at(&again, app_id, &person.openid).await, openid);
            let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
            assert!(openid.len() == 32 && openid.bytes().all(hex), "{openid}");
            assert!(seen.insert(openid));
        }
        assert_eq!(
            openid_at(&qq, "101905280", &person.openid).await,
            person.openid
        );
    }
}

#[tokio::test]
async fn the_unionid_is_the_same_at_every_app() {
    let qq = qq();
    qq.grant_union_id(true);
    let person = &qq.people()[0];
    for app_id in APPS {
        let token = qq.sdk_token(app_id, &person.openid).unwrap();
        let reply = me(&qq, &format!("{token}&unionid=1")).await;
        assert_eq!(field(&reply, "unionid"), person.unionid);
    }
}

#[test]
fn an_unknown_user_gets_no_token() {
    let qq = qq();
    let refused = qq.sdk_token(APPS[0], "0000000000000000000000000000000A");
    assert_eq!(refused.unwrap_err().code(), 100035);
}

#[tokio::test]
async fn a_token_lives_for_ninety_days_and_can_be_revoked() {
    let qq = qq();
    let [one, two] = [0, 1].map(|at| qq.people()[at].openid.clone());
    // `token_lifetime` is for tokens of the callback.
    qq.token_lifetime(DAY);
    let token = qq.sdk_token(APPS[0], &one).unwrap();
    qq.advance(90 * DAY - Duration::from_secs(60));
    assert!(me(&qq, &token).await.contains("openid"));
    qq.advance(Duration::from_secs(60));
    assert!(me(&qq, &token).await.contains("100014"));

    let [token, other] = [&one, &two].map(|openid| qq.sdk_token(APPS[0], openid).unwrap());
    qq.revoke_tokens(&one);
    assert!(me(&qq, &token).await.contains("100015"));
    assert!(me(&qq, &other).await.contains("openid"));
    qq.set_people([]);
    assert!(me(&qq, &other).await.contains("100016"), "the user is gone");
}

#[tokio::test]
async fn the_profile_takes_the_app_and_the_openid_of_the_token() {
    let qq = qq();
    let own = qq.people()[0].openid.clone();
    let token = qq.sdk_token(APPS[0], &own).unwrap();
    let openid = openid_at(&qq, APPS[0], &own).await;
    let elsewhere = openid_at(&qq, APPS[1], &own).await;
    let profile = async |app_id: &str, openid: &str| {
        let uri = profile_uri(&token, openid).replace("101905280", app_id);
        text(&qq, &uri).await
    };
    assert!(profile(APPS[0], &openid).await.contains("小明"));
    for (app_id, openid, code) in [
        (APPS[0], &own, "-22"),
        (APPS[0], &elsewhere, "-22"),
        (APPS[1], &elsewhere, "100008"),
        ("101905280", &own, "100008"),
    ] {
        let reply = profile(app_id, openid).await;
        assert!(
            reply.contains(&format!("\"ret\":{code}")),
            "{app_id}, {openid}: {reply}"
        );
    }
    // The token of the callback is for the website's app alone.
    let web = profile_uri(&new_token(&qq).await, &openid).replace("101905280", APPS[0]);
    assert!(text(&qq, &web).await.contains("100008"));
}

#[tokio::test]
async fn a_user_brings_the_same_fault_on_web_and_phone() {
    let qq = qq();
    let person = &qq.people()[5];
    assert!(person.nickname.ends_with("No profile"));
    let token = qq.sdk_token(APPS[0], &person.openid).unwrap();
    let openid = openid_at(&qq, APPS[0], &person.openid).await;
    let uri = profile_uri(&token, &openid).replace("101905280", APPS[0]);
    assert!(text(&qq, &uri).await.contains("100030"));
}
