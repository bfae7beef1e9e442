//! A request on its way through the app, and what is ours to add to the response.

use std::sync::Arc;

use http::{Extensions, HeaderValue, Method, Response, StatusCode, header, uri::PathAndQuery};

use super::{
    Flow, Head, Who,
    audience::Audience,
    messages::Reason,
    origin::local_part,
    page::{Notice, OwnResponse, see_other, uncacheable, with_cookie},
    return_to::ReturnTo,
};
use crate::{
    Language, LoginRequired, QqLogin, QqTokens, QqUser,
    session::{TooLarge, revocation::Standing},
};

pub(crate) struct Visit {
    flow: Arc<Flow>,
    who: Who,
    arrival: Arrival,
    /// Known where the session had to be waited for.
    audience: Option<Audience>,
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
pub(super) enum Arrival {
    /// A browser on its way to this page: it can be sent to the login and come back.
    AtPage(PathAndQuery),
    /// A browser that sends a form from a page it may want to come back to: what it sent would be lost.
    WithForm(Language, Option<HeaderValue>),
    /// A program.
    ByProgram,
}

impl Arrival {
    pub(super) fn of(head: Head<'_>, wants_page: bool) -> Self {
        if !wants_page {
            return Self::ByProgram;
        }
        match head.uri.path_and_query() {
            Some(page) if matches!(*head.method, Method::GET | Method::HEAD) => {
                Self::AtPage(page.clone())
            }
            _ => Self::WithForm(
                Audience::of(head.headers).language,
                head.headers.get(header::REFERER).cloned(),
            ),
        }
    }
}

impl Visit {
    pub(super) fn new(flow: Arc<Flow>, who: Who, arrival: Arrival) -> Self {
        Self {
            flow,
            who,
            arrival,
            audience: None,
            completed: None,
        }
    }

    pub(super) fn of(self, audience: Audience) -> Self {
        let audience = Some(audience);
        Self { audience, ..self }
    }

    /// The callback of a login that succeeded.
    pub(super) fn completed(flow: Arc<Flow>, completed: Completed, wants_page: bool) -> Self {
        let arrival = match wants_page {
            true => Arrival::AtPage(PathAndQuery::from_static("/")),
            false => Arrival::ByProgram,
        };
        let nobody = Who {
            session: None,
            standing: Standing::Good,
        };
        let completed = Some(Box::new(completed));
        Self {
            completed,
            ..Self::new(flow, nobody, arrival)
        }
    }

    /// Tells the app who is signed in, and nothing that an outer service may have claimed.
    pub(crate) fn introduce(&self, extensions: &mut Extensions) {
        forget(extensions);
        if let Some(session) = self.who.signed_in() {
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
    pub(crate) fn finish<B>(&mut self, response: &mut Response<B>) -> Option<OwnResponse> {
        let completed = self.completed.take();
        if response
            .extensions_mut()
            .remove::<LoginRequired>()
            .is_some()
        {
            let response = self.login_required();
            return Some(match completed {
                Some(completed) => with_cookie(response, completed.consumed),
                None => response,
            });
        }
        // A connection that is no longer HTTP renews its session at the next request that is.
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return None;
        }
        if let Some(completed) = completed {
            // An app that answers with an error has not let anybody in.
            let status = response.status();
            let failed = status.is_client_error() || status.is_server_error();
            let session = self.begun(&completed, response.extensions_mut());
            set_cookie(response, completed.consumed);
            if let Some(session) = session.filter(|_| !failed) {
                set_cookie(response, session);
            }
        } else if let Some(cookie) = self.rewritten(response.extensions_mut()) {
            set_cookie(response, cookie);
        }
        None
    }

    /// The cookie of a new session, with other tokens where the app has exchanged them at the callback.
    fn begun(&self, completed: &Completed, response: &mut Extensions) -> Option<HeaderValue> {
        let session = completed.session.clone()?;
        let flow = &self.flow;
        let exchanged = self.exchanged(response).and_then(|tokens| {
            let user = completed.login.user().clone();
            kept(flow.sessions.start(user, Some(&tokens), flow.now()))
        });
        Some(exchanged.unwrap_or(session))
    }

    /// The session cookie with new tokens, or for a new idle time, where either is due.
    fn rewritten(&self, response: &mut Extensions) -> Option<HeaderValue> {
        let (flow, session) = (&self.flow, self.who.signed_in()?);
        match self.exchanged(response) {
            Some(tokens) => kept(flow.sessions.with_tokens(session, &tokens, flow.now())),
            None => flow.sessions.renew(session, || flow.now()),
        }
    }

    /// The tokens that the app wants to be kept instead of the former ones.
    fn exchanged(&self, response: &mut Extensions) -> Option<QqTokens> {
        let tokens = response.remove::<QqTokens>();
        tokens.filter(|_| self.flow.sessions.keeps_tokens)
    }

    fn login_required(&self) -> OwnResponse {
        if self.who.standing == Standing::Unverified {
            return self.unverified();
        }
        let paths = &self.flow.paths;
        let (audience, url) = match &self.arrival {
            Arrival::AtPage(page) => return see_other(&paths.login_for(page.as_str())),
            Arrival::WithForm(language, referer) => {
                let own = self.flow.client.app().redirect_uri.origin();
                let page = referer
                    .as_ref()
                    .and_then(|referer| local_part(referer, own));
                let audience = Audience {
                    wants_page: true,
                    language: *language,
                    ..Audience::default()
                };
                (audience, paths.login_for(page.unwrap_or("/")))
            }
            Arrival::ByProgram => {
                let audience = Audience {
                    language: Language::English,
                    ..Audience::default()
                };
                (audience, paths.login.clone())
            }
        };
        let notice = Notice {
            reason: Reason::LoginRequired,
            url: &url,
            error: None,
        };
        let mut response = notice.respond(audience, self.flow.failure_page.as_ref());
        let challenge = format!("QQ login_url=\"{url}\"");
        // Paths are checked when they are set; a login without the header still works.
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }

    /// Somebody came with a session, and nobody can say whether it is still good.
    fn unverified(&self) -> OwnResponse {
        let again = match &self.arrival {
            Arrival::AtPage(page) => ReturnTo::new(page.as_str(), &self.flow.paths),
            Arrival::WithForm(..) | Arrival::ByProgram => None,
        };
        let notice = Notice {
            reason: Reason::Unverified,
            url: &again.unwrap_or_else(ReturnTo::home).to_string(),
            error: None,
        };
        let audience = self.audience.unwrap_or_default();
        notice.respond(audience, self.flow.failure_page.as_ref())
    }
}

fn kept(cookie: Result<HeaderValue, TooLarge>) -> Option<HeaderValue> {
    let told = |TooLarge(size): &TooLarge| {
        tracing::error!("new tokens are not kept: the cookie would be {size} bytes");
    };
    cookie.inspect_err(told).ok()
}

fn set_cookie<B>(response: &mut Response<B>, cookie: HeaderValue) {
    response.headers_mut().append(header::SET_COOKIE, cookie);
    uncacheable(response.headers_mut());
}

/// Takes away what only we may say.
pub(super) fn forget(extensions: &mut Extensions) {
    if extensions.is_empty() {
        return;
    }
    extensions.remove::<QqUser>();
    extensions.remove::<QqLogin>();
    extensions.remove::<QqTokens>();
}
