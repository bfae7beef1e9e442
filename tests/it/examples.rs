//! The examples with a users table, with their own sessions, and with tokens.

use http::StatusCode;
use reqwest::{Client, Response};

use crate::process::{Running, choose, page, recorded_browser};

mod front_end;
#[cfg(all(feature = "metrics", feature = "revocation"))]
pub(crate) mod observability;
#[cfg(feature = "revocation")]
mod phone_app;
#[cfg(feature = "revocation")]
mod sqlite_users;
#[cfg(feature = "redis")]
mod websocket;

/// Nickname and openid of the users of a new mock, as HTML.
const USERS: [(&str, &str); 3] = [
    ("小明", "C3A5D19E07B24F68913BD0A4E7F2586C"),
    ("企鹅🐧 Penguin", "5E8F20B7C94D13A6F07B6E2D81C3A94F"),
    (
        "&lt;b&gt;小红&lt;/b&gt; &amp; &quot;Co&quot;",
        "90B64EF7A1D2385C4E6F90A7B8D1C23E",
    ),
];

async fn text(browser: &Client, url: &str) -> String {
    page(browser, url).await.text().await.unwrap()
}

/// Runs a whole login and returns the page at which it ends.
pub(crate) async fn sign_in(browser: &Client, site: &str, user: usize) -> Response {
    let mock = page(browser, &format!("{site}auth/qq/login")).await;
    choose(browser, mock, user).await
}

async fn post(browser: &Client, url: String, from: &str, body: &'static str) -> Response {
    browser
        .post(url)
        .header("sec-fetch-site", from)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap()
}

#[track_caller]
fn assert_shows(page: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
}

#[tokio::test]
async fn tower_sessions_signs_in_and_out_with_its_own_session() {
    let mut running = Running::start("tower_sessions", &[("LISTEN", "127.0.0.1:0")]);
    let site = running.printed("open").await;
    let (browser, cookies) = recorded_browser();
    assert_shows(
        &text(&browser, &site).await,
        &["href=\"/auth/qq/login\"", "action=\"/local\""],
    );
    let members = format!("{site}members");
    assert_eq!(
        browser.get(&members).send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );

    let mock = page(&browser, &members).await;
    let end = choose(&browser, mock, 2).await;
    assert_eq!(end.url().as_str(), members);
    assert_shows(&end.text().await.unwrap(), &[USERS[2].0]);
    assert_shows(&text(&browser, &site).await, &[USERS[2].0, USERS[2].1]);
    let [first] = &cookies.set("id=")[..] else {
        panic!("not one session: {:?}", cookies.set(""));
    };
    assert_shows(first, &["HttpOnly", "SameSite=Lax"]);

    // Another user signs in: the session id from before is worthless.
    sign_in(&browser, &site, 0).await;
    assert_shows(&text(&browser, &site).await, &[USERS[0].0, USERS[0].1]);
    let sessions = cookies.set("id=");
    assert_ne!(sessions[0], sessions[1]);
    let old = first.split(';').next().unwrap();
    let home = reqwest::Client::builder().no_proxy().build().unwrap();
    let home = home.get(&site).header("cookie", old).send().await.unwrap();
    assert_shows(&home.text().await.unwrap(), &["action=\"/local\""]);

    let logout = format!("{site}logout");
    let foreign = post(&browser, logout.clone(), "cross-site", "").await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    assert_shows(&text(&browser, &members).await, &[USERS[0].0]);
    let end = post(&browser, logout, "same-origin", "").await;
    assert_eq!(end.url().as_str(), site);
    assert_shows(&end.text().await.unwrap(), &["action=\"/local\""]);
    let mock = page(&browser, &members).await;
    assert!(mock.url().path().starts_with("/mock-qq/"), "{}", mock.url());

    assert!(cookies.set("qq_login_").len() >= 3);
    assert_eq!(cookies.set("qq_session"), [""; 0]);
}

#[tokio::test]
async fn tower_sessions_adds_qq_only_to_the_account_that_asked() {
    let mut running = Running::start("tower_sessions", &[("LISTEN", "127.0.0.1:0")]);
    let site = running.printed("open").await;
    let bind = format!("{site}auth/qq/login?intent=bind&return_to=/");
    let local = async |browser: &Client, form| {
        let end = post(browser, format!("{site}local"), "same-origin", form).await;
        assert_eq!(end.url().as_str(), site);
        end.text().await.unwrap()
    };

    let (ann, cookies) = recorded_browser();
    let home = local(&ann, "name=%3Ci%3EAnn").await;
    assert_shows(&home, &["&lt;i&gt;Ann", "no QQ yet"]);
    assert_shows(
        &home,
        &["href=\"/auth/qq/login?intent=bind&amp;return_to=/\""],
    );
    let end = choose(&ann, page(&ann, &bind).await, 0).await;
    assert_eq!(
        (end.status(), end.url().as_str()),
        (StatusCode::OK, &site[..])
    );
    assert_shows(&end.text().await.unwrap(), &["&lt;i&gt;Ann", USERS[0].1]);
    assert_eq!(cookies.set("id=").len(), 1, "the session is the same");

    // Nothing is bound to a visitor without an account.
    let (stranger, _) = recorded_browser();
    let refused = stranger
        .get(&bind)
        .header("sec-fetch-site", "same-origin")
        .header("accept", "text/html");
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);

    // A login with that QQ user now signs in as Ann.
    let (elsewhere, more) = recorded_browser();
    let end = sign_in(&elsewhere, &site, 0).await;
    assert_shows(&end.text().await.unwrap(), &["&lt;i&gt;Ann", USERS[0].1]);

    // Another account signs in while the user is at QQ.
    local(&elsewhere, "name=Bob").await;
    let mock = page(&elsewhere, &bind).await;
    local(&elsewhere, "name=Eve").await;
    let refused = choose(&elsewhere, mock, 1).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_shows(&text(&elsewhere, &site).await, &["Eve", "no QQ yet"]);
    // The account signs out while the user is at QQ.
    let mock = page(&elsewhere, &bind).await;
    post(&elsewhere, format!("{site}logout"), "same-origin", "").await;
    let refused = choose(&elsewhere, mock, 1).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    // Ann keeps her QQ user; the second one is still free.
    local(&elsewhere, "name=Bob").await;
    let taken = choose(&elsewhere, page(&elsewhere, &bind).await, 0).await;
    assert_eq!(taken.status(), StatusCode::CONFLICT);
    assert_shows(&text(&elsewhere, &site).await, &["Bob", "no QQ yet"]);
    choose(&elsewhere, page(&elsewhere, &bind).await, 1).await;
    assert_shows(&text(&elsewhere, &site).await, &["Bob", USERS[1].1]);

    // Another site cannot start such a login.
    let foreign = ann.get(&bind).header("sec-fetch-site", "cross-site");
    assert_eq!(
        foreign.send().await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    for cookies in [cookies, more] {
        assert_eq!(cookies.set("qq_session"), [""; 0]);
    }
}

#[tokio::test]
async fn open_api_calls_qq_with_tokens_that_can_be_refreshed() {
    let mut running = Running::start("open_api", &[("LISTEN", "127.0.0.1:0")]);
    let site = running.printed("open").await;
    let (browser, cookies) = recorded_browser();
    let profile = format!("{site}profile");
    let signed_out = browser.get(&profile).send().await.unwrap();
    assert_eq!(signed_out.status(), StatusCode::UNAUTHORIZED);

    let end = choose(&browser, page(&browser, &profile).await, 0).await;
    assert_eq!(end.url().as_str(), profile);
    let profile_text = end.text().await.unwrap();
    assert_shows(&profile_text, &["\"ret\":0", "\"nickname\":\"小明\""]);
    assert_eq!(cookies.set("qq_session=").len(), 1);

    // A refresh token can be used once: the second exchange uses the token from the first.
    for sessions in [2, 3] {
        let end = post(&browser, format!("{site}refresh"), "same-origin", "").await;
        assert_eq!(
            (end.status(), end.url().as_str()),
            (StatusCode::OK, &*profile)
        );
        assert_eq!(end.text().await.unwrap(), profile_text);
        assert_eq!(cookies.set("qq_session=").len(), sessions);
    }

    // The first tokens are used up, so a login is required.
    let used_up = cookies.set("qq_session=")[0].clone();
    let used_up = used_up.split(';').next().unwrap();
    let again = reqwest::Client::builder().no_proxy().build().unwrap();
    let again = again.post(format!("{site}refresh"));
    let again = again.header("cookie", used_up).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
}
