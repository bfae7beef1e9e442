//! The answer in place of an app that requires a signed-in user: a redirect to the login, a page or
//! JSON.

use http::{HeaderMap, header};

use super::{context::RequestContext, failure::show_failure};
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind;
use crate::hooks::failure_page::Retry;
use crate::request::requester::{Purpose, RequesterKind};
use crate::respond::response::{LayerResponse, see_other, with_htmx_redirect};
use crate::site::Site;

impl RequestContext {
    /// Answers in place of an app that requires a signed-in user. The app's own cookies, `Vary` and
    /// the headers of CORS stay.
    pub(super) fn require_login(&self, app_headers: &HeaderMap) -> LayerResponse {
        let mut response = self.ask_for_login();
        keep_app_headers(&self.site, app_headers, response.headers_mut());
        response
    }

    fn ask_for_login(&self) -> LayerResponse {
        if self.requester.purpose == Purpose::Prefetch {
            let error = LoginError::prefetch();
            let page = self.requested_page().to_location();
            return self.show(&error, Retry::Page(&page));
        }
        if self.current.is_unverified() {
            let error = LoginError::unverified();
            let page = self.requested_page().to_location();
            return self.show(&error, Retry::Page(&page));
        }
        let url = match self.requester.kind {
            RequesterKind::Page => return see_other(&self.login_url()),
            RequesterKind::Form | RequesterKind::Frame => self.login_url(),
            // The program adds a `return_to`.
            RequesterKind::Htmx | RequesterKind::Program => self.site.paths.public_login(),
        };
        let kind = LoginErrorKind::LoginRequired;
        let error = LoginError::new(kind, "the request needs a signed-in user");
        let response = self.show(&error, Retry::Login(&url));
        if self.requester.kind == RequesterKind::Htmx {
            let url = self.login_url();
            let url = self.site.url_for(self.requester.initiator, &url);
            return with_htmx_redirect(response, &url);
        }
        response
    }

    fn show(&self, error: &LoginError, retry: Retry<'_>) -> LayerResponse {
        let language = self.language.get();
        show_failure(&self.site, self.requester, language, error, retry)
    }
}

/// Copies the headers of the app that its clients need on the layer's response as well.
fn keep_app_headers(site: &Site, from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        let is_kept = match name {
            &header::SET_COOKIE => !site.is_layer_cookie(value),
            &header::VARY => true,
            name => name.as_str().starts_with("access-control-"),
        };
        if is_kept {
            to.append(name, value.clone());
        }
    }
}
