//! Reporting a failure: a page for browsers, JSON for programs.

use http::header;

use crate::hooks::failure_page::{Failure, FailurePage};
use crate::request::requester::Requester;

pub(crate) mod headers;
mod page;
mod problem;
pub(crate) mod response;

use self::response::{OwnResponse, with_type};

/// Reports a failure as the client can use it: a page for browsers, in the app's own look if it has
/// one, and JSON for programs.
pub(crate) fn failure(
    failure: &Failure<'_>,
    requester: Requester,
    app_page: Option<&FailurePage>,
) -> OwnResponse {
    let mut response = if requester.wants_page() {
        match app_page.and_then(|page| page.render(failure)) {
            Some(response) => page::from_app(response),
            None => page::default(failure),
        }
    } else {
        with_type("application/problem+json", problem::json(failure))
    };
    *response.status_mut() = failure.status();
    if let Some(after) = failure.error().retry_after() {
        let seconds = after.as_secs().into();
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}
