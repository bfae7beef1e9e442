//! A site of two machines behind a real nginx.

use std::collections::HashSet;

use axum::{Router, routing::get};
use http::{Method, StatusCode, header};
use serde_json::Value;
use tower_qq_auth::{
    QqAuthLayerBuilder, Verdict,
    mock::{Endpoint, Fault, Person},
};

use crate::{
    site::{Browser, Clock, LOGIN, Reply, SESSION, Site, builder, pages, path, qq},
    support::nginx::{ASKED, Nginx},
};

mod prefix;

/// Asks the other machine after each status that nginx can take for a failure, and then, by
/// default, leaves the first one alone for ten seconds.
const RETRY: &str =
    "proxy_next_upstream error timeout http_500 http_502 http_503 http_504 http_429;";

/// Returns a site whose requests all pass nginx, and the nginx, or `None` if it is not installed.
async fn behind_nginx(
    settings: &str,
    layer: impl Fn(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
) -> Option<(Site, Nginx)> {
    let (qq, clock) = (qq(), Clock::new());
    let machine = || {
        let time = clock.clone();
        let layer = layer(builder(&qq).clock(move || time.now()));
        let down = get(async || StatusCode::SERVICE_UNAVAILABLE);
        let app = pages().route("/down", down);
        app.layer(layer.build().unwrap())
    };
    let nginx = Nginx::start([machine(), machine()], settings).await?;
    let router: Router = nginx.router();
    Some((Site { qq, router, clock }, nginx))
}

/// Returns the machines that nginx asked for this reply.
#[track_caller]
fn asked(reply: &Reply) -> Vec<&str> {
    reply.header(ASKED).split(", ").collect()
}

/// Fails unless the reply is one of a machine, and the only one that was asked.
#[track_caller]
fn assert_passed(reply: &Reply) {
    assert!(reply.headers.contains_key(ASKED), "of nginx: {reply:?}");
    assert_eq!(asked(reply).len(), 1, "retried: {reply:?}");
    let status = reply.status;
    assert!(!status.is_server_error(), "{status}: {reply:?}");
}

/// Fails unless a public page is well on both machines.
async fn assert_both_serve(site: &Site) {
    let mut machines = HashSet::new();
    for _ in 0..2 {
        let home = site.browser().get("/").await;
        assert_eq!((home.status.as_u16(), &*home.body), (200, "signed out"));
        machines.extend(asked(&home).into_iter().map(str::to_owned));
    }
    assert_eq!(machines.len(), 2, "one machine is out of the pool");
}

/// Makes requests that start or end no login, and returns the replies.
async fn fail(site: &Site, kind: usize) -> Vec<Reply> {
    let mut browser = site.browser();
    let callback = async |browser: &mut Browser, openid: &str| {
        let start = browser.get("/auth/qq/login").await;
        path(&site.qq.approve_as(start.location(), openid).unwrap())
    };
    let people = site.qq.people();
    let [welcome, refused, unlucky, ..] = &people[..] else {
        panic!("{people:?}")
    };
    let at_qq = async |browser: &mut Browser, endpoint: Endpoint, fault: Fault| {
        let callback = callback(browser, &welcome.openid).await;
        site.qq.fault(endpoint, 1, fault);
        browser.get(&callback).await
    };
    let status = |status| Fault::Status(StatusCode::from_u16(status).unwrap());
    match kind {
        0 => vec![at_qq(&mut browser, Endpoint::Token, status(502)).await],
        1 => vec![at_qq(&mut browser, Endpoint::Token, status(503)).await],
        2 => vec![at_qq(&mut browser, Endpoint::Token, status(429)).await],
        3 => vec![at_qq(&mut browser, Endpoint::Token, Fault::CutBody).await],
        4 => vec![at_qq(&mut browser, Endpoint::Token, Fault::Code(100_010)).await],
        5 => vec![at_qq(&mut browser, Endpoint::Token, Fault::Code(100_020)).await],
        6 | 7 => {
            let openid = [refused, unlucky][kind - 6].openid.clone();
            let callback = callback(&mut browser, &openid).await;
            vec![browser.get(&callback).await]
        }
        8 => {
            let start = browser.get("/auth/qq/login").await;
            let callback = site.qq.cancel(start.location()).unwrap();
            vec![browser.get(&path(&callback)).await]
        }
        9 => {
            let mut browser = browser.header("sec-purpose", "prefetch;prerender");
            let login = browser.get("/auth/qq/login").await;
            let callback = browser.get("/auth/qq/callback?code=C0DE&state=1").await;
            vec![login, callback, browser.get("/me").await]
        }
        10 => {
            let image = browser.clone().header("sec-fetch-mode", "no-cors");
            let mut image = image.header("sec-fetch-dest", "image");
            let foreign = browser.header("sec-fetch-site", "cross-site");
            let mut foreign = foreign.header("origin", "https://evil.example");
            let start = image.get("/auth/qq/login").await;
            vec![start, foreign.post("/auth/qq/logout").await]
        }
        _ => {
            let forged = "/auth/qq/callback?code=C0DE&state=forged";
            vec![
                browser.get(forged).await,
                browser.get("/auth/qq/callback").await,
                browser.send(Method::OPTIONS, forged).await,
                browser.post("/form").await,
            ]
        }
    }
}

#[tokio::test]
async fn failing_logins_and_prefetches_take_no_machine_out_of_the_pool() {
    let on_login = |layer: QqAuthLayerBuilder| {
        let people = qq().people();
        let (refused, unlucky) = (people[1].clone(), people[2].clone());
        layer.on_login(async move |login, _head| {
            let openid = login.user().openid().as_str();
            if openid == unlucky.openid {
                return Err("the database is down".into());
            }
            Ok(match openid == refused.openid {
                true => Verdict::refuse("this account is closed"),
                false => Verdict::allow(),
            })
        })
    };
    let Some((site, _nginx)) = behind_nginx(RETRY, on_login).await else {
        return;
    };
    for attempt in 0..300 {
        let kind = attempt % 12;
        for reply in fail(&site, kind).await {
            assert_passed(&reply);
            assert!(reply.status.is_client_error(), "{kind}: {reply:?}");
        }
        assert_both_serve(&site).await;
    }
    let mut browser = site.signed_in().await;
    assert_ne!(browser.whoami().await, Value::Null);

    // An error of the app does take them out, one each time.
    for _ in 0..2 {
        let down = browser.get("/down").await;
        assert!(down.status.is_server_error(), "{down:?}");
    }
    let home = browser.get("/").await;
    assert_eq!(home.status, StatusCode::BAD_GATEWAY, "{home:?}");
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_dead_redis_takes_no_machine_out_of_the_pool() {
    use tower_qq_auth::{OpenId, QqUser, revocation::RedisRevocations};

    // The socket holds the port, but does not listen.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("redis://{}", socket.local_addr().unwrap());
    let list = |layer: QqAuthLayerBuilder| layer.revocations(RedisRevocations::new(&url).unwrap());
    let Some((site, _nginx)) = behind_nginx(RETRY, list).await else {
        return;
    };
    let clock = site.clock.clone();
    let layer = builder(&site.qq).clock(move || clock.now()).build();
    let user = QqUser::new(OpenId::new("ANN").unwrap());
    let cookie = layer.unwrap().session_cookie(&user, None).unwrap();
    let signed_in = site.browser().header("cookie", &cookie);
    for _ in 0..20 {
        let page = signed_in.clone().get("/me").await;
        assert_passed(&page);
        assert_eq!(page.status, StatusCode::FAILED_DEPENDENCY);
        let program = signed_in.clone().program().get("/me").await;
        assert_passed(&program);
        program.assert_failed(424, "session_unverified");
        let public = signed_in.clone().get("/").await;
        assert_eq!((public.status.as_u16(), &*public.body), (200, "signed out"));
        assert_both_serve(&site).await;
    }
}

// Limits of nginx: by default a header line and the request line have 8 KiB each, and all headers
// of a response 4 KiB.

/// Paths as long as nginx accepts them, in which no byte, some or every byte is escaped.
fn long_pages() -> Vec<String> {
    let mut pages = Vec::new();
    for length in [250, 500, 1_000, 2_000, 4_000, 8_100] {
        for part in ["a", "a=%2F&", "%E4%BD%A0", "/", "{'a'}"] {
            let text = part.repeat(length / part.len());
            pages.push(format!("/deep/page?q={text}"));
        }
    }
    pages
}

/// Signs in a user whose session is as large as it gets.
async fn sign_in_with_a_large_session(site: &Site, browser: &mut Browser, login: &str) -> Reply {
    let mut person = Person::new("F".repeat(32), "企鹅".repeat(50));
    let avatar = |size| format!("https://thirdqq.qlogo.cn/g?s={size}&k={}", "k".repeat(460));
    (person.avatar_40, person.avatar_100) = (avatar(40), avatar(100));
    person.avatar_640 = avatar(640);
    site.qq.set_people([person]);
    browser.sign_in(&site.qq, login).await
}

#[tokio::test]
async fn many_logins_at_once_with_long_pages_never_exceed_the_limits_of_nginx() {
    let Some((site, _nginx)) = behind_nginx("", |layer| layer.keep_tokens()).await else {
        return;
    };
    let page = format!("/deep/page?q={}", "%E4%BD%A0".repeat(89));
    let login = format!("/auth/qq/login?return_to={}", page.replace('%', "%25"));
    // No start sees the cookie of another.
    let mut browser = site.browser();
    for _ in 0..50 {
        let mut tab = site.browser();
        let start = tab.get(&login).await;
        assert_passed(&start);
        browser.jar.append(&mut tab.jar);
    }
    let sent: usize = browser.jar.iter().map(|(n, v)| n.len() + v.len()).sum();
    assert!(sent <= 4_000, "{sent} bytes of login cookies");
    for path in ["/", "/me", "/deep/page", "/whoami", &login] {
        let reply = browser.get(path).await;
        assert_passed(&reply);
    }
    let end = sign_in_with_a_large_session(&site, &mut browser, &login).await;
    assert_passed(&end);
    assert_eq!(end.location(), page);
    // Logins and the session together.
    for _ in 0..50 {
        let mut tab = browser.clone();
        assert_passed(&tab.get(&login).await);
        browser.jar.append(&mut tab.jar);
    }
    let mut again = browser.clone();
    for path in ["/", "/me", "/auth/qq/login"] {
        assert_passed(&again.get(path).await);
    }
    let end = browser.sign_in(&site.qq, &login).await;
    assert_eq!(end.location(), page);
    let gone = browser.post("/auth/qq/logout").await;
    assert_passed(&gone);
    assert_eq!(gone.location(), "/");
}

#[tokio::test]
async fn pages_of_any_length_lead_to_a_login_and_back_through_nginx() {
    let Some((site, _nginx)) = behind_nginx("", |layer| layer).await else {
        return;
    };
    for page in long_pages() {
        let mut browser = site.browser();
        let redirect = browser.get(&page).await;
        assert_passed(&redirect);
        let start = browser.get(redirect.location()).await;
        assert_passed(&start);
        let callback = site.qq.approve(start.location()).unwrap();
        let end = browser.get(&path(&callback)).await;
        assert_passed(&end);
        let end = end.location().to_owned();
        // A page that is too long for the cookie comes back without its query.
        let is_whole = end == page;
        assert!(is_whole || end == "/deep/page" && page.len() > 280, "{end}");
        assert_eq!(browser.get(&end).await.status, StatusCode::OK);

        let program = site.browser().program().get(&page).await;
        assert_passed(&program);
        let form = site.browser();
        let referer = format!("https://site.example{page}");
        let form = form.header("referer", &referer).post("/form").await;
        assert_passed(&form);
        assert_eq!(form.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn stale_cookies_of_logins_keep_no_browser_out() {
    let Some((site, _nginx)) = behind_nginx("", |layer| layer).await else {
        return;
    };
    let mut browser = site.browser();
    for number in 0..20 {
        let name = format!("{LOGIN}{number:08}");
        browser.jar.insert(name, "A".repeat(360));
    }
    browser.jar.insert(SESSION.into(), "A".repeat(100));
    let start = browser.get("/auth/qq/login?return_to=/me").await;
    assert_passed(&start);
    let callback = path(&site.qq.approve(start.location()).unwrap());
    let end = browser.get(&callback).await;
    assert_passed(&end);
    assert_eq!(end.location(), "/me");
    assert!(end.headers.contains_key(header::SET_COOKIE));
    assert_eq!(browser.get("/me").await.status, StatusCode::OK);
}
