//! Banned accounts.

use http::StatusCode;
use serde_json::Value;

use super::super::{assert_shows, sign_in, sqlite_users::DatabaseFile, text};
use super::{OTHER_PHONE_APP, PHONE_APP, Site, read, serve_qq, token};
use crate::process::free_address;

/// Before QQ granted UnionIDs, the user got an account on the web and one on the phone.
#[tokio::test]
async fn a_ban_counts_for_a_login_with_the_union_id_of_the_banned_account() {
    let (site, qq) = Site::start().await;
    let admin = site.web(0).await;
    let phone = site.phone(&token(&qq, PHONE_APP, 1)).await;
    qq.grant_union_id(true);
    assert_eq!(site.account(&site.web(1).await).await, 3);
    assert_eq!(site.ban(&admin, "account=3").await, StatusCode::OK);
    assert_eq!(site.account(&phone).await, 2, "QQ has not said who it is");

    let refused = site.phone_login(&phone, &token(&qq, PHONE_APP, 1)).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_user_banned_on_the_web_is_out_on_the_phone() {
    let (site, qq) = Site::start().await;
    qq.grant_union_id(true);
    let admin = site.web(0).await;
    let admins_phone = site.phone(&token(&qq, PHONE_APP, 0)).await;
    let web = site.web(1).await;
    let phone = site.phone(&token(&qq, PHONE_APP, 1)).await;
    assert_shows(&text(&admin, &site.url).await, &["action=\"/ban\""]);
    assert!(!text(&web, &site.url).await.contains("/ban"));
    for client in [&web, &phone] {
        assert_eq!(site.ban(client, "account=1").await, StatusCode::FORBIDDEN);
        assert_eq!(site.account(client).await, 2);
    }

    assert_eq!(site.ban(&admin, "account=2").await, StatusCode::OK);
    for client in [&web, &phone] {
        assert_eq!(site.me(client).await, Value::Null);
    }
    for client in [&admin, &admins_phone] {
        assert_eq!(site.account(client).await, 1);
    }
    assert_eq!(
        sign_in(&web, &site.url, 1).await.status(),
        StatusCode::FORBIDDEN
    );
    // The second identity is new. It stays out when its UnionID does not come any more.
    for (app_id, grant) in [
        (PHONE_APP, true),
        (OTHER_PHONE_APP, true),
        (OTHER_PHONE_APP, false),
    ] {
        qq.grant_union_id(grant);
        let refused = site.phone_login(&phone, &token(&qq, app_id, 1)).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_eq!(
            refused.headers()["content-type"],
            "application/problem+json"
        );
        let problem = read(refused).await;
        assert_eq!(problem["code"], "refused");
        assert_shows(
            problem["detail"].as_str().unwrap(),
            &["This account is closed."],
        );
        assert_eq!(site.me(&phone).await, Value::Null);
    }
    // As after a failed revocation: the form works again.
    assert_eq!(site.ban(&admin, "account=2").await, StatusCode::OK);
}

/// The list of revocations is in memory, but cookies outlive the process.
#[tokio::test]
async fn a_banned_user_stays_out_on_the_phone_after_a_restart() {
    let database = DatabaseFile::new("phone-app-banned");
    let address = free_address();
    let (qq, qq_url) = serve_qq(&[address]).await;
    let site = Site::start_at(address, &qq_url, &database.url()).await;
    let (admin, phone) = (
        site.web(0).await,
        site.phone(&token(&qq, PHONE_APP, 1)).await,
    );
    assert_eq!(site.ban(&admin, "account=2").await, StatusCode::OK);

    site.running.stop().await;
    let site = Site::start_at(address, &qq_url, &database.url()).await;
    assert_eq!(site.account(&admin).await, 1);
    assert_eq!(site.me(&phone).await, Value::Null);
}
