//! The password in the URL of a Redis server.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tower_qq_auth::{OpenId, QqAuthLayer, QqClient, QqUser, revocation::RedisRevocations};

use super::{
    canaries::{Log, OPENID, PASSWORD, assert_hidden, keys, plant, secret_app, secret_qq},
    shown,
};
use crate::site::{Clock, Site, pages};

/// Starts a server that replies to every command with errors that quote it, and returns its
/// address.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut bytes).await {
                    let command = String::from_utf8_lossy(&bytes[..length]).replace("\r\n", " ");
                    let errors = format!("-ERR no: {command}\r\n").repeat(8);
                    let _ = stream.write_all(errors.as_bytes()).await;
                }
            });
        }
    });
    address.to_string()
}

#[tokio::test]
async fn the_redis_password_is_never_shown() {
    let log = Log::start();
    let mut output = String::new();
    for url in [
        format!("redis://:{PASSWORD}@host:port"),
        format!("redis://user:{PASSWORD}@"),
        format!("http://user:{PASSWORD}@host"),
        format!("redis+cluster://:{PASSWORD}@host:port"),
        format!("redis+cluster://:{PASSWORD}@a,nonsense://{PASSWORD}"),
        PASSWORD.into(),
    ] {
        let Err(error) = RedisRevocations::new(&url) else {
            panic!("{url} is accepted");
        };
        output += &format!("{error} {error:?} {error:#?}");
    }
    let echo = echo().await;
    for server in ["127.0.0.1:1", &echo] {
        for scheme in ["redis", "redis+cluster", "rediss"] {
            let url = format!("{scheme}://user:{PASSWORD}@{server}");
            let list = RedisRevocations::new(&url).unwrap();
            output += &format!("{list:?} {list:#?}");
            let error = list.check().await.unwrap_err();
            output += &format!("{error} {error:?} {error:#?}");

            let (qq, clock) = (secret_qq(), Clock::new());
            let client = QqClient::with_service(secret_app().build().unwrap(), qq.clone());
            let builder = QqAuthLayer::builder(client, keys()).revocations(list);
            output += &format!("{builder:?}");
            let layer = builder.build().unwrap();
            output += &format!("{layer:?}");
            let router = pages().layer(layer.clone());
            let site = Site { qq, router, clock };
            plant(&site.qq);
            let user = OpenId::new(OPENID).unwrap();
            let error = layer.revoke_user(&user).await.unwrap_err();
            output += &format!("{error} {error:?} {error:#?}");
            let cookie = layer.session_cookie(&QqUser::new(user), None).unwrap();
            let mut browser = site.browser().header("cookie", &cookie);
            for page in ["/", "/me"] {
                output += &shown(&browser.get(page).await);
            }
            output += &shown(&browser.post("/auth/qq/logout").await);
        }
    }
    let lines = log.text();
    assert!(lines.contains("cannot check a session"), "{lines}");
    assert_hidden(&lines, &[PASSWORD]);
    assert_hidden(&output, &[PASSWORD]);
}
