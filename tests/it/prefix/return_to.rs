//! The page at which a login under a prefix ends.

use std::future::ready;

use axum::{Router, routing::get};
use tower::BoxError;
use tower_qq_auth::{QqLogin, Verdict};

use super::{LOGIN_PATH, site, site_of, site_with};
use crate::{
    return_to::UNSAFE,
    site::{Site, pages},
};

/// Completes a login with this `return_to`, and returns the path at which it ends.
async fn end_of(site: &Site, return_to: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", return_to)
        .finish();
    let mut browser = site.browser();
    let login = format!("{LOGIN_PATH}?{query}");
    let end = browser.sign_in(&site.qq, &login).await;
    end.location().to_owned()
}

#[tokio::test]
async fn a_return_to_may_have_the_prefix_or_not() {
    let (site, layer) = site_with(|layer| layer);
    for (given, end) in [
        ("/x", "/club/x"),
        ("/club/x", "/club/x"),
        ("/", "/club/"),
        ("/club/", "/club/"),
        ("/club", "/club"),
        ("/club?a=b", "/club?a=b"),
        ("/club#a", "/club#a"),
        ("/clubx", "/club/clubx"),
        ("/Club/x", "/club/Club/x"),
        ("/%63lub/x", "/club/%63lub/x"),
        ("/club/club/x", "/club/club/x"),
        ("/x?a=/club#/club", "/club/x?a=/club#/club"),
        ("/auth/qq", "/club/auth/qq"),
        // A page of the app.
        ("/club/club/auth/qq/login", "/club/club/auth/qq/login"),
    ] {
        assert_eq!(end_of(&site, given).await, end, "{given}");
        let expected = match end {
            "/club/" => LOGIN_PATH.to_owned(),
            end => {
                let value: String = url::form_urlencoded::byte_serialize(end.as_bytes()).collect();
                format!("{LOGIN_PATH}?return_to={}", value.replace("%2F", "/"))
            }
        };
        assert_eq!(layer.login_url(given), expected, "{given}");
    }
    for path in ["/auth/qq/login", "/auth/qq/callback", "/auth/qq/logout"] {
        for prefix in ["", "/club"] {
            for end in ["", "?return_to=/x", "#a"] {
                let given = format!("{prefix}{path}{end}");
                assert_eq!(end_of(&site, &given).await, "/club/", "{given}");
            }
        }
    }
    let bind = layer.login_url_with_intent("bind", "/settings").unwrap();
    assert_eq!(
        bind,
        "/club/auth/qq/login?intent=bind&return_to=/club/settings"
    );
}

#[tokio::test]
async fn no_return_to_leaves_the_prefix() {
    let site = site();
    for given in UNSAFE {
        assert_eq!(end_of(&site, given).await, "/club/", "{given:?}");
        let given = format!("/club{given}");
        let end = end_of(&site, &given).await;
        assert!(
            end == "/club" || end.starts_with("/club/"),
            "{given:?}: {end}"
        );
    }
}

#[tokio::test]
async fn the_hook_chooses_a_page_with_the_prefix_or_without() {
    for (chosen, end) in [
        ("/welcome", "/club/welcome"),
        ("/club/welcome", "/club/welcome"),
        ("//evil.example", "/club/"),
        ("/auth/qq/logout", "/club/"),
    ] {
        let verdicts = [Verdict::allow(), Verdict::refuse("closed")];
        for verdict in verdicts.map(|verdict| verdict.redirect_to(chosen)) {
            let hook = move |_, _| ready(Ok::<_, BoxError>(verdict.clone()));
            let (site, _) = site_with(|layer| layer.on_login(hook));
            assert_eq!(end_of(&site, "/x").await, end, "{chosen}");
        }
    }
    // The hook sees the page as the browser will.
    let (site, _) = site_with(|layer| {
        layer.on_login(async |login, _head| {
            let next = format!("{}?welcome", login.return_to());
            Ok(Verdict::allow().redirect_to(next))
        })
    });
    assert_eq!(end_of(&site, "/x").await, "/club/x?welcome");
}

#[tokio::test]
async fn the_handler_of_a_callback_sees_the_page_with_the_prefix() {
    let show = get(async |login: QqLogin| login.return_to().to_owned());
    let more = Router::new().route("/auth/qq/callback", show);
    let (site, _) = site_of(pages().merge(more), |layer| layer.without_session());
    let login = "/club/auth/qq/login?return_to=/x";
    let end = site.browser().sign_in(&site.qq, login).await;
    assert_eq!(end.body, "/club/x");
}
