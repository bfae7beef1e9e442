//! A request on its way through the app, and what the layer adds to the response.

use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, HeaderValue, Response, StatusCode, header, uri::PathAndQuery};

use super::{failure::show_failure, user::set_user};
use crate::clock::unix_millis;
use crate::error::{LoginError, LoginErrorKind};
use crate::hooks::failure_page::Retry;
use crate::language::Language;
use crate::login::QqLogin;
use crate::login_required::LoginRequired;
use crate::request::head::RequestHead;
use crate::request::origin::path_on_site;
use crate::request::requester::{Requester, RequesterKind, preferred_language};
use crate::respond::headers::forbid_caching;
use crate::respond::response::{LayerResponse, see_other, with_cookies};
use crate::session::Session;
use crate::session::current::CurrentSession;
use crate::session::sessions::TooLarge;
use crate::site::Site;
use crate::tokens::QqTokens;

/// The facts of a request that the layer keeps while the app handles it.
pub(crate) struct RequestContext {
    site: Arc<Site>,
    current: CurrentSession,
    requester: Requester,
    return_page: ReturnPage,
    language: Language,
    login: Option<Box<CompletedLogin>>,
}

/// A login whose callback the app answers.
pub(super) struct CompletedLogin {
    pub(super) login: QqLogin,
    /// The cookie of the new session, unless the app keeps the sessions.
    pub(super) session: Option<HeaderValue>,
    /// The cookie that removes the login cookie.
    pub(super) removal: Option<HeaderValue>,
}

/// The page to which a login would lead back.
enum ReturnPage {
    Home,
    Requested(PathAndQuery),
    Referer(HeaderValue),
}

impl RequestContext {
    /// `is_valid` is `false` if the session cannot be confirmed, at least not yet.
    pub(super) fn new(
        site: Arc<Site>,
        head: RequestHead<'_>,
        mut requester: Requester,
        is_valid: bool,
    ) -> Self {
        let page = head.uri.path_and_query();
        if requester.kind == RequesterKind::Page && page.is_none() {
            // A target in authority form is no page to come back to.
            requester.kind = RequesterKind::Form;
        }
        let return_page = match requester.kind {
            RequesterKind::Page | RequesterKind::Frame => page.cloned().map(ReturnPage::Requested),
            RequesterKind::Form => {
                let referer = head.headers.get(header::REFERER).cloned();
                referer.map(ReturnPage::Referer)
            }
            RequesterKind::Program => None,
        };
        // Only these requests can get a page of the layer.
        let needs_language = requester.kind == RequesterKind::Form || !is_valid;
        let language = match needs_language {
            true => preferred_language(head.headers),
            false => Language::default(),
        };
        Self {
            site,
            current: CurrentSession::None,
            requester,
            return_page: return_page.unwrap_or(ReturnPage::Home),
            language,
            login: None,
        }
    }

    /// Creates the context of a callback whose login succeeded.
    pub(super) fn for_callback(
        site: Arc<Site>,
        requester: Requester,
        login: CompletedLogin,
    ) -> Self {
        Self {
            site,
            current: CurrentSession::None,
            requester,
            return_page: ReturnPage::Home,
            language: Language::default(),
            login: Some(Box::new(login)),
        }
    }

    pub(super) fn with_session(self, current: CurrentSession) -> Self {
        Self { current, ..self }
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// Puts the signed-in user into the extensions of the request.
    pub(crate) fn insert_user(&self, extensions: &mut Extensions) {
        set_user(extensions, &self.current);
        let session = self.current.valid();
        let now = || unix_millis(self.site.now());
        if let Some(tokens) = session.and_then(|session| session.tokens(now)) {
            extensions.insert(tokens);
        }
        if let Some(CompletedLogin { login, .. }) = self.login.as_deref() {
            extensions.insert(login.user().clone());
            extensions.insert(login.clone());
            if self.site.sessions.settings().keep_tokens {
                extensions.insert(login.tokens().clone());
            }
        }
    }

    /// Adds the layer's cookies to the app's response, or returns another response in its place.
    pub(crate) fn finish<B>(&mut self, response: &mut Response<B>) -> Option<LayerResponse> {
        let login = self.login.take();
        let extensions = response.extensions_mut();
        if extensions.remove::<LoginRequired>().is_some() {
            let removal = login.and_then(|login| login.removal);
            return Some(with_cookies(self.require_login(), removal));
        }
        // The next HTTP request renews the session.
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return None;
        }
        if let Some(login) = login {
            let CompletedLogin {
                login,
                session,
                removal,
            } = *login;
            // With an error the app has refused the login.
            let status = response.status();
            let is_refused = status.is_client_error() || status.is_server_error();
            let session = session.filter(|_| !is_refused);
            let refreshed = self.take_refreshed_tokens(response.extensions_mut());
            set_cookie(response, removal);
            set_cookie(
                response,
                self.refresh_new_session(session, &login, refreshed),
            );
        } else if let Some(session) = self.current.valid() {
            let refreshed = self.take_refreshed_tokens(response.extensions_mut());
            set_cookie(response, self.update_session(session, refreshed));
        }
        None
    }

    /// Returns the cookie of the new session, with refreshed tokens if the app sent any.
    fn refresh_new_session(
        &self,
        session: Option<HeaderValue>,
        login: &QqLogin,
        refreshed: Option<QqTokens>,
    ) -> Option<HeaderValue> {
        let session = session?;
        let sessions = &self.site.sessions;
        let refreshed = refreshed.and_then(|tokens| {
            let user = login.user().clone();
            log_too_large(sessions.start(user, Some(&tokens), self.site.now()))
        });
        Some(refreshed.unwrap_or(session))
    }

    /// Returns the session cookie with refreshed tokens, or renewed, if either is due.
    fn update_session(
        &self,
        session: &Session,
        refreshed: Option<QqTokens>,
    ) -> Option<HeaderValue> {
        let site = &self.site;
        match refreshed {
            Some(tokens) => {
                log_too_large(site.sessions.replace_tokens(session, &tokens, site.now()))
            }
            None => site.sessions.renew(session, || site.now()),
        }
    }

    fn take_refreshed_tokens(&self, response: &mut Extensions) -> Option<QqTokens> {
        let tokens = response.remove::<QqTokens>();
        tokens.filter(|_| self.site.sessions.settings().keep_tokens)
    }

    /// Replaces the response of an app that requires a signed-in user.
    fn require_login(&self) -> LayerResponse {
        if self.current.is_unverified() {
            return self.report_unverified();
        }
        let (language, url) = match self.requester.kind {
            RequesterKind::Page => return see_other(&self.login_url()),
            RequesterKind::Form | RequesterKind::Frame => (self.language, self.login_url()),
            RequesterKind::Program => (Language::English, self.site.paths.login.clone()),
        };
        let kind = LoginErrorKind::LoginRequired;
        let error = LoginError::new(kind, "the request needs a signed-in user");
        let retry = Retry::Login(&url);
        let mut response = show_failure(&self.site, self.requester, language, &error, retry);
        let challenge = format!("QQ login_url=\"{url}\"");
        // Paths are checked when they are set, so this does not fail; a login works without it.
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }

    fn report_unverified(&self) -> LayerResponse {
        let page = match &self.return_page {
            ReturnPage::Requested(page) => self.site.return_to(page.as_str()),
            ReturnPage::Referer(_) | ReturnPage::Home => self.site.return_to("/"),
        };
        let kind = LoginErrorKind::SessionUnverified;
        let error = LoginError::new(kind, "the revocation list is unavailable")
            .with_retry_after(Duration::from_secs(1));
        let page = page.to_location();
        let retry = Retry::Page(&page);
        show_failure(&self.site, self.requester, self.language, &error, retry)
    }

    /// Returns the URL of a login that leads back to the page.
    fn login_url(&self) -> String {
        let page = match &self.return_page {
            ReturnPage::Home => None,
            ReturnPage::Requested(page) => Some(page.as_str()),
            ReturnPage::Referer(referer) => path_on_site(referer, self.site.origin()),
        };
        let return_to = self.site.return_to(page.unwrap_or("/"));
        self.site.login_url(&return_to)
    }
}

fn log_too_large(cookie: Result<HeaderValue, TooLarge>) -> Option<HeaderValue> {
    let log = |error: &TooLarge| tracing::error!("refreshed tokens are not kept: {error}");
    cookie.inspect_err(log).ok()
}

fn set_cookie<B>(response: &mut Response<B>, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
        forbid_caching(response.headers_mut());
    }
}
