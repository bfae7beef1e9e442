//! The example with axum-login: passwords, and QQ as a second way in.

use std::sync::Arc;

use http::StatusCode;
use reqwest::{Client, Response};

use crate::process::{Cookies, Running, choose, page, recorded_browser};

const SIGN_IN: &str = "action=\"/login\"";
const NO_QQ: &str = "no QQ yet";
const LINK: &str = "/auth/qq/login?intent=link&return_to=/";
/// Openids of two users of the mock.
const MING: &str = "C3A5D19E07B24F68913BD0A4E7F2586C";
const PENGUIN: &str = "5E8F20B7C94D13A6F07B6E2D81C3A94F";

struct Site {
    password: String,
    url: String,
    process: Running,
}

impl Site {
    async fn start() -> Self {
        Self::start_with(&[("LISTEN", "127.0.0.1:0")]).await
    }

    async fn start_with(environment: &[(&str, &str)]) -> Self {
        let mut process = Running::start("axum_login", environment);
        let password = process.printed("password").await;
        let url = process.printed("open").await;
        Self {
            password: password.split(' ').next().unwrap().to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            process,
        }
    }

    fn visit(&self) -> Visitor<'_> {
        let (browser, cookies) = recorded_browser();
        Visitor {
            site: self,
            browser,
            cookies,
        }
    }

    async fn signed_in(&self, name: &str) -> Visitor<'_> {
        let visitor = self.visit();
        assert_shows(&visitor.sign_in(name).await, &[&shown(name)]);
        visitor
    }

    /// Returns the home page for a browser with this session only.
    async fn home_of(&self, session: &str) -> String {
        let browser = Client::builder().no_proxy().build().unwrap();
        let request = browser.get(&self.url).header("cookie", session);
        request.send().await.unwrap().text().await.unwrap()
    }
}

/// A browser at the site.
struct Visitor<'a> {
    site: &'a Site,
    browser: Client,
    cookies: Arc<Cookies>,
}

impl Visitor<'_> {
    async fn get(&self, path: &str) -> Response {
        page(&self.browser, &format!("{}{path}", self.site.url)).await
    }

    async fn home(&self) -> String {
        self.get("/").await.text().await.unwrap()
    }

    async fn post(&self, path: &str, form: String) -> Response {
        self.post_from("same-origin", path, form).await
    }

    async fn post_from(&self, from: &str, path: &str, form: String) -> Response {
        self.browser
            .post(format!("{}{path}", self.site.url))
            .header("sec-fetch-site", from)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .unwrap()
    }

    /// Signs in by password, and returns the page at which it ends.
    async fn sign_in(&self, name: &str) -> String {
        let end = self.post("/login", self.form(name)).await;
        assert_eq!(end.url().path(), "/");
        end.text().await.unwrap()
    }

    fn form(&self, name: &str) -> String {
        format!("name={name}&password={}", self.site.password)
    }

    /// Runs a whole login at QQ, and returns the response at which it ends.
    async fn at_qq(&self, path: &str, user: usize) -> Response {
        choose(&self.browser, self.get(path).await, user).await
    }

    /// Returns the value of the `Cookie` header for the newest session of this browser.
    fn session(&self) -> String {
        let set = self.cookies.set("id=");
        set.last().unwrap().split(';').next().unwrap().to_owned()
    }
}

/// Returns the part of the home page that names the user.
fn shown(name: &str) -> String {
    format!("<b>{name}</b>")
}

#[track_caller]
fn assert_shows(page: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
}

#[tokio::test]
async fn a_linked_qq_signs_in_to_the_account_with_the_password() {
    let site = Site::start().await;
    let ann = site.visit();
    assert_shows(
        &ann.home().await,
        &[SIGN_IN, "href=\"/auth/qq/login\"", "method=\"post\""],
    );
    let home = ann.sign_in("ann").await;
    let link = "href=\"/auth/qq/login?intent=link&amp;return_to=/\"";
    assert_shows(&home, &[&shown("ann"), NO_QQ, link]);
    let end = ann.at_qq(LINK, 0).await;
    assert_eq!((end.status(), end.url().path()), (StatusCode::OK, "/"));
    assert_shows(&end.text().await.unwrap(), &[&shown("ann"), MING]);

    let out = ann.post("/logout", String::new()).await;
    assert_shows(&out.text().await.unwrap(), &[SIGN_IN]);
    assert_shows(&ann.home().await, &[SIGN_IN]);
    let end = ann.at_qq("/auth/qq/login", 0).await;
    assert_eq!((end.status(), end.url().path()), (StatusCode::OK, "/"));
    assert_shows(&end.text().await.unwrap(), &[&shown("ann"), MING]);
    assert_eq!(ann.cookies.set("qq_session"), [""; 0]);
}

#[tokio::test]
async fn every_sign_in_and_every_change_of_the_ways_in_begins_a_new_session() {
    let site = Site::start().await;
    let browser = site.visit();
    browser.sign_in("ann").await;
    let mut sessions = vec![browser.session()];
    for step in ["link", "unlink", "bob", "QQ"] {
        let end = match step {
            "link" => browser.at_qq(LINK, 0).await,
            "unlink" => browser.post("/unlink", String::new()).await,
            "bob" => browser.post("/login", browser.form("bob")).await,
            _ => browser.at_qq("/auth/qq/login", 1).await,
        };
        assert_eq!((end.status(), end.url().path()), (StatusCode::OK, "/"));
        let session = browser.session();
        assert!(!site.home_of(&session).await.contains(SIGN_IN), "{step}");
        for old in &sessions {
            assert_shows(&site.home_of(old).await, &[SIGN_IN]);
        }
        sessions.push(session);
    }
    for cookie in browser.cookies.set("id=") {
        assert_shows(&cookie, &["HttpOnly", "SameSite=Lax"]);
    }
    browser.post("/logout", String::new()).await;
    assert_shows(&site.home_of(&sessions[4]).await, &[SIGN_IN]);
}

#[tokio::test]
async fn a_link_ends_the_other_sessions_of_the_account() {
    let site = Site::start().await;
    let (here, elsewhere) = (site.signed_in("ann").await, site.signed_in("ann").await);
    here.at_qq(LINK, 0).await;
    assert_shows(&here.home().await, &[MING]);
    assert_shows(&elsewhere.home().await, &[SIGN_IN]);
}

#[tokio::test]
async fn a_qq_login_without_the_intent_never_links() {
    let site = Site::start().await;
    let browser = site.signed_in("ann").await;
    let end = browser.at_qq("/auth/qq/login", 0).await;
    assert_shows(&end.text().await.unwrap(), &[&shown("小明"), MING]);
    assert_shows(&browser.sign_in("ann").await, &[NO_QQ]);

    let end = browser.at_qq("/auth/qq/login?intent=other", 1).await;
    assert_eq!(end.status(), StatusCode::CONFLICT);
    assert_shows(&browser.home().await, &[&shown("ann"), NO_QQ]);
    let signed_out = site.visit().get(LINK).await;
    assert_eq!(signed_out.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_qq_of_another_account_is_refused_and_not_moved() {
    let site = Site::start().await;
    let (ann, bob) = (site.signed_in("ann").await, site.signed_in("bob").await);
    // Both choose the same user at QQ, and come back at the same time.
    let (to_ann, to_bob) = (ann.get(LINK).await, bob.get(LINK).await);
    let (to_ann, to_bob) = tokio::join!(
        choose(&ann.browser, to_ann, 0),
        choose(&bob.browser, to_bob, 0)
    );
    let [(winner, owner), (loser, _)] = match to_ann.status() {
        StatusCode::OK => [(&ann, "ann"), (&bob, "bob")],
        _ => [(&bob, "bob"), (&ann, "ann")],
    };
    let refused = if owner == "ann" { to_bob } else { to_ann };
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let text = refused.text().await.unwrap();
    assert_shows(&text, &["该 QQ 已绑定其他账号", "href=\"/\""]);
    assert_shows(&winner.home().await, &[MING]);
    assert_shows(&loser.home().await, &[NO_QQ]);

    let again = loser.at_qq(LINK, 0).await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    // A second QQ does not replace the first one.
    let second = winner.at_qq(LINK, 1).await;
    assert_eq!(second.status(), StatusCode::CONFLICT);
    let end = site.visit().at_qq("/auth/qq/login", 0).await;
    assert_shows(&end.text().await.unwrap(), &[&shown(owner), MING]);
    // The refused account can link the QQ that is still free.
    let end = loser.at_qq(LINK, 1).await;
    assert_shows(&end.text().await.unwrap(), &[PENGUIN]);
}

#[tokio::test]
async fn a_link_counts_only_for_the_user_who_started_it() {
    let site = Site::start().await;
    let browser = site.signed_in("ann").await;
    let mock = browser.get(LINK).await;
    assert_shows(&browser.sign_in("bob").await, &[&shown("bob")]);
    let refused = choose(&browser.browser, mock, 0).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_shows(&browser.home().await, &[&shown("bob"), NO_QQ]);
    // The QQ is still free: it opens an account of its own.
    let end = site.visit().at_qq("/auth/qq/login", 0).await;
    assert_shows(&end.text().await.unwrap(), &[&shown("小明"), MING]);
}

#[tokio::test]
async fn the_last_way_in_cannot_be_unlinked() {
    let site = Site::start().await;
    let ming = site.visit();
    let home = ming.at_qq("/auth/qq/login", 0).await;
    let home = home.text().await.unwrap();
    assert!(home.contains(MING) && !home.contains("action=\"/unlink\""));
    let refused = ming.post("/unlink", String::new()).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert_shows(&refused.text().await.unwrap(), &["不能解绑", "href=\"/\""]);
    assert_shows(&ming.home().await, &[MING]);
    let again = site.visit().at_qq("/auth/qq/login", 0).await;
    assert_shows(&again.text().await.unwrap(), &["user id 3", MING]);

    let ann = site.signed_in("ann").await;
    let home = ann.at_qq(LINK, 1).await.text().await.unwrap();
    assert_shows(&home, &[PENGUIN, "action=\"/unlink\""]);
    let home = ann.post("/unlink", String::new()).await;
    assert_shows(&home.text().await.unwrap(), &[&shown("ann"), NO_QQ]);
    // The QQ no longer signs in to that account.
    let end = site.visit().at_qq("/auth/qq/login", 1).await;
    assert_shows(&end.text().await.unwrap(), &["企鹅🐧 Penguin"]);
}

#[tokio::test]
async fn forms_of_another_site_do_nothing() {
    let site = Site::start().await;
    let ann = site.signed_in("ann").await;
    ann.at_qq(LINK, 0).await;
    for from in ["cross-site", "same-site"] {
        for path in ["/unlink", "/logout", "/login"] {
            let refused = ann.post_from(from, path, ann.form("bob")).await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{path} {from}");
        }
    }
    for path in ["/unlink", "/logout"] {
        let get = ann.get(path).await;
        assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    assert_shows(&ann.home().await, &[&shown("ann"), MING]);
}

#[tokio::test]
async fn a_wrong_password_signs_nobody_in_and_logs_show_no_hash() {
    let environment = [("LISTEN", "127.0.0.1:0"), ("RUST_LOG", "axum_login=debug")];
    let mut site = Site::start_with(&environment).await;
    let visitor = site.visit();
    visitor.at_qq("/auth/qq/login", 0).await;
    visitor.post("/logout", String::new()).await;
    // The user of QQ has neither a name nor a password.
    for form in [
        "name=ann&password=wrong",
        "name=eve&password=wrong",
        "name=小明&password=",
        "name=&password=",
    ] {
        let refused = visitor.post("/login", form.into()).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{form}");
        assert_shows(&refused.text().await.unwrap(), &["用户名或密码不正确"]);
        assert_shows(&visitor.home().await, &[SIGN_IN]);
    }
    visitor.sign_in("ann").await;
    let logged = site.process.logged("authenticate{user.id=\"1\"}").await;
    assert_shows(&logged, &["return=Some(User { id: 1, .. })"]);
}
