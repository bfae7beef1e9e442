//! The response to come: the app's, the layer's, or either once a pending action is decided.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::body::ResponseBody;
use crate::respond::response::OwnResponse;
use crate::routes::action::{Action, PendingAction};
use crate::routes::context::RequestContext;

pin_project! {
    /// Response future of [`QqAuth`](crate::service::QqAuth).
    // No enum: entering another variant would move the app's future once more.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        inner: Option<S::Future>,
        context: Option<RequestContext>,
        // Boxed to keep the pass-through future small.
        before: Option<Box<Before<S, B>>>,
    }
}

/// The states before the app is called, or instead of it.
enum Before<S, B> {
    Respond {
        response: Option<OwnResponse>,
    },
    Wait {
        action: PendingAction,
        onward: Option<(S, Request<B>)>,
    },
    // The service becomes ready only now: earlier it would hold a permit while QQ answers.
    Ready {
        onward: Option<(S, Request<B>)>,
    },
}

impl<S: Service<Request<B>>, B> ResponseFuture<S, B> {
    pub(super) fn forward(future: S::Future, context: RequestContext) -> Self {
        Self {
            inner: Some(future),
            context: Some(context),
            before: None,
        }
    }

    pub(super) fn respond(response: OwnResponse) -> Self {
        let response = Some(response);
        Self::before(Before::Respond { response })
    }

    pub(super) fn wait(action: PendingAction, service: S, request: Request<B>) -> Self {
        let onward = Some((service, request));
        Self::before(Before::Wait { action, onward })
    }

    fn before(before: Before<S, B>) -> Self {
        Self {
            inner: None,
            context: None,
            before: Some(Box::new(before)),
        }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const ONCE: &str = "a future is not polled after completion";
        let mut this = self.project();
        while let Some(before) = this.before.as_deref_mut() {
            *before = match before {
                Before::Respond { response } => {
                    let response = response.take().expect(ONCE);
                    return Poll::Ready(Ok(response.map(ResponseBody::own)));
                }
                Before::Wait { action, onward } => match ready!(action.as_mut().poll(cx)) {
                    Action::Respond(response) => {
                        return Poll::Ready(Ok(response.map(ResponseBody::own)));
                    }
                    Action::Wait(action) => {
                        let onward = onward.take();
                        Before::Wait { action, onward }
                    }
                    Action::Forward(context) => {
                        *this.context = Some(context);
                        let onward = onward.take();
                        Before::Ready { onward }
                    }
                },
                Before::Ready { onward } => {
                    ready!(onward.as_mut().expect(ONCE).0.poll_ready(cx))?;
                    let (mut service, mut request) = onward.take().expect(ONCE);
                    let context = this.context.as_ref().expect(ONCE);
                    context.insert_user(request.extensions_mut());
                    this.inner.set(Some(service.call(request)));
                    *this.before = None;
                    break;
                }
            };
        }
        let future = this.inner.as_pin_mut().expect(ONCE);
        let mut response = ready!(future.poll(cx))?;
        let context = this.context.as_mut().expect(ONCE);
        Poll::Ready(Ok(match context.finish(&mut response) {
            Some(own) => own.map(ResponseBody::own),
            None => response.map(ResponseBody::inner),
        }))
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
