//! The layer's answers: a page for browsers, JSON for programs.

use http::{HeaderValue, StatusCode, header};

use crate::error::LoginError;
use crate::error::kind::LoginErrorKind;
use crate::hooks::failure_page::{Failure, FailurePage};
use crate::language::Language;
use crate::request::requester::{Requester, RequesterKind};

pub(crate) mod caching;
mod csp;
mod headers;
mod page;
pub(crate) mod popup_script;
mod problem;
pub(crate) mod response;

use self::response::{LayerResponse, with_type};

const PROBLEM: &str = "application/problem+json";

/// Renders a failure: a page for browsers (the app's, if it has one), JSON for programs.
pub(crate) fn render_failure(
    failure: &Failure<'_>,
    requester: Requester,
    app_page: Option<&FailurePage>,
) -> LayerResponse {
    let mut response = match (failure.kind(), requester.kind) {
        // Only this page may be framed, so the app's must not hold anything about the user.
        (LoginErrorKind::LoginRequired, RequesterKind::Frame) => page::render_frame(failure),
        // A prefetch seldom accepts HTML by name, and it is no failure that an app would count.
        (LoginErrorKind::Prefetch, _) => page::render_failure_page(failure),
        (_, RequesterKind::Htmx | RequesterKind::Program) => {
            with_type(PROBLEM, problem::render_problem(failure))
        }
        // The app's page would not tell the outcome to the page that opened the popup.
        _ if failure.is_popup => page::render_failure_page(failure),
        _ => match app_page.and_then(|page| page.render(failure)) {
            Some(response) => page::wrap_app_page(response),
            None => page::render_failure_page(failure),
        },
    };
    mark_failed(&mut response, failure.error());
    response
}

/// Renders the error of a login that a handler of the app ran for a program.
#[cfg(feature = "axum")]
pub(crate) fn render_login_error(error: &LoginError) -> LayerResponse {
    let mut response = with_type(PROBLEM, problem::render_login_error(error));
    mark_failed(&mut response, error);
    response
}

fn mark_failed(response: &mut LayerResponse, error: &LoginError) {
    *response.status_mut() = error.kind().status();
    if let Some(after) = error.retry_after() {
        let seconds = after.as_secs().into();
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
}

/// Answers a request with a method that its path does not take.
pub(crate) fn method_not_allowed(
    allow: &'static str,
    requester: Requester,
    home: &str,
    language: Language,
) -> LayerResponse {
    let response = if requester.wants_page() {
        page::render_wrong_method(home, language)
    } else {
        with_type(PROBLEM, problem::render_wrong_method(allow, language))
    };
    with_allow(response, allow)
}

/// Answers a browser that navigates to the logout path: a page with a button that posts to
/// `action`.
pub(crate) fn logout_page(action: &str, home: &str, language: Language) -> LayerResponse {
    with_allow(page::render_logout(action, home, language), "POST")
}

/// Answers the popup of a login that succeeded. Its button leads to `url`.
pub(crate) fn popup_page(url: &str, language: Language) -> LayerResponse {
    page::render_popup(url, language)
}

fn with_allow(mut response: LayerResponse, allow: &'static str) -> LayerResponse {
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let allow = HeaderValue::from_static(allow);
    response.headers_mut().insert(header::ALLOW, allow);
    response
}
