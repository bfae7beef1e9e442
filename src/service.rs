//! The middleware: one decision for each request.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    ResponseBody, ResponseFuture,
    flow::{Decision, Flow, Head},
};

/// Middleware that signs people in with QQ: see the [crate's page](crate) for an example.
#[derive(Clone, Debug)]
pub struct QqAuth<S> {
    inner: S,
    flow: Arc<Flow>,
}

impl<S> QqAuth<S> {
    pub(crate) fn new(inner: S, flow: Arc<Flow>) -> Self {
        Self { inner, flow }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for QqAuth<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        match self.flow.decide(Head::of(&request)) {
            Decision::Forward(visit) => {
                visit.introduce(request.extensions_mut());
                ResponseFuture::inner(self.inner.call(request), visit)
            }
            Decision::Respond(response) => {
                release(&mut self.inner);
                ResponseFuture::own(response)
            }
            Decision::Wait(work) => {
                release(&mut self.inner);
                ResponseFuture::wait(work, self.inner.clone(), request)
            }
        }
    }
}

/// Gives up the readiness of a service that is not called now: it may hold a permit that others wait for.
pub(crate) fn release<S: Clone>(service: &mut S) {
    let unready = service.clone();
    drop(mem::replace(service, unready));
}
