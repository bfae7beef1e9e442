//! The body of a response: the app's, untouched, or the layer's own.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;

pin_project! {
    /// Response body of [`QqAuth`](crate::service::QqAuth): the app's body frame by frame, or a
    /// page of the layer.
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    // `http_body_util::Either` would change the app's error type.
    #[project = KindProj]
    enum Kind<B> {
        App { #[pin] body: B },
        // Boxed, so that a response of the app stays as small as without the layer.
        Layer { #[pin] body: Box<Full<Bytes>> },
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn from_app(body: B) -> Self {
        let kind = Kind::App { body };
        Self { kind }
    }

    pub(crate) fn from_layer(body: Full<Bytes>) -> Self {
        let kind = Kind::Layer {
            body: Box::new(body),
        };
        Self { kind }
    }
}

// Omits the layer's bodies: the JSON that starts a login contains its state.
impl<B: fmt::Debug> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::App { body } => f.debug_tuple("ResponseBody").field(body).finish(),
            Kind::Layer { .. } => f.debug_struct("ResponseBody").finish_non_exhaustive(),
        }
    }
}

// The CORS layer of tower-http answers a preflight with the default body.
impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::from_app(B::default())
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::App { body } => body.poll_frame(cx),
            KindProj::Layer { body } => body.poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::App { body } => body.is_end_stream(),
            Kind::Layer { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::App { body } => body.size_hint(),
            Kind::Layer { body } => body.size_hint(),
        }
    }
}
