//! Reporting a failed login: to the client and, under the same support code, to the operator.

use std::time::Instant;

use super::events::log_failure;
use crate::error::LoginError;
use crate::hooks::failure_page::{Failure, Retry};
use crate::language::Language;
use crate::random::random_bytes;
use crate::request::head::RequestHead;
use crate::request::requester::{Requester, preferred_language};
use crate::respond::render_failure;
use crate::respond::response::LayerResponse;
use crate::site::Site;

/// The client of a request to one of the layer's own paths, and the time at which it arrived.
#[derive(Clone, Copy)]
pub(super) struct Reporter {
    pub(super) requester: Requester,
    pub(super) language: Language,
    pub(super) arrived_at: Instant,
}

impl Reporter {
    pub(super) fn new(head: RequestHead<'_>, requester: Requester) -> Self {
        Self {
            requester,
            language: preferred_language(head.headers),
            arrived_at: Instant::now(),
        }
    }

    /// Answers a failed login. The response carries the error in its extensions.
    pub(super) fn report(&self, site: &Site, error: LoginError, retry: Retry<'_>) -> LayerResponse {
        let error = error.with_support_code(generate_support_code());
        log_failure(&error, self.arrived_at.elapsed());
        let mut response = show_failure(site, self.requester, self.language, &error, retry);
        response.extensions_mut().insert(error);
        response
    }
}

/// Answers with a failure that no login caused, or with one that is already logged.
pub(super) fn show_failure(
    site: &Site,
    requester: Requester,
    language: Language,
    error: &LoginError,
    retry: Retry<'_>,
) -> LayerResponse {
    let failure = Failure {
        error,
        language,
        sends_cookies: requester.sends_cookies,
        retry,
    };
    render_failure(&failure, requester, site.failure_page.as_ref())
}

/// Returns eight characters that are easy to read out (Crockford's base 32).
fn generate_support_code() -> String {
    let digit = |byte: &u8| char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[usize::from(byte % 32)]);
    random_bytes::<8>().iter().map(digit).collect()
}
