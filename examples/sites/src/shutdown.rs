//! The end of a site that a container, systemd or Ctrl+C stops.

use std::{io, process, time::Duration};

use tokio::{select, signal, time::sleep};

/// Listens for SIGTERM and Ctrl+C from now on. The future that it returns waits for one of them,
/// after which a server finishes its requests. Those that take longer than 15 s, such as an upload
/// over a slow line, end with the process.
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
