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
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        Inner { #[pin] future: S::Future, visit: Visit },
        // Boxed, as all that an ordinary request does not need: it would make every future larger.
        Own { response: Option<Box<OwnResponse>> },
        // The app's service is not made ready before it is its turn: it would hold a place while QQ thinks.
        Wait { work: Work, onward: Option<Box<(S, Request<B>)>> },
        Ready { onward: Option<Box<(S, Request<B>)>>, visit: Option<Visit> },
    }
}

impl<S: Service<Request<B>>, B> ResponseFuture<S, B> {
    pub(crate) fn inner(future: S::Future, visit: Visit) -> Self {
        let state = State::Inner { future, visit };
        Self { state }
    }

    pub(crate) fn own(response: OwnResponse) -> Self {
        let response = Some(Box::new(response));
        let state = State::Own { response };
        Self { state }
    }

    pub(crate) fn wait(work: Work, service: S, request: Request<B>) -> Self {
        let onward = Some(Box::new((service, request)));
        let state = State::Wait { work, onward };
        Self { state }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const ONCE: &str = "a future is not polled after it has completed";
        loop {
            let mut state = self.as_mut().project().state;
            let next = match state.as_mut().project() {
                StateProj::Inner { future, visit } => {
                    let mut response = ready!(future.poll(cx))?;
                    return Poll::Ready(Ok(match visit.finish(&mut response) {
                        Some(own) => own.map(ResponseBody::own),
                        None => response.map(ResponseBody::inner),
                    }));
                }
                StateProj::Own { response } => {
                    let response = *response.take().expect(ONCE);
                    return Poll::Ready(Ok(response.map(ResponseBody::own)));
                }
                StateProj::Wait { work, onward } => match ready!(work.as_mut().poll(cx)) {
                    Outcome::Respond(response) => State::Own {
                        response: Some(Box::new(response)),
                    },
                    Outcome::Forward(visit) => State::Ready {
                        onward: onward.take(),
                        visit: Some(visit),
                    },
                },
                StateProj::Ready { onward, visit } => {
                    ready!(onward.as_mut().expect(ONCE).0.poll_ready(cx))?;
                    let (mut service, mut request) = *onward.take().expect(ONCE);
                    let visit = visit.take().expect(ONCE);
                    visit.introduce(request.extensions_mut());
                    State::Inner {
                        future: service.call(request),
                        visit,
                    }
                }
            };
            state.set(next);
        }
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
