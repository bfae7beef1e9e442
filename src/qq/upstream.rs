//! The way to QQ: any tower service that sends a request and gives a response.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tower::{BoxError, ServiceExt};
use tower_service::Service;

/// No reply of QQ is longer than a few kilobytes.
const MAX_BODY: usize = 64 * 1024;

/// A response: whole where its status is 200, else without a body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) length: Option<u64>,
    pub(super) body: Bytes,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum Trouble {
    /// In words that hold no address.
    Broken(String),
    TimedOut,
    TooLarge,
}

type Call = Pin<Box<dyn Future<Output = Result<Answer, Trouble>> + Send>>;

#[derive(Clone)]
pub(super) struct Upstream(Arc<dyn Fn(Request<Full<Bytes>>) -> Call + Send + Sync>);

impl Upstream {
    pub(super) fn new<S, B>(service: S, explain: fn(BoxError) -> Trouble) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        Self(Arc::new(move |request| {
            let sent = service.clone().oneshot(request);
            Box::pin(async move {
                let (head, body) = sent
                    .await
                    .map_err(|error| explain(error.into()))?
                    .into_parts();
                let (status, headers) = (head.status, head.headers);
                // What comes with another status is not QQ's, and nobody looks at it.
                if status != StatusCode::OK {
                    let length = body.size_hint().exact();
                    let body = Bytes::new();
                    return Ok(Answer {
                        status,
                        headers,
                        length,
                        body,
                    });
                }
                let body = Limited::new(body, MAX_BODY).collect().await;
                let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
                    Ok(_) => Trouble::TooLarge,
                    Err(error) => explain(error),
                })?;
                let body = body.to_bytes();
                let length = Some(body.len() as u64);
                Ok(Answer {
                    status,
                    headers,
                    length,
                    body,
                })
            })
        }))
    }

    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Trouble> {
        (self.0)(request).await
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream")
    }
}
