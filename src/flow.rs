//! What each path answers, and who is signed in.
//!
//! 1. A path is ours if it is one of three, byte for byte. Everything else goes to the app.
//! 2. On our paths a prefetch gets 204 and a wrong method 405: nothing is started, nothing is used up.
//! 3. To the app goes the user of the session cookie, or nobody, whatever an outer service may have claimed.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::SystemTime};

use http::{Extensions, HeaderMap, Method, Uri};
use tokio::sync::Semaphore;

use crate::{
    ConfigError, LoginError, QqClient, QqTokens, QqUser, SessionKeys,
    hook::{AccountOf, FailurePage, OnLogin},
    session::{Sessions, TooLarge, cookie::CookieJar},
};

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
mod visitor;

use self::{
    events::LoginTimer,
    messages::Reason,
    page::{Notice, method_not_allowed, no_content},
    pending::PendingLogins,
    query::Param,
    return_to::ReturnTo,
    visit::Completed,
    visitor::{Visitor, is_prefetch},
};
pub(crate) use self::{page::OwnResponse, paths::Paths, visit::Visit};

/// The policy of one layer.
#[derive(Clone)]
pub(crate) struct Flow {
    client: QqClient,
    pub(crate) sessions: Sessions,
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

    fn query(self) -> &'r str {
        self.uri.query().unwrap_or_default()
    }
}

impl Flow {
    pub(crate) fn new(client: QqClient, keys: &SessionKeys) -> Self {
        let app = client.app();
        let jar = CookieJar::new(app.redirect_uri.is_secure(), "qq");
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
        self.sessions.name_cookies(jar.clone(), &app.id);
        self.pending.name_cookies(jar);
    }

    pub(crate) fn session_cookie(
        &self,
        user: &QqUser,
        tokens: Option<&QqTokens>,
    ) -> Result<String, ConfigError> {
        if self.sessions.keeps_tokens && tokens.is_none() {
            let problem = "needs tokens, such as QqTokens::new(..): the layer has keep_tokens on";
            return Err(ConfigError::new("session cookie", problem));
        }
        let cookie = self.sessions.start(user.clone(), tokens, self.now());
        let cookie = cookie.map_err(|TooLarge(size)| {
            let problem = format!("{size} bytes are more than browsers keep");
            ConfigError::new("session cookie", problem)
        })?;
        // A cookie of ours is ASCII.
        let pair = cookie.to_str().unwrap_or_default().split(';').next();
        Ok(pair.unwrap_or_default().to_owned())
    }

    pub(crate) fn decide(self: &Arc<Self>, head: Head<'_>) -> Decision {
        let path = head.uri.path();
        if !self.paths.is_ours(path) {
            let session = self.sessions.read(head.headers, || self.now());
            return Decision::Forward(Visit::new(Arc::clone(self), session, head));
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
            return Decision::Respond(method_not_allowed(&allowed));
        }
        if path == self.paths.login {
            Decision::Respond(self.login(head))
        } else if path == self.paths.logout {
            Decision::Respond(self.logout(head))
        } else {
            self.callback(head)
        }
    }

    fn is_signed_in(&self, headers: &HeaderMap) -> bool {
        self.sessions.read(headers, || self.now()).is_some()
    }

    fn return_to(&self, query: &str) -> ReturnTo {
        let given = Param::of(query, "return_to").once();
        given
            .and_then(|given| ReturnTo::new(given, &self.paths))
            .unwrap_or_else(ReturnTo::home)
    }

    /// Tells the person, and the operator under the same support code.
    fn failed(
        &self,
        error: LoginError,
        return_to: &ReturnTo,
        visitor: Visitor,
        timer: &LoginTimer,
    ) -> OwnResponse {
        let error = error.with_support_code(page::support_code());
        events::login_failed(&error, timer);
        let notice = Notice {
            status: error.kind().status(),
            reason: Reason::Failed(error.kind()),
            url: &self.paths.login_to(return_to),
            error: Some(&error),
        };
        let mut response = notice.respond(visitor, self.failure_page.as_ref());
        response.extensions_mut().insert(error);
        response
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
