//! The example without axum.

use http::{StatusCode, header};

use crate::process::{Running, browser, choose, page};

#[tokio::test]
async fn plain_services_get_the_user_and_require_a_login_in_both_ways() {
    let mut running = Running::start("plain_tower", &[("LISTEN", "127.0.0.1:0")]);
    let site = running.printed("open").await;
    let text = async |response: reqwest::Response| response.text().await.unwrap();
    for path in ["members/", "me"] {
        let browser = browser();
        let home = text(page(&browser, &site).await).await;
        assert!(home.contains("href=\"/auth/qq/login\""), "{home}");
        let wanted = format!("{site}{path}");
        let program = browser.get(&wanted).send().await.unwrap();
        assert_eq!(program.status(), StatusCode::UNAUTHORIZED);
        assert!(program.headers().contains_key(header::WWW_AUTHENTICATE));

        let end = choose(&browser, page(&browser, &wanted).await, 0).await;
        assert_eq!(end.url().as_str(), wanted);
        assert_eq!(end.headers()[header::CACHE_CONTROL], "no-store");
        let openid = "C3A5D19E07B24F68913BD0A4E7F2586C";
        let body = text(end).await;
        assert_eq!(body, ["你好，小明", openid][usize::from(path == "me")]);
        let home = text(page(&browser, &site).await).await;
        assert!(home.contains(openid) && home.contains("/auth/qq/logout"));

        let logout = browser.post(format!("{site}auth/qq/logout"));
        let logout = logout.header("accept", "text/html");
        let logout = logout.header("sec-fetch-site", "same-origin");
        assert_eq!(logout.send().await.unwrap().url().as_str(), site);
        let home = text(page(&browser, &site).await).await;
        assert!(!home.contains(openid));
    }
    let nowhere = page(&browser(), &format!("{site}nowhere")).await;
    assert_eq!(nowhere.status(), StatusCode::NOT_FOUND);
}
