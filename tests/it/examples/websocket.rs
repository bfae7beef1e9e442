//! The example with WebSockets, by a real client over real sockets.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, StatusCode, header};
use reqwest::cookie::CookieStore;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use super::{assert_shows, post, sign_in, text};
use crate::process::{Cookies, Running, browser, page, recorded_browser};
use crate::redis::server::Redis;

/// The wait for what should happen within a second.
const LONG: Duration = Duration::from_secs(30);

/// Less than the time that the example gives requests that are still running.
#[cfg(unix)]
const SOON: Duration = Duration::from_secs(14);

/// A page of the example in a browser, with its socket.
struct Page {
    site: String,
    browser: reqwest::Client,
    socket: WebSocketStream<TcpStream>,
}

impl Page {
    /// Signs a user in and opens the page.
    async fn open(site: &str, user: usize) -> Self {
        let (browser, cookies) = recorded_browser();
        sign_in(&browser, site, user).await;
        let origin = site.trim_end_matches('/');
        let socket = connect(site, Some(&cookies), Some(origin)).await.unwrap();
        Self {
            site: site.to_owned(),
            browser,
            socket,
        }
    }

    async fn say(&mut self, message: &str) {
        self.socket.send(Message::text(message)).await.unwrap();
    }

    /// Returns the next message, or the code with which the server closes the socket.
    async fn hear(&mut self) -> Result<String, u16> {
        let message = timeout(LONG, self.socket.next()).await.expect("a message");
        match message.unwrap().unwrap() {
            Message::Text(text) => Ok(text.to_string()),
            Message::Close(frame) => Err(frame.unwrap().code.into()),
            other => panic!("unexpected: {other}"),
        }
    }

    async fn post(&self, path: &str) {
        let url = format!("{}{path}", self.site);
        let end = post(&self.browser, url, "same-origin", "").await;
        assert!(end.status().is_success(), "{}", end.status());
    }
}

/// Opens a socket. The error is the status of a refusal.
async fn connect(
    site: &str,
    cookies: Option<&Cookies>,
    origin: Option<&str>,
) -> Result<WebSocketStream<TcpStream>, StatusCode> {
    let address = site.trim_start_matches("http://").trim_end_matches('/');
    let url = format!("ws://{address}/chat");
    let mut request = url.into_client_request().unwrap();
    let headers = request.headers_mut();
    if let Some(cookies) = cookies.and_then(|jar| jar.cookies(&site.parse().unwrap())) {
        headers.insert(header::COOKIE, cookies);
    }
    if let Some(origin) = origin {
        headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status()),
        Err(error) => panic!("{error}"),
    }
}

async fn start() -> (Running, String) {
    start_with(&[]).await
}

async fn start_with(more: &[(&str, &str)]) -> (Running, String) {
    let environment = [&[("LISTEN", "127.0.0.1:0")], more].concat();
    let mut running = Running::start("websocket", &environment);
    let site = running.printed("open").await;
    (running, site)
}

#[tokio::test]
async fn every_page_hears_every_user() {
    let (_running, site) = start().await;
    let mut pages = [Page::open(&site, 0).await, Page::open(&site, 1).await];
    for (speaker, expected) in [(0, "小明: 在吗"), (1, "企鹅🐧 Penguin: 在吗")] {
        pages[speaker].say("在吗").await;
        for page in &mut pages {
            assert_eq!(page.hear().await.as_deref(), Ok(expected));
        }
    }
}

#[tokio::test]
async fn a_logout_in_another_tab_closes_the_sockets_of_that_session_alone() {
    let (_running, site) = start().await;
    let (mut ended, mut other) = (Page::open(&site, 0).await, Page::open(&site, 0).await);
    ended.post("auth/qq/logout").await;
    assert_eq!(ended.hear().await, Err(4401));
    other.say("还在").await;
    assert_eq!(other.hear().await.as_deref(), Ok("小明: 还在"));
}

#[tokio::test]
async fn signing_out_everywhere_closes_the_sockets_of_all_browsers_of_the_user() {
    let (_running, site) = start().await;
    let (mut here, mut elsewhere) = (Page::open(&site, 0).await, Page::open(&site, 0).await);
    let mut bystander = Page::open(&site, 1).await;
    here.post("sign-out-everywhere").await;
    assert_eq!(here.hear().await, Err(4401));
    assert_eq!(elsewhere.hear().await, Err(4401));
    bystander.say("还在").await;
    let heard = bystander.hear().await;
    assert_eq!(heard.as_deref(), Ok("企鹅🐧 Penguin: 还在"));
}

#[tokio::test]
async fn with_redis_a_revocation_closes_the_sockets_as_well() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let (_running, site) = start_with(&[("REDIS_URL", &redis.url())]).await;
    let (mut ended, mut bystander) = (Page::open(&site, 0).await, Page::open(&site, 1).await);
    ended.post("sign-out-everywhere").await;
    assert_eq!(ended.hear().await, Err(4401));
    assert!(!redis.keys().await.is_empty());
    bystander.say("还在").await;
    let heard = bystander.hear().await;
    assert_eq!(heard.as_deref(), Ok("企鹅🐧 Penguin: 还在"));
}

#[cfg(unix)]
#[tokio::test]
async fn open_sockets_do_not_delay_the_end_of_the_process() {
    let (mut running, site) = start().await;
    let mut page = Page::open(&site, 0).await;
    page.say("在吗").await;
    assert_eq!(page.hear().await.as_deref(), Ok("小明: 在吗"));
    running.signal("TERM");
    let end = timeout(SOON, running.end())
        .await
        .expect("the process ends");
    assert_eq!(end.code(), Some(0));
}

#[tokio::test]
async fn a_handshake_needs_the_sites_own_origin_and_a_session() {
    let (_running, site) = start().await;
    let (browser, cookies) = recorded_browser();
    sign_in(&browser, &site, 0).await;
    let own = site.trim_end_matches('/');
    let (port, _) = own.rsplit_once(':').unwrap();
    let status = async |cookies, origin| connect(&site, cookies, origin).await.err();
    let other_origins = [
        None,
        Some("null"),
        Some("https://evil.example"),
        Some(port), // another port of the same host, which `SameSite` lets pass
        Some(&*format!("{own}.evil.example")),
        Some(&own.replace("http", "https")),
    ];
    for origin in other_origins {
        let refused = status(Some(&cookies), origin).await;
        assert_eq!(refused, Some(StatusCode::FORBIDDEN), "{origin:?}");
    }
    let signed_out = status(None, Some(own)).await;
    assert_eq!(signed_out, Some(StatusCode::UNAUTHORIZED));
    assert_eq!(status(Some(&cookies), Some(own)).await, None);

    // The same cookie after its session has ended.
    let stolen = cookies.cookies(&site.parse().unwrap()).unwrap();
    post(&browser, format!("{site}auth/qq/logout"), "same-origin", "").await;
    let copy = Cookies::default();
    for pair in stolen.to_str().unwrap().split("; ") {
        let cookie = HeaderValue::from_str(pair).unwrap();
        copy.set_cookies(&mut [&cookie].into_iter(), &site.parse().unwrap());
    }
    let ended = status(Some(&copy), Some(own)).await;
    assert_eq!(ended, Some(StatusCode::UNAUTHORIZED));
}

#[tokio::test]
async fn the_page_has_only_its_own_script_and_signed_out_visitors_see_the_login() {
    let (_running, site) = start().await;
    let browser = browser();
    let home = text(&browser, &site).await;
    assert_shows(&home, &["href=\"/auth/qq/login\""]);
    assert!(!home.contains("<script"));

    sign_in(&browser, &site, 0).await;
    let home = page(&browser, &site).await;
    let policy = home.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'; script-src 'self'"));
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(home.headers()["cache-control"], "no-store");
    let home = home.text().await.unwrap();
    assert!(!home.contains("style=") && !home.contains(" on") && !home.contains("<script>"));
    assert_shows(&home, &["src=\"/chat.js\""]);
    let script = page(&browser, &format!("{site}chat.js")).await;
    let kind = script.headers()["content-type"].to_str().unwrap();
    assert_eq!(kind, "text/javascript; charset=utf-8");
}
