//! Reporting a failed login to the client and, under the same support code, to the operator.

use super::events::{LoginTimer, login_failed};
use crate::error::LoginError;
use crate::hooks::failure_page::{Failure, Retry};
use crate::language::Language;
use crate::random::random_bytes;
use crate::request::head::RequestHead;
use crate::request::requester::{Client, language};
use crate::respond::failure;
use crate::respond::response::OwnResponse;
use crate::site::Site;

/// The client of a request to one of the layer's own paths.
#[derive(Clone, Copy)]
pub(super) struct Reporter {
    pub(super) client: Client,
    pub(super) language: Language,
    pub(super) timer: LoginTimer,
}

impl Reporter {
    pub(super) fn new(head: RequestHead<'_>, client: Client) -> Self {
        Self {
            client,
            language: language(head.headers),
            timer: LoginTimer::start(),
        }
    }

    /// Answers a failed login. The response carries the error in its extensions.
    pub(super) fn report(&self, site: &Site, error: LoginError, retry: Retry<'_>) -> OwnResponse {
        let error = error.with_support_code(support_code());
        login_failed(&error, &self.timer);
        let mut response = self.show(site, &error, retry);
        response.extensions_mut().insert(error);
        response
    }

    /// Answers with a failure that is not the end of a login.
    pub(super) fn show(&self, site: &Site, error: &LoginError, retry: Retry<'_>) -> OwnResponse {
        let shown = Failure {
            error,
            language: self.language,
            sends_cookies: self.client.sends_cookies,
            retry,
        };
        failure(&shown, self.client.requester, site.failure_page.as_ref())
    }
}

/// Returns eight characters that are easy to read out (Crockford's base 32).
fn support_code() -> String {
    let digit = |byte: &u8| char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[usize::from(byte % 32)]);
    random_bytes::<8>().iter().map(digit).collect()
}
