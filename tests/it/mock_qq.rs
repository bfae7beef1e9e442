//! The mock as sites meet it: the example `mock_qq`, and users whose logins fail.

use tokio::net::TcpListener;
use tower_qq_auth::{QqApp, QqClient};

use crate::{
    process::{Running, SESSION_KEY, browser, callback_at, choose, example, free_address, page},
    site::{APP_KEY, Browser, Reply, Site, path},
};

#[tokio::test]
async fn a_site_signs_in_with_the_settings_that_the_mock_prints() {
    // The mock has to know the address of the site before it listens.
    let address = free_address();
    let callback = callback_at(address);
    let environment = [("MOCK_QQ_PORT", "0"), ("QQ_REDIRECT_URI", &callback)];
    let mut mock = Running::start("mock_qq", &environment);
    let names = ["QQ_BASE_URL", "QQ_APP_ID", "QQ_APP_KEY", "QQ_REDIRECT_URI"];
    let mut settings = Vec::new();
    for name in names {
        settings.push((name, mock.printed(&format!("export {name}=")).await));
    }
    let base_url = settings[0].1.clone();
    assert!(base_url.starts_with("http://127.0.0.1:"), "{base_url}");

    let listen = address.to_string();
    let mut environment = vec![("LISTEN", &*listen), ("QQ_SESSION_KEY", SESSION_KEY)];
    environment.extend(settings.iter().map(|(name, value)| (*name, &**value)));
    let mut running = Running::start("quickstart", &environment);
    assert_eq!(running.printed("callback").await, callback);
    let (browser, site) = (browser(), format!("http://{address}/"));
    let login = format!("{site}auth/qq/login");

    let users = page(&browser, &login).await;
    assert!(users.url().as_str().starts_with(&base_url));
    let cancelled = choose(&browser, users, 7).await;
    assert_eq!(cancelled.status(), 403);
    assert!(cancelled.url().as_str().starts_with(&callback));

    let users = page(&browser, &login).await;
    let busy = choose(&browser, users, 3).await;
    assert_eq!(busy.status(), 424);
    assert!(busy.headers().contains_key("retry-after"));

    let users = page(&browser, &login).await;
    let home = choose(&browser, users, 0).await;
    assert_eq!(home.url().as_str(), site);
    assert!(home.text().await.unwrap().contains("小明"));

    let other = format!(
        "{base_url}/oauth2.0/authorize?response_type=code&client_id=101905280&state=a\
         &redirect_uri=https%3A%2F%2Fother.example%2Fcb"
    );
    let refused = page(&browser, &other).await.text().await.unwrap();
    assert!(refused.contains("redirect uri is illegal [appid: 101905280] (100010)"));
    assert!(refused.contains(&callback), "{refused}");
}

#[tokio::test]
async fn takes_the_app_of_the_environment_and_prints_no_key_of_it() {
    let mut mock = Running::start(
        "mock_qq",
        &[
            ("MOCK_QQ_PORT", "0"),
            ("QQ_APP_ID", "1234"),
            ("QQ_APP_KEY", APP_KEY),
            ("QQ_BASE_URL", "https://graph.qq.com"),
            ("QQ_REDIRECT_URI", ""),
        ],
    );
    let base_url = mock.printed("export QQ_BASE_URL=").await;
    assert_eq!(mock.printed("export QQ_").await, "APP_ID=1234");
    let default = "REDIRECT_URI=http://127.0.0.1:3000/auth/qq/callback";
    assert_eq!(mock.printed("export QQ_").await, default);
    let token = async |key: &str| {
        let url = format!(
            "{base_url}/oauth2.0/token?grant_type=authorization_code&client_id=1234&client_secret={key}"
        );
        page(&browser(), &url).await.text().await.unwrap()
    };
    assert!(token(APP_KEY).await.contains("100005"));
    assert!(token("made-up-app-key").await.contains("100009"));
}

#[tokio::test]
async fn prints_tokens_of_its_users_at_the_phone_apps() {
    let environment = [
        ("MOCK_QQ_PORT", "0"),
        ("QQ_PHONE_APP_ID", "1106123456, 1106123457"),
    ];
    let mut mock = Running::start("mock_qq", &environment);
    let base_url = mock.printed("export QQ_BASE_URL=").await;
    let apps = mock.printed("export QQ_PHONE_APP_ID=").await;
    assert_eq!(apps, "1106123456,1106123457");

    let app = QqApp::builder(
        "101905280",
        APP_KEY,
        "http://127.0.0.1:3000/auth/qq/callback",
    )
    .base_url(base_url)
    .request_union_id()
    .accept_tokens_of(apps.split(','));
    let client = QqClient::new(app.build().unwrap());
    let mut seen = Vec::new();
    for app_id in apps.split(',') {
        for nickname in ["小明", "企鹅🐧 Penguin", "<b>小红</b> & \"Co\""] {
            let line = mock.printed("# token ").await;
            let (token, rest) = line.split_once(' ').unwrap();
            assert_eq!(rest, format!("of {nickname} at {app_id}"));
            let login = client.verify(token).await.unwrap();
            let user = login.user();
            assert_eq!((user.nickname(), user.app_id()), (nickname, app_id));
            seen.push(user.unionid().unwrap().clone());
        }
    }
    assert_eq!(seen[..3], seen[3..]);
}

#[tokio::test]
async fn exits_with_one_line_if_the_port_cannot_be_used() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    for port in ["http", "65536", "-1", &taken] {
        let mut mock = example("mock_qq", &[("MOCK_QQ_PORT", port)]);
        let output = mock.output().await.unwrap();
        assert!(!output.status.success(), "{port}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(&format!("MOCK_QQ_PORT={port}")), "{stderr}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn stops_on_ctrl_c() {
    let mut mock = Running::start("mock_qq", &[("MOCK_QQ_PORT", "0")]);
    mock.printed("export QQ_REDIRECT_URI=").await;
    let mut kill = tokio::process::Command::new("kill");
    let status = kill.args(["-INT", &mock.id().to_string()]).status();
    assert!(status.await.unwrap().success());
    assert!(mock.end().await.success());
}

#[tokio::test(start_paused = true)]
async fn each_failing_user_fails_at_the_site_as_announced() {
    let site = Site::new();
    for (name, code) in [
        ("Busy", "qq_busy"),
        ("Not approved", "not_approved"),
        ("Slow", "qq_timeout"),
    ] {
        let mut browser = site.browser().program();
        let reply = sign_in_as(&site, &mut browser, name).await;
        reply.assert_failed(424, code);
    }

    let mut browser = site.browser();
    let reply = sign_in_as(&site, &mut browser, "No profile").await;
    assert_eq!(reply.location(), "/");
    let user = browser.whoami().await;
    assert_eq!(
        (&user["nickname"], &user["profile_complete"]),
        (&"".into(), &false.into())
    );

    let mut browser = site.browser();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(browser.whoami().await["nickname"], "小明");
}

/// Signs in as the user of the mock whose nickname ends with this.
async fn sign_in_as(site: &Site, browser: &mut Browser, name: &str) -> Reply {
    let people = site.qq.people();
    let person = people.iter().find(|person| person.nickname.ends_with(name));
    let mut clicking = browser.clone().header("accept", "text/html");
    let start = clicking.get("/auth/qq/login").await;
    browser.jar = clicking.jar;
    let openid = &person.unwrap().openid;
    browser
        .get(&path(
            &site.qq.approve_as(start.location(), openid).unwrap(),
        ))
        .await
}
