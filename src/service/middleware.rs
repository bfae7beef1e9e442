//! The middleware: one decision for each request.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{body::ResponseBody, future::ResponseFuture, readiness::release};
use crate::request::head::RequestHead;
use crate::routes::action::Action;
use crate::routes::route;
use crate::site::Site;

/// Middleware that signs users in with QQ: see the [crate's page](crate) for an example.
#[derive(Clone, Debug)]
pub struct QqAuth<S> {
    inner: S,
    site: Arc<Site>,
}

impl<S> QqAuth<S> {
    pub(crate) fn new(inner: S, site: Arc<Site>) -> Self {
        Self { inner, site }
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
        let scope = self.site.sessions.scope();
        let has_layer_cookies = scope.mark_sensitive(request.headers_mut());
        match route(&self.site, RequestHead::of(&request), has_layer_cookies) {
            Action::Forward(context) => {
                context.insert_user(request.extensions_mut());
                ResponseFuture::forward(self.inner.call(request), context)
            }
            Action::Respond(response) => {
                // Releases the readiness, since the app is not called.
                release(&mut self.inner);
                ResponseFuture::respond(response)
            }
            Action::Wait(action) => {
                // Releases the readiness; the future polls for it again if it forwards the request.
                release(&mut self.inner);
                ResponseFuture::wait(action, self.inner.clone(), request)
            }
        }
    }
}
