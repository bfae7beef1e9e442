//! The address of a Redis server, with a password in it.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tower_qq_auth::{OpenId, QqAuthLayer, QqClient, RedisRevocations};

use super::{
    Log, Site, keys, plant,
    planted::{OPENID, PASSWORD, assert_hidden},
    secret_app, secret_qq,
};
use crate::site::{Clock, pages};

/// A server that throws back whatever it is told, as an error.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut heard = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut heard).await {
                    let heard = String::from_utf8_lossy(&heard[..length]).replace("\r\n", " ");
                    let errors = format!("-ERR no: {heard}\r\n").repeat(8);
                    let _ = stream.write_all(errors.as_bytes()).await;
                }
            });
        }
    });
    address.to_string()
}

#[tokio::test]
async fn nothing_tells_the_password_of_redis() {
    let log = Log::start();
    let mut shown = String::new();
    for url in [
        format!("redis://:{PASSWORD}@host:port"),
        format!("redis://user:{PASSWORD}@"),
        format!("http://user:{PASSWORD}@host"),
        format!("redis+cluster://:{PASSWORD}@host:port"),
        format!("redis+cluster://:{PASSWORD}@a,nonsense://{PASSWORD}"),
        PASSWORD.into(),
    ] {
        for error in [
            RedisRevocations::new(&url).err(),
            RedisRevocations::cached(&url).err(),
        ] {
            let error = error.unwrap_or_else(|| panic!("{url} is an address"));
            shown += &format!("{error} {error:?} {error:#?}");
        }
    }
    let echo = echo().await;
    for server in ["127.0.0.1:1", &echo] {
        for scheme in ["redis", "redis+cluster", "rediss"] {
            let url = format!("{scheme}://user:{PASSWORD}@{server}");
            let list = RedisRevocations::new(&url).unwrap();
            let cached = RedisRevocations::cached(&url).unwrap();
            shown += &format!("{list:?} {list:#?} {cached:?} {cached:#?}");

            let (qq, clock) = (secret_qq(), Clock::new());
            let client = QqClient::with_service(secret_app(), qq.clone());
            let layer = QqAuthLayer::with_client(client, keys()).revocations(list);
            shown += &format!("{layer:?}");
            let router = pages().layer(layer.clone());
            let site = Site { qq, router, clock };
            plant(&site.qq);
            let user = OpenId::new(OPENID).unwrap();
            let error = layer.revoke_user(&user).await.unwrap_err();
            shown += &format!("{error} {error:?} {error:#?}");
            let cookie = layer.session_cookie(&tower_qq_auth::QqUser::new(user), None);
            let mut browser = site.browser().header("cookie", &cookie.unwrap());
            for page in ["/", "/me"] {
                shown += &super::shown(&browser.get(page).await);
            }
            shown += &super::shown(&browser.post("/auth/qq/logout").await);
        }
    }
    let lines = log.text();
    assert!(lines.contains("cannot be checked"), "{lines}");
    assert_hidden(&lines, &[PASSWORD]);
    assert_hidden(&shown, &[PASSWORD]);
}
