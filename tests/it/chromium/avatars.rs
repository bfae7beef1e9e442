//! The host of QQ's avatars, at which every user has the same one.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs::default_provider, pki_types::PrivatePkcs8KeyDer},
};

const AVATAR: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100\" height=\"100\">\
    <rect width=\"100\" height=\"100\" fill=\"#7db8e8\"/><circle cx=\"50\" cy=\"40\" r=\"18\" fill=\"#fff\"/>\
    <circle cx=\"50\" cy=\"100\" r=\"36\" fill=\"#fff\"/></svg>";

/// Starts the server and returns its port.
pub(super) async fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = acceptor();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(respond(acceptor.clone(), stream));
        }
    });
    port
}

fn acceptor() -> TlsAcceptor {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["thirdqq.qlogo.cn".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    Arc::new(config).into()
}

/// Answers any request with the avatar.
async fn respond(acceptor: TlsAcceptor, stream: TcpStream) -> Option<()> {
    let mut stream = BufStream::new(acceptor.accept(stream).await.ok()?);
    let mut head = String::new();
    // Up to the empty line.
    while stream.read_line(&mut head).await.ok()? > 2 {}
    let length = AVATAR.len();
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: image/svg+xml\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{AVATAR}"
    );
    stream.write_all(response.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
