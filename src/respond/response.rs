//! The building blocks of the layer's own responses.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::headers::insert_common;

const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

/// A response of the layer itself.
pub(crate) type LayerResponse = Response<Full<Bytes>>;

pub(crate) fn json(body: &serde_json::Value) -> LayerResponse {
    with_type("application/json", body.to_string())
}

/// Redirects with 303, so that the browser continues with a GET.
pub(crate) fn see_other(location: &str) -> LayerResponse {
    let mut response = new(StatusCode::SEE_OTHER, String::new());
    // Every location is percent-encoded ASCII, so the fallback is never used.
    let location = HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// Redirects to QQ. Logs of headers hide the URL, which contains the state.
pub(crate) fn redirect_to_qq(authorize_url: &str) -> LayerResponse {
    let mut response = see_other(authorize_url);
    if let Some(location) = response.headers_mut().get_mut(header::LOCATION) {
        location.set_sensitive(true);
    }
    response
}

/// Answers a program that needs no body.
pub(crate) fn no_content() -> LayerResponse {
    new(StatusCode::NO_CONTENT, String::new())
}

/// Makes htmx navigate, since its requests cannot follow a redirect to another page.
pub(crate) fn htmx_redirect(location: &str) -> LayerResponse {
    with_htmx_redirect(no_content(), location)
}

pub(crate) fn with_htmx_redirect(mut response: LayerResponse, location: &str) -> LayerResponse {
    // Every location is percent-encoded ASCII.
    if let Ok(mut location) = HeaderValue::try_from(location) {
        location.set_sensitive(true);
        response.headers_mut().insert(HX_REDIRECT, location);
    }
    response
}

pub(crate) fn with_cookies(
    mut response: LayerResponse,
    cookies: impl IntoIterator<Item = HeaderValue>,
) -> LayerResponse {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

pub(super) fn with_type(content_type: &'static str, body: impl Into<Bytes>) -> LayerResponse {
    let mut response = new(StatusCode::OK, body);
    let content_type = HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

fn new(status: StatusCode, body: impl Into<Bytes>) -> LayerResponse {
    let mut response = Response::new(Full::from(body.into()));
    *response.status_mut() = status;
    insert_common(response.headers_mut());
    response
}
