//! `return_to` at a trusted origin.

use axum::Router;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use tower_qq_auth::QqAuthLayerBuilder;
use url::Url;

use super::{ORIGINS, WWW, site};
use crate::{
    properties::config,
    return_to::{
        LOCAL, UNSAFE, assert_lands, assert_small, location_after, location_of, near_misses,
    },
    site::{Site, block_on, builder, pages},
};

/// URLs that resemble one of a trusted origin.
pub(super) const HOSTILE: [&str; 35] = [
    "https://www.site.example",
    "https://www.site.example?a=b",
    "https://www.site.example#a",
    "https://www.site.example.evil.example/x",
    "https://www.site.exampleevil.example/x",
    "https://evil-www.site.example/x",
    "https://evil.example/https://www.site.example/x",
    "https://evil.example/?https://www.site.example/",
    "https://evil.example#https://www.site.example/",
    "https://www.site.example@evil.example/x",
    "https://www.site.example:x@evil.example/x",
    "https://user@www.site.example/x",
    "https://www.site.example:443/x",
    "https://www.site.example:8443/x",
    "https://www.site.example:/x",
    "https://m.site.example/x",
    "https://m.site.example:84430/x",
    "http://www.site.example/x",
    "http://[::1]/x",
    "http://[::1]:51730/x",
    "https://www.site.example./x",
    "https://www.site.example\\x",
    "https://www.site.example\\@evil.example/x",
    "https:\\\\www.site.example/x",
    "https:/www.site.example/x",
    "https:www.site.example/x",
    "https:///www.site.example/x",
    "//www.site.example/x",
    "HTTPS://www.site.example/x",
    "https://WWW.site.example/x",
    " https://www.site.example/x",
    "https://www.site.example\t/x",
    "https://www。site.example/x",
    "https://www.ѕite.example/x",
    "null",
];

#[tokio::test]
async fn a_page_of_a_trusted_origin_is_kept() {
    let site = site();
    for origin in ORIGINS {
        for path in LOCAL {
            let url = format!("{origin}{path}");
            assert_eq!(location_after(&site, &url).await, url);
        }
    }
    let url = format!("{WWW}/搜索?q=中 文#结果");
    let location =
        "https://www.site.example/%E6%90%9C%E7%B4%A2?q=%E4%B8%AD%20%E6%96%87#%E7%BB%93%E6%9E%9C";
    assert_eq!(location_after(&site, &url).await, location);
    for path in LOCAL {
        assert_eq!(location_after(&site, path).await, path);
    }
}

#[tokio::test]
async fn everything_else_becomes_the_start_page_of_the_site() {
    let site = site();
    for path in UNSAFE {
        assert_eq!(location_after(&site, path).await, "/", "{path:?}");
        for origin in ORIGINS {
            let url = format!("{origin}{path}");
            assert_eq!(location_after(&site, &url).await, "/", "{url:?}");
        }
    }
    for url in HOSTILE {
        assert_eq!(location_after(&site, url).await, "/", "{url:?}");
    }
}

#[tokio::test]
async fn without_the_setting_no_other_origin_is_a_destination() {
    let site = Site::new();
    for url in ["https://www.site.example/x", "https://site.example/x"] {
        assert_eq!(location_after(&site, url).await, "/", "{url}");
    }
}

/// Returns the same site with other settings, as after a deployment.
fn deployed(
    site: &Site,
    configure: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
) -> Router {
    let clock = site.clock.clone();
    let layer = configure(builder(&site.qq).clock(move || clock.now()));
    pages().layer(layer.build().unwrap())
}

#[tokio::test]
async fn the_settings_at_the_end_of_a_login_count() {
    type Change = fn(QqAuthLayerBuilder) -> QqAuthLayerBuilder;
    let no_origin: Change = |layer| layer;
    let other_origin: Change = |layer| layer.trusted_origins(["https://m.site.example:8443"]);
    let login: Change = |layer| layer.login_path("/x").trusted_origins(ORIGINS);
    let logout: Change = |layer| layer.logout_path("/x").trusted_origins(ORIGINS);
    let m = "https://m.site.example:8443/x?a";
    let www = "https://www.site.example/x?a";
    let cases = [
        ("/x?a", no_origin, "/x?a"),
        (www, no_origin, "/"),
        (www, other_origin, "/"),
        (m, other_origin, m),
        ("/x?a", login, "/"),
        (www, login, "/"),
        ("/x", logout, "/"),
        ("/y", logout, "/y"),
    ];
    for (return_to, change, location) in cases {
        let site = site();
        let mut browser = site.browser();
        let value = utf8_percent_encode(return_to, NON_ALPHANUMERIC);
        let start = format!("/auth/qq/login?return_to={value}");
        let callback = browser.callback_from(&site.qq, &start).await;
        browser.router = deployed(&site, change);
        let end = browser.get(&callback).await;
        assert_eq!(end.location(), location, "{return_to}");
    }
}

#[tokio::test]
async fn a_url_of_any_length_keeps_its_origin_and_headers_small() {
    let long = "https://a-long-name-of-a-front-end-for-phones.with-many-labels.site.example:65535";
    let site = Site::with(|app| app, |layer| layer.trusted_origins([WWW, long]));
    let fillings = ["x", "%E4", "&", "中", "é x", "%25", "ab%2Fcd"];
    for length in 0..=3000 {
        let is_near_a_limit = (180..=350).contains(&length) || (930..=1040).contains(&length);
        if !is_near_a_limit && length % 5 != 0 {
            continue;
        }
        let filling = fillings[length % fillings.len()];
        let origin = [WWW, long][length / 7 % 2];
        let text = filling.repeat(length / filling.len());
        let url = match length % 3 {
            0 => format!("{origin}/{}", "x".repeat(length)),
            _ => format!("{origin}/deep/page?{text}"),
        };
        let value = utf8_percent_encode(&url, NON_ALPHANUMERIC);
        let login = format!("/auth/qq/login?return_to={value}");
        let start = site.browser().get(&login).await;
        let pair = start.cookies()[0].split(';').next().unwrap();
        assert!(pair.len() + 2 <= 500, "{pair}");
        assert_lands(&site, &login, &location_of(&url)).await;

        let logout = format!("/auth/qq/logout?return_to={value}");
        let end = site.browser().post(&logout).await;
        assert_small(&end);
        assert!(end.location().starts_with(&format!("{origin}/")), "{end:?}");
        let mut form = site.browser().header("referer", &location_of(&url));
        assert_small(&form.post("/form").await);
    }
}

/// Fails unless a browser reads the location as a page of the site or of a trusted origin.
fn assert_trusted(location: &str) {
    let site = Url::parse("https://site.example/auth/qq/callback").unwrap();
    let (origin, path) = match ORIGINS.iter().find(|origin| location.starts_with(**origin)) {
        Some(origin) => (
            Url::parse(origin).unwrap().origin(),
            &location[origin.len()..],
        ),
        None => (site.origin(), location),
    };
    assert!(location.is_ascii() && path.starts_with('/'), "{location}");
    let resolved = site.join(location).unwrap();
    assert_eq!(resolved.origin(), origin, "{location}");
    assert!(!resolved.path().starts_with("//"), "{location}");
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn browsers_end_at_the_site_or_at_a_trusted_origin(
        origin in prop::sample::select(vec!["", ORIGINS[0], ORIGINS[1], ORIGINS[2]]),
        rest in prop_oneof![
            near_misses(),
            near_misses().prop_map(|path| path.trim_start_matches('/').to_owned()),
        ],
    ) {
        let url = format!("{origin}{rest}");
        let location = block_on(async { location_after(&site(), &url).await });
        assert_trusted(&location);
    }

    #[test]
    fn a_stored_url_comes_back_the_same(
        origin in prop::sample::select(vec!["", ORIGINS[0], ORIGINS[1], ORIGINS[2]]),
        path in "(/[a-z中.-]{1,9}[a-z]){1,4}/?",
        query in "(\\?([ -\\[\\]-~é]|%[0-9A-F]{2}){0,30})?",
        fragment in "(#[ -\\[\\]-~]{0,9})?",
    ) {
        let url = format!("{origin}{path}{query}{fragment}");
        let location = block_on(async { location_after(&site(), &url).await });
        prop_assert_eq!(&location, &location_of(&url));
        let again = block_on(async { location_after(&site(), &location).await });
        prop_assert_eq!(again, location);
    }
}
