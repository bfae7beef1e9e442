//! The app's response on its way out.
//!
//! 1. A [`LoginRequired`] is replaced: see `require_login`.
//! 2. What the app does to the session wins over the layer, by the rules of the module `session`.
//! 3. A session is renewed only if the revocation list has just confirmed it, only by a navigation
//!    or a `fetch`, never on an error, and never on a response that a shared cache may store.
//! 4. A response for a signed-in user that says nothing about caching becomes `private`.

use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderValue, Response, StatusCode, header};
use tokio::task::JoinHandle;

use super::context::{CompletedLogin, RequestContext};
use crate::events::{log_logout, log_session_not_set};
use crate::login_required::LoginRequired;
use crate::qq_session::QqSession;
use crate::request::requester::Purpose;
use crate::respond::caching::{forbid_caching, may_be_cached, names_caching};
use crate::respond::response::LayerResponse;
use crate::session::Session;
use crate::sign_out::SignOut;
use crate::tokens::QqTokens;

/// The outcome of an app's response.
#[derive(Default)]
pub(crate) struct Finished {
    /// Sent in place of the app's response.
    pub(crate) replacement: Option<LayerResponse>,
    /// A session that ends. The response waits for it.
    pub(crate) ending: Option<JoinHandle<()>>,
}

/// The changes of the session that a response asks for.
struct Changes {
    requires_login: bool,
    signs_out: bool,
    session: Option<QqSession>,
    tokens: Option<QqTokens>,
}

impl Changes {
    fn take(extensions: &mut Extensions) -> Self {
        Self {
            requires_login: extensions.remove::<LoginRequired>().is_some(),
            signs_out: extensions.remove::<SignOut>().is_some(),
            session: extensions.remove(),
            tokens: extensions.remove(),
        }
    }
}

impl RequestContext {
    /// Adds the layer's cookies to the app's response, or returns another response in its place.
    pub(crate) fn finish<B>(&mut self, response: &mut Response<B>) -> Finished {
        if self.login.is_none() && response.extensions().is_empty() {
            // Most responses end here.
            match self.current.valid() {
                None => return Finished::default(),
                Some(session) if !session.is_stale() => {
                    self.restrict_caching(response);
                    return Finished::default();
                }
                Some(_) => {}
            }
        }
        let mut changes = Changes::take(response.extensions_mut());
        let login = self.login.take();
        let is_callback = login.is_some();
        let seen = match &login {
            Some(login) => login.session.clone(),
            None => self.current.valid().cloned(),
        };
        let removal = login.and_then(|login| login.answer());
        let (cookie, ending) = self.apply(&mut changes, seen.as_ref(), is_callback, response);
        let mut replacement = None;
        let headers = if changes.requires_login {
            let replacement = replacement.insert(self.require_login(response.headers()));
            replacement.headers_mut()
        } else {
            response.headers_mut()
        };
        if is_callback {
            // The URL of the callback contains the code.
            let no_referrer = HeaderValue::from_static("no-referrer");
            headers
                .entry(header::REFERRER_POLICY)
                .or_insert(no_referrer);
        }
        if is_callback || cookie.is_some() {
            forbid_caching(headers);
        }
        for cookie in removal.into_iter().chain(cookie) {
            headers.append(header::SET_COOKIE, cookie);
        }
        if seen.is_some() && replacement.is_none() {
            self.restrict_caching(response);
        }
        Finished {
            replacement,
            ending,
        }
    }

    /// Returns the session cookie of this response, and the task that ends a session.
    fn apply<B>(
        &self,
        changes: &mut Changes,
        seen: Option<&Arc<Session>>,
        is_callback: bool,
        response: &Response<B>,
    ) -> (Option<HeaderValue>, Option<JoinHandle<()>>) {
        let site = &self.site;
        let end = |session: &Arc<Session>| site.spawn_end(Arc::clone(session));
        if changes.signs_out && site.keeps_sessions {
            log_logout(&site.log_limit);
            let ending = seen.or(self.current.unrevoked()).map(end);
            return (Some(site.sessions.remove()), ending);
        }
        if self.is_session_set_by_app(response) {
            return (None, None);
        }
        let given = changes.session.take();
        let given = given.and_then(|given| self.accept(given, seen, is_callback));
        // The browser drops the cookie of the session that a new one replaces.
        let is_new = given.as_ref().is_some_and(QqSession::is_new);
        let ending = self.current.unrevoked().filter(|_| is_new).map(end);
        let given = given.map(QqSession::into_session);
        let cookie = self.next_cookie(given, changes, seen, is_callback, response);
        (cookie, ending)
    }

    /// Returns the session that the app gave, unless a rule forbids it.
    fn accept(
        &self,
        given: QqSession,
        seen: Option<&Arc<Session>>,
        is_callback: bool,
    ) -> Option<QqSession> {
        let may_change_user = is_callback || self.requester.initiator.may_change_user();
        let accepted = given.accept(&self.site, seen, may_change_user);
        accepted
            .inspect_err(|reason| {
                // Only another site can be the cause again and again.
                let limit = (!may_change_user).then_some(&self.site.log_limit);
                log_session_not_set(reason, limit);
            })
            .ok()
    }

    /// Returns the session cookie of this response, if it sets one.
    fn next_cookie<B>(
        &self,
        given: Option<Arc<Session>>,
        changes: &Changes,
        seen: Option<&Arc<Session>>,
        is_callback: bool,
        response: &Response<B>,
    ) -> Option<HeaderValue> {
        let sessions = &self.site.sessions;
        let tokens = changes.tokens.as_ref();
        let tokens = tokens.filter(|_| sessions.settings().keep_tokens);
        let is_new = given.is_some() || is_callback;
        let session = match given {
            Some(given) => given,
            None if changes.requires_login => return None,
            None if is_callback => Arc::clone(seen.filter(|_| is_good(response.status()))?),
            None if tokens.is_some() => Arc::clone(seen?),
            None => Arc::clone(seen.filter(|session| self.is_renewal_due(session, response))?),
        };
        let (mut session, now) = (Session::clone(&session), self.site.now());
        if self.current.is_confirmed() {
            session.renew(now);
        }
        if let Some(tokens) = tokens {
            let mut session = session.clone();
            let fits = session.check_tokens(tokens);
            session.set_tokens(tokens, now);
            match fits.and_then(|()| sessions.write(&session)) {
                Ok(cookie) => return Some(cookie),
                Err(error) => tracing::error!("refreshed tokens are not kept: {error}"),
            }
            if !is_new {
                return None;
            }
        }
        let log = |error: &_| tracing::error!("the session is not kept: {error}");
        sessions.write(&session).inspect_err(log).ok()
    }

    /// Keeps the page of a signed-in user out of shared caches if it says nothing about them.
    fn restrict_caching<B>(&self, response: &mut Response<B>) {
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

    /// Returns whether the renewal is due and this response may carry it.
    fn is_renewal_due<B>(&self, session: &Session, response: &Response<B>) -> bool {
        let headers = response.headers();
        let may_renew = match self.requester.purpose {
            Purpose::Navigate | Purpose::Fetch => true,
            Purpose::Prefetch | Purpose::Subresource => false,
            Purpose::Unknown => is_page_or_json(headers),
        };
        let is_due = session.is_stale() && self.current.is_confirmed();
        is_due
            && may_renew
            && is_good(response.status())
            && !may_be_cached(headers, self.site.now())
            // It may have ended while the app answered.
            && self.site.revocations.is_known_valid(session)
    }
}

impl CompletedLogin {
    /// Hands the login to no other handler, and returns the cookie that removes the login cookie.
    fn answer(self) -> Option<HeaderValue> {
        self.turn.mark_answered();
        self.removal
    }
}

fn is_good(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection()
}

fn is_page_or_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let essence = content_type.and_then(|value| value.split(|&byte| byte == b';').next());
    let essence = essence.unwrap_or_default().trim_ascii();
    let is = |name: &[u8]| essence.eq_ignore_ascii_case(name);
    is(b"text/html") || is(b"application/json") || essence.ends_with(b"+json")
}
