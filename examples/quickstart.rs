//! A small site with QQ login: a public page, a page that needs a user, and sign-out.
//!
//! ```text
//! cargo run --example quickstart
//! ```
//!
//! With nothing configured it has a made-up QQ inside. With `QQ_APP_ID`, `QQ_APP_KEY`, `QQ_REDIRECT_URI` and
//! `QQ_SESSION_KEY` it talks to the real one (or to the one at `QQ_BASE_URL`). `LISTEN` is the address to listen on, by
//! default `127.0.0.1:3000`; `RUST_LOG` says what is logged.

use std::{
    env,
    error::Error,
    io::{self, IsTerminal, Write},
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use axum::{Json, Router, response::Html, routing::get};
use tokio::net::TcpListener;
use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq};
use tracing_subscriber::EnvFilter;

/// The site. The layer comes last, on the outermost router.
fn site(qq: QqAuthLayer) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/whoami", get(whoami))
        .route("/me", get(me))
        .layer(qq)
}

/// Public: anybody may come.
async fn home(user: Option<QqUser>) -> Html<String> {
    let content = match user {
        None => "<p>你还没有登录。<br><span lang=\"en\">You are not signed in.</span></p>\
             <p><a class=\"button\" href=\"/auth/qq/login\">QQ 登录 <span lang=\"en\">Sign in with QQ</span></a></p>"
            .into(),
        Some(user) => greeting(&user),
    };
    Html(PAGE.replace("{content}", &content))
}

/// Public: who is there, for programs.
async fn whoami(user: Option<QqUser>) -> Json<Option<QqUser>> {
    Json(user)
}

/// Needs somebody: anybody else is sent to the login and comes back, or gets 401.
async fn me(user: QqUser) -> Json<QqUser> {
    Json(user)
}

fn greeting(user: &QqUser) -> String {
    let name = match user.nickname() {
        "" => "QQ 用户".into(),
        nickname => escaped(nickname),
    };
    let initial = escaped(&user.nickname().chars().take(1).collect::<String>());
    let picture = user.avatar().map_or_else(String::new, |url| {
        let url = escaped(url);
        format!(
            "<img src=\"{url}\" alt=\"\" referrerpolicy=\"no-referrer\" onerror=\"this.remove()\">"
        )
    });
    let openid = user.openid();
    format!(
        "<p class=\"who\"><span class=\"picture\" aria-hidden=\"true\">{initial}{picture}</span>\
         <span>你好，<b>{name}</b><br><small>openid {openid}</small></span></p>\
         <p><a href=\"/me\">/me</a> · <a href=\"/whoami\">/whoami</a></p>\
         <form method=\"post\" action=\"/auth/qq/logout\">\
         <button>退出登录 <span lang=\"en\">Sign out</span></button></form>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let real = if is_configured() {
        Some((QqApp::from_env()?, SessionKeys::from_env()?))
    } else {
        None
    };
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(&listen)
        .await
        .map_err(|error| format!("LISTEN: cannot listen on {listen:?}: {error}"))?;
    let address = listener.local_addr()?;
    let app = match real {
        Some((app, keys)) => {
            say(&format!("listening on  http://{address}/"))?;
            say(&format!(
                "callback      {}   (register exactly this at connect.qq.com)",
                app.redirect_uri()
            ))?;
            site(QqAuthLayer::new(app, keys))
        }
        None => with_mock(address)?,
    };
    axum::serve(listener, app)
        .with_graceful_shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    Ok(())
}

/// The site with a made-up QQ beside it, which is also where the layer sends its questions.
fn with_mock(address: SocketAddr) -> Result<Router, Box<dyn Error>> {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    if !address.ip().is_loopback() {
        return Err(
            "LISTEN: without QQ_APP_ID everybody is let in, so only a loopback address will do"
                .into(),
        );
    }
    let (id, key) = ("101905280", "made-up-app-key");
    let callback = format!("http://{address}/auth/qq/callback");
    let app =
        QqApp::new(id, key, callback.clone())?.base_url(format!("http://{address}/mock-qq"))?;
    say(&format!("open          http://{address}/"))?;
    say(&format!(
        "callback      {callback}   (with a real app: register its own at connect.qq.com)"
    ))?;
    say(
        "QQ            made up, inside this program; set QQ_APP_ID, QQ_APP_KEY, QQ_REDIRECT_URI and QQ_SESSION_KEY for the real one",
    )?;
    let mock = MockQq::new(id, key, callback);
    let client = QqClient::with_service(app, mock.clone());
    let layer = QqAuthLayer::with_client(client, SessionKeys::generate());
    Ok(site(layer).nest_service("/mock-qq", mock))
}

/// Whether anybody began to configure a real app. What is missing then is an error, not a reason to make one up.
fn is_configured() -> bool {
    [
        "QQ_APP_ID",
        "QQ_APP_KEY",
        "QQ_APP_KEY_FILE",
        "QQ_REDIRECT_URI",
        "QQ_BASE_URL",
        "QQ_SESSION_KEY",
    ]
    .into_iter()
    .any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

const PAGE: &str = r#"<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>QQ 登录 · quickstart</title>
<style>
:root { color-scheme: light dark }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: #f4f6f8; color: #1b1f24;
  font: 16px/1.6 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif }
main { box-sizing: border-box; width: min(28rem, 100vw - 2rem); padding: 2rem; background: #fff; border-radius: 12px;
  box-shadow: 0 1px 4px #0002 }
h1 { margin: 0 0 1rem; font-size: 1.4rem }
p { margin: 0 0 1.25rem; overflow-wrap: anywhere }
a { color: #0a58b0 }
.button, button { display: inline-block; padding: .6rem 1.4rem; border: 0; border-radius: 8px; background: #0a63c9;
  color: #fff; font: inherit; font-weight: 600; text-decoration: none; cursor: pointer }
.button:focus-visible, button:focus-visible { outline: 3px solid #f5a623; outline-offset: 2px }
.who { display: flex; gap: 1rem; align-items: center }
.picture { position: relative; flex: none; display: grid; place-items: center; width: 56px; height: 56px;
  border-radius: 50%; overflow: hidden; background: #d6e6f8; color: #0a58b0; font-size: 1.5rem }
.picture img { position: absolute; inset: 0; width: 100%; height: 100% }
small { color: #57606a }
@media (prefers-color-scheme: dark) {
  body { background: #0d1117; color: #e6edf3 }
  main { background: #161b22; box-shadow: none }
  a:not(.button) { color: #6cb2f7 }
  small { color: #9198a1 }
}
</style>
</head>
<body><main><h1>tower-qq-auth</h1>{content}</main></body>
</html>
"#;
