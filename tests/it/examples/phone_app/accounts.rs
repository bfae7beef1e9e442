//! The account of a login: found by its identity or its UnionID, or a new one.

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::json;
use sqlx::{Connection, Executor, SqliteConnection};
use tower_qq_auth::mock::Endpoint;

use super::super::{USERS, assert_shows, sqlite_users::DatabaseFile, text};
use super::{OTHER_PHONE_APP, PHONE_APP, Site, read, serve_qq, token};
use crate::process::{browser, free_address};
use crate::site::APP_ID;

#[tokio::test]
async fn a_user_has_one_account_on_the_web_and_on_phones() {
    let (site, qq) = Site::start().await;
    qq.grant_union_id(true);
    let web = site.web(0).await;
    let on_web = site.me(&web).await;
    let (name, openid) = USERS[0];
    let identity = format!("{APP_ID}:{openid}");
    let expected = json!({"account": 1, "app_id": APP_ID, "identity": identity, "nickname": name});
    assert_eq!(on_web, expected);

    let mut identities = vec![identity];
    for app_id in [PHONE_APP, OTHER_PHONE_APP] {
        let phone = browser();
        let login = site.phone_login(&phone, &token(&qq, app_id, 0)).await;
        assert_eq!(login.status(), StatusCode::OK);
        let user = read(login).await;
        assert_eq!(
            (&user["app_id"], &user["nickname"]),
            (&app_id.into(), &name.into())
        );
        assert_ne!(user["openid"], openid);

        let on_phone = site.me(&phone).await;
        let identity = format!("{app_id}:{}", user["openid"].as_str().unwrap());
        let expected =
            json!({"account": 1, "app_id": app_id, "identity": identity, "nickname": name});
        assert_eq!(on_phone, expected);
        identities.push(identity);
    }
    for identity in &identities {
        let listed = format!("<code>{identity}</code>");
        assert_shows(&text(&web, &site.url).await, &["account 1<", &listed]);
    }

    // The other order: the phone first.
    let phone = site.phone(&token(&qq, PHONE_APP, 1)).await;
    let web = site.web(1).await;
    assert_eq!(
        [site.account(&phone).await, site.account(&web).await],
        [2, 2]
    );
    let again = site.phone(&token(&qq, PHONE_APP, 1)).await;
    assert_eq!(site.account(&again).await, 2);
}

#[tokio::test]
async fn logins_without_a_union_id_share_no_account() {
    let (site, qq) = Site::start().await;
    for _ in 0..2 {
        let web = site.web(0).await;
        let phone = site.phone(&token(&qq, PHONE_APP, 0)).await;
        let other = site.phone(&token(&qq, PHONE_APP, 1)).await;
        let accounts = [
            site.account(&web).await,
            site.account(&phone).await,
            site.account(&other).await,
        ];
        assert_eq!(accounts, [1, 2, 3]);
    }
}

#[tokio::test]
async fn a_union_id_that_comes_later_links_but_never_merges() {
    let (mut site, qq) = Site::start().await;
    for (user, account) in [(0, 1), (1, 2)] {
        assert_eq!(site.account(&site.web(user).await).await, account);
    }
    qq.grant_union_id(true);

    // The account of user 1 learns its UnionID before the phone needs it.
    assert_eq!(site.account(&site.web(1).await).await, 2);
    let phone = site.phone(&token(&qq, PHONE_APP, 1)).await;
    assert_eq!(site.account(&phone).await, 2);

    // User 0 comes by phone first: two accounts, and each login goes to that of its identity.
    for _ in 0..2 {
        let phone = site.phone(&token(&qq, PHONE_APP, 0)).await;
        assert_eq!(site.account(&phone).await, 3);
        assert_eq!(site.account(&site.web(0).await).await, 1);
        let logged = site.running.logged("UnionID").await;
        assert!(logged.contains("WARN"), "{logged}");
        assert!(
            !logged.contains(USERS[0].1) && !logged.contains("UID_"),
            "{logged}"
        );
    }
}

#[tokio::test]
async fn first_logins_at_the_same_moment_make_one_account() {
    let database = DatabaseFile::new("phone-app-moment");
    let addresses = [free_address(), free_address()];
    let (qq, qq_url) = serve_qq(&addresses).await;
    qq.grant_union_id(true);
    // Two processes, as one has a single connection to the database.
    let web = Site::start_at(addresses[0], &qq_url, &database.url()).await;
    let api = Site::start_at(addresses[1], &qq_url, &database.url()).await;

    // While the test may write, no login can, and all of them arrive.
    let mut lock = SqliteConnection::connect(&database.url()).await.unwrap();
    lock.execute("BEGIN IMMEDIATE").await.unwrap();
    let release = async {
        let mut left = 20;
        while left > 0 {
            assert_shows(&text(&browser(), &web.url).await, &["not signed in"]);
            left -= i32::from(qq.calls(Endpoint::UserInfo) == 2 * USERS.len());
        }
        lock.execute("COMMIT").await.unwrap();
    };
    let logins = (0..USERS.len()).map(async |user| {
        let token = token(&qq, PHONE_APP, user);
        let (browser, phone) = tokio::join!(web.web(user), api.phone(&token));
        let account = web.account(&browser).await;
        assert_eq!(api.account(&phone).await, account);
        account
    });
    let ((), mut accounts) = tokio::join!(release, join_all(logins));
    accounts.sort_unstable();
    assert_eq!(accounts, [1, 2, 3]);
}
