//! The built-in way to QQ: reqwest with rustls.
//!
//! No redirect is followed and no `Referer` sent, since the addresses hold the app key; nothing is decompressed, since
//! half a megabyte of gzip can be a gigabyte of page; nothing is sent twice, since a code is good for one use.

use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{BoxError, service_fn};

use super::upstream::{Trouble, Upstream};

pub(super) type Client = Result<reqwest::Client, Arc<reqwest::Error>>;

pub(super) fn build(without_proxy: bool) -> Client {
    let mut client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(3))
        // As long as most people need at QQ: a connection opened when they left is there when they come back.
        .pool_idle_timeout(Duration::from_secs(90))
        .user_agent(concat!("tower-qq-auth/", env!("CARGO_PKG_VERSION")));
    if without_proxy {
        client = client.no_proxy();
    }
    let client = client.build();
    if let Err(error) = &client {
        tracing::error!(
            "no login can succeed: the HTTP client could not be made: {}",
            root(error)
        );
    }
    client.map_err(Arc::new)
}

pub(super) fn upstream(client: Client) -> Upstream {
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
            let response = client?.execute(request).await?;
            Ok::<_, BoxError>(Response::<reqwest::Body>::from(response))
        }
    };
    Upstream::new(service_fn(send), |error| {
        match error.downcast_ref::<reqwest::Error>() {
            Some(error) if error.is_timeout() => Trouble::TimedOut,
            _ => Trouble::Broken(root(error.as_ref())),
        }
    })
}

/// The innermost cause, such as "connection refused": the outer ones print the address with everything in it.
pub(super) fn root(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match cause.downcast_ref::<reqwest::Error>() {
        Some(_) => "the request could not be sent".into(),
        None => cause.to_string(),
    }
}
