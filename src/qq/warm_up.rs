//! A connection to QQ, opened while the person is there: a cold one costs the callback two more round trips.
//!
//! A request without anything of a login, so that the connection it took is left in the pool of the HTTP client.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use reqwest::Url;
use tokio::runtime::Handle;

use super::{
    QqApp,
    http_client::{Client, root},
};

/// Longer than one may take, so that there is never more than one under way.
const EVERY: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(10);

/// None where there is nothing to gain: without TLS.
pub(super) fn warmer(app: &QqApp, client: &Client) -> Option<Arc<dyn Fn() + Send + Sync>> {
    let client = client.clone().ok()?;
    let mut origin = Url::parse(&app.base_url).ok()?;
    if origin.scheme() != "https" {
        return None;
    }
    origin.set_path("/");
    let last = Mutex::new(None::<Instant>);
    Some(Arc::new(move || {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        // Whoever is beaten to the lock has nothing to do.
        let Ok(mut last) = last.try_lock() else {
            return;
        };
        if last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        *last = Some(Instant::now());
        let sent = client.head(origin.clone()).timeout(TIMEOUT).send();
        runtime.spawn(async move {
            match sent.await {
                Ok(_) => tracing::debug!("a connection to QQ is open ahead of the callback"),
                Err(error) => {
                    let error = root(&error);
                    tracing::debug!("no connection to QQ ahead of the callback: {error}");
                }
            }
        });
    }))
}
