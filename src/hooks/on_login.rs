//! What an app can decide about a login.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use http::{Response, StatusCode, request};
use tower::BoxError;

use crate::{Language, LoginError, QqLogin};

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
    pub(crate) async fn ask(
        &self,
        login: QqLogin,
        head: request::Parts,
    ) -> Result<Verdict, BoxError> {
        let mut answer = pin!(caught(|| (self.0)(login, head))?);
        std::future::poll_fn(|cx| match caught(|| answer.as_mut().poll(cx)) {
            Ok(poll) => poll,
            Err(panicked) => Poll::Ready(Err(panicked)),
        })
        .await
    }
}

/// What a page that the app renders itself has to tell: see
/// [`QqAuthLayer::failure_page`](crate::QqAuthLayer::failure_page).
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    pub(crate) language: Language,
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
    pub(crate) button: &'a str,
    pub(crate) url: &'a str,
    pub(crate) error: Option<&'a LoginError>,
}

impl<'a> Failure<'a> {
    /// The language that the person reads.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The status that the response will have, whatever the page says.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason as programs see it: `login_required`, `cross_site`, `session_unverified`, or that of a
    /// [`LoginErrorKind`](crate::LoginErrorKind).
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Our title for it, in that language.
    pub fn title(&self) -> &'a str {
        self.title
    }

    /// Our text for it, or the app's own reason for refusing. Plain text: escape it.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Our words for the button.
    pub fn button(&self) -> &'a str {
        self.button
    }

    /// Where the button leads: to a new login that still goes where this one was going, as far as that is known; to `/`
    /// for `cross_site`, and to the same page for `session_unverified`. Escape it for an attribute.
    pub fn url(&self) -> &'a str {
        self.url
    }

    /// The code by which the operator finds the event in the log; only failed logins have one.
    pub fn support_code(&self) -> Option<&'a str> {
        self.error?.support_code()
    }

    /// What went wrong, where a login did.
    pub fn error(&self) -> Option<&'a LoginError> {
        self.error
    }
}

/// The app's own look for failures.
#[derive(Clone)]
pub(crate) struct FailurePage(Arc<Render>);

type Render = dyn Fn(&Failure<'_>) -> Response<String> + Send + Sync;

impl FailurePage {
    pub(crate) fn new(
        hook: impl Fn(&Failure<'_>) -> Response<String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(hook))
    }

    /// The page; none if the app's code panics.
    pub(crate) fn render(&self, failure: &Failure<'_>) -> Option<Response<String>> {
        caught(|| (self.0)(failure)).ok()
    }
}

/// The app's own idea of whose account a request belongs to.
#[derive(Clone)]
pub(crate) struct AccountOf(Arc<Ask>);

type Ask = dyn Fn(&request::Parts) -> Option<String> + Send + Sync;

impl AccountOf {
    pub(crate) fn new(
        hook: impl Fn(&request::Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(hook))
    }

    /// The account; an error if the app's code panics.
    pub(crate) fn ask(&self, head: &request::Parts) -> Result<Option<String>, BoxError> {
        caught(|| (self.0)(head))
    }
}

/// Runs code of the app; what it panics with stays with the app's own panic hook.
pub(crate) fn caught<T>(code: impl FnOnce() -> T) -> Result<T, BoxError> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|_| "the app's code panicked".into())
}
