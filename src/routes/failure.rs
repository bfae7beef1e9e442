//! Reporting a failure: to the client and, under the same support code, to the operator.

use std::time::Instant;

use http::{HeaderValue, header};

use super::popup;
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind;
use crate::events::log_stray;
use crate::hooks::failure_page::{Failure, Retry};
use crate::language::Language;
use crate::login_state::pending::PendingLogin;
use crate::random::generate_support_code;
use crate::request::head::RequestHead;
use crate::request::requester::{Requester, preferred_language};
use crate::respond::render_failure;
use crate::respond::response::{LayerResponse, see_other};
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

    /// Logs a failure and answers with it. A limit holds back its lines: any visitor can cause such
    /// failures, for example by a callback without a login cookie.
    pub(super) fn report(
        &self,
        site: &Site,
        host: Option<&str>,
        error: LoginError,
        login: &PendingLogin,
        retry: Retry<'_>,
    ) -> LayerResponse {
        let error = error.with_support_code(generate_support_code());
        log_stray(&error, self.arrived_at.elapsed(), host, &site.log_limit);
        self.show(site, error, login, retry)
    }

    /// Answers with a failure that is already logged. The response carries the error in its
    /// extensions.
    pub(super) fn show(
        &self,
        site: &Site,
        error: LoginError,
        login: &PendingLogin,
        retry: Retry<'_>,
    ) -> LayerResponse {
        let requester = self.requester;
        let page = match requester.wants_page() {
            true => popup::outcome_url(login, error.kind().code()),
            false => None,
        };
        let mut response = match page {
            Some(page) => see_other(&page),
            None => {
                let home = login.return_to.home_url(&site.paths);
                let mut failure = failure(&error, requester, self.language, retry, &home);
                failure.is_popup = login.is_popup;
                render(site, requester, failure)
            }
        };
        response.extensions_mut().insert(error);
        response
    }
}

/// Renders a failure that belongs to no login under way.
pub(super) fn show_failure(
    site: &Site,
    requester: Requester,
    language: Language,
    error: &LoginError,
    retry: Retry<'_>,
) -> LayerResponse {
    let home = site.paths.home();
    let failure = failure(error, requester, language, retry, &home);
    render(site, requester, failure)
}

fn failure<'a>(
    error: &'a LoginError,
    requester: Requester,
    language: Language,
    retry: Retry<'a>,
    home: &'a str,
) -> Failure<'a> {
    Failure {
        error,
        language,
        sends_cookies: requester.sends_cookies,
        retry,
        home,
        is_popup: false,
    }
}

/// Renders a failure, with a challenge if it asks for a login.
fn render(site: &Site, requester: Requester, failure: Failure<'_>) -> LayerResponse {
    let url;
    let retry = match failure.retry {
        Retry::Login(path) => {
            url = site.url_for(requester.initiator, path);
            Retry::Login(&url)
        }
        Retry::Page(page) => Retry::Page(page),
    };
    let failure = Failure { retry, ..failure };
    let mut response = render_failure(&failure, requester, site.failure_page.as_ref());
    if failure.kind() == LoginErrorKind::LoginRequired {
        let challenge = match failure.login_url() {
            Some(url) => HeaderValue::try_from(format!("QQ login_url=\"{url}\"")),
            None => HeaderValue::try_from("QQ"),
        };
        // Paths are checked when they are set, so this does not fail; a login works without it.
        if let Ok(challenge) = challenge {
            let headers = response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
    response
}
