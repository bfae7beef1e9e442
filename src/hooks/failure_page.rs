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
use crate::language::Language;
use crate::messages::Message;

/// A failure to show to a user, for [`failure_page`](crate::QqAuthLayerBuilder::failure_page).
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    pub(crate) error: &'a LoginError,
    pub(crate) language: Language,
    /// `true` if the request had any cookie.
    pub(crate) sends_cookies: bool,
    pub(crate) retry: Retry<'a>,
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
        self.error.reason().unwrap_or(self.message().text)
    }

    /// Returns the label of the button.
    pub fn button(&self) -> &'static str {
        self.message().button
    }

    /// Returns the target of the button; escape it for an attribute.
    ///
    /// By default it starts a new login with the same destination. For a login with an intent it is
    /// the `return_to`, for `cross_site` it is `/`, and for `session_unverified` it is the
    /// requested page (`/` for a form or a program).
    pub fn url(&self) -> &'a str {
        match self.retry {
            Retry::Login(url) | Retry::Page(url) => url,
        }
    }

    /// Returns the code that identifies the event in the log. Only failed logins have one.
    pub fn support_code(&self) -> Option<&'a str> {
        self.error.support_code()
    }

    /// Returns the error itself.
    pub fn error(&self) -> &'a LoginError {
        self.error
    }

    /// Returns the target of the button if it starts a login.
    pub(crate) fn login_url(&self) -> Option<&'a str> {
        match self.retry {
            Retry::Login(url) => Some(url),
            Retry::Page(_) => None,
        }
    }

    fn message(&self) -> Message {
        Message::new(self.error.kind(), self.sends_cookies, self.language)
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
