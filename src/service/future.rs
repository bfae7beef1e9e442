//! The response future: the app's response, the layer's, or either after a pending action.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::body::ResponseBody;
use crate::respond::response::LayerResponse;
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

/// The states before the call of the app, or instead of it.
enum Before<S, B> {
    Respond(LayerResponse),
    Forward {
        /// `None` once the action is decided.
        action: Option<PendingAction>,
        service: S,
        request: Request<B>,
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

    pub(super) fn respond(response: LayerResponse) -> Self {
        Self::before(Before::Respond(response))
    }

    pub(super) fn wait(action: PendingAction, service: S, request: Request<B>) -> Self {
        Self::before(Before::Forward {
            action: Some(action),
            service,
            request,
        })
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
        if let Some(Before::Forward {
            action, service, ..
        }) = this.before.as_deref_mut()
        {
            while let Some(pending) = action {
                match ready!(pending.as_mut().poll(cx)) {
                    Action::Wait(next) => *pending = next,
                    Action::Respond(response) => {
                        return Poll::Ready(Ok(response.map(ResponseBody::from_layer)));
                    }
                    Action::Forward(context) => {
                        *this.context = Some(context);
                        *action = None;
                    }
                }
            }
            // Not polled earlier: the service would hold a permit while QQ answers.
            ready!(service.poll_ready(cx))?;
        }
        match this.before.take().map(|before| *before) {
            Some(Before::Respond(response)) => {
                return Poll::Ready(Ok(response.map(ResponseBody::from_layer)));
            }
            Some(Before::Forward {
                mut service,
                mut request,
                ..
            }) => {
                let context = this.context.as_ref().expect(ONCE);
                context.insert_user(request.extensions_mut());
                this.inner.set(Some(service.call(request)));
            }
            None => {}
        }
        let future = this.inner.as_pin_mut().expect(ONCE);
        let mut response = ready!(future.poll(cx))?;
        let context = this.context.as_mut().expect(ONCE);
        Poll::Ready(Ok(match context.finish(&mut response) {
            Some(replacement) => replacement.map(ResponseBody::from_layer),
            None => response.map(ResponseBody::from_app),
        }))
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
