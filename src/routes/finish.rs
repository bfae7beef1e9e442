//! The app's response on its way out.
//!
//! 1. A [`LoginRequired`] becomes a redirect to the login, a page or JSON. The app's own cookies,
//!    `Vary` and the headers of CORS stay.
//! 2. What the app does to the session cookie wins over the layer.
//! 3. A session is renewed only by a navigation or a `fetch`, never on an error, and never on a
//!    response that a shared cache may store.
//! 4. A response for a signed-in user that says nothing about caching becomes `private`.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{
    context::{CompletedLogin, RequestContext},
    failure::show_failure,
};
use crate::error::{LoginError, LoginErrorKind};
use crate::hooks::failure_page::Retry;
use crate::language::Language;
use crate::login_required::LoginRequired;
use crate::request::requester::{Purpose, RequesterKind};
use crate::respond::headers::{forbid_caching, may_be_cached, names_caching};
use crate::respond::response::{LayerResponse, see_other, with_cookies};
use crate::session::Session;
use crate::session::sessions::TooLarge;
use crate::site::Site;
use crate::tokens::QqTokens;

impl RequestContext {
    /// Adds the layer's cookies to the app's response, or returns another response in its place.
    pub(crate) fn finish<B>(&mut self, response: &mut Response<B>) -> Option<LayerResponse> {
        let login = self.login.take();
        if response
            .extensions_mut()
            .remove::<LoginRequired>()
            .is_some()
        {
            let removal = login.and_then(|login| login.answer());
            let mut replacement = with_cookies(self.require_login(), removal);
            keep_app_headers(&self.site, response.headers(), replacement.headers_mut());
            return Some(replacement);
        }
        let tokens = response.extensions_mut().remove::<QqTokens>();
        let tokens = tokens.filter(|_| self.site.sessions.settings().keep_tokens);
        if let Some(login) = login {
            self.finish_callback(*login, tokens, response);
        } else if let Some(session) = self.current.valid() {
            self.finish_signed_in(session, tokens, response);
        }
        None
    }

    /// Signs in the browser whose callback the app has answered, unless with an error.
    fn finish_callback<B>(
        &self,
        mut login: CompletedLogin,
        tokens: Option<QqTokens>,
        response: &mut Response<B>,
    ) {
        let session = login.session.take();
        let removal = login.answer();
        let status = response.status();
        let is_signed_in = status.is_success() || status.is_redirection();
        let session = session.filter(|_| is_signed_in && !self.is_session_set_by_app(response));
        let cookie = session.and_then(|session| self.write_new_session(session, tokens));
        let headers = response.headers_mut();
        // The URL of the callback contains the code.
        headers
            .entry(header::REFERRER_POLICY)
            .or_insert(HeaderValue::from_static("no-referrer"));
        forbid_caching(headers);
        for cookie in removal.into_iter().chain(cookie) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }

    fn finish_signed_in<B>(
        &self,
        session: &Session,
        tokens: Option<QqTokens>,
        response: &mut Response<B>,
    ) {
        if !self.is_session_set_by_app(response) {
            let cookie = match tokens {
                Some(tokens) => self.write_tokens(session, &tokens),
                None => self.renew(session, response),
            };
            if let Some(cookie) = cookie {
                response.headers_mut().append(header::SET_COOKIE, cookie);
                forbid_caching(response.headers_mut());
            }
        }
        let is_personal = match self.requester.purpose {
            Purpose::Navigate | Purpose::Fetch | Purpose::Prefetch => true,
            Purpose::Subresource => false,
            Purpose::Unknown => is_page_or_json(response.headers()),
        };
        let is_switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if is_personal && !is_switching && !names_caching(response.headers()) {
            let private = HeaderValue::from_static("private");
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, private);
        }
    }

    fn is_session_set_by_app<B>(&self, response: &Response<B>) -> bool {
        let mut cookies = response.headers().get_all(header::SET_COOKIE).iter();
        cookies.any(|cookie| self.site.sessions.is_set_by(cookie))
    }

    /// Returns the renewed session cookie if it is due and this response may carry it.
    fn renew<B>(&self, session: &Session, response: &Response<B>) -> Option<HeaderValue> {
        let (status, headers) = (response.status(), response.headers());
        let may_renew = match self.requester.purpose {
            Purpose::Navigate | Purpose::Fetch => true,
            Purpose::Prefetch | Purpose::Subresource => false,
            Purpose::Unknown => is_page_or_json(headers),
        };
        let is_good = status.is_success() || status.is_redirection();
        let site = &self.site;
        if !session.is_stale() || !may_renew || !is_good || may_be_cached(headers, site.now()) {
            return None;
        }
        site.sessions.renew(session, || site.now())
    }

    /// Returns the cookie of a new session, with refreshed tokens if the app sent any.
    fn write_new_session(&self, session: Session, tokens: Option<QqTokens>) -> Option<HeaderValue> {
        let with_tokens = tokens.and_then(|tokens| self.write_tokens(&session, &tokens));
        // The login has shown that the session fits into its cookie.
        with_tokens.or_else(|| self.site.sessions.write(session).ok())
    }

    fn write_tokens(&self, session: &Session, tokens: &QqTokens) -> Option<HeaderValue> {
        let site = &self.site;
        let cookie = site.sessions.replace_tokens(session, tokens, site.now());
        let log = |error: &TooLarge| tracing::error!("refreshed tokens are not kept: {error}");
        cookie.inspect_err(log).ok()
    }

    /// Answers in place of an app that requires a signed-in user.
    fn require_login(&self) -> LayerResponse {
        if self.requester.purpose == Purpose::Prefetch {
            let error = LoginError::prefetch();
            let page = self.requested_page().to_location();
            return self.show(self.language, &error, Retry::Page(&page));
        }
        if self.current.is_unverified() {
            let error = LoginError::unverified();
            let page = self.requested_page().to_location();
            return self.show(self.language, &error, Retry::Page(&page));
        }
        let (language, url) = match self.requester.kind {
            RequesterKind::Page => return see_other(&self.login_url()),
            RequesterKind::Form | RequesterKind::Frame => (self.language, self.login_url()),
            RequesterKind::Program => (Language::English, self.site.paths.login.clone()),
        };
        let kind = LoginErrorKind::LoginRequired;
        let error = LoginError::new(kind, "the request needs a signed-in user");
        self.show(language, &error, Retry::Login(&url))
    }

    fn show(&self, language: Language, error: &LoginError, retry: Retry<'_>) -> LayerResponse {
        show_failure(&self.site, self.requester, language, error, retry)
    }
}

impl CompletedLogin {
    /// Hands the login to no other handler, and returns the cookie that removes the login cookie.
    fn answer(self) -> Option<HeaderValue> {
        self.turn.mark_answered();
        self.removal
    }
}

/// Copies the headers of the app that its clients need on the layer's response as well.
fn keep_app_headers(site: &Site, from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        let is_kept = match name {
            &header::SET_COOKIE => !site.is_own_cookie(value),
            &header::VARY => true,
            name => name.as_str().starts_with("access-control-"),
        };
        if is_kept {
            to.append(name, value.clone());
        }
    }
}

fn is_page_or_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let essence = content_type.and_then(|value| value.split(|&byte| byte == b';').next());
    let essence = essence.unwrap_or_default().trim_ascii();
    let is = |name: &[u8]| essence.eq_ignore_ascii_case(name);
    is(b"text/html") || is(b"application/json") || essence.ends_with(b"+json")
}
