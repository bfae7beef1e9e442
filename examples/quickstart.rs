//! A small site with QQ login: a public page, a page that needs a user, and sign-out.
//!
//! ```text
//! cargo run --example quickstart
//! ```
//!
//! With nothing configured, a mock of QQ runs inside the program. To use the real one, set
//! `QQ_APP_ID`, `QQ_APP_KEY`, `QQ_REDIRECT_URI` and `QQ_SESSION_KEY`. `LISTEN` is the address to
//! listen on (default `127.0.0.1:3000`) and `RUST_LOG` the log filter (default `info`).

use std::{
    env,
    error::Error,
    io::{self, IsTerminal},
    net::SocketAddr,
    process,
    time::Duration,
};

use axum::{
    Json, Router,
    http::header,
    response::{Html, IntoResponse},
    routing::get,
};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use tokio::{net::TcpListener, select, signal, time::sleep};
use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(&listen)
        .await
        .map_err(|error| format!("cannot listen on LISTEN={listen}: {error}"))?;
    let address = listener.local_addr()?;
    let stopped = shutdown_signal()?;

    let mut site = Router::new()
        .route("/", get(home))
        .route("/whoami", get(whoami))
        .route("/me", get(me));
    let qq = if is_configured() {
        let (app, keys) = (QqApp::from_env()?, SessionKeys::from_env()?);
        println!("listening     {address}");
        println!("callback      {}", app.redirect_uri());
        QqAuthLayer::new(app, keys)
    } else {
        let (client, mock) = mock_qq(address)?;
        site = site.nest_service("/mock-qq", mock);
        QqAuthLayer::new(client, SessionKeys::generate())
    };
    // Add the layer after every route: those added later do not see the user.
    axum::serve(listener, site.layer(qq))
        .with_graceful_shutdown(stopped)
        .await?;
    Ok(())
}

/// Public: shows the user, if any.
async fn home(user: Option<QqUser>) -> impl IntoResponse {
    let page = html! {
        (DOCTYPE)
        html lang="zh-CN" {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            title { "QQ 登录 · tower-qq-auth" }
            style { (PreEscaped(include_str!("quickstart.css"))) }
            main {
                h1 { "tower-qq-auth" }
                @match &user {
                    Some(user) => (greeting(user)),
                    None => (invitation()),
                }
            }
        }
    };
    // Caches must not keep a page that shows who is signed in.
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (headers, Html(page.into_string()))
}

fn invitation() -> Markup {
    html! {
        p { "你还没有登录。" br; span lang="en" { "You are not signed in." } }
        p {
            a.button href="/auth/qq/login" { "QQ 登录 " span lang="en" { "Sign in with QQ" } }
        }
    }
}

/// Shows the nickname and the picture. They may contain any text, which the template escapes.
fn greeting(user: &QqUser) -> Markup {
    let name = match user.nickname() {
        "" => "QQ 用户", // QQ does not always return a profile
        nickname => nickname,
    };
    html! {
        p.user {
            @if let Some(url) = user.avatar() {
                img src=(url) alt="" referrerpolicy="no-referrer";
            }
            span { "你好，" b { (name) } br; small { "openid " (user.openid()) } }
        }
        p { a href="/me" { "/me" } " · " a href="/whoami" { "/whoami" } }
        form method="post" action="/auth/qq/logout" {
            button.secondary { "退出登录 " span lang="en" { "Sign out" } }
        }
    }
}

/// Public: returns the user as JSON, or `null`.
async fn whoami(user: Option<QqUser>) -> Json<Option<QqUser>> {
    Json(user)
}

/// Protected: browsers without a session are sent to the login and come back, programs get 401.
async fn me(user: QqUser) -> Json<QqUser> {
    Json(user)
}

fn is_configured() -> bool {
    env::vars_os()
        .any(|(name, value)| name.to_string_lossy().starts_with("QQ_") && !value.is_empty())
}

/// Returns a mock of QQ for `/mock-qq`, and a client that calls it.
fn mock_qq(address: SocketAddr) -> Result<(QqClient, MockQq), Box<dyn Error>> {
    if !address.ip().is_loopback() {
        return Err("anyone can sign in with the mock: set LISTEN to a loopback address".into());
    }
    let (id, key) = ("101905280", "made-up-app-key");
    let redirect_uri = format!("http://{address}/auth/qq/callback");
    let app = QqApp::builder(id, key, &redirect_uri)
        .base_url(format!("http://{address}/mock-qq"))
        .build()?;
    let mock = MockQq::new(id, key, &redirect_uri);
    println!("open          http://{address}/");
    println!("callback      {redirect_uri}");
    println!("QQ            a mock inside this program; set QQ_APP_ID etc. for the real one");
    Ok((QqClient::with_service(app, mock.clone()), mock))
}

/// Listens for SIGTERM and Ctrl+C from now on, and returns a future that completes on one of them,
/// for `with_graceful_shutdown`. The process ends 15 s after the signal at the latest, so that a
/// slow upload cannot hold it.
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
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
            sleep(Duration::from_secs(15)).await; // more than `login_timeout` (10 s)
            process::exit(0);
        });
    })
}
