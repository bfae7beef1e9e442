//! The front end on an origin of its own: the requests of its page and its script, sent by a browser
//! that runs no script.

use http::{Method, StatusCode};
use reqwest::{Client, RequestBuilder, Response, Url, redirect::Policy};
use serde_json::{Value, json};

use super::{USERS, assert_shows};
use crate::process::{Running, choose, page};

/// Returns a browser that stops in front of a home page, whose fragment it would drop.
fn browser() -> Client {
    let policy = Policy::custom(|attempt| match attempt.url().path() {
        "/" => attempt.stop(),
        _ => attempt.follow(),
    });
    let client = Client::builder().no_proxy().cookie_store(true);
    client.redirect(policy).build().unwrap()
}

#[track_caller]
fn assert_leads_to(response: &Response, url: &str) {
    assert_eq!(response.status(), StatusCode::SEE_OTHER, "{response:?}");
    assert_eq!(response.headers()["location"], *url);
}

/// The two origins, without a slash at the end.
struct FrontEnd {
    _running: Running,
    page: String,
    api: String,
}

impl FrontEnd {
    async fn start() -> Self {
        let ports = [("LISTEN", "127.0.0.1:0"), ("API_LISTEN", "127.0.0.1:0")];
        let mut running = Running::start("front_end", &ports);
        let page = running.printed("open").await;
        let callback = running.printed("callback").await;
        let api = Url::parse(&callback).unwrap().origin();
        Self {
            _running: running,
            page: page.trim_end_matches('/').into(),
            api: api.ascii_serialization(),
        }
    }

    /// A request of the page's script.
    fn fetch(&self, browser: &Client, method: Method, path: &str) -> RequestBuilder {
        self.fetch_from(&self.page, browser, method, path)
    }

    fn fetch_from(
        &self,
        origin: &str,
        browser: &Client,
        method: Method,
        path: &str,
    ) -> RequestBuilder {
        browser
            .request(method, format!("{}{path}", self.api))
            .header("origin", origin)
            .header("sec-fetch-site", "same-site")
            .header("sec-fetch-mode", "cors")
            .header("sec-fetch-dest", "empty")
    }

    /// Returns what the script reads from the API.
    async fn get(&self, browser: &Client, path: &str) -> Value {
        let request = self.fetch(browser, Method::GET, path);
        self.read(request, StatusCode::OK).await
    }

    /// Sends a request of the script, which can read the response only if CORS allows it.
    async fn read(&self, request: RequestBuilder, status: StatusCode) -> Value {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{response:?}");
        self.assert_readable(&response);
        let body = response.bytes().await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[track_caller]
    fn assert_readable(&self, response: &Response) {
        let headers = response.headers();
        assert_eq!(headers["access-control-allow-origin"], *self.page);
        assert_eq!(headers["access-control-allow-credentials"], "true");
    }

    async fn save(&self, browser: &Client, status: StatusCode) -> Value {
        let note = self.fetch(browser, Method::POST, "/api/notes");
        let note = note.header("content-type", "application/json");
        self.read(note.body(r#"{"text":"a note"}"#), status).await
    }

    /// Starts a login in a popup as `qq-login.js` does, and returns the end of the popup.
    async fn sign_in(&self, browser: &Client, query: &str, user: usize) -> Response {
        let path = format!("/auth/qq/login?popup=1&return_to={}%2F{query}", self.page);
        let start = self.fetch(browser, Method::GET, &path);
        let start = start.header("accept", "application/json");
        let start = self.read(start, StatusCode::OK).await;
        let mock = page(browser, start["authorize_url"].as_str().unwrap()).await;
        choose(browser, mock, user).await
    }
}

#[tokio::test]
async fn a_login_by_redirect_ends_at_the_page_and_the_script_reads_who_signed_in() {
    let site = FrontEnd::start().await;
    let ann = browser();
    assert_eq!(site.get(&ann, "/api/me").await, Value::Null);
    let problem = site.save(&ann, StatusCode::UNAUTHORIZED).await;
    let login = problem["login_url"].as_str().unwrap();
    assert_eq!(login, format!("{}/auth/qq/login", site.api));

    let login = format!("{login}?return_to={}%2F", site.page);
    let end = choose(&ann, page(&ann, &login).await, 0).await;
    assert_leads_to(&end, &format!("{}/", site.page));
    assert_eq!(site.get(&ann, "/api/me").await["nickname"], USERS[0].0);
    let note = site.save(&ann, StatusCode::OK).await;
    assert_eq!(note, json!({"text": "a note"}));

    let logout = site.fetch(&ann, Method::POST, "/auth/qq/logout");
    let logout = logout.send().await.unwrap();
    assert_eq!(logout.status(), StatusCode::NO_CONTENT);
    site.assert_readable(&logout);
    assert_eq!(site.get(&ann, "/api/me").await, Value::Null);
}

#[tokio::test]
async fn a_popup_ends_at_the_page_with_its_outcome_whatever_that_is() {
    let site = FrontEnd::start().await;
    let ann = browser();
    site.save(&ann, StatusCode::UNAUTHORIZED).await;
    let end = site.sign_in(&ann, "", 0).await;
    assert_leads_to(&end, &format!("{}/#qq_login=ok", site.page));
    site.save(&ann, StatusCode::OK).await;

    // The second user has another account already, and keeps it.
    let bob = browser();
    site.sign_in(&bob, "", 1).await;
    let end = site.sign_in(&ann, "&intent=bind", 1).await;
    assert_leads_to(&end, &format!("{}/#qq_login=refused", site.page));
    assert_eq!(site.get(&ann, "/api/me").await["nickname"], USERS[0].0);
    assert_eq!(site.get(&bob, "/api/account").await["id"], "2");
}

#[tokio::test]
async fn a_bound_qq_user_signs_in_to_the_account() {
    let site = FrontEnd::start().await;
    let ann = browser();
    site.sign_in(&ann, "", 0).await;
    let end = site.sign_in(&ann, "&intent=bind", 1).await;
    assert_leads_to(&end, &format!("{}/#qq_login=ok", site.page));
    let account = json!({"id": "1", "users": [USERS[1].0, USERS[0].0]});
    assert_eq!(site.get(&ann, "/api/account").await, account);

    let elsewhere = browser();
    site.sign_in(&elsewhere, "", 1).await;
    assert_eq!(site.get(&elsewhere, "/api/account").await, account);

    // A visitor without an account has nothing to bind to.
    let path = format!("/auth/qq/login?intent=bind&return_to={}%2F", site.page);
    let start = site.fetch(&browser(), Method::GET, &path);
    let start = start.header("accept", "application/json");
    let problem = site.read(start, StatusCode::UNAUTHORIZED).await;
    assert_eq!(problem["code"], "login_required");
}

#[tokio::test]
async fn a_foreign_origin_starts_ends_and_reads_nothing() {
    let site = FrontEnd::start().await;
    let ann = browser();
    site.sign_in(&ann, "", 0).await;
    // As browsers send them for another port of the host, which is the same site.
    let foreign = "http://127.0.0.1:1";
    for (method, path) in [
        (Method::POST, "/auth/qq/logout"),
        (Method::GET, "/auth/qq/login"),
        (Method::GET, "/auth/qq/login?intent=bind"),
    ] {
        let request = site.fetch_from(foreign, &ann, method, path);
        let request = request.header("accept", "application/json");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        assert_eq!(
            response.headers()["access-control-allow-origin"],
            *site.page
        );
    }
    assert_eq!(site.get(&ann, "/api/me").await["nickname"], USERS[0].0);
    // Its page is no place for a login to end.
    let login = format!("{}/auth/qq/login?return_to={foreign}%2F", site.api);
    let end = choose(&ann, page(&ann, &login).await, 0).await;
    assert_leads_to(&end, "/");
}

#[tokio::test]
async fn a_login_without_a_destination_ends_at_the_page_as_well() {
    let site = FrontEnd::start().await;
    let ann = browser();
    let login = format!("{}/auth/qq/login", site.api);
    let end = choose(&ann, page(&ann, &login).await, 0).await;
    assert_leads_to(&end, "/");
    let home = page(&ann, &format!("{}/", site.api)).await;
    assert_leads_to(&home, &format!("{}/", site.page));
}

#[tokio::test]
async fn an_api_that_others_can_reach_does_not_start_with_the_mock() {
    let ports = [("LISTEN", "127.0.0.1:0"), ("API_LISTEN", "0.0.0.0:0")];
    let mut running = Running::start("front_end", &ports);
    running.logged("listen on a loopback address").await;
    assert!(!running.end().await.success());
}

#[tokio::test]
async fn a_preflight_allows_the_page_to_send_notes() {
    let site = FrontEnd::start().await;
    let preflight = site.fetch(&browser(), Method::OPTIONS, "/api/notes");
    let preflight = preflight
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let response = preflight.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    site.assert_readable(&response);
    for (header, value) in [("methods", "GET,POST"), ("headers", "content-type")] {
        let name = format!("access-control-allow-{header}");
        assert_eq!(response.headers()[name], value);
    }
}

#[tokio::test]
async fn the_page_has_a_strict_policy_and_no_scripts_of_its_own() {
    let site = FrontEnd::start().await;
    let ann = browser();
    let home = page(&ann, &format!("{}/", site.page)).await;
    let policy = home.headers()["content-security-policy"].to_str().unwrap();
    let connect = format!("connect-src {};", site.api);
    assert_shows(
        policy,
        &["default-src 'none'; script-src 'self';", &connect],
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    let home = home.text().await.unwrap();
    assert_shows(&home, &[&format!("content=\"{}\"", site.api)]);
    assert!(!home.contains("style=") && !home.contains(" on") && !home.contains("<script>"));
    for (file, kind) in [
        ("app.js", "text/javascript"),
        ("qq-login.js", "text/javascript"),
        ("style.css", "text/css"),
    ] {
        let file = page(&ann, &format!("{}/{file}", site.page)).await;
        let found = file.headers()["content-type"].to_str().unwrap();
        assert!(found.starts_with(kind), "{found}");
    }
}
