//! `return_to`: without trusted origins, a login always ends at a path of this site.

use axum::Router;
use http::{HeaderName, HeaderValue, StatusCode};
use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};
use proptest::prelude::*;
use tower_qq_auth::QqUser;
use url::Url;

use crate::site::{Reply, Site, block_on, path as path_of};

/// Paths that a login keeps.
pub(crate) const LOCAL: [&str; 18] = [
    "/",
    "/x",
    "/docs/",
    "/a/b?c=d&e=f#g",
    "/?next=//evil.example",
    "/a?b=/../c",
    "/a#//evil.example",
    "/...",
    "/.well-known/x",
    "/a%20b",
    "/100%25",
    "/%E4%B8%AD",
    "/a%3Fb",
    "/@evil.example",
    "/:80",
    "/a;b=c,d",
    "/auth/qq",
    "/a?x=100%",
];

/// Values of which a login keeps nothing.
pub(crate) const UNSAFE: [&str; 72] = [
    "",
    "x",
    " /x",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "data:,x",
    "http:/x",
    "/.//evil.example",
    "/..//evil.example",
    "/./x",
    "/../x",
    "/x/..",
    "/x/.",
    "/x/../y",
    "/.",
    "/..",
    "/%2e/x",
    "/%2E%2e/x",
    "/.%2e/x",
    "/x/%2e",
    "/%2e%2e//evil.example",
    "/a//b",
    "/a//",
    "/%2fevil.example",
    "/%2Fevil.example",
    "/a%2f%2fb",
    "/%5cevil.example",
    "/%5Cevil.example",
    "/%252fevil.example",
    "/%25252fevil.example",
    "/%255cevil.example",
    "/%252e%252e/x",
    "/%25%32%66x",
    "/a%00b",
    "/a%0d%0aSet-Cookie:x=1",
    "/a%0Ab",
    "/a%09b",
    "/a%1fb",
    "/a%7fb",
    "/a%250ab",
    "/a%2500",
    "/a\r\nSet-Cookie: x=1",
    "/a\tb",
    "/a\nb",
    "/\t/evil.example",
    "/a\u{0}b",
    "/a\u{7f}b",
    "/a\u{85}b",
    "/%",
    "/%2",
    "/%zz",
    "/a%%",
    "/%u002f",
    "/a?b\\c",
    "/a#b\\c",
    "/a?b\nc",
    "/auth/qq/login",
    "/auth/qq/callback",
    "/auth/qq/logout",
    "/auth/qq/login?return_to=/x",
    "/auth/qq/callback?code=1#x",
    // Proxies and layers may make the layer's own paths of these.
    "/auth/qq/login/",
    "/auth/qq/log%69n",
    "/auth/qq/log%69n?intent=bind",
    "/auth/qq/%6cogout/",
    "/auth/qq/log%2569n",
    "/%61uth/qq/callback#x",
];

/// Completes a login with this query and returns where it redirects to.
async fn location_after_query(site: &Site, query: &str) -> String {
    let mut browser = site.browser();
    let end = browser
        .sign_in(&site.qq, &format!("/auth/qq/login?{query}"))
        .await;
    end.location().to_owned()
}

/// Completes a login with this `return_to` and returns where it redirects to.
pub(crate) async fn location_after(site: &Site, return_to: &str) -> String {
    let value = utf8_percent_encode(return_to, NON_ALPHANUMERIC);
    location_after_query(site, &format!("return_to={value}")).await
}

#[tokio::test]
async fn local_paths_are_preserved() {
    let site = Site::new();
    for path in LOCAL {
        assert_eq!(location_after(&site, path).await, path);
    }
    assert_eq!(
        location_after(&site, "/搜索?q=中 文").await,
        "/%E6%90%9C%E7%B4%A2?q=%E4%B8%AD%20%E6%96%87"
    );
}

#[tokio::test]
async fn anything_but_a_local_path_becomes_the_start_page() {
    let site = Site::new();
    for path in UNSAFE {
        assert_eq!(location_after(&site, path).await, "/", "{path:?}");
    }
}

#[tokio::test]
async fn ignores_a_return_to_that_is_repeated_or_not_unicode() {
    let site = Site::new();
    let queries = [
        "return_to=/x&return_to=/x",
        "return_to=/x&return%5Fto=/y",
        "return_to=/x&return_to",
        "return_to=/%FF",
        "return_to=/%C0%AF",
        "return_to=/%ED%A0%80",
        "return_to",
        "Return_to=/x",
    ];
    for query in queries {
        assert_eq!(location_after_query(&site, query).await, "/", "{query}");
    }
    assert_eq!(
        location_after_query(&site, "a=b&return_to=/x&c").await,
        "/x"
    );
}

/// Percent-encodes a URL as the layer must write it: whatever is escaped stays escaped.
pub(crate) fn location_of(url: &str) -> String {
    const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`');
    let mut location = utf8_percent_encode(url, UNSAFE).to_string();
    for (at, _) in location.clone().match_indices('%') {
        // The digits of a `%` that starts no escape keep their case.
        let digits = location.as_bytes().get(at + 1..at + 3);
        if digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            location[at..at + 3].make_ascii_uppercase();
        }
    }
    location
}

/// Returns the length of a location if an escaped byte counts as one.
pub(crate) fn stored_bytes(location: &str) -> usize {
    percent_decode_str(location).count()
}

#[tokio::test]
async fn every_byte_comes_back_escaped_or_as_it_is() {
    let site = Site::new();
    for byte in 0..=u8::MAX {
        for url in [
            format!("/x?a=%{byte:02X}b"),
            format!("/x?a=%{byte:02x}%"),
            format!("/%e4%b8?%%{byte:02x}%4"),
        ] {
            assert_eq!(location_after(&site, &url).await, location_of(&url));
        }
        if byte.is_ascii_graphic() && byte != b'\\' {
            let url = format!("/x?a={}b", char::from(byte));
            assert_eq!(location_after(&site, &url).await, location_of(&url));
        }
    }
    // Escapes of letters stay as well: to some apps they mean something else.
    let url = "/a/%6cb?%41=%7E";
    assert_eq!(location_after(&site, url).await, location_of(url));
}

#[tokio::test]
async fn at_least_280_bytes_are_stored_with_any_intent() {
    let site = Site::with(|app| app, |layer| layer.cookie_prefix("twelve-bytes"));
    let mut browser = site.browser().header("sec-fetch-site", "same-origin");
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    let intent = "a-word_of_32_characters_01234567";
    for filling in [
        "x", "中", "%E4", "%2F", "%20", "%26", "%3D", "%0A", "%25", "/x",
    ] {
        let size = stored_bytes(&location_of(filling));
        let path = format!("/search/{}?q=", "x".repeat((280 - 11) % size));
        let rest = 280 - path.len();
        let url = format!("{path}{}", filling.repeat(rest / size));
        assert_eq!(stored_bytes(&location_of(&url)), 280);
        for (url, expected) in [
            (url.clone(), &*location_of(&url)),
            (url + &filling.repeat(60), path.trim_end_matches("?q=")),
        ] {
            let value = utf8_percent_encode(&url, NON_ALPHANUMERIC);
            let login = format!("/auth/qq/login?intent={intent}&return_to={value}");
            let start = browser.get(&login).await;
            let pair = start.cookies()[0].split(';').next().unwrap();
            assert!(pair.len() + 2 <= 500, "{pair}");
            let callback = path_of(&site.qq.approve(start.location()).unwrap());
            assert_eq!(browser.get(&callback).await.location(), expected);
        }
    }
}

/// Fails if the headers of a response exceed what nginx accepts by default.
#[track_caller]
pub(crate) fn assert_small(reply: &Reply) {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        name.as_str().len() + ": \r\n".len() + value.len()
    };
    let size: usize = reply.headers.iter().map(line).sum();
    assert!(size <= 4096, "{size} bytes: {reply:?}");
}

/// Completes the login at this URL. Fails unless it ends at `location`, or at its path or at the home
/// page of its origin if it is too long.
pub(crate) async fn assert_lands(site: &Site, login: &str, location: &str) {
    let mut browser = site.browser();
    let start = browser.get(login).await;
    assert_small(&start);
    let callback = path_of(&site.qq.approve(start.location()).unwrap());
    let end = browser.get(&callback).await;
    assert_small(&end);
    let path = location.split('?').next().unwrap();
    let host = location.find("://").map_or(0, |at| at + 3);
    let home = &location[..=host + location[host..].find('/').unwrap()];
    let fits = |url: &&str| stored_bytes(url) <= 280;
    let least = [location, path, home].into_iter().find(fits).unwrap();
    let landed = end.location();
    // More than 280 bytes may be stored, but not many more.
    let is_more = [location, path].contains(&landed) && stored_bytes(landed) < 350;
    assert!(landed == least || is_more, "{landed} instead of {location}");
}

#[tokio::test]
async fn a_return_to_of_any_length_keeps_response_headers_small() {
    let members = Router::new().fallback(async |user: QqUser| user.nickname().to_owned());
    let site = Site::with_pages(|_| members, |layer| layer);
    let fillings = ["x", "%E4", "&", "中", "é x", "%25", "ab%2Fcd"];
    for length in 0..=3000 {
        let is_near_a_limit = (270..=350).contains(&length) || (1000..=1040).contains(&length);
        for (number, filling) in fillings.iter().enumerate() {
            if !is_near_a_limit && length % fillings.len() != number {
                continue;
            }
            let text: String = filling.repeat(length / filling.len());
            let rest = "x".repeat(length - text.len());
            let url = match filling.contains("%2F") || length % 2 == 0 {
                true => format!("/deep/page?{text}{rest}"),
                false => format!("/{rest}{text}"),
            };
            let location = location_of(&url);
            let value = utf8_percent_encode(&url, NON_ALPHANUMERIC);
            let login = format!("/auth/qq/login?return_to={value}");
            let page = site.browser().get(&location).await;
            assert_small(&page);
            assert_lands(&site, page.location(), &location).await;
            if !is_near_a_limit {
                continue;
            }
            assert_lands(&site, &login, &location).await;
            let from = format!("https://site.example{location}");
            let mut form = site.browser().header("referer", &from);
            let refused = form.post("/form").await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
            assert_small(&refused);
            let mut signed_in = site.browser();
            let logout = signed_in
                .post(&format!("/auth/qq/logout?return_to={value}"))
                .await;
            assert_small(&logout);
        }
    }
}

pub(crate) fn near_misses() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/",
        "//",
        "\\",
        ".",
        "..",
        "%2e",
        "%2f",
        "%5c",
        "%25",
        "%252f",
        "%",
        "?",
        "#",
        "@",
        ":",
        "evil.example",
        "http:",
        "https:",
        "javascript:",
        "\t",
        "\n",
        "\r",
        " ",
        "a",
        "中",
        "\u{202e}",
        "\u{0}",
        "%00",
        "%0d%0a",
        ";",
        "[",
        "]",
        "&",
        "=",
        "\u{2028}",
        "\u{feff}",
        "。",
        "／",
        "＼",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 1..8).prop_map(|pieces| format!("/{}", pieces.concat())),
        any::<String>(),
        "/[ -~]{0,20}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Resolves the location like a browser, both as it is and decoded once more.
    #[test]
    fn browsers_never_leave_the_site(return_to in near_misses()) {
        let location = block_on(async { location_after(&Site::new(), &return_to).await });
        let site = Url::parse("https://site.example/auth/qq/callback").unwrap();
        prop_assert!(location.is_ascii());
        let resolved = site.join(&location).unwrap();
        prop_assert_eq!(resolved.origin(), site.origin());
        prop_assert!(!resolved.path().starts_with("//"));
        let (path, _) = location.split_once(['?', '#']).unwrap_or((&location, ""));
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        prop_assert_eq!(site.join(&decoded).unwrap().origin(), site.origin());
        prop_assert!(!["/auth/qq/login", "/auth/qq/callback", "/auth/qq/logout"].contains(&resolved.path()));
    }
}

/// Pieces of a query, escaped and not.
fn queries() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[ -\\[\\]-~]{1,3}",
        3 => "(%[0-9A-Fa-f]{2}){1,3}",
        1 => "%[0-9A-Fa-f]?",
        1 => "[é中🎉]",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_query_comes_back_with_the_same_escapes(query in queries()) {
        let url = format!("/x?{query}");
        let location = block_on(async { location_after(&Site::new(), &url).await });
        prop_assert_eq!(location, location_of(&url));
    }
}
