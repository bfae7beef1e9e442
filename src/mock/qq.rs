//! The mock itself: a shared handle that is also a service.

use std::{
    convert::Infallible,
    fmt,
    future::pending,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use super::{
    authorize::Choice,
    body::MockBody,
    dispatch::Delivery,
    fault::Fault,
    journal::{Call, Endpoint},
    people::Person,
    refused::Refused,
    state::MockState,
    store::Grant,
};

/// A mock QQ server. See the [module docs](crate::mock) for an example.
///
/// Clones share all state, so a test can configure one clone while another serves requests.
#[derive(Clone)]
pub struct MockQq {
    state: Arc<Mutex<MockState>>,
}

impl MockQq {
    /// Creates a mock with one registered app. Its [users](Self::people) are `小明`,
    /// `企鹅🐧 Penguin` and `<b>小红</b> & "Co"`, and then one for each way in which a login
    /// [can fail](crate::mock#users).
    ///
    /// `redirect_uri` is the registered callback URL, or several joined by `;`. Requests must use
    /// the same scheme, host, port and path, and may add a query. As on QQ, a path that ends in `/`
    /// is refused even if it is registered.
    pub fn new(
        app_id: impl Into<String>,
        app_key: impl Into<String>,
        redirect_uri: impl Into<String>,
    ) -> Self {
        let state = MockState::new(app_id.into(), app_key.into(), redirect_uri.into());
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Returns the users in the order of the authorize page.
    pub fn people(&self) -> Vec<Person> {
        self.lock().people.clone()
    }

    /// Opens an authorize URL as a browser would, chooses the first user and returns the callback
    /// URL.
    ///
    /// # Errors
    ///
    /// Returns an error if QQ's page would show one: 100029 if `authorize_url` is not an authorize
    /// URL, or if its state is missing or has characters outside `[A-Za-z0-9_-]`; 100035 if the
    /// mock has no users; QQ's code for any other invalid parameter.
    pub fn approve(&self, authorize_url: &str) -> Result<String, Refused> {
        self.lock().follow(authorize_url, Choice::First)
    }

    /// Opens an authorize URL like [`approve`](Self::approve), but chooses the user with this
    /// openid.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`approve`](Self::approve), and 100035 if no user has
    /// this openid.
    pub fn approve_as(&self, authorize_url: &str, openid: &str) -> Result<String, Refused> {
        self.lock().follow(authorize_url, Choice::OpenId(openid))
    }

    /// Opens an authorize URL like [`approve`](Self::approve), but cancels the login: the callback
    /// URL has `usercancel=1` and no code.
    ///
    /// # Errors
    ///
    /// Returns an error if a parameter is invalid, with the code that [`approve`](Self::approve)
    /// returns.
    pub fn cancel(&self, authorize_url: &str) -> Result<String, Refused> {
        self.lock().follow(authorize_url, Choice::Cancel)
    }

    /// Signs the user with this openid in on a phone, as QQ's SDK does for the phone app `app_id`,
    /// and returns the access token that the SDK hands to that app.
    ///
    /// The token lives for 90 days and grants `get_user_info`. `openid` is the user's at the mock's
    /// own app; at the phone app the user has another one, and the same UnionID.
    ///
    /// ```
    /// use tower_qq_auth::{QqApp, QqClient, mock::MockQq};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let callback = "http://127.0.0.1:3000/auth/qq/callback";
    /// let qq = MockQq::new("101905280", "app-key", callback);
    /// let app = QqApp::builder("101905280", "app-key", callback)
    ///     .accept_tokens_of(["1106123456"])
    ///     .build()?;
    /// let client = QqClient::with_service(app, qq.clone());
    ///
    /// let openid = &qq.people()[0].openid;
    /// let login = client.verify(&qq.sdk_token("1106123456", openid)?).await?;
    /// assert_eq!(login.user().nickname(), "小明");
    /// assert_eq!(login.user().app_id(), "1106123456");
    /// assert_ne!(login.user().openid().as_str(), openid);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns error 100035 if no user has this openid.
    pub fn sdk_token(&self, app_id: &str, openid: &str) -> Result<String, Refused> {
        let mut state = self.lock();
        state.find_person(openid).ok_or(Refused::new(100035))?;
        let grant = Grant {
            app_id: app_id.to_owned(),
            openid: openid.to_owned(),
            scope: vec!["get_user_info".to_owned()],
        };
        Ok(state.store.issue_sdk_token(grant))
    }

    /// Schedules a fault for the next `calls` calls of an endpoint, after the faults scheduled
    /// before.
    ///
    /// With `usize::MAX`, the fault lasts until [`clear_faults`](Self::clear_faults). The journal
    /// records these calls too.
    ///
    /// ```
    /// use tower_qq_auth::mock::{Endpoint, Fault, MockQq};
    ///
    /// let qq = MockQq::new("101905280", "key", "https://site.example/auth/qq/callback");
    /// // The first call fails, the next two never return, and all later ones succeed.
    /// qq.fault(Endpoint::Token, 1, Fault::Code(100011))
    ///     .fault(Endpoint::Token, 2, Fault::Silence);
    /// ```
    pub fn fault(&self, endpoint: Endpoint, calls: usize, fault: impl Into<Fault>) -> &Self {
        self.lock().faults.push(endpoint, calls, fault.into());
        self
    }

    /// Schedules exactly this body, with status 200, for the next call of an endpoint, after the
    /// faults scheduled before.
    pub fn reply(&self, endpoint: Endpoint, body: impl Into<Bytes>) -> &Self {
        let mut state = self.lock();
        let response = state.respond(body.into());
        state.faults.push(endpoint, 1, response.into());
        drop(state);
        self
    }

    /// Removes all faults that are still scheduled.
    pub fn clear_faults(&self) -> &Self {
        self.lock().faults.clear();
        self
    }

    /// Moves the mock's clock forward.
    ///
    /// Codes live for 10 minutes, access tokens for their
    /// [`token_lifetime`](Self::token_lifetime) and refresh tokens for 90 days. Delays of faults do
    /// not follow this clock.
    pub fn advance(&self, by: Duration) -> &Self {
        self.lock().store.advance(by);
        self
    }

    /// Revokes all tokens of the user with this openid, those of phone apps as well.
    pub fn revoke_tokens(&self, openid: &str) -> &Self {
        self.lock().store.revoke(openid);
        self
    }

    /// Returns the last 4,096 calls, oldest first, without requests for other paths.
    pub fn journal(&self) -> Vec<Call> {
        self.lock().journal.calls()
    }

    /// Returns the number of calls of an endpoint so far.
    pub fn calls(&self, endpoint: Endpoint) -> usize {
        self.lock().journal.count(endpoint)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, MockState> {
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
            let delivery = qq.lock().dispatch(&parts);
            match delivery {
                Delivery::Immediate(response) => Ok(response),
                Delivery::Delayed(delay, response) => {
                    tokio::time::sleep(delay).await;
                    Ok(response)
                }
                Delivery::Never => pending().await,
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
