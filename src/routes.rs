//! What each path answers, and who is signed in.
//!
//! 1. A path is ours if it is one of three, byte for byte. Everything else goes to the app.
//! 2. On our paths a prefetch gets 204 and a wrong method 405: nothing is started, nothing is used up.
//! 3. To the app goes the user of the session cookie, or nobody, whatever an outer service may have claimed.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::SystemTime};

use http::{Extensions, HeaderMap, Method, Uri, request};
use tokio::sync::Semaphore;

use crate::{
    LoginError, LoginErrorKind, QqClient, SessionKeys,
    hook::{AccountOf, FailurePage, OnLogin},
    qq::redirect_uri::{LOGIN_PATH, LOGOUT_PATH},
    session::{
        Session, Sessions,
        cookie::CookieJar,
        revocation::{Revocations, Standing, Verifying},
    },
};

mod audience;
mod callback;
mod events;
mod login;
mod logout;
mod messages;
mod origin;
mod page;
mod paths;
mod pending;
mod query;
mod return_to;
mod visit;

use self::{
    audience::{Audience, Glance, is_prefetch},
    events::LoginTimer,
    messages::Reason,
    page::{Notice, method_not_allowed, no_content},
    paths::OwnPath,
    pending::PendingLogins,
    query::Param,
    return_to::ReturnTo,
    visit::{Arrival, Completed},
};
pub(crate) use self::{page::OwnResponse, paths::Paths, visit::Visit};

/// The policy of one layer.
#[derive(Clone)]
pub(crate) struct Flow {
    client: QqClient,
    pub(crate) sessions: Sessions,
    pub(crate) revocations: Revocations,
    pending: PendingLogins,
    pub(crate) paths: Paths,
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    pub(crate) on_login: Option<OnLogin>,
    pub(crate) account_of: Option<AccountOf>,
    pub(crate) failure_page: Option<FailurePage>,
    /// Whether a callback that succeeded goes on to the app.
    pub(crate) forwards: bool,
    /// Whether a login begins a session of ours.
    pub(crate) keeps_sessions: bool,
}

/// What is to become of a request.
pub(crate) enum Decision {
    /// It goes to the app.
    Forward(Visit),
    /// It is answered.
    Respond(OwnResponse),
    /// It has to wait for QQ.
    Wait(Work),
}

/// What has become of a request that had to wait.
pub(crate) enum Outcome {
    Respond(OwnResponse),
    Forward(Visit),
}

pub(crate) type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The part of a request that decides.
#[derive(Clone, Copy)]
pub(crate) struct Head<'r> {
    method: &'r Method,
    uri: &'r Uri,
    headers: &'r HeaderMap,
    extensions: &'r Extensions,
}

impl<'r> Head<'r> {
    pub(crate) fn of<B>(request: &'r http::Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    fn of_parts(parts: &'r request::Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            extensions: &parts.extensions,
        }
    }

    fn to_parts(self) -> request::Parts {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = self.method.clone();
        parts.uri = self.uri.clone();
        parts.headers = self.headers.clone();
        parts.extensions = self.extensions.clone();
        parts
    }

    fn query(self) -> &'r str {
        self.uri.query().unwrap_or_default()
    }
}

/// The session of a request, and what the revocation list says of it.
struct Who {
    /// Boxed, since most requests have none.
    session: Option<Box<Session>>,
    standing: Standing,
}

impl Who {
    /// The session of somebody who is signed in.
    fn signed_in(&self) -> Option<&Session> {
        self.session
            .as_deref()
            .filter(|_| self.standing == Standing::Good)
    }
}

impl Flow {
    pub(crate) fn new(client: QqClient, keys: &SessionKeys) -> Self {
        let app = client.app();
        let jar = CookieJar::new(app.redirect_uri.is_secure(), "qq");
        Self {
            sessions: Sessions::new(keys, jar.clone(), &app.id),
            revocations: Revocations::default(),
            pending: PendingLogins::new(keys, jar, &app.id),
            paths: Paths {
                login: LOGIN_PATH.into(),
                callback: app.redirect_uri.path().into(),
                logout: Some(LOGOUT_PATH.into()),
            },
            in_flight: Arc::new(Semaphore::new(256)),
            clock: Arc::new(SystemTime::now),
            on_login: None,
            account_of: None,
            failure_page: None,
            forwards: false,
            keeps_sessions: true,
            client,
        }
    }

    pub(crate) fn name_cookies(&mut self, prefix: &str) {
        let app = self.client.app();
        let jar = CookieJar::new(app.redirect_uri.is_secure(), prefix);
        self.sessions.name_cookies(jar.clone());
        self.pending.name_cookies(jar);
    }

    pub(crate) fn decide(self: &Arc<Self>, head: Head<'_>) -> Decision {
        let glance = Glance::at(head.headers);
        let session = match self.keeps_sessions && glance.sends_cookies {
            true => self
                .sessions
                .read(head.headers, || self.now())
                .map(Box::new),
            false => None,
        };
        let verifying = match &session {
            Some(session) => self.revocations.verify(session.ids(), session.began()),
            None => Verifying::Done(Standing::Good),
        };
        let flow = Arc::clone(self);
        let Some(path) = self.paths.find(head.uri.path()) else {
            let arrival = Arrival::of(head, glance.wants_page);
            return match verifying {
                Verifying::Done(standing) => {
                    Decision::Forward(Visit::new(flow, Who { session, standing }, arrival))
                }
                Verifying::Waiting(waiting) => {
                    let audience = Audience::of(head.headers);
                    Decision::Wait(Box::pin(async move {
                        let standing = waiting.await;
                        let visit = Visit::new(flow, Who { session, standing }, arrival);
                        Outcome::Forward(visit.of(audience))
                    }))
                }
            };
        };
        let waiting = match verifying {
            Verifying::Done(standing) => {
                return self.answer(path, head, Who { session, standing });
            }
            Verifying::Waiting(waiting) => waiting,
        };
        let parts = head.to_parts();
        Decision::Wait(Box::pin(async move {
            let standing = waiting.await;
            match flow.answer(path, Head::of_parts(&parts), Who { session, standing }) {
                Decision::Respond(response) => Outcome::Respond(response),
                Decision::Forward(visit) => Outcome::Forward(visit),
                Decision::Wait(work) => work.await,
            }
        }))
    }

    fn answer(self: &Arc<Self>, path: OwnPath, head: Head<'_>, who: Who) -> Decision {
        if head.method == Method::GET && is_prefetch(head.headers) {
            return Decision::Respond(no_content());
        }
        match (path, head.method) {
            (OwnPath::Login, &Method::GET) => Decision::Respond(self.login(head, &who)),
            (OwnPath::Callback, &Method::GET) => self.callback(head, &who),
            (OwnPath::Logout, &Method::POST) => self.logout(head, who),
            (OwnPath::Logout, _) => Decision::Respond(method_not_allowed("POST")),
            (OwnPath::Login | OwnPath::Callback, _) => Decision::Respond(method_not_allowed("GET")),
        }
    }

    /// Leaves sessions, and what ends them, to the app.
    pub(crate) fn leave_sessions(&mut self) {
        (self.forwards, self.keeps_sessions) = (true, false);
        self.paths.logout = None;
    }

    fn return_to(&self, query: &str) -> ReturnTo {
        let given = Param::of(query, "return_to").once();
        given
            .and_then(|given| ReturnTo::new(given, &self.paths))
            .unwrap_or_else(ReturnTo::home)
    }

    /// Tells the person, with a button that leads to `url`, and the operator under the same support code.
    fn failed(
        &self,
        error: LoginError,
        url: &str,
        audience: Audience,
        timer: &LoginTimer,
    ) -> OwnResponse {
        let error = error.with_support_code(page::support_code());
        events::login_failed(&error, timer);
        let reason = match error.kind() {
            LoginErrorKind::InvalidState if !audience.sends_cookies => Reason::WithoutCookies,
            kind => Reason::Failed(kind),
        };
        let notice = Notice {
            reason,
            url,
            error: Some(&error),
        };
        let mut response = notice.respond(audience, self.failure_page.as_ref());
        response.extensions_mut().insert(error);
        response
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.clock)()
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("client", &self.client)
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}
