//! A mock of QQ for a site of your own: sign in without an app id, offline, as made-up users.
//!
//! ```text
//! cargo run --example mock_qq
//! ```
//!
//! It prints the settings that your site needs. A site that is configured already needs only
//! `QQ_BASE_URL`: start the mock with the site's own `QQ_APP_ID`, `QQ_APP_KEY` and
//! `QQ_REDIRECT_URI`. `MOCK_QQ_PORT` is the port (default 4000; 0 takes a free one).
//!
//! With `QQ_PHONE_APP_ID`, the app id of the site's phone app or several separated by commas, it
//! also prints the access tokens that QQ's SDK would give to the phone apps of three users, and
//! grants UnionIDs, by which the site recognizes a user of both.

use std::{
    env::{self, VarError},
    error::Error,
    io,
    net::Ipv4Addr,
};

use tokio::{net::TcpListener, signal};
use tower_qq_auth::mock::MockQq;

const MADE_UP_KEY: &str = "made-up-app-key";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let id = setting("QQ_APP_ID", "101905280")?;
    let key = setting("QQ_APP_KEY", MADE_UP_KEY)?;
    let redirect_uri = setting("QQ_REDIRECT_URI", "http://127.0.0.1:3000/auth/qq/callback")?;
    let phone_apps = setting("QQ_PHONE_APP_ID", "")?;
    let port = setting("MOCK_QQ_PORT", "4000")?;
    let port = port
        .parse::<u16>()
        .map_err(|error| format!("MOCK_QQ_PORT={port}: {error}"))?;
    // On loopback only: anyone who reaches the mock can sign in as any user.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| format!("cannot listen on port MOCK_QQ_PORT={port}: {error}"))?;

    tokio::select! {
        biased; // watches for signals before the first line is printed
        interrupted = signal::ctrl_c() => interrupted?,
        terminated = wait_for_sigterm() => terminated?,
        stopped = serve(listener, id, key, redirect_uri, phone_apps) => stopped?,
    }
    Ok(())
}

/// Waits for SIGTERM, which containers and systemd send.
async fn wait_for_sigterm() -> io::Result<()> {
    #[cfg(unix)]
    signal::unix::signal(signal::unix::SignalKind::terminate())?
        .recv()
        .await;
    #[cfg(not(unix))]
    std::future::pending::<()>().await;
    Ok(())
}

/// Prints the settings of a site that uses the mock, and runs the mock.
async fn serve(
    listener: TcpListener,
    id: String,
    key: String,
    redirect_uri: String,
    phone_apps: String,
) -> io::Result<()> {
    eprintln!(
        "A mock of QQ is running. Start your site with these settings; Ctrl+C stops the mock."
    );
    println!("export QQ_BASE_URL=http://{}", listener.local_addr()?);
    println!("export QQ_APP_ID={id}");
    if key == MADE_UP_KEY {
        println!("export QQ_APP_KEY={key}"); // a real one stays out of terminals and logs
    }
    println!("export QQ_REDIRECT_URI={redirect_uri}");
    println!("export QQ_SESSION_KEY=$(openssl rand -hex 32)");
    let mock = MockQq::new(id, key, redirect_uri);
    let phone_apps: Vec<_> = phone_apps.split(',').map(str::trim).collect();
    if phone_apps != [""] {
        println!("export QQ_PHONE_APP_ID={}", phone_apps.join(","));
        print_tokens(&mock, &phone_apps);
    }
    mock.serve(listener).await
}

/// Prints an access token for each of the first three users at each phone app, as comments: a shell
/// can still run the lines.
fn print_tokens(mock: &MockQq, phone_apps: &[&str]) {
    mock.grant_union_id(true);
    for app_id in phone_apps {
        for user in mock.people().iter().take(3) {
            if let Ok(token) = mock.sdk_token(app_id, &user.openid) {
                println!("# token {token} of {} at {app_id}", user.nickname);
            }
        }
    }
}

/// Returns an environment variable, or the default if it is not set or empty.
fn setting(name: &str, default: &str) -> Result<String, String> {
    match env::var(name) {
        Ok(value) if !value.trim().is_empty() => Ok(value.trim().to_owned()),
        Ok(_) | Err(VarError::NotPresent) => Ok(default.to_owned()),
        Err(VarError::NotUnicode(_)) => Err(format!("{name} is not UTF-8")),
    }
}
