//! The response to come: the app's, ours, or one of both once QQ has answered.

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

use crate::{
    ResponseBody,
    flow::{Outcome, OwnResponse, Visit, Work},
};

pin_project! {
    /// Response future of [`QqAuth`](crate::QqAuth).
    // No enum: the app's future would be moved once more to get into it.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        inner: Option<S::Future>,
        visit: Option<Visit>,
        // Boxed, as all that an ordinary request does not need: it would make every future larger.
        before: Option<Box<Before<S, B>>>,
    }
}

/// What comes before the app is called, or instead of it.
enum Before<S, B> {
    Own {
        response: Option<OwnResponse>,
    },
    // The app's service is not made ready before it is its turn: it would hold a place while QQ thinks.
    Wait {
        work: Work,
        onward: Option<(S, Request<B>)>,
    },
    Ready {
        onward: Option<(S, Request<B>)>,
    },
}

impl<S: Service<Request<B>>, B> ResponseFuture<S, B> {
    pub(crate) fn inner(future: S::Future, visit: Visit) -> Self {
        Self {
            inner: Some(future),
            visit: Some(visit),
            before: None,
        }
    }

    pub(crate) fn own(response: OwnResponse) -> Self {
        let response = Some(response);
        Self::before(Before::Own { response })
    }

    pub(crate) fn wait(work: Work, service: S, request: Request<B>) -> Self {
        let onward = Some((service, request));
        Self::before(Before::Wait { work, onward })
    }

    fn before(before: Before<S, B>) -> Self {
        Self {
            inner: None,
            visit: None,
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
        const ONCE: &str = "a future is not polled after it has completed";
        let mut this = self.project();
        while let Some(before) = this.before.as_deref_mut() {
            *before = match before {
                Before::Own { response } => {
                    let response = response.take().expect(ONCE);
                    return Poll::Ready(Ok(response.map(ResponseBody::own)));
                }
                Before::Wait { work, onward } => match ready!(work.as_mut().poll(cx)) {
                    Outcome::Respond(response) => {
                        return Poll::Ready(Ok(response.map(ResponseBody::own)));
                    }
                    Outcome::Forward(visit) => {
                        *this.visit = Some(visit);
                        let onward = onward.take();
                        Before::Ready { onward }
                    }
                },
                Before::Ready { onward } => {
                    ready!(onward.as_mut().expect(ONCE).0.poll_ready(cx))?;
                    let (mut service, mut request) = onward.take().expect(ONCE);
                    let visit = this.visit.as_ref().expect(ONCE);
                    visit.introduce(request.extensions_mut());
                    this.inner.set(Some(service.call(request)));
                    *this.before = None;
                    break;
                }
            };
        }
        let future = this.inner.as_pin_mut().expect(ONCE);
        let mut response = ready!(future.poll(cx))?;
        let visit = this.visit.as_mut().expect(ONCE);
        Poll::Ready(Ok(match visit.finish(&mut response) {
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
