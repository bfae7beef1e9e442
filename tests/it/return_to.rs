//! `return_to`: a login always ends at a path of this site.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use proptest::prelude::*;
use url::Url;

use crate::site::{Site, block_on};

/// Completes a login with this query and returns where it redirects to.
async fn location_after_query(site: &Site, query: &str) -> String {
    let mut browser = site.browser();
    let end = browser
        .sign_in(&site.qq, &format!("/auth/qq/login?{query}"))
        .await;
    end.location().to_owned()
}

/// Completes a login with this `return_to` and returns where it redirects to.
async fn location_after(site: &Site, return_to: &str) -> String {
    let value = utf8_percent_encode(return_to, NON_ALPHANUMERIC);
    location_after_query(site, &format!("return_to={value}")).await
}

#[tokio::test]
async fn local_paths_are_preserved() {
    let site = Site::new();
    let paths = [
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
        "/auth/qq/login/",
        "/auth/qq",
        "/a?x=100%",
    ];
    for path in paths {
        assert_eq!(location_after(&site, path).await, path);
    }
    assert_eq!(
        location_after(&site, "/搜索?q=中 文").await,
        "/%E6%90%9C%E7%B4%A2?q=%E4%B8%AD%20%E6%96%87"
    );
    let longest = format!("/{}", "x".repeat(2047));
    assert_eq!(location_after(&site, &longest).await, longest);
}

#[tokio::test]
async fn anything_but_a_local_path_becomes_the_start_page() {
    let site = Site::new();
    let unsafe_paths = [
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
    ];
    for path in unsafe_paths {
        assert_eq!(location_after(&site, path).await, "/", "{path:?}");
    }
    let too_long = format!("/{}", "x".repeat(2048));
    assert_eq!(location_after(&site, &too_long).await, "/");
    let too_long_in_bytes = format!("/{}", "中".repeat(700));
    assert_eq!(location_after(&site, &too_long_in_bytes).await, "/");
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

fn near_misses() -> impl Strategy<Value = String> {
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
