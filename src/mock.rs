//! The QQ side of the protocol, written a second time, for tests, docs and demos.
//!
//! [`MockQq`] shares no code with the client of this crate. It is
//!
//! 1. a [`tower_service::Service`], hence the upstream of a client, with no network between;
//! 2. a server of its own: [`MockQq::serve`];
//! 3. mountable in the app it serves: `Router::new().nest_service("/qq", qq)`.
//!
//! In a browser its authorize page lets one choose among a few made-up people, or cancel. In a test
//! [`approve`](MockQq::approve) does the clicking. By default it answers as QQ does today; [shapes](MockQq::shape),
//! [numbers](MockQq::numbers) and [faults](MockQq::fault) can be changed at any moment, and the clock is moved by
//! [`advance`](MockQq::advance). The [journal](MockQq::journal) holds what was asked.
//!
//! ```text
//!  /oauth2.0/authorize ─► a person chosen ─► code (10 minutes, once)
//!  /oauth2.0/token     ─► code, app id, key, redirect_uri checked ─► access and refresh token
//!  /oauth2.0/me        ─► token checked ─► openid, client_id, unionid
//!  /user/get_user_info ─► token, app id, openid checked ─► profile
//! ```
//!
//! Paths are matched by their end, so any prefix will do. It is no server for the public: whoever asks is signed in.
//!
//! # Examples
//!
//! ```
//! use http::Request;
//! use http_body_util::BodyExt;
//! use tower::ServiceExt;
//! use tower_qq_auth::mock::MockQq;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let qq = MockQq::new("101905280", "app-key", "https://site.example/auth/qq/callback");
//!
//! let callback = qq.approve(
//!     "https://graph.qq.com/oauth2.0/authorize?response_type=code&client_id=101905280&state=abc\
//!      &redirect_uri=https%3A%2F%2Fsite.example%2Fauth%2Fqq%2Fcallback",
//! )?;
//! let (before, _) = callback.split_once("&state=abc").unwrap();
//! let (_, code) = before.split_once("?code=").unwrap();
//!
//! let token = Request::get(format!(
//!     "/oauth2.0/token?grant_type=authorization_code&client_id=101905280&client_secret=app-key&code={code}\
//!      &redirect_uri=https%3A%2F%2Fsite.example%2Fauth%2Fqq%2Fcallback&fmt=json"
//! ));
//! let answer = qq.clone().oneshot(token.body(())?).await?;
//! let body = answer.into_body().collect().await?.to_bytes();
//! assert!(body.starts_with(br#"{"access_token":""#));
//! # Ok(())
//! # }
//! ```

mod authorize;
mod body;
mod fault;
mod journal;
mod oauth;
mod page;
mod people;
mod refused;
mod serve;
mod settings;
mod state;
mod store;
mod wire;

use std::{
    convert::Infallible,
    fmt,
    future::{Future, pending},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use self::{
    authorize::Choice,
    state::{Answer, State},
};

pub use self::{
    body::{CutOff, MockBody},
    fault::Fault,
    journal::{Call, Endpoint},
    people::Person,
    refused::Refused,
    wire::{Numbers, Shape},
};

/// QQ, made up. See the [module docs](self) for an example.
///
/// Clones share everything, so one can serve while another is asked or changed.
#[derive(Clone)]
pub struct MockQq {
    state: Arc<Mutex<State>>,
}

impl MockQq {
    /// A QQ that knows one app and three people.
    ///
    /// `redirect_uri` is the registered one: requests must name the same scheme, host, port and path,
    /// and may add a query.
    pub fn new(
        app_id: impl Into<String>,
        app_key: impl Into<String>,
        redirect_uri: impl Into<String>,
    ) -> Self {
        let state = State::new(app_id.into(), app_key.into(), redirect_uri.into());
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The people who can sign in, in the order of the page.
    pub fn people(&self) -> Vec<Person> {
        self.lock().people.clone()
    }

    /// Follows an authorize URL as a browser would and chooses the first person. Gives the URL of the callback.
    ///
    /// # Errors
    ///
    /// What the page would say: QQ's code for a wrong parameter, 100029 if this is no authorize URL at all or its state
    /// is missing or not of `[A-Za-z0-9_-]`, 100035 if there is nobody to choose.
    pub fn approve(&self, authorize_url: &str) -> Result<String, Refused> {
        self.lock().visit(authorize_url, Choice::First)
    }

    /// Like [`approve`](Self::approve), for the person with this openid.
    ///
    /// # Errors
    ///
    /// Those of [`approve`](Self::approve); 100035 if there is no such person.
    pub fn approve_as(&self, authorize_url: &str, openid: &str) -> Result<String, Refused> {
        self.lock().visit(authorize_url, Choice::Person(openid))
    }

    /// Like [`approve`](Self::approve), but the person cancels: the callback has `usercancel=1` and no code.
    ///
    /// # Errors
    ///
    /// Those of [`approve`](Self::approve).
    pub fn cancel(&self, authorize_url: &str) -> Result<String, Refused> {
        self.lock().visit(authorize_url, Choice::Cancel)
    }

    /// Orders a fault for the next `calls` calls of an endpoint, after those ordered before.
    ///
    /// `usize::MAX` is for good, or until [`clear_faults`](Self::clear_faults). A call under a fault is in the journal.
    ///
    /// ```
    /// use tower_qq_auth::mock::{Endpoint, Fault, MockQq};
    ///
    /// let qq = MockQq::new("101905280", "key", "https://site.example/auth/qq/callback");
    /// // The app is not online yet, then QQ says nothing for two calls, then all is well.
    /// qq.fault(Endpoint::Token, 1, Fault::Code(100011)).fault(Endpoint::Token, 2, Fault::Silence);
    /// ```
    pub fn fault(&self, endpoint: Endpoint, calls: usize, fault: impl Into<Fault>) -> &Self {
        self.lock().faults.push(endpoint, calls, fault.into());
        self
    }

    /// Orders exactly this body, at status 200, for the next call of an endpoint, after the faults ordered before.
    pub fn reply(&self, endpoint: Endpoint, body: impl Into<Bytes>) -> &Self {
        let mut state = self.lock();
        let reply = state.respond(body.into());
        state.faults.push(endpoint, 1, reply.into());
        drop(state);
        self
    }

    /// Takes all faults back that have not happened yet.
    pub fn clear_faults(&self) -> &Self {
        self.lock().faults.clear();
        self
    }

    /// Moves the clock of the mock: codes live 10 minutes, access tokens [as set](Self::token_lifetime), refresh tokens
    /// 90 days. Faults do not follow this clock.
    pub fn advance(&self, by: Duration) -> &Self {
        self.lock().store.advance(by);
        self
    }

    /// Revokes all tokens of a person, as QQ does after a change of password.
    pub fn revoke_tokens(&self, openid: &str) -> &Self {
        self.lock().store.revoke(openid);
        self
    }

    /// Everything asked so far, oldest first. Paths the mock does not know are not in it.
    pub fn journal(&self) -> Vec<Call> {
        self.lock().journal.clone()
    }

    /// How often an endpoint was asked so far.
    pub fn calls(&self, endpoint: Endpoint) -> usize {
        let state = self.lock();
        let calls = state.journal.iter();
        calls.filter(|call| call.endpoint == endpoint).count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Service<Request<B>> for MockQq {
    type Response = Response<MockBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, _) = request.into_parts();
        let qq = self.clone();
        Box::pin(async move {
            let answer = qq.lock().answer(&parts);
            match answer {
                Answer::Now(response) => Ok(response),
                Answer::After(pause, response) => {
                    tokio::time::sleep(pause).await;
                    Ok(response)
                }
                Answer::Never => pending().await,
            }
        })
    }
}

impl fmt::Debug for MockQq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("MockQq")
            .field("app_id", &state.app.id)
            .field("redirect_uri", &state.app.redirect_uri)
            .finish_non_exhaustive()
    }
}
