//! The end of the examples, run as processes, after SIGTERM and Ctrl+C.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::{interval, timeout},
};
use tower::{ServiceExt, service_fn};
use tower_qq_auth::mock::MockQq;

use crate::{
    process::{Running, callback_at},
    site::{APP_ID, APP_KEY},
    socket::{Browser, head, serve},
};

/// Less than the time after which the examples drop the requests that are still running.
const SOON: Duration = Duration::from_secs(14);

/// The start of the line with which each example names its address.
const EXAMPLES: [(&str, &str); 7] = [
    ("quickstart", "open"),
    ("sqlite_users", "open"), // one of many with `Server::serve`
    ("cluster", "open"),      // after the line of its second server
    ("front_end", "open"),
    ("hosts", "open"),
    ("plain_tower", "open"),
    ("mock_qq", "export QQ_BASE_URL="),
];

async fn start(example: &str, line: &str) -> (Running, SocketAddr) {
    let settings = [
        ("LISTEN", "127.0.0.1:0"),
        ("API_LISTEN", "127.0.0.1:0"),
        ("MOCK_QQ_PORT", "0"),
    ];
    let mut running = Running::start(example, &settings);
    let url: reqwest::Url = running.printed(line).await.parse().unwrap();
    (running, ([127, 0, 0, 1], url.port().unwrap()).into())
}

/// Returns an open connection that has had a response.
async fn keep_alive(site: SocketAddr) -> TcpStream {
    let mut connection = TcpStream::connect(site).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {site}\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    head(&mut connection).await;
    connection
}

/// Waits until nothing listens at the address.
async fn refuses_connections(site: SocketAddr) {
    let mut ticks = interval(Duration::from_millis(20));
    let refused = async {
        while TcpStream::connect(site).await.is_ok() {
            ticks.tick().await;
        }
    };
    timeout(SOON, refused).await.expect("the listener closes");
}

#[tokio::test]
async fn a_login_under_way_ends_before_the_process() {
    for example in ["quickstart", "cluster", "plain_tower"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let (mut running, site) = Running::example_at_qq(example, &base_url, &[]).await;
        let qq = MockQq::new(APP_ID, APP_KEY, callback_at(site));
        let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let slow = {
            let (qq, asked, answer) = (qq.clone(), asked.clone(), answer.clone());
            service_fn(move |request: Request<Incoming>| {
                let (qq, asked, answer) = (qq.clone(), asked.clone(), answer.clone());
                async move {
                    if request.uri().path() == "/oauth2.0/token" {
                        asked.notify_one();
                        answer.notified().await;
                    }
                    qq.oneshot(request).await
                }
            })
        };
        serve(listener, slow);

        let mut browser = Browser::at(site);
        let callback = browser.callback_from(&qq, "/auth/qq/login").await;
        let mut login = browser.send(&callback, "").await;
        asked.notified().await;
        running.signal("TERM");
        refuses_connections(site).await;
        assert_eq!(running.ended(), None, "{example}");

        answer.notify_one();
        let reply = head(&mut login).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{example}");
        let cookies = reply.cookies();
        assert!(cookies.iter().any(|it| it.starts_with("qq_session=")));
        let end = timeout(SOON, running.end()).await.expect(example);
        assert_eq!(end.code(), Some(0), "{example}");
    }
}

#[tokio::test]
async fn idle_connections_do_not_delay_the_end() {
    for (example, line) in EXAMPLES {
        for signal in ["TERM", "INT"] {
            let (mut running, site) = start(example, line).await;
            let _idle = keep_alive(site).await;
            let mut unused = TcpStream::connect(site).await.unwrap();
            running.signal(signal);
            let end = timeout(SOON, running.end()).await.expect(example);
            assert_eq!(end.code(), Some(0), "{example}, SIG{signal}");
            assert_eq!(unused.read(&mut [0]).await.unwrap_or(0), 0);
        }
    }
}

#[tokio::test]
async fn a_request_that_never_arrives_whole_delays_the_end_only_so_long() {
    let examples = ["quickstart", "sqlite_users", "plain_tower"];
    let mut waiting = Vec::new();
    for example in examples {
        let (running, site) = start(example, "open").await;
        let mut half = TcpStream::connect(site).await.unwrap();
        half.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        keep_alive(site).await; // the site has read the first line meanwhile
        running.signal("TERM");
        refuses_connections(site).await;
        waiting.push((example, running, half));
    }
    for (example, mut running, _half) in waiting {
        let end = timeout(2 * SOON, running.end()).await.expect(example);
        assert_eq!(end.code(), Some(0), "{example}");
    }
}
