//! The built-in HTTP client: reqwest with rustls.
//!
//! It follows no redirect and sends no `Referer`, since URLs contain the app key. It decompresses
//! nothing, since half a megabyte of gzip can become a gigabyte. It retries nothing, since a code
//! works only once.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{BoxError, service_fn};

use super::{
    app::QqApp,
    upstream::{Upstream, UpstreamError},
};
use crate::redirect_uri::AbsoluteUrl;

/// Builds the client. The error is the cause of a failure.
pub(super) fn build(app: &QqApp) -> Result<reqwest::Client, String> {
    let mut client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(3))
        // Most users come back from QQ within this time, to the connection opened when they left.
        .pool_idle_timeout(Duration::from_secs(90))
        .user_agent(concat!("tower-qq-auth/", env!("CARGO_PKG_VERSION")));
    if AbsoluteUrl::parse(&app.base_url).is_some_and(|url| url.is_loopback()) {
        client = client.no_proxy();
    }
    client.build().map_err(|error| {
        let cause = root_cause(&error);
        tracing::error!("every login will fail: cannot create the HTTP client: {cause}");
        cause
    })
}

pub(super) fn upstream(client: reqwest::Client) -> Upstream {
    let send = move |request: Request<Full<Bytes>>| {
        let client = client.clone();
        async move {
            let (head, body) = request.into_parts();
            // A `Full` is one frame that is there already.
            let body = body
                .collect()
                .await
                .map(|body| body.to_bytes())
                .unwrap_or_default();
            let request = reqwest::Request::try_from(Request::from_parts(head, body))?;
            let response = client.execute(request).await?;
            Ok::<_, BoxError>(Response::<reqwest::Body>::from(response))
        }
    };
    Upstream::new(service_fn(send), |error| {
        match error.downcast_ref::<reqwest::Error>() {
            Some(error) if error.is_timeout() => UpstreamError::TimedOut,
            _ => UpstreamError::Failed(root_cause(error.as_ref())),
        }
    })
}

/// Returns the innermost cause, such as "connection refused": the outer ones print the whole URL.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match cause.downcast_ref::<reqwest::Error>() {
        Some(_) => "the request could not be sent".into(),
        None => cause.to_string(),
    }
}
