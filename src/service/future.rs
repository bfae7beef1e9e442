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
use tokio::task::JoinHandle;
use tower_service::Service;

use super::body::ResponseBody;
use crate::respond::response::LayerResponse;
use crate::routes::action::{Action, PendingAction};
use crate::routes::context::RequestContext;
use crate::routes::finish::Finished;

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
        stage: Option<Box<Stage<S, B>>>,
    }
}

/// The states in which the app does not run.
enum Stage<S: Service<Request<B>>, B> {
    Respond(LayerResponse),
    Forward {
        /// `None` once the action is decided.
        action: Option<PendingAction>,
        service: S,
        request: Request<B>,
    },
    /// The app has answered, and a session ends.
    End {
        ending: JoinHandle<()>,
        response: S::Response,
        replacement: Option<LayerResponse>,
    },
}

impl<S: Service<Request<B>>, B> ResponseFuture<S, B> {
    pub(super) fn forward(future: S::Future, context: RequestContext) -> Self {
        Self {
            inner: Some(future),
            context: Some(context),
            stage: None,
        }
    }

    pub(super) fn respond(response: LayerResponse) -> Self {
        Self::with_stage(Stage::Respond(response))
    }

    pub(super) fn wait(action: PendingAction, service: S, request: Request<B>) -> Self {
        Self::with_stage(Stage::Forward {
            action: Some(action),
            service,
            request,
        })
    }

    fn with_stage(stage: Stage<S, B>) -> Self {
        Self {
            inner: None,
            context: None,
            stage: Some(Box::new(stage)),
        }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const ONCE: &str = "a future is not polled after completion";
        let mut this = self.as_mut().project();
        if let Some(Stage::Forward {
            action, service, ..
        }) = this.stage.as_deref_mut()
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
        if let Some(Stage::End { ending, .. }) = this.stage.as_deref_mut() {
            // A panic of the app's list goes to the panic hook; the cookie is removed all the same.
            let _ = ready!(Pin::new(ending).poll(cx));
        }
        match this.stage.take().map(|stage| *stage) {
            Some(Stage::Respond(response)) => {
                return Poll::Ready(Ok(response.map(ResponseBody::from_layer)));
            }
            Some(Stage::Forward {
                mut service,
                mut request,
                ..
            }) => {
                let context = this.context.as_ref().expect(ONCE);
                context.insert_user(request.extensions_mut());
                this.inner.set(Some(service.call(request)));
            }
            Some(Stage::End {
                response,
                replacement,
                ..
            }) => return Poll::Ready(Ok(choose(response, replacement))),
            None => {}
        }
        let future = this.inner.as_mut().as_pin_mut().expect(ONCE);
        let mut response = ready!(future.poll(cx))?;
        let context = this.context.as_mut().expect(ONCE);
        let Finished {
            replacement,
            ending,
        } = context.finish(&mut response);
        let Some(ending) = ending else {
            return Poll::Ready(Ok(choose(response, replacement)));
        };
        *this.stage = Some(Box::new(Stage::End {
            ending,
            response,
            replacement,
        }));
        self.poll(cx)
    }
}

fn choose<B>(response: Response<B>, replacement: Option<LayerResponse>) -> Response<ResponseBody<B>>
where
    B: Body<Data = Bytes>,
{
    match replacement {
        Some(replacement) => replacement.map(ResponseBody::from_layer),
        None => response.map(ResponseBody::from_app),
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
