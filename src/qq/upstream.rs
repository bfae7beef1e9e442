//! The connection to QQ: any tower service from a request to a response.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tower::{BoxError, ServiceExt};
use tower_service::Service;

/// QQ's replies have a few kilobytes at most.
const MAX_BODY: usize = 64 * 1024;

/// A response, with its body if the status is 200.
pub(super) struct UpstreamResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) length: Option<u64>,
    pub(super) body: Bytes,
}

#[derive(Debug)]
pub(super) enum UpstreamError {
    /// The text contains no URL.
    Failed(String),
    TimedOut,
    TooLarge,
}

type UpstreamFuture = Pin<Box<dyn Future<Output = Result<UpstreamResponse, UpstreamError>> + Send>>;

#[derive(Clone)]
pub(super) struct Upstream(Arc<dyn Fn(Request<Full<Bytes>>) -> UpstreamFuture + Send + Sync>);

impl Upstream {
    pub(super) fn new<S, B>(service: S, explain: fn(BoxError) -> UpstreamError) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        Self(Arc::new(move |request| {
            let response = service.clone().oneshot(request);
            Box::pin(async move {
                let response = response.await.map_err(|error| explain(error.into()))?;
                let (head, body) = response.into_parts();
                let (length, body) = match head.status {
                    StatusCode::OK => {
                        let body = read(body, explain).await?;
                        (Some(body.len() as u64), body)
                    }
                    // The body is not QQ's, so it is not read.
                    _ => (body.size_hint().exact(), Bytes::new()),
                };
                Ok(UpstreamResponse {
                    status: head.status,
                    headers: head.headers,
                    length,
                    body,
                })
            })
        }))
    }

    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<UpstreamResponse, UpstreamError> {
        (self.0)(request).await
    }
}

async fn read<B>(body: B, explain: fn(BoxError) -> UpstreamError) -> Result<Bytes, UpstreamError>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(match error.downcast::<LengthLimitError>() {
            Ok(_) => UpstreamError::TooLarge,
            Err(error) => explain(error),
        }),
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream")
    }
}
