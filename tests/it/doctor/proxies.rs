//! The doctor's findings about proxies between the server and QQ.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{assert_finding, doctor, environment};

/// A proxy that answers every request like this.
async fn proxy(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 1024];
                if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    address
}

/// Returns the report on a QQ that only a proxy could reach.
async fn report(variables: &[(&str, &str)]) -> String {
    let mut environment = environment("https://qq.invalid").to_vec();
    environment.extend(variables);
    doctor(&environment, &[]).await
}

#[tokio::test]
async fn names_the_variable_of_a_dead_proxy_without_its_password() {
    for (variables, name, url) in [
        (
            &[("HTTPS_PROXY", "http://user:canary@127.0.0.1:1")][..],
            "HTTPS_PROXY",
            "http://127.0.0.1:1",
        ),
        (
            &[("https_proxy", "127.0.0.1:1")],
            "https_proxy",
            "http://127.0.0.1:1",
        ),
        (
            &[("ALL_PROXY", "socks5://user:canary@127.0.0.1:1")],
            "ALL_PROXY",
            "socks5://127.0.0.1:1",
        ),
        (
            &[
                ("HTTPS_PROXY", "http://127.0.0.1:1"),
                ("ALL_PROXY", "http://127.0.0.1:2"),
            ],
            "HTTPS_PROXY",
            "http://127.0.0.1:1",
        ),
        (
            &[("HTTPS_PROXY", ""), ("ALL_PROXY", "http://127.0.0.1:1")],
            "ALL_PROXY",
            "http://127.0.0.1:1",
        ),
    ] {
        let report = report(variables).await;
        let finding = format!("the proxy {url} ({name}) fails: Connection refused");
        let advice = format!("correct {name} or the proxy; NO_PROXY=qq.invalid");
        assert_finding(&report, "error    proxy", &finding, &advice);
        assert!(report.contains("\nerrors: 1, "), "{report}");
    }
}

#[tokio::test]
async fn says_that_the_proxy_refuses() {
    for (answer, cause) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            "authorization required",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            "unsuccessful",
        ),
    ] {
        let proxy = format!("http://user:canary@{}", proxy(answer).await);
        let report = report(&[("HTTPS_PROXY", &proxy)]).await;
        assert_finding(
            &report,
            "ok       proxy",
            "qq.invalid is called through http://127",
            "",
        );
        assert_finding(
            &report,
            "error    network",
            "(HTTPS_PROXY) fails",
            "NO_PROXY",
        );
        assert!(report.contains(cause), "{report}");
    }
}

#[tokio::test]
async fn says_why_a_variable_does_not_apply_to_qq() {
    for (variables, severity, finding) in [
        (
            &[
                ("HTTPS_PROXY", "http://127.0.0.1:1"),
                ("NO_PROXY", "invalid"),
            ][..],
            "ok",
            "NO_PROXY exempts it from HTTPS_PROXY",
        ),
        (
            &[("HTTP_PROXY", "http://127.0.0.1:1")],
            "ok",
            "HTTP_PROXY does not apply to QQ",
        ),
        (
            &[("HTTPS_PROXY", "gopher://canary@127.0.0.1")],
            "warning",
            "HTTPS_PROXY is ignored",
        ),
    ] {
        assert_finding(&report(variables).await, severity, finding, "");
    }
}

#[tokio::test]
async fn ignores_proxies_for_a_qq_on_this_machine() {
    let mut environment = environment("http://127.0.0.1:1").to_vec();
    environment.push(("ALL_PROXY", "http://127.0.0.1:2"));
    let report = doctor(&environment, &[]).await;
    assert!(!report.contains("proxy "), "{report}");
    assert_finding(
        &report,
        "error    network",
        "no response from 127.0.0.1",
        "",
    );
}
