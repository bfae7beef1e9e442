//! A request on its way through the app, and what the layer adds to the response.

use std::{sync::Arc, time::Duration};

use http::{Extensions, HeaderValue, Response, StatusCode, header, uri::PathAndQuery};

use super::user::set_user;
use crate::clock::unix_millis;
use crate::error::LoginError;
use crate::error::LoginErrorKind::{LoginRequired, SessionUnverified};
use crate::hooks::failure_page::{Failure, Retry};
use crate::language::Language;
use crate::login::QqLogin;
use crate::login_required;
use crate::request::head::RequestHead;
use crate::request::origin::path_on_site;
use crate::request::requester::{Client, Requester, language};
use crate::respond::failure;
use crate::respond::headers::forbid_caching;
use crate::respond::response::{OwnResponse, see_other, with_cookie};
use crate::return_to::ReturnTo;
use crate::session::current::CurrentSession;
use crate::session::sessions::TooLarge;
use crate::site::Site;
use crate::tokens::QqTokens;

/// The facts of a request that the layer keeps while the app handles it.
pub(crate) struct RequestContext {
    site: Arc<Site>,
    current: CurrentSession,
    client: Client,
    return_page: ReturnPage,
    /// Known only if a page may need it: for a form, or a session that cannot be checked.
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
    pub(super) fn new(site: Arc<Site>, head: RequestHead<'_>, client: Client) -> Self {
        let page = || head.uri.path_and_query().cloned();
        let return_page = match client.requester {
            Requester::Page => page().map(ReturnPage::Requested),
            Requester::Form => {
                let referer = head.headers.get(header::REFERER).cloned();
                referer.map(ReturnPage::Referer)
            }
            Requester::Program => None,
        };
        let language = match client.requester {
            Requester::Form => language(head.headers),
            Requester::Page | Requester::Program => Language::default(),
        };
        Self {
            site,
            current: CurrentSession::none(),
            client,
            return_page: return_page.unwrap_or(ReturnPage::Home),
            language,
            login: None,
        }
    }

    /// The callback of a login that succeeded.
    pub(super) fn of_callback(site: Arc<Site>, client: Client, login: CompletedLogin) -> Self {
        Self {
            site,
            current: CurrentSession::none(),
            client,
            return_page: ReturnPage::Home,
            language: Language::default(),
            login: Some(Box::new(login)),
        }
    }

    pub(super) fn with_session(self, current: CurrentSession) -> Self {
        Self { current, ..self }
    }

    pub(super) fn with_language(self, language: Language) -> Self {
        Self { language, ..self }
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// Puts the signed-in user into the extensions of the request.
    pub(crate) fn insert_user(&self, extensions: &mut Extensions) {
        set_user(extensions, &self.current);
        if let Some(session) = self.current.valid() {
            if let Some(tokens) = session.tokens(|| unix_millis(self.site.now())) {
                extensions.insert(tokens);
            }
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
    pub(crate) fn finish<B>(&mut self, response: &mut Response<B>) -> Option<OwnResponse> {
        let login = self.login.take();
        let extensions = response.extensions_mut();
        if extensions
            .remove::<login_required::LoginRequired>()
            .is_some()
        {
            let removal = login.and_then(|login| login.removal);
            let response = self.require_login();
            return Some(removal.into_iter().fold(response, with_cookie));
        }
        // The next HTTP request renews the session.
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return None;
        }
        if let Some(login) = login {
            // With an error the app has refused the login.
            let status = response.status();
            let is_error = status.is_client_error() || status.is_server_error();
            let session = self.new_session(&login, response.extensions_mut());
            if let Some(removal) = login.removal {
                set_cookie(response, removal);
            }
            if let Some(session) = session.filter(|_| !is_error) {
                set_cookie(response, session);
            }
        } else if let Some(cookie) = self.updated_session(response.extensions_mut()) {
            set_cookie(response, cookie);
        }
        None
    }

    /// Returns the cookie of the new session, with the app's tokens if it has exchanged them.
    fn new_session(
        &self,
        login: &CompletedLogin,
        response: &mut Extensions,
    ) -> Option<HeaderValue> {
        let session = login.session.clone()?;
        let sessions = &self.site.sessions;
        let exchanged = self.exchanged_tokens(response).and_then(|tokens| {
            let user = login.login.user().clone();
            log_too_large(sessions.start(user, Some(&tokens), self.site.now()))
        });
        Some(exchanged.unwrap_or(session))
    }

    /// Returns the session cookie with new tokens, or renewed, if either is due.
    fn updated_session(&self, response: &mut Extensions) -> Option<HeaderValue> {
        let (site, session) = (&self.site, self.current.valid()?);
        match self.exchanged_tokens(response) {
            Some(tokens) => {
                log_too_large(site.sessions.replace_tokens(session, &tokens, site.now()))
            }
            None => site.sessions.renew(session, || site.now()),
        }
    }

    fn exchanged_tokens(&self, response: &mut Extensions) -> Option<QqTokens> {
        let tokens = response.remove::<QqTokens>();
        tokens.filter(|_| self.site.sessions.settings().keep_tokens)
    }

    /// Answers instead of an app that requires a signed-in user.
    fn require_login(&self) -> OwnResponse {
        if self.current.is_unverified() {
            return self.report_unverified();
        }
        let site = &self.site;
        let (language, url) = match self.client.requester {
            Requester::Page => return see_other(&self.login_url()),
            Requester::Form => (self.language, self.login_url()),
            Requester::Program => (Language::English, site.paths.login.clone()),
        };
        let error = LoginError::new(LoginRequired, "the request needs a signed-in user");
        let mut response = self.show(&error, language, Retry::Login(&url));
        let challenge = format!("QQ login_url=\"{url}\"");
        // Paths are checked when they are set, so this does not fail; a login works without it.
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }

    fn report_unverified(&self) -> OwnResponse {
        let page = match &self.return_page {
            ReturnPage::Requested(page) => ReturnTo::new(page.as_str(), &self.site.paths),
            ReturnPage::Referer(_) | ReturnPage::Home => None,
        };
        let page = page.unwrap_or_else(ReturnTo::home).to_string();
        let error = LoginError::new(SessionUnverified, "the revocation list is unavailable")
            .with_retry_after(Duration::from_secs(1));
        self.show(&error, self.language, Retry::Page(&page))
    }

    fn show(&self, error: &LoginError, language: Language, retry: Retry<'_>) -> OwnResponse {
        let shown = Failure {
            error,
            language,
            sends_cookies: self.client.sends_cookies,
            retry,
        };
        let app_page = self.site.failure_page.as_ref();
        failure(&shown, self.client.requester, app_page)
    }

    fn login_url(&self) -> String {
        let page = match &self.return_page {
            ReturnPage::Home => None,
            ReturnPage::Requested(page) => Some(page.as_str()),
            ReturnPage::Referer(referer) => path_on_site(referer, self.site.origin()),
        };
        self.site.login_url_for(page.unwrap_or("/"))
    }
}

fn log_too_large(cookie: Result<HeaderValue, TooLarge>) -> Option<HeaderValue> {
    let log = |TooLarge(size): &TooLarge| {
        tracing::error!("new tokens are not kept: the cookie would have {size} bytes");
    };
    cookie.inspect_err(log).ok()
}

fn set_cookie<B>(response: &mut Response<B>, cookie: HeaderValue) {
    response.headers_mut().append(header::SET_COOKIE, cookie);
    forbid_caching(response.headers_mut());
}
