//! A connection to QQ, opened while the user is there: a cold one costs the callback two more round
//! trips.
//!
//! The request carries nothing of the login. Its connection stays in the pool of the HTTP client.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use reqwest::{Client, Url};
use tokio::runtime::Handle;

use super::{app::QqApp, http_client::root_cause};

/// Longer than the timeout, so that at most one request is under way.
const INTERVAL: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Returns a function that opens the connection in the background.
///
/// Returns `None` if the app turned it off, and without TLS, where it gains nothing.
pub(super) fn build(app: &QqApp, client: Client) -> Option<Arc<dyn Fn() + Send + Sync>> {
    let mut origin = Url::parse(&app.base_url).ok()?;
    if !app.options.warm_up || origin.scheme() != "https" {
        return None;
    }
    origin.set_path("/");
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
        let response = client.head(origin.clone()).timeout(TIMEOUT).send();
        runtime.spawn(async move {
            match response.await {
                Ok(_) => tracing::debug!("connected to QQ ahead of the callback"),
                Err(error) => {
                    let error = root_cause(&error);
                    tracing::debug!("cannot connect to QQ ahead of the callback: {error}");
                }
            }
        });
    }))
}
