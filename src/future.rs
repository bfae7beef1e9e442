//! The response to come: the app's, ours, or ours once QQ has answered.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::{
    ResponseBody,
    flow::{OwnResponse, Visit, Work},
};

pin_project! {
    /// Response future of [`QqAuth`](crate::QqAuth).
    pub struct ResponseFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<F> {
        Inner { #[pin] future: F, visit: Option<Visit> },
        Own { response: Option<OwnResponse> },
        Wait { work: Work },
    }
}

impl<F> ResponseFuture<F> {
    pub(crate) fn inner(future: F, visit: Visit) -> Self {
        let visit = Some(visit);
        let kind = Kind::Inner { future, visit };
        Self { kind }
    }

    pub(crate) fn own(response: OwnResponse) -> Self {
        let response = Some(response);
        let kind = Kind::Own { response };
        Self { kind }
    }

    pub(crate) fn wait(work: Work) -> Self {
        let kind = Kind::Wait { work };
        Self { kind }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const AGAIN: &str = "a future is not polled after it has completed";
        let own = match self.project().kind.project() {
            KindProj::Inner { future, visit } => {
                let (mut head, body) = ready!(future.poll(cx))?.into_parts();
                match visit.take().expect(AGAIN).finish(&mut head) {
                    Some(own) => own,
                    None => {
                        return Poll::Ready(Ok(Response::from_parts(
                            head,
                            ResponseBody::inner(body),
                        )));
                    }
                }
            }
            KindProj::Own { response } => response.take().expect(AGAIN),
            KindProj::Wait { work } => ready!(work.as_mut().poll(cx)),
        };
        Poll::Ready(Ok(own.map(ResponseBody::own)))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
