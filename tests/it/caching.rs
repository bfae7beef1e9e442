//! Caching of the app's responses to signed-in users.

use axum::{Router, body::Body, response::Response, routing::get};
use http::{StatusCode, header};

use crate::site::{Browser, Site};

/// A site with a page for each of these headers, at `/0`, `/1` and so on.
fn site_with(pages: &'static [&[(&str, &str)]]) -> Site {
    let add = |router: Router, (number, headers): (usize, &'static &[(&str, &str)])| {
        let page = move || async move {
            let mut response = Response::new(Body::from("ann's page"));
            for (name, value) in *headers {
                let value = value.parse().unwrap();
                response.headers_mut().insert(*name, value);
            }
            response
        };
        router.route(&format!("/{number}"), get(page))
    };
    let pages = pages.iter().enumerate();
    Site::with_pages(|_| pages.fold(Router::new(), add), |layer| layer)
}

/// Returns a copy of the browser that sends this `Sec-Fetch-Mode` and `Sec-Fetch-Dest`.
fn asking_for(browser: &Browser, mode: &'static str, destination: &'static str) -> Browser {
    let browser = browser.clone().header("sec-fetch-mode", mode);
    browser.header("sec-fetch-dest", destination)
}

async fn cache_control(browser: &mut Browser, path: &str) -> Option<String> {
    let reply = browser.get(path).await;
    assert_eq!(reply.status, StatusCode::OK);
    let value = reply.headers.get(header::CACHE_CONTROL);
    value.map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_personal_response_that_names_no_caching_becomes_private() {
    let site = site_with(&[
        &[("content-type", "text/html; charset=utf-8")],
        &[("content-type", "application/json")],
        &[("content-type", "application/pdf")],
        &[],
    ]);
    let signed_in = site.signed_in().await;
    let page = asking_for(&signed_in, "navigate", "document");
    let fetch = asking_for(&signed_in, "cors", "empty");
    let image = asking_for(&signed_in, "no-cors", "image");
    for (mut browser, expected) in [
        (page, [true, true, true, true]),
        (fetch, [true, true, true, true]),
        (image, [false, false, false, false]),
        // Without Fetch Metadata the content tells.
        (signed_in, [true, true, false, false]),
        (site.browser(), [false, false, false, false]),
    ] {
        for (number, is_private) in expected.into_iter().enumerate() {
            let found = cache_control(&mut browser, &format!("/{number}")).await;
            assert_eq!(
                found.as_deref(),
                is_private.then_some("private"),
                "{number}"
            );
        }
    }
}

#[tokio::test]
async fn a_personal_response_keeps_the_caching_that_it_names() {
    let site = site_with(&[
        &[("cache-control", "public, max-age=60")],
        &[("expires", "0")],
        &[("pragma", "no-cache")],
        &[("cdn-cache-control", "max-age=60")],
        &[("surrogate-control", "max-age=60")],
    ]);
    let mut browser = asking_for(&site.signed_in().await, "navigate", "document");
    let found = cache_control(&mut browser, "/0").await;
    assert_eq!(found.as_deref(), Some("public, max-age=60"));
    for number in 1..5 {
        assert_eq!(
            cache_control(&mut browser, &format!("/{number}")).await,
            None
        );
    }
}
