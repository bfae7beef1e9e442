//! The end of a site that a container, systemd or Ctrl+C stops.

use std::{io, process, time::Duration};

use tokio::{select, signal, time::sleep};

/// Listens for SIGTERM and Ctrl+C from now on, and returns a future that completes on one of them,
/// for `with_graceful_shutdown`. The process ends 15 s after the signal at the latest, so that a
/// slow upload cannot hold it.
///
/// # Errors
///
/// Returns an error if the process cannot handle signals.
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let (mut interrupted, mut terminated) = {
        use signal::unix::{SignalKind, signal};
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    #[cfg(windows)]
    let (mut interrupted, mut terminated) =
        (signal::windows::ctrl_c()?, signal::windows::ctrl_close()?);
    Ok(async move {
        select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        tokio::spawn(async {
            sleep(GRACE).await;
            process::exit(0);
        });
    })
}

/// More than `login_timeout` (10 s): a login under way is finished.
const GRACE: Duration = Duration::from_secs(15);
