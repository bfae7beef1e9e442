//! A browser at the site behind nginx.

use super::{CHINESE, SECOND, SIGN_IN, SIGN_OUT, Settings, Window, assert_shows};
use crate::deploy::{Deployment, Proxy};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_signs_in_reloads_and_signs_out_behind_nginx() {
    let Some(deployment) = Deployment::start(Proxy::Nginx).await else {
        return;
    };
    let settings = Settings {
        https_port: Some(deployment.front.https.port()),
        ..CHINESE
    };
    let Some(window) = Window::open(settings).await else {
        return;
    };
    window.goto("https://site.test/").await;
    let home = "https://www.site.test/";
    assert_eq!(window.url().await, home);
    window.click(SIGN_IN).await;
    window.click(SECOND).await;
    assert_eq!(window.url().await, home);
    for _ in 0..4 {
        assert_shows(&window.text().await, &["企鹅🐧 Penguin"]);
        window.reload().await;
    }
    assert_eq!(window.cookie_names().await, ["__Host-qq_session"]);

    // The page of QQ still has the state of the finished login.
    while !window.url().await.contains("/oauth2.0/authorize") {
        window.back().await;
    }
    window.click(SECOND).await;
    assert_eq!(window.url().await, home);
    assert_shows(&window.text().await, &["企鹅🐧 Penguin"]);

    window.click(SIGN_OUT).await;
    assert_eq!(window.url().await, home);
    assert_shows(&window.text().await, &["QQ 登录"]);
    assert_eq!(window.cookie_names().await, [""; 0]);
}
