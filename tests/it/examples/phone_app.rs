//! The example with a website and a phone app: accounts, bans, and the script that plays the phone.

use std::net::SocketAddr;

use futures_util::future::join_all;
use http::StatusCode;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::net::TcpListener;
use tower_qq_auth::mock::{Endpoint, MockQq};

use super::sqlite_users::DatabaseFile;
use super::{USERS, assert_shows, post, sign_in, text};
use crate::process::{Running, SESSION_KEY, browser, callback_at, free_address};
use crate::site::{APP_ID, APP_KEY};

#[cfg(unix)]
mod script;

const PHONE_APP: &str = "1106123456";
const OTHER_PHONE_APP: &str = "1106123457";
const STRANGERS_APP: &str = "1109999999";

/// Starts a QQ at which these sites are registered, and returns its URL.
async fn serve_qq(sites: &[SocketAddr]) -> (MockQq, String) {
    let callbacks: Vec<_> = sites.iter().map(|site| callback_at(*site)).collect();
    let qq = MockQq::new(APP_ID, APP_KEY, callbacks.join(";"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(qq.clone().serve(listener));
    (qq, url)
}

/// The running example, at a QQ of the test.
struct Site {
    running: Running,
    url: String,
}

impl Site {
    async fn start() -> (Self, MockQq) {
        let address = free_address();
        let (qq, qq_url) = serve_qq(&[address]).await;
        (
            Self::start_at(address, &qq_url, "sqlite::memory:").await,
            qq,
        )
    }

    async fn start_at(address: SocketAddr, qq_url: &str, database: &str) -> Self {
        let (listen, callback) = (address.to_string(), callback_at(address));
        let phone_apps = format!("{PHONE_APP}, {OTHER_PHONE_APP}");
        let environment = [
            ("LISTEN", listen.as_str()),
            ("DATABASE_URL", database),
            ("QQ_APP_ID", APP_ID),
            ("QQ_APP_KEY", APP_KEY),
            ("QQ_REDIRECT_URI", &callback),
            ("QQ_SESSION_KEY", SESSION_KEY),
            ("QQ_BASE_URL", qq_url),
            ("QQ_PHONE_APP_ID", &phone_apps),
        ];
        let mut running = Running::start("phone_app", &environment);
        running.printed("callback").await;
        let url = format!("http://{address}/");
        Self { running, url }
    }

    /// Signs a user in on the web, in a new browser.
    async fn web(&self, user: usize) -> Client {
        let browser = browser();
        let end = sign_in(&browser, &self.url, user).await;
        assert_eq!(end.status(), StatusCode::OK);
        browser
    }

    /// Signs in with a token on a new phone.
    async fn phone(&self, token: &str) -> Client {
        let phone = browser();
        let login = self.phone_login(&phone, token).await;
        assert_eq!(login.status(), StatusCode::OK);
        phone
    }

    async fn phone_login(&self, phone: &Client, token: &str) -> Response {
        let body = json!({"access_token": token}).to_string();
        let request = phone.post(format!("{}api/phone-login", self.url));
        let request = request.header("content-type", "application/json");
        request.body(body).send().await.unwrap()
    }

    /// Returns what the site tells a client about its user: `null` if it is signed out.
    async fn me(&self, client: &Client) -> Value {
        let request = client.get(format!("{}api/me", self.url));
        let response = request.header("accept", "application/json").send().await;
        let response = response.unwrap();
        match response.status() {
            StatusCode::UNAUTHORIZED => Value::Null,
            status => {
                assert_eq!(status, StatusCode::OK);
                json(response).await
            }
        }
    }

    async fn account(&self, client: &Client) -> i64 {
        self.me(client).await["account"].as_i64().unwrap()
    }

    async fn ban(&self, client: &Client, form: &'static str) -> StatusCode {
        let end = post(client, format!("{}ban", self.url), "same-origin", form).await;
        end.status()
    }
}

async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

#[track_caller]
fn token(qq: &MockQq, app_id: &str, user: usize) -> String {
    qq.sdk_token(app_id, USERS[user].1).unwrap()
}

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
        let user = json(login).await;
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
        let problem = json(refused).await;
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

#[tokio::test]
async fn only_a_token_of_the_phone_app_in_json_signs_in() {
    let (site, qq) = Site::start().await;
    let good = token(&qq, PHONE_APP, 0);
    let body = |token: &str| json!({"access_token": token}).to_string();
    let (valid, json_type) = (body(&good), ("content-type", "application/json"));
    let cross_site = ("sec-fetch-site", "cross-site");
    let foreign = ("origin", "https://other.example");
    let cases = [
        (
            body(&token(&qq, STRANGERS_APP, 0)),
            vec![json_type],
            424,
            "audience_mismatch",
        ),
        (
            body(&token(&qq, APP_ID, 0)),
            vec![json_type],
            424,
            "audience_mismatch",
        ),
        (
            body("0123456789ABCDEF0123456789ABCDEF"),
            vec![json_type],
            400,
            "code_rejected",
        ),
        (
            body(&format!("{good}\r\n")),
            vec![json_type],
            400,
            "code_rejected",
        ),
        (body(""), vec![json_type], 400, "code_rejected"),
        (
            body(&"A".repeat(513)),
            vec![json_type],
            400,
            "code_rejected",
        ),
        (body(&"A".repeat(65_536)), vec![json_type], 413, ""),
        (r#"{"access_token":null}"#.into(), vec![json_type], 422, ""),
        (valid.clone(), vec![("content-type", "text/plain")], 415, ""),
        (valid.clone(), vec![], 415, ""),
        (valid.clone(), vec![json_type, cross_site], 403, ""),
        (valid, vec![json_type, foreign], 403, ""),
    ];
    let phone = browser();
    for (body, headers, status, code) in cases {
        let shown = format!("{headers:?} {}", &body[..body.len().min(80)]);
        let mut request = phone.post(format!("{}api/phone-login", site.url));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.body(body).send().await.unwrap();
        assert_eq!(response.status(), status, "{shown}");
        if !code.is_empty() {
            assert_eq!(json(response).await["code"], code, "{shown}");
        }
        assert_eq!(site.me(&phone).await, Value::Null, "{shown}");
    }

    // The openid is the token's, and not the one that the phone names.
    let forged = json!({"access_token": good, "openid": USERS[1].1, "nickname": "forged"});
    let request = phone.post(format!("{}api/phone-login", site.url));
    let request = request.header(json_type.0, json_type.1);
    let user = json(request.body(forged.to_string()).send().await.unwrap()).await;
    let openid = user["openid"].as_str().unwrap();
    assert_ne!(openid, USERS[1].1);
    assert_eq!(user["nickname"], USERS[0].0);
    assert_eq!(
        site.me(&phone).await["identity"],
        format!("{PHONE_APP}:{openid}")
    );
}
