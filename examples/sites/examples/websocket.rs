//! A chat over WebSockets. A socket closes when the session that opened it ends.
//!
//! ```text
//! cargo run -p sites --example websocket --features redis
//! REDIS_URL=redis://127.0.0.1:6379 cargo run -p sites --example websocket --features redis
//! ```
//!
//! Open it in two tabs and sign in. Sign out in one tab: the other one shows within a second that
//! the session has ended. The second button ends the sessions of all browsers of the user. Without
//! `REDIS_URL` the list of ended sessions is in the memory of this process; with it, several
//! processes share the list, though each has a chat of its own. It reads `LISTEN` and the variables
//! of QQ like the quickstart.

use std::{env, error::Error, time::Duration};

use axum::{
    Router,
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{any, get, post},
};
use sites::{Server, page};
use tokio::{
    select,
    sync::broadcast::{Receiver, Sender, error::RecvError},
    time::timeout,
};
use tower_http::csrf::CsrfLayer;
use tower_qq_auth::{
    QqAuthLayer, QqSession, QqUser,
    revocation::{InMemoryRevocations, RedisRevocations},
};

#[derive(Clone)]
struct Chat {
    qq: QqAuthLayer,
    /// The site's own origin, such as `https://www.example.com`.
    origin: HeaderValue,
    messages: Sender<String>,
}

/// Opens a socket for a signed-in user. The page cannot read the status of a refusal.
async fn open(
    State(chat): State<Chat>,
    session: QqSession,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, StatusCode> {
    // A page of any origin may open a socket here, and the browser sends this site's cookies along:
    // without this check that page would read and write as the user. `SameSite=Lax` stops other
    // sites, but neither other ports nor other subdomains of this one.
    if headers.get(header::ORIGIN) != Some(&chat.origin) {
        return Err(StatusCode::FORBIDDEN);
    }
    // Before the client knows that it is connected, so that it misses no message.
    let incoming = chat.messages.subscribe();
    let upgrade = upgrade.max_message_size(4096);
    Ok(upgrade.on_upgrade(async move |mut socket| {
        // A client that reads nothing makes the chat wait, but its session ends all the same.
        select! {
            () = session.ended() => close(socket).await,
            () = talk(&mut socket, session.user(), &chat.messages, incoming) => {}
        }
    }))
}

/// Tells the page why the socket closes.
async fn close(mut socket: WebSocket) {
    let frame = CloseFrame {
        code: SESSION_ENDED,
        reason: "the session has ended".into(),
    };
    let goodbye = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            // Closing with unread bytes would drop the frame: wait for the client's answer.
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    let _ = timeout(Duration::from_secs(5), goodbye).await;
}

/// A code for the app's own use, like the status 401. The page knows it as well.
const SESSION_ENDED: u16 = 4401;

/// Sends the user every message, and every user the messages of this one.
async fn talk(
    socket: &mut WebSocket,
    user: &QqUser,
    messages: &Sender<String>,
    mut incoming: Receiver<String>,
) {
    loop {
        select! {
            message = incoming.recv() => {
                let message = match message {
                    Ok(message) => message,
                    // The client is slow and has missed messages.
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return,
                };
                if socket.send(Message::text(message)).await.is_err() {
                    return;
                }
            }
            received = socket.recv() => match received {
                Some(Ok(Message::Text(text))) => {
                    let _ = messages.send(format!("{}: {text}", user.nickname()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}

async fn home(user: Option<QqUser>) -> Response {
    if user.is_none() {
        return page(SIGNED_OUT);
    }
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, Html(include_str!("websocket/index.html"))).into_response()
}

async fn script() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (headers, include_str!("websocket/chat.js"))
}

/// Ends the sessions of all browsers of the user.
async fn sign_out_everywhere(State(chat): State<Chat>, user: QqUser) -> StatusCode {
    match chat.qq.revoke_user(user.identity()).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    let layer = QqAuthLayer::builder(server.client(), server.keys());
    let layer = match env::var("REDIS_URL").ok().filter(|url| !url.is_empty()) {
        Some(url) => {
            let list = RedisRevocations::new(&url)?;
            list.check().await?;
            layer.revocations(list)
        }
        None => layer.revocations(InMemoryRevocations::new()),
    };
    let qq = layer.build()?;
    let chat = Chat {
        qq: qq.clone(),
        origin: server.origin().parse()?,
        messages: Sender::new(64),
    };
    let site = Router::new()
        .route("/", get(home))
        .route("/chat", any(open))
        .route("/chat.js", get(script))
        .route("/sign-out-everywhere", post(sign_out_everywhere))
        .with_state(chat)
        .layer(CsrfLayer::new())
        .layer(qq);
    server.serve(site).await
}

const SIGNED_OUT: &str = r#"<p>登录后即可聊天。<br><span lang="en">Sign in to chat.</span></p>
<p><a class="button" href="/auth/qq/login">QQ 登录 <span lang="en">Sign in with QQ</span></a></p>"#;

/// Scripts, styles and connections of this site only, and no HTML made from text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
