//! A connection to QQ, opened while the user is at QQ: a cold one costs the callback two more round
//! trips.
//!
//! The request carries nothing of the login. Its connection stays in the pool of the HTTP client.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http::{Request, Uri, uri::Scheme};
use tokio::{runtime::Handle, time::timeout};

use super::{app::QqApp, http_client::HttpClient};

/// Longer than the timeout, so that at most one request is under way.
const INTERVAL: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Returns a function that opens the connection in the background.
///
/// Returns `None` if the app turned it off, and without TLS, where it gains nothing.
pub(super) fn build(app: &QqApp, client: HttpClient) -> Option<Arc<dyn Fn() + Send + Sync>> {
    let base: Uri = app.base_url.parse().ok()?;
    if !app.options.warm_up || base.scheme() != Some(&Scheme::HTTPS) {
        return None;
    }
    let origin = Uri::builder()
        .scheme(Scheme::HTTPS)
        .authority(base.authority()?.clone())
        .path_and_query("/");
    let request = Request::head(origin.build().ok()?);
    let request = request.body(()).ok()?;
    let last = Mutex::new(None::<Instant>);
    Some(Arc::new(move || {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        // Another request holds the lock and opens the connection.
        let Ok(mut last) = last.try_lock() else {
            return;
        };
        if last.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        *last = Some(Instant::now());
        let (client, request) = (client.clone(), request.clone());
        runtime.spawn(async move {
            let error = match timeout(TIMEOUT, client.send(request)).await {
                Ok(Ok(_)) => return tracing::debug!("connected to QQ ahead of the callback"),
                Ok(Err(error)) => error.to_string(),
                Err(late) => late.to_string(),
            };
            tracing::debug!("cannot connect to QQ ahead of the callback: {error}");
        });
    }))
}
