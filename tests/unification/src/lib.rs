//! Features of other crates change nothing. Each test shows first what the feature does to a client
//! that does not care.

#![cfg(test)]

use std::{error::Error, net::SocketAddr};

use rustls::crypto::CryptoProvider;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower_qq_auth::{
    LoginError, LoginErrorKind, OpenId, QqApp, QqAuthLayer, QqClient, SessionKeys,
    revocation::RedisRevocations,
};

/// `{"access_token":"T","expires_in":"7","openid":"CC7F5CEFEFC0EBAB9B07EB481AEBC29C"}`, as
/// `gzip --best --no-name` compresses it.
const GZIP: &[u8] = include_bytes!("token.json.gz");

/// Answers every connection with these bytes, and then closes it.
async fn serve(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = answer(stream, &bytes).await;
        }
    });
    address
}

async fn answer(mut stream: TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.read(&mut [0; 4096]).await?;
    stream.write_all(bytes).await?;
    stream.shutdown().await?;
    // To close with unread bytes would reset the connection.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(())
}

fn app(base_url: &str) -> QqApp {
    let callback = "https://site.example/auth/qq/callback";
    let app = QqApp::builder("101905280", "app-key", callback);
    app.base_url(base_url).build().unwrap()
}

async fn login(base_url: &str) -> LoginError {
    let login = QqClient::new(app(base_url)).login("C0DE").await;
    login.unwrap_err()
}

async fn root_cause(url: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let error = client.get(url).send().await.unwrap_err();
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[tokio::test]
async fn gzip_stays_off() {
    let length = GZIP.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n");
    let address = serve([head.as_bytes(), GZIP].concat()).await;
    let url = format!("http://{address}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let text = client.get(&url).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("access_token"), "{text}");

    let error = login(&url).await;
    assert_eq!(error.kind(), LoginErrorKind::QqUnavailable);
    assert!(error.to_string().contains("unreadable"), "{error}");
}

#[tokio::test]
async fn tls_stays_rustls() {
    let address = serve(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await;
    let url = format!("https://{address}");
    // The words of rustls for an answer that is no TLS.
    let words = "received corrupt message";
    let cause = root_cause(&url).await;
    assert!(!cause.contains(words), "{cause}");

    let error = login(&url).await;
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test]
async fn redis_over_tls_does_not_panic_for_two_cryptographies() {
    assert!(CryptoProvider::get_default().is_none());
    let chosen = std::panic::catch_unwind(|| drop(rustls::ClientConfig::builder()));
    assert!(chosen.is_err(), "rustls chooses none by itself");

    let address = serve(b"-ERR this is no TLS\r\n".to_vec()).await;
    let list = RedisRevocations::new(&format!("rediss://{address}")).unwrap();
    assert!(CryptoProvider::get_default().is_some());
    let layer = QqAuthLayer::builder(app("https://graph.qq.com"), SessionKeys::generate());
    let layer = layer.revocations(list).build().unwrap();
    let user = OpenId::new("CC7F5CEFEFC0EBAB9B07EB481AEBC29C").unwrap();
    layer.revoke_user(&user).await.unwrap_err();
}
