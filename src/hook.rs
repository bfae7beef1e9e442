//! What an app can decide about a login.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use http::request;
use tower::BoxError;

use crate::QqLogin;

/// An app's answer to a login that succeeded at QQ.
///
/// See [`QqAuthLayer::on_login`](crate::QqAuthLayer::on_login).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Signed in, and on to where the login was going.
    Allow,
    /// Signed in, and on to this path of the site instead.
    AllowTo(String),
    /// Not signed in; a page with status 403 tells why, in these words. They are shown as text.
    Refuse(String),
    /// Not signed in; on to this path of the site.
    RefuseTo(String),
}

type Answer = Pin<Box<dyn Future<Output = Result<Verdict, BoxError>> + Send>>;

/// The app's own say in a login.
#[derive(Clone)]
pub(crate) struct OnLogin(Arc<dyn Fn(QqLogin, request::Parts) -> Answer + Send + Sync>);

impl OnLogin {
    pub(crate) fn new<F, Fut, E>(hook: F) -> Self
    where
        F: Fn(QqLogin, request::Parts) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Verdict, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self(Arc::new(move |login, head| {
            let answer = hook(login, head);
            Box::pin(async move { answer.await.map_err(Into::into) })
        }))
    }

    /// Asks the app. A panic of its code is an error of its code.
    pub(crate) async fn ask(&self, login: QqLogin, head: request::Parts) -> Result<Verdict, BoxError> {
        let mut answer = pin!(caught(|| (self.0)(login, head))?);
        std::future::poll_fn(|cx| match caught(|| answer.as_mut().poll(cx)) {
            Ok(poll) => poll,
            Err(panicked) => Poll::Ready(Err(panicked)),
        })
        .await
    }
}

/// Runs code of the app; what it panics with stays with the app's own panic hook.
pub(crate) fn caught<T>(code: impl FnOnce() -> T) -> Result<T, BoxError> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|_| "the app's code panicked".into())
}

impl fmt::Debug for OnLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<fn>")
    }
}
