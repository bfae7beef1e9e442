//! The connection to QQ: any tower service from a request to a response.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tokio::time::timeout;
use tower::{BoxError, ServiceExt};
use tower_service::Service;

use super::{
    codes::QqCode,
    reply::{Reply, integer},
};

/// QQ's replies have a few kilobytes at most.
const MAX_BODY: usize = 64 * 1024;

/// The body of an error may hang, and the status alone says enough.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// The reason why a request has no reply to read.
#[derive(Debug)]
pub(super) enum UpstreamError {
    /// The status is not 200, and the body has none of QQ's error codes.
    Status {
        status: StatusCode,
        headers: HeaderMap,
        /// The length of the body, if it is known.
        length: Option<u64>,
    },
    /// The text contains no URL.
    Failed(String),
    TimedOut,
    TooLarge,
    /// No byte of the request has left this process.
    #[cfg(feature = "reqwest")]
    Unsent(Box<UpstreamError>),
}

type UpstreamFuture = Pin<Box<dyn Future<Output = Result<Bytes, UpstreamError>> + Send>>;

/// A service that sends requests to QQ, without its type.
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
                let length = body.size_hint().exact();
                let body = read(body, explain);
                if head.status == StatusCode::OK {
                    return body.await;
                }
                match timeout(ERROR_BODY_TIMEOUT, body).await {
                    Ok(Ok(body)) if has_error_code(&body) => return Ok(body),
                    _ => {}
                }
                Err(UpstreamError::Status {
                    status: head.status,
                    headers: head.headers,
                    length,
                })
            })
        }))
    }

    /// Creates an upstream that fails every request.
    #[cfg(feature = "reqwest")]
    pub(super) fn failing(cause: String) -> Self {
        Self(Arc::new(move |_| {
            let error = UpstreamError::Failed(cause.clone());
            Box::pin(async move { Err(error) })
        }))
    }

    /// Sends a request and returns the body of its response.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Bytes, UpstreamError> {
        (self.0)(request).await
    }
}

/// Returns whether a body reports one of QQ's error codes. Then it is QQ's, whatever the status.
fn has_error_code(body: &[u8]) -> bool {
    let reply = Reply::parse(body);
    let code = reply.and_then(|reply| integer(reply.error()?));
    code.and_then(QqCode::find).is_some()
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
