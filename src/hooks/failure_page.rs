//! The hook that renders failures.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;

use super::panics::catch_panic;
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind;
use crate::error::place::StateCause;
use crate::language::Language;
use crate::messages::{Labels, Message, Topic};

/// A failure to show to a user, for [`failure_page`](crate::QqAuthLayerBuilder::failure_page).
///
/// The button may start a login, so let a page also link to [`home`](Self::home), the way back to
/// the site.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    pub(crate) error: &'a LoginError,
    pub(crate) language: Language,
    /// `true` if the request had any cookie, of the layer or not.
    pub(crate) sends_cookies: bool,
    pub(crate) retry: Retry<'a>,
    /// The home page of the site.
    pub(crate) home: &'a str,
    /// `true` in the popup of a login.
    pub(crate) is_popup: bool,
}

/// The target of the button.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Retry<'a> {
    /// A new login.
    Login(&'a str),
    Page(&'a str),
}

impl<'a> Failure<'a> {
    /// Returns the language that the user prefers.
    pub fn language(&self) -> Language {
        self.language
    }

    /// Returns the status of the response. The status of the rendered page does not matter.
    pub fn status(&self) -> StatusCode {
        self.error.kind().status()
    }

    /// Returns the code that programs see, as [`LoginErrorKind::code`](crate::LoginErrorKind::code)
    /// does.
    pub fn code(&self) -> &'static str {
        self.error.kind().code()
    }

    /// Returns the title of the layer's page in this language.
    pub fn title(&self) -> &'static str {
        self.message().title
    }

    /// Returns the text of the layer's page, or the app's reason for a refusal. It is plain text:
    /// escape it.
    pub fn text(&self) -> &'a str {
        let reason = self.error.reason().filter(|reason| !reason.is_empty());
        reason.unwrap_or(self.message().text)
    }

    /// Returns the label of the button.
    pub fn button(&self) -> &'static str {
        use LoginErrorKind as Kind;
        let labels = Labels::new(self.language);
        match (self.kind(), self.retry) {
            (Kind::Refused | Kind::NotApproved, Retry::Login(_)) => labels.home,
            (Kind::Cancelled | Kind::LoginRequired | Kind::NotANavigation, Retry::Login(_)) => {
                labels.sign_in
            }
            (_, Retry::Login(_)) => labels.sign_in_again,
            (Kind::Prefetch, Retry::Page(_)) => labels.go_on,
            (Kind::SessionUnverified, Retry::Page(_)) => labels.retry,
            (_, Retry::Page(page)) if page == self.home => labels.home,
            (_, Retry::Page(_)) => labels.back,
        }
    }

    /// Returns the target of the button; escape it for an attribute.
    ///
    /// By default it starts a new login with the same destination. For `refused` and
    /// `not_approved` it is the home page, for a login with an intent the `return_to`, and for
    /// `session_unverified` on a page of the app that page (the home page for a form or a program).
    /// If another site may have caused the request, as for `cross_site`, it is the home page.
    pub fn url(&self) -> &'a str {
        match self.retry {
            Retry::Login(_) if self.excludes_account() => self.home,
            Retry::Login(url) | Retry::Page(url) => url,
        }
    }

    /// Returns the home page of the site, with the public prefix; or of the trusted origin where
    /// the login would have ended.
    pub fn home(&self) -> &'a str {
        self.home
    }

    /// Returns the code that identifies the event in the log. Only failed logins have one.
    pub fn support_code(&self) -> Option<&'a str> {
        self.error.support_code()
    }

    /// Returns the error itself.
    pub fn error(&self) -> &'a LoginError {
        self.error
    }

    /// Returns the label and the target of the link beside the button, if both differ.
    pub(crate) fn link(&self) -> Option<(&'static str, &'a str)> {
        let labels = Labels::new(self.language);
        match self.retry {
            Retry::Login(url) if self.excludes_account() => Some((labels.other_account, url)),
            _ => (self.url() != self.home).then_some((labels.home, self.home)),
        }
    }

    /// Returns the URL of a login that may succeed, if there is one.
    pub(crate) fn login_url(&self) -> Option<&'a str> {
        match self.retry {
            Retry::Login(url) => Some(url),
            Retry::Page(_) => None,
        }
    }

    /// Returns whether the same QQ account would fail again.
    fn excludes_account(&self) -> bool {
        matches!(
            self.kind(),
            LoginErrorKind::Refused | LoginErrorKind::NotApproved
        )
    }

    pub(crate) fn kind(&self) -> LoginErrorKind {
        self.error.kind()
    }

    fn message(&self) -> Message {
        let topic = match (self.kind(), self.error.cause(), self.retry) {
            (LoginErrorKind::InvalidState, None | Some(StateCause::NoCookie), _)
                if !self.sends_cookies =>
            {
                Topic::NoCookies
            }
            (LoginErrorKind::InvalidState, Some(cause), _) => Topic::InvalidState(cause),
            (LoginErrorKind::Refused, _, Retry::Page(_)) => Topic::IntentRefused,
            (LoginErrorKind::SessionUnverified, _, Retry::Login(_)) => Topic::LoginUnverified,
            (kind, _, _) => Topic::Failure(kind),
        };
        Message::new(topic, self.language)
    }
}

type Hook = dyn Fn(&Failure<'_>) -> Option<Response<Bytes>> + Send + Sync;

/// The hook of [`QqAuthLayerBuilder::failure_page`](crate::QqAuthLayerBuilder::failure_page).
pub(crate) struct FailurePage(Box<Hook>);

impl FailurePage {
    pub(crate) fn new<B>(hook: impl Fn(&Failure<'_>) -> Response<B> + Send + Sync + 'static) -> Self
    where
        B: Body<Data = Bytes>,
    {
        Self(Box::new(move |failure| collect_now(hook(failure))))
    }

    /// Returns `None` if the hook panics or its page streams.
    pub(crate) fn render(&self, failure: &Failure<'_>) -> Option<Response<Bytes>> {
        catch_panic(|| (self.0)(failure)).ok().flatten()
    }
}

/// Collects the body of a page, which must be available without waiting.
///
/// Returns `None` for a redirect as well: with the status of the failure it would lead nowhere.
fn collect_now<B: Body<Data = Bytes>>(page: Response<B>) -> Option<Response<Bytes>> {
    let (head, body) = page.into_parts();
    let collected = pin!(body.collect());
    match collected.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(_)) if head.status.is_redirection() => {
            tracing::error!("the failure_page hook returned a redirect instead of a page");
            None
        }
        Poll::Ready(Ok(body)) => Some(Response::from_parts(head, body.to_bytes())),
        Poll::Ready(Err(_)) | Poll::Pending => {
            tracing::error!("the failure_page hook returned a body that is not complete at once");
            None
        }
    }
}
