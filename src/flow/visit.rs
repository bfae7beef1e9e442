//! A request on its way through the app, and what is ours to add to the response.

use std::sync::Arc;

use http::{
    Extensions, HeaderValue, Method, StatusCode, header, request, response, uri::PathAndQuery,
};

use super::{
    Flow, Head,
    messages::Reason,
    origin::local_part,
    page::{Notice, OwnResponse, see_other, uncacheable},
    visitor::{Visitor, wants_page},
};
use crate::{Language, LoginRequired, QqLogin, QqTokens, QqUser, session::Session};

pub(crate) struct Visit {
    flow: Arc<Flow>,
    session: Option<Session>,
    arrival: Arrival,
    completed: Option<Box<Completed>>,
}

/// A login whose callback goes on to the app.
pub(super) struct Completed {
    pub(super) login: QqLogin,
    /// The cookie that begins a session, unless the app keeps its own.
    pub(super) session: Option<HeaderValue>,
    /// The cookie that takes the pending login away.
    pub(super) consumed: HeaderValue,
}

/// How a request came that the app may find to need a login.
enum Arrival {
    /// A browser on its way to this page: it can be sent to the login and come back.
    AtPage(PathAndQuery),
    /// A browser that sends a form from a page it may want to come back to: what it sent would be lost.
    WithForm(Language, Option<HeaderValue>),
    /// A program.
    ByProgram,
}

impl Arrival {
    fn of(head: Head<'_>) -> Self {
        if !wants_page(head.headers) {
            return Self::ByProgram;
        }
        match head.uri.path_and_query() {
            Some(page) if matches!(*head.method, Method::GET | Method::HEAD) => {
                Self::AtPage(page.clone())
            }
            _ => Self::WithForm(
                Visitor::of(head.headers).language,
                head.headers.get(header::REFERER).cloned(),
            ),
        }
    }
}

impl Visit {
    pub(super) fn new(flow: Arc<Flow>, session: Option<Session>, head: Head<'_>) -> Self {
        Self {
            flow,
            session,
            arrival: Arrival::of(head),
            completed: None,
        }
    }

    /// The callback of a login that succeeded.
    pub(super) fn completed(flow: Arc<Flow>, completed: Completed, visitor: Visitor) -> Self {
        let arrival = match visitor.wants_page {
            true => Arrival::AtPage(PathAndQuery::from_static("/")),
            false => Arrival::ByProgram,
        };
        Self {
            flow,
            session: None,
            arrival,
            completed: Some(Box::new(completed)),
        }
    }

    /// Tells the app who is signed in, and nothing that an outer service may have claimed.
    pub(crate) fn introduce(&self, extensions: &mut Extensions) {
        forget(extensions);
        if let Some(session) = &self.session {
            extensions.insert(session.user.clone());
            if let Some(tokens) = session.tokens(|| self.flow.now()) {
                extensions.insert(tokens);
            }
        }
        if let Some(completed) = &self.completed {
            extensions.insert(completed.login.user().clone());
            extensions.insert(completed.login.clone());
            if self.flow.sessions.keeps_tokens {
                extensions.insert(completed.login.tokens().clone());
            }
        }
    }

    /// Adds to the app's response what is ours, or gives another in its place.
    pub(crate) fn finish(mut self, head: &mut response::Parts) -> Option<OwnResponse> {
        let completed = self.completed.take();
        if head.extensions.remove::<LoginRequired>().is_some() {
            let mut response = self.login_required();
            if let Some(completed) = completed {
                let headers = response.headers_mut();
                headers.append(header::SET_COOKIE, completed.consumed);
            }
            return Some(response);
        }
        // A connection that is no longer HTTP renews its session at the next request that is.
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return None;
        }
        let cookies = match completed {
            Some(completed) => {
                // An app that answers with an error has not let anybody in.
                let failed = head.status.is_client_error() || head.status.is_server_error();
                let session = completed.session.filter(|_| !failed);
                [Some(completed.consumed), session]
            }
            None => [self.rewritten(head), None],
        };
        for cookie in cookies.into_iter().flatten() {
            head.headers.append(header::SET_COOKIE, cookie);
            uncacheable(head);
        }
        None
    }

    /// The session cookie with new tokens, or for a new idle time, where either is due.
    fn rewritten(&self, head: &mut response::Parts) -> Option<HeaderValue> {
        let (flow, session) = (&self.flow, self.session.as_ref()?);
        match head.extensions.remove::<QqTokens>() {
            Some(tokens) if flow.sessions.keeps_tokens => {
                let cookie = flow.sessions.with_tokens(session, &tokens, flow.now());
                cookie
                    .inspect_err(|size| {
                        tracing::error!(
                            "new tokens are not kept: the cookie would be {} bytes",
                            size.0
                        );
                    })
                    .ok()
            }
            _ => flow.sessions.renew(session, flow.now()),
        }
    }

    fn login_required(self) -> OwnResponse {
        let paths = &self.flow.paths;
        let (visitor, url) = match self.arrival {
            Arrival::AtPage(page) => return see_other(&paths.login_for(page.as_str())),
            Arrival::WithForm(language, referer) => {
                let own = self.flow.client.app().redirect_uri.origin();
                let page = referer
                    .as_ref()
                    .and_then(|referer| local_part(referer, own));
                let visitor = Visitor {
                    wants_page: true,
                    language,
                };
                (visitor, paths.login_for(page.unwrap_or("/")))
            }
            Arrival::ByProgram => {
                let language = Language::English;
                (
                    Visitor {
                        wants_page: false,
                        language,
                    },
                    paths.login.clone(),
                )
            }
        };
        let notice = Notice {
            status: StatusCode::UNAUTHORIZED,
            reason: Reason::LoginRequired,
            url: &url,
            error: None,
        };
        let mut response = notice.respond(visitor, self.flow.failure_page.as_ref());
        let challenge = format!("QQ login_url=\"{url}\"");
        // Paths are checked when they are set; a login without the header still works.
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl Flow {
    /// What a hook sees of a request: who is signed in is in the extensions.
    pub(super) fn to_parts(&self, head: Head<'_>) -> request::Parts {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = head.method.clone();
        parts.uri = head.uri.clone();
        parts.headers = head.headers.clone();
        parts.extensions = head.extensions.clone();
        forget(&mut parts.extensions);
        if let Some(session) = self.sessions.read(head.headers, || self.now()) {
            parts.extensions.insert(session.user);
        }
        parts
    }
}

/// Takes away what only we may say.
fn forget(extensions: &mut Extensions) {
    extensions.remove::<QqUser>();
    extensions.remove::<QqLogin>();
    extensions.remove::<QqTokens>();
}
