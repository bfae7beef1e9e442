//! What a proxy hands over to an instance: the host, an id of the request, and WebSockets.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    http::HeaderMap,
    routing::{any, get},
};
use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use tokio::net::TcpListener;
use tokio_tungstenite::{client_async, tungstenite::client::IntoClientRequest};

use super::{
    PROXIES,
    front::{Front, Proxy, WWW},
    site::browser,
};

/// Serves an app that shows what it gets.
async fn mirror() -> SocketAddr {
    let shown = async |headers: HeaderMap| {
        let shown = |name| headers.get(name).unwrap().to_str().unwrap().to_owned();
        format!("{} {}", shown("host"), shown("x-request-id"))
    };
    let echo = async |mut socket: WebSocket| {
        while let Some(Ok(Message::Text(text))) = socket.recv().await {
            socket.send(Message::Text(text)).await.unwrap();
        }
    };
    let upgrade = async move |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo);
    let app = Router::new()
        .route("/healthz", get(async || ()))
        .route("/auth/qq/callback", get(shown))
        .route("/shown", get(shown))
        .route("/large", get(async || [("x-large", "x".repeat(6_000))]))
        .route("/socket", any(upgrade));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}

/// Starts each proxy that is installed.
async fn fronts(instances: [SocketAddr; 2]) -> Vec<(Proxy, Front)> {
    let mut fronts = Vec::new();
    for proxy in PROXIES {
        let front = Front::start(proxy, instances, Vec::new()).await;
        fronts.extend(front.map(|front| (proxy, front)));
    }
    fronts
}

#[tokio::test]
async fn an_instance_gets_the_host_and_an_id_that_the_access_log_has() {
    let instances = [mirror().await, mirror().await];
    for (proxy, front) in fronts(instances).await {
        let mut ids = Vec::new();
        for path in ["/shown", "/auth/qq/callback", "/shown"] {
            let browser = browser(front.https(WWW)).header("x-request-id", "forged");
            let shown = browser.clone().get(path).await.body;
            let (host, id) = shown.split_once(' ').unwrap();
            assert_eq!(host, WWW, "{proxy:?}");
            assert!(!ids.contains(&id.to_owned()) && id != "forged", "{id}");
            ids.push(id.to_owned());
        }
        for id in ids {
            let logs = front.logs();
            assert!(logs.contains(&id), "{proxy:?} does not log {id}: {logs}");
        }
    }
}

#[tokio::test]
async fn a_response_has_room_for_headers_of_the_app() {
    let instances = [mirror().await, mirror().await];
    for (proxy, front) in fronts(instances).await {
        let reply = browser(front.https(WWW)).get("/large").await;
        assert_eq!(reply.status, StatusCode::OK, "{proxy:?}: {reply:?}");
        assert_eq!(reply.header("x-large").len(), 6_000);
    }
}

#[tokio::test]
async fn a_websocket_passes() {
    let instances = [mirror().await, mirror().await];
    for (proxy, front) in fronts(instances).await {
        let stream = front.client(WWW, "http/1.1").connect().await.unwrap();
        let request = format!("wss://{WWW}/socket").into_client_request().unwrap();
        let (mut socket, _) = client_async(request, stream).await.unwrap();
        socket.send("hello".into()).await.unwrap();
        let echo = socket.next().await.unwrap().unwrap();
        assert_eq!(echo.to_text().unwrap(), "hello", "{proxy:?}");
    }
}
