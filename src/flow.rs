//! What each path answers, and who is signed in.
//!
//! 1. A path is ours if it is one of three, byte for byte. Everything else goes to the app.
//! 2. On our paths a prefetch gets 204 and a wrong method 405: nothing is started, nothing is used up.
//! 3. To the app goes the user of the session cookie, or nobody, whatever an outer service may have claimed.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::SystemTime};

use http::{
    Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri, header, response,
    uri::PathAndQuery,
};
use tokio::sync::Semaphore;

use crate::{
    ConfigError, LoginRequired, QqClient, QqUser, SessionKeys,
    session::{Sessions, cookie::CookieJar},
};

mod callback;
mod login;
mod logout;
mod messages;
mod page;
mod pending;
mod query;
mod return_to;
mod visitor;

pub(crate) use self::page::OwnResponse;
use self::{
    messages::Reason,
    page::{Notice, method_not_allowed, no_content, see_other, uncacheable},
    pending::PendingLogins,
    query::encoded,
    return_to::ReturnTo,
    visitor::{Language, Visitor, is_prefetch, wants_page},
};

/// The policy of one layer.
#[derive(Clone)]
pub(crate) struct Flow {
    client: QqClient,
    pub(crate) sessions: Sessions,
    pending: PendingLogins,
    pub(crate) paths: Paths,
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// What is to become of a request.
pub(crate) enum Decision {
    /// It goes to the app.
    Forward(Visit),
    /// It is answered.
    Respond(OwnResponse),
    /// It is answered when QQ has answered.
    Wait(Work),
}

pub(crate) type Work = Pin<Box<dyn Future<Output = OwnResponse> + Send>>;

/// The part of a request that decides.
#[derive(Clone, Copy)]
pub(crate) struct Head<'r> {
    method: &'r Method,
    uri: &'r Uri,
    headers: &'r HeaderMap,
}

impl<'r> Head<'r> {
    pub(crate) fn of<B>(request: &'r http::Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
        }
    }

    fn query(self) -> &'r str {
        self.uri.query().unwrap_or_default()
    }
}

/// The paths that the layer answers.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub(crate) login: String,
    pub(crate) callback: String,
    pub(crate) logout: String,
}

impl Paths {
    fn is_ours(&self, path: &str) -> bool {
        [&self.login, &self.callback, &self.logout]
            .iter()
            .any(|ours| *ours == path)
    }

    /// Whether each is a path that a request can have and `ReturnTo` can hold, and no two are the same.
    pub(crate) fn check(&self, setting: &'static str) -> Result<(), ConfigError> {
        let usable = |path: &String| {
            path.len() > 1
                && path.starts_with('/')
                && path.bytes().all(|byte| byte.is_ascii_graphic())
                && !path.contains(['?', '#', '"', '<', '>', '\\', '`', '{', '}'])
        };
        if ![&self.login, &self.logout].into_iter().all(usable) {
            return Err(ConfigError::new(
                setting,
                "must be a plain path such as /auth/qq/login",
            ));
        }
        if self.login == self.logout || self.login == self.callback || self.logout == self.callback
        {
            let problem = "is the same as another path: login, logout and callback need one each";
            return Err(ConfigError::new(setting, problem));
        }
        Ok(())
    }

    /// The address that starts a login which ends at `return_to`.
    fn login_to(&self, return_to: &ReturnTo) -> String {
        if *return_to == ReturnTo::home() {
            return self.login.clone();
        }
        format!("{}?return_to={}", self.login, encoded(return_to.as_str()))
    }
}

impl Flow {
    pub(crate) fn new(client: QqClient, keys: &SessionKeys) -> Self {
        let app = client.app();
        let jar = CookieJar::new(app.redirect_uri.is_secure());
        Self {
            sessions: Sessions::new(keys, jar.clone(), &app.id),
            pending: PendingLogins::new(keys, jar, &app.id),
            paths: Paths {
                login: "/auth/qq/login".into(),
                callback: app.redirect_uri.path().into(),
                logout: "/auth/qq/logout".into(),
            },
            in_flight: Arc::new(Semaphore::new(256)),
            clock: Arc::new(SystemTime::now),
            client,
        }
    }

    pub(crate) fn decide(self: &Arc<Self>, head: Head<'_>) -> Decision {
        let path = head.uri.path();
        if !self.paths.is_ours(path) {
            return Decision::Forward(self.visit(head));
        }
        if head.method == Method::GET && is_prefetch(head.headers) {
            return Decision::Respond(no_content());
        }
        let allowed = if path == self.paths.logout {
            Method::POST
        } else {
            Method::GET
        };
        if *head.method != allowed {
            let allow = if allowed == Method::POST {
                "POST"
            } else {
                "GET"
            };
            return Decision::Respond(method_not_allowed(allow));
        }
        if path == self.paths.login {
            Decision::Respond(self.login(head))
        } else if path == self.paths.logout {
            Decision::Respond(self.logout(head))
        } else {
            self.callback(head)
        }
    }

    fn visit(self: &Arc<Self>, head: Head<'_>) -> Visit {
        let session = self.sessions.read(head.headers, || self.now());
        let renewal = session
            .as_ref()
            .and_then(|session| self.sessions.renew(session, self.now()));
        Visit {
            flow: Arc::clone(self),
            user: session.map(|session| session.user),
            renewal,
            arrival: Arrival::of(head),
        }
    }

    fn is_signed_in(&self, headers: &HeaderMap) -> bool {
        self.sessions.read(headers, || self.now()).is_some()
    }

    fn return_to(&self, query: &str) -> ReturnTo {
        let given = query::Param::of(query, "return_to").once();
        given
            .and_then(|given| ReturnTo::new(given, &self.paths))
            .unwrap_or_else(ReturnTo::home)
    }

    fn now(&self) -> SystemTime {
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

/// A request that went to the app, and what is to be done when the app has answered.
pub(crate) struct Visit {
    flow: Arc<Flow>,
    user: Option<QqUser>,
    renewal: Option<HeaderValue>,
    arrival: Arrival,
}

/// How a request came that the app may find to need a login.
enum Arrival {
    /// A browser on its way to this page: it can be sent to the login and come back.
    AtPage(PathAndQuery),
    /// A browser that sends a form: what it sent would be lost.
    WithForm(Language),
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
            _ => Self::WithForm(Visitor::of(head.headers).language),
        }
    }
}

impl Visit {
    /// Tells the app who is signed in.
    pub(crate) fn introduce(&mut self, extensions: &mut Extensions) {
        match self.user.take() {
            Some(user) => extensions.insert(user),
            None => extensions.remove(),
        };
    }

    /// Adds to the app's response what is ours, or gives another in its place.
    pub(crate) fn finish(self, head: &mut response::Parts) -> Option<OwnResponse> {
        if head.extensions.remove::<LoginRequired>().is_some() {
            return Some(self.login_required());
        }
        // A connection that is no longer HTTP renews its session at the next request that is.
        if let Some(cookie) = self
            .renewal
            .filter(|_| head.status != StatusCode::SWITCHING_PROTOCOLS)
        {
            head.headers.append(header::SET_COOKIE, cookie);
            uncacheable(head);
        }
        None
    }

    fn login_required(self) -> OwnResponse {
        let paths = &self.flow.paths;
        let visitor = match self.arrival {
            Arrival::AtPage(page) => {
                let return_to = ReturnTo::new(page.as_str(), paths).unwrap_or_else(ReturnTo::home);
                return see_other(&paths.login_to(&return_to));
            }
            Arrival::WithForm(language) => Visitor {
                wants_page: true,
                language,
            },
            Arrival::ByProgram => Visitor {
                wants_page: false,
                language: Language::English,
            },
        };
        let mut response = Notice {
            status: StatusCode::UNAUTHORIZED,
            code: "login_required",
            reason: Reason::LoginRequired,
            url: &paths.login,
            support_code: None,
            retry_after: None,
        }
        .respond(visitor);
        let challenge = format!("QQ login_url=\"{}\"", paths.login);
        // Paths are checked when they are set; a login without the header still works.
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
