//! The facts of a request that the layer keeps while the app handles it.

use std::sync::Arc;

use http::{Extensions, HeaderName, HeaderValue, header, uri::PathAndQuery};

use super::{failure::Reporter, user::set_user};
use crate::login::QqLogin;
use crate::login_state::pending::PendingLogin;
use crate::logins::outcome::HandlerTurn;
use crate::qq_session::QqSession;
use crate::request::head::RequestHead;
use crate::request::requester::{ClientLanguage, Purpose, Requester, RequesterKind};
use crate::return_to::ReturnTo;
use crate::session::Session;
use crate::session::current::CurrentSession;
use crate::site::Site;

const HX_CURRENT_URL: HeaderName = HeaderName::from_static("hx-current-url");

/// The facts of a request that the layer keeps while the app handles it.
pub(crate) struct RequestContext {
    pub(super) site: Arc<Site>,
    pub(super) current: CurrentSession,
    pub(super) requester: Requester,
    pub(super) return_page: ReturnPage,
    pub(super) language: ClientLanguage,
    pub(super) login: Option<Box<CompletedLogin>>,
}

/// A login whose callback the app answers.
pub(super) struct CompletedLogin {
    pub(super) login: QqLogin,
    /// The new session, unless the app keeps the sessions.
    pub(super) session: Option<Arc<Session>>,
    /// The cookie that removes the login cookie.
    pub(super) removal: Option<HeaderValue>,
    pub(super) turn: HandlerTurn,
}

/// The page to which a login would lead back.
pub(super) enum ReturnPage {
    Home,
    Requested(PathAndQuery),
    /// The URL in `Referer` (a form) or `HX-Current-URL` (htmx).
    Url(HeaderValue),
}

impl RequestContext {
    /// Without `current`, the revocation list has yet to confirm the session.
    pub(super) fn new(
        site: Arc<Site>,
        head: RequestHead<'_>,
        mut requester: Requester,
        current: Option<CurrentSession>,
    ) -> Self {
        let page = head.uri.path_and_query();
        if requester.kind == RequesterKind::Page && page.is_none() {
            // A target in authority form is not a page to return to.
            requester.kind = RequesterKind::Form;
        }
        let is_prefetch = requester.purpose == Purpose::Prefetch;
        let return_page = match requester.kind {
            RequesterKind::Page | RequesterKind::Frame => page.cloned().map(ReturnPage::Requested),
            RequesterKind::Form => {
                let referer = head.headers.get(header::REFERER).cloned();
                referer.map(ReturnPage::Url)
            }
            RequesterKind::Htmx => {
                let page = head.headers.get(HX_CURRENT_URL).cloned();
                page.map(ReturnPage::Url)
            }
            RequesterKind::Program if is_prefetch => page.cloned().map(ReturnPage::Requested),
            RequesterKind::Program => None,
        };
        // A navigation gets a text only if it is a prefetch or its session is not confirmed.
        let is_confirmed = current.as_ref().is_some_and(|it| !it.is_unverified());
        let language = match requester.kind {
            RequesterKind::Page if is_confirmed && !is_prefetch => ClientLanguage::default(),
            _ => ClientLanguage::of(head.headers),
        };
        Self {
            site,
            current: current.unwrap_or(CurrentSession::NONE),
            requester,
            return_page: return_page.unwrap_or(ReturnPage::Home),
            language,
            login: None,
        }
    }

    /// Creates the context of a callback whose login succeeded.
    pub(super) fn for_callback(site: Arc<Site>, reporter: Reporter, login: CompletedLogin) -> Self {
        Self {
            site,
            current: CurrentSession::NONE,
            requester: reporter.requester,
            return_page: ReturnPage::Home,
            language: ClientLanguage::Known(reporter.language),
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
        set_user(extensions, &self.site, &self.current);
        let session = self.current.valid();
        let now = || self.site.now();
        if let Some(tokens) = session.and_then(|session| session.tokens(now)) {
            extensions.insert(tokens);
        }
        if let Some(CompletedLogin { login, session, .. }) = self.login.as_deref() {
            extensions.insert(login.user().clone());
            if let Some(session) = session {
                extensions.insert(QqSession::of_request(&self.site, session));
            }
            extensions.insert(login.clone());
            if self.site.sessions.settings().keep_tokens {
                extensions.insert(login.tokens().clone());
            }
        }
    }

    /// Returns the requested page, or `/` if the request is for no page.
    pub(super) fn requested_page(&self) -> ReturnTo {
        match &self.return_page {
            ReturnPage::Requested(page) => self.site.requested_page(page),
            ReturnPage::Url(_) | ReturnPage::Home => self.site.home(),
        }
    }

    /// Returns the URL of a login that leads back to the page.
    pub(super) fn login_url(&self) -> String {
        let page = match &self.return_page {
            ReturnPage::Home => self.site.home(),
            ReturnPage::Requested(page) => self.site.requested_page(page),
            ReturnPage::Url(url) => self.site.page_by_url(url),
        };
        self.site.login_url(&PendingLogin::to(page))
    }
}
