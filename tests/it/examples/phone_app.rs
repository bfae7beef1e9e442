//! The example with a website and a phone app: its route for phones, accounts, bans, and the script.

use std::net::SocketAddr;

use http::StatusCode;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_qq_auth::mock::MockQq;

use super::{USERS, post, sign_in};
use crate::process::{Running, SESSION_KEY, browser, callback_at, free_address};
use crate::site::{APP_ID, APP_KEY};

mod accounts;
mod bans;
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
                read(response).await
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

async fn read(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

#[track_caller]
fn token(qq: &MockQq, app_id: &str, user: usize) -> String {
    qq.sdk_token(app_id, USERS[user].1).unwrap()
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
        // Fits one read of the server, which would close the connection otherwise.
        (body(&"A".repeat(5_000)), vec![json_type], 413, ""),
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
            assert_eq!(read(response).await["code"], code, "{shown}");
        }
        assert_eq!(site.me(&phone).await, Value::Null, "{shown}");
    }

    // The openid is the token's, and not the one that the phone names.
    let forged = json!({"access_token": good, "openid": USERS[1].1, "nickname": "forged"});
    let request = phone.post(format!("{}api/phone-login", site.url));
    let request = request.header(json_type.0, json_type.1);
    let user = read(request.body(forged.to_string()).send().await.unwrap()).await;
    let openid = user["openid"].as_str().unwrap();
    assert_ne!(openid, USERS[1].1);
    assert_eq!(user["nickname"], USERS[0].0);
    assert_eq!(
        site.me(&phone).await["identity"],
        format!("{PHONE_APP}:{openid}")
    );
}
