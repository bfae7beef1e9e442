//! The one rule that decides which page made a browser send a request, and what it may do.

use axum::routing::post;
use serde_json::Value;
use tower_qq_auth::QqSession;

use crate::{
    answers::links,
    log::Log,
    shown::{self, account},
    site::{Browser, SESSION, Site},
};

const OWN: &str = "https://site.example";
const WWW: &str = "https://www.site.example";
/// The trusted origins.
pub(crate) const ORIGINS: [&str; 2] = [WWW, "https://m.site.example:8443"];

/// The actions that a request may do.
type May = &'static [&'static str];

pub(crate) const CHANGE: &str = "change the session";
const ALL: May = &[
    "log out",
    "start by script",
    "bind by link",
    "bind by script",
    CHANGE,
];
/// Links on pages of a trusted origin could be another visitor's.
const NO_LINK: May = &["log out", "start by script", "bind by script", CHANGE];
const NO_INTENT: May = &["log out", "start by script", CHANGE];
const ONLY_CHANGE: May = &[CHANGE];
const NOTHING: May = &[];

/// `Sec-Fetch-Site` and `Origin`, and what the request may do.
pub(crate) type Row = (&'static [&'static str], &'static [&'static str], May);

pub(crate) const REQUESTS: [Row; 48] = [
    // A page of the site. It has `Origin: null` if it sends no `Referer`.
    (&["same-origin"], &[], ALL),
    (&["same-origin"], &[OWN], ALL),
    (&["same-origin"], &["null"], ALL),
    // Another name of the site, behind a proxy. No other site can make a browser send `same-origin`.
    (&["same-origin"], &[WWW], ALL),
    (&["same-origin"], &["https://site.test"], ALL),
    (&["same-origin"], &[OWN, "https://evil.example"], ALL),
    (&[], &[OWN], ALL),
    (&["same-site"], &[OWN], ALL),
    (&["none"], &[OWN], ALL),
    // A page of a trusted origin.
    (&[], &[WWW], NO_LINK),
    (&["same-site"], &[WWW], NO_LINK),
    (&["same-site"], &["https://m.site.example:8443"], NO_LINK),
    (&["none"], &[WWW], NO_LINK),
    // A program, or a browser from before 2023.
    (&[], &[], NO_INTENT),
    // The address bar, or a bookmark.
    (&["none"], &[], ONLY_CHANGE),
    // A page of another site, even of a trusted origin or of one that claims to be the own.
    (&["cross-site"], &[], NOTHING),
    (&["cross-site"], &["null"], NOTHING),
    (&["cross-site"], &["https://evil.example"], NOTHING),
    (&["cross-site"], &[OWN], NOTHING),
    (&["cross-site"], &[WWW], NOTHING),
    // Another page of the same registered domain.
    (&["same-site"], &[], NOTHING),
    (&["same-site"], &["null"], NOTHING),
    (&["same-site"], &["https://shop.site.example"], NOTHING),
    (&["none"], &["null"], NOTHING),
    // A word of the future.
    (&["same-party"], &[], NOTHING),
    (&["Same-Origin"], &[], NOTHING),
    (&[""], &[], NOTHING),
    // Look-alikes.
    (&[], &[""], NOTHING),
    (&[], &["null"], NOTHING),
    (&[], &["https://evil.example"], NOTHING),
    (&[], &["http://site.example"], NOTHING),
    (&[], &["http://www.site.example"], NOTHING),
    (&[], &["https://site.example:8443"], NOTHING),
    (&[], &["https://www.site.example:443"], NOTHING),
    (&[], &["https://m.site.example"], NOTHING),
    (&[], &["https://www.site.example.evil.example"], NOTHING),
    (&[], &["https://www.site.example."], NOTHING),
    (&[], &["https://www.site.example/"], NOTHING),
    (&[], &["https://WWW.site.example"], NOTHING),
    (&[], &["https://evil-www.site.example"], NOTHING),
    (&[], &["https://user@www.site.example"], NOTHING),
    // Repeated headers, alone and joined.
    (&[], &[OWN, OWN], NOTHING),
    (&[], &[WWW, WWW], NOTHING),
    (&[], &["https://evil.example", OWN], NOTHING),
    (&["same-site"], &[WWW, "https://evil.example"], NOTHING),
    (
        &[],
        &["https://www.site.example, https://evil.example"],
        NOTHING,
    ),
    (&["same-origin", "cross-site"], &[OWN], NOTHING),
    (&["same-origin", "same-origin"], &[WWW], NOTHING),
];

/// Returns this browser with these values of `Sec-Fetch-Site` and `Origin`.
pub(crate) fn sending(browser: &Browser, from: &[&str], origins: &[&str]) -> Browser {
    let mut browser = browser.clone();
    for (name, values) in [("sec-fetch-site", from), ("origin", origins)] {
        for value in values {
            browser.headers.append(name, value.parse().unwrap());
        }
    }
    browser
}

/// A site that trusts two origins.
fn site() -> Site {
    let change = async |session: QqSession| (session.with_account("42").unwrap(), "done");
    let pages = shown::page().route("/change", post(change));
    Site::with_pages(|_| pages, |layer| layer.trusted_origins(ORIGINS))
}

/// Returns the same browser, in which a page or a script sends the next request.
fn from_page(browser: &Browser, mode: &str, destination: &str) -> Browser {
    let browser = browser.clone();
    // A browser sends all of Fetch Metadata or nothing of it.
    match browser.headers.contains_key("sec-fetch-site") {
        true => browser
            .header("sec-fetch-mode", mode)
            .header("sec-fetch-dest", destination),
        false => browser,
    }
}

/// Signs out. Fails unless the session is over or untouched.
async fn signs_out(browser: &Browser) -> bool {
    let mut browser = from_page(browser, "navigate", "document");
    let before = browser.jar.clone();
    let reply = browser.post("/auth/qq/logout?return_to=/bye").await;
    if reply.status == 303 {
        assert_eq!(reply.location(), "/bye");
        let removed = format!("{SESSION}=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0");
        assert_eq!(reply.cookies(), [removed]);
        assert_eq!(browser.whoami().await, Value::Null);
        return true;
    }
    assert_eq!((reply.status.as_u16(), &browser.jar), (403, &before));
    assert!(reply.cookies().is_empty(), "{reply:?}");
    from_page(&browser, "cors", "empty")
        .program()
        .post("/auth/qq/logout")
        .await
        .assert_failed(403, "cross_site");
    false
}

/// Starts a login by a script. Fails unless it starts or leaves nothing.
async fn starts_by_script(browser: &Browser, login: &str) -> bool {
    let mut script = from_page(browser, "cors", "empty").program();
    let reply = script.get(login).await;
    if reply.status == 200 {
        let start: Value = serde_json::from_str(&reply.body).unwrap();
        let url = start["authorize_url"].as_str().unwrap();
        assert!(url.starts_with("https://graph.qq.com/"), "{url}");
        assert_eq!(script.pending_logins(), 1);
        return true;
    }
    let code = match login.contains("intent") {
        true => "refused",
        false => "cross_site",
    };
    reply.assert_failed(403, code);
    assert_eq!(reply.problem().get("login_url"), None);
    assert!(reply.cookies().is_empty(), "{reply:?}");
    false
}

/// Follows a link to a login with an intent.
async fn starts_by_link(browser: &Browser, login: &str) -> bool {
    let mut browser = from_page(browser, "navigate", "document");
    let reply = browser.get(login).await;
    if reply.status == 303 {
        assert!(reply.location().starts_with("https://graph.qq.com/"));
        return true;
    }
    assert_eq!(reply.status, 403, "{reply:?}");
    assert_eq!(browser.pending_logins(), 0, "{reply:?}");
    false
}

#[tokio::test]
async fn one_rule_decides_what_a_request_may_do() {
    const BIND: &str = "/auth/qq/login?intent=bind&return_to=/settings";
    let site = site();
    let signed_in = site.signed_in().await;
    for (from, origins, may) in REQUESTS {
        for referer in [None, Some(OWN), Some(WWW), Some("https://evil.example")] {
            let mut browser = sending(&signed_in, from, origins);
            if let Some(page) = referer {
                browser = browser.header("referer", &format!("{page}/settings"));
            }
            let mut changing = browser.clone();
            changing.post("/change").await;
            let found = [
                signs_out(&browser).await,
                starts_by_script(&browser, "/auth/qq/login").await,
                starts_by_link(&browser, BIND).await,
                starts_by_script(&browser, BIND).await,
                account(&mut changing).await == "42",
            ];
            let found = ALL.iter().zip(found).filter(|(_, may)| *may);
            let found: Vec<_> = found.map(|(action, _)| *action).collect();
            assert_eq!(found, may, "{from:?}, {origins:?}, {referer:?}");
        }
    }
}

#[tokio::test]
async fn anyone_may_link_to_a_login_without_an_intent() {
    let site = site();
    for (from, origins, _) in REQUESTS {
        // A link sends no `Origin`.
        if origins.is_empty() {
            let browser = sending(&site.browser(), from, origins);
            let started = starts_by_link(&browser, "/auth/qq/login?return_to=/x").await;
            assert!(started, "{from:?}");
        }
    }
}

#[tokio::test]
async fn another_origin_is_foreign_by_default() {
    let site = Site::new();
    for from in [&[][..], &["same-site"]] {
        let browser = sending(&site.signed_in().await, from, &[WWW]);
        assert!(!signs_out(&browser).await);
        assert!(!starts_by_script(&browser, "/auth/qq/login").await);
    }
}

#[tokio::test]
async fn the_log_names_a_trusted_origin_of_another_site() {
    let text = "a trusted origin belongs to another site";
    let site = site();
    let log = Log::start();
    for from in [&[][..], &["same-site"], &["same-origin"]] {
        sending(&site.browser(), from, &[WWW]).get("/").await;
    }
    for origins in [&[][..], &["https://evil.example"], &[OWN], &[WWW, WWW]] {
        let foreign = sending(&site.browser(), &["cross-site"], origins);
        foreign.clone().post("/auth/qq/logout").await;
    }
    assert!(!log.text().contains(text), "{}", log.text());

    let mut elsewhere = sending(&site.browser(), &["cross-site"], &[WWW]).program();
    let refused = elsewhere.post("/auth/qq/logout").await;
    refused.assert_failed(403, "cross_site");
    let [warning] = &log.warnings()[..] else {
        panic!("{}", log.text())
    };
    assert!(warning.contains(text) && warning.contains(WWW), "{warning}");

    for _ in 0..1_000 {
        elsewhere.post("/auth/qq/logout").await;
    }
    // Five in a second.
    let lines = log.warnings().len();
    assert!(lines < 100, "{lines} lines");
}

#[tokio::test]
async fn the_log_names_the_origin_of_a_refused_request() {
    let text = "refused a request that another site may have caused";
    let site = site();
    let log = Log::start();
    let mut stranger = sending(
        &site.browser(),
        &["same-site"],
        &["https://shop.site.example"],
    );
    stranger.post("/auth/qq/logout").await;
    stranger.clone().program().get("/auth/qq/login").await;
    let lines = log.text();
    let lines: Vec<_> = lines.lines().filter(|line| line.contains(text)).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let has_origin = |line: &&str| line.contains("https://shop.site.example");
    assert!(lines.iter().all(has_origin), "{lines:?}");

    let long = format!("https://{}\u{e4}", "x".repeat(1_000));
    let mut stranger = sending(&site.browser(), &[], &[&long]);
    stranger.post("/auth/qq/logout").await;
    let log = log.text();
    let line = log.lines().last().unwrap();
    assert!(line.contains(text) && line.len() < 600, "{line}");
}

/// A button of the layer's page would turn a stranger's link into one of the site's own.
#[tokio::test]
async fn a_refused_link_of_another_site_leads_to_the_home_page() {
    const BIND: &str = "/auth/qq/login?intent=bind&return_to=/settings";
    let site = site();
    for (from, page) in [
        ("cross-site", "/"),
        ("same-site", "/"),
        ("none", "/settings"),
    ] {
        let browser = sending(&site.browser(), &[from], &[]);
        let refused = from_page(&browser, "navigate", "document").get(BIND).await;
        assert_eq!(refused.status, 403);
        assert_eq!(links(&refused)[0].1, page, "{from}");
    }
}

#[tokio::test]
async fn the_app_sees_the_user_of_every_request() {
    let site = site();
    let signed_in = site.signed_in().await;
    for (from, origins, _) in REQUESTS {
        let mut browser = sending(&signed_in, from, origins);
        let user = browser.whoami().await;
        assert_ne!(user, Value::Null, "{from:?}, {origins:?}");
    }
}
