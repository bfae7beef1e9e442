//! Rendering a failure: a page for browsers, JSON for programs.

use http::header;

use crate::hooks::failure_page::{Failure, FailurePage};
use crate::request::requester::Requester;

pub(crate) mod headers;
mod page;
mod problem;
pub(crate) mod response;

use self::response::{LayerResponse, with_type};

/// Renders a failure: a page for browsers (the app's, if it has one), JSON for programs.
pub(crate) fn render_failure(
    failure: &Failure<'_>,
    requester: Requester,
    app_page: Option<&FailurePage>,
) -> LayerResponse {
    let mut response = if requester.wants_page() {
        match app_page.and_then(|page| page.render(failure)) {
            Some(response) => page::wrap_app_page(response),
            None => page::render_page(failure),
        }
    } else {
        with_type("application/problem+json", problem::render_json(failure))
    };
    *response.status_mut() = failure.status();
    if let Some(after) = failure.error().retry_after() {
        let seconds = after.as_secs().into();
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}
