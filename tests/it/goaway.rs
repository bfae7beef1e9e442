//! A QQ that speaks HTTP/2: a login survives the end of its connection, and a code that QQ may have
//! processed is never sent again.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use h2::Reason;
use tokio::{
    task::JoinSet,
    time::{interval, timeout},
};
use tower_qq_auth::mock::{Endpoint, Fault, MockQq};

use crate::{
    http2::{Http2Qq, Refusal},
    process::{Running, callback_at},
    site::{APP_ID, APP_KEY, param, qq},
    socket::Browser,
    tls::Authority,
};

/// Longer than any wait here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A QQ behind HTTP/2, and a site in its own process.
struct Setup {
    server: Http2Qq,
    qq: MockQq,
    running: Running,
    site: SocketAddr,
}

impl Setup {
    async fn new(authority: &Authority, requests_per_connection: usize, log: &str) -> Self {
        let tls = authority.acceptor(&["localhost"], &["h2"]);
        let server = Http2Qq::serve(tls, qq(), requests_per_connection).await;
        let environment = [
            ("SSL_CERT_FILE", authority.file.to_str().unwrap()),
            ("RUST_LOG", log),
        ];
        let (running, site) = Running::at_qq(&server.url(), &environment).await;
        let qq = MockQq::new(APP_ID, APP_KEY, callback_at(site));
        server.replace(qq.clone());
        Self {
            server,
            qq,
            running,
            site,
        }
    }

    async fn logged(&mut self, part: &str) -> String {
        let line = timeout(PATIENCE, self.running.logged(part));
        line.await.expect("a log line contains it")
    }

    /// Runs a login whose token request is refused in these ways, one after the other. Returns
    /// whether it succeeded, how often QQ got its code, and its line in the log.
    async fn log_in(&mut self, refusals: &[Refusal]) -> (bool, usize, String) {
        let mut browser = Browser::at(self.site);
        let callback = browser.callback_from(&self.qq, "/auth/qq/login").await;
        self.server.refuse(refusals.iter().copied());
        let end = browser.get(&callback).await;
        let is_signed_in = browser.get("/whoami").await.body != "null";
        assert_eq!(is_signed_in, end.status == 303, "{}", end.body);
        let codes = self.server.codes();
        let sent = codes.get(param(&callback, "code")).copied();
        let line = self.logged("login ended").await;
        (is_signed_in, sent.unwrap_or_default(), line)
    }
}

/// Runs this many logins at a QQ that closes after every 10 requests. None may be lost.
async fn log_in_often(logins: usize, streams_per_connection: u32) {
    const CONCURRENCY: usize = 16;
    let authority = Authority::new(&format!("goaway-{streams_per_connection}"));
    let mut setup = Setup::new(&authority, 10, "warn").await;
    setup.server.limit_streams(streams_per_connection);
    let (next, mut visitors) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for _ in 0..CONCURRENCY {
        let (next, site, qq) = (Arc::clone(&next), setup.site, setup.qq.clone());
        visitors.spawn(async move {
            while next.fetch_add(1, Relaxed) < logins {
                let mut browser = Browser::at(site);
                let login = browser.sign_in(&qq, "/auth/qq/login?return_to=/me");
                let end = timeout(PATIENCE, login).await.expect("every login ends");
                if end.status != 303 {
                    return false;
                }
                assert_eq!(end.location(), "/me");
                assert_eq!(browser.get("/me").await.status, 200);
            }
            true
        });
    }
    while let Some(visitor) = visitors.join_next().await {
        if !visitor.unwrap() {
            panic!("{}", setup.logged("login ended").await);
        }
    }
    let codes = setup.server.codes();
    assert_eq!(codes.len(), logins);
    assert!(codes.values().all(|&times| times == 1), "{codes:?}");
    assert_eq!(setup.qq.calls(Endpoint::Token), logins);
    // Each login makes two requests.
    let connections = setup.server.connections();
    assert!(connections >= logins / 5, "{connections} connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_qq_that_closes_after_every_10_requests_loses_none_of_400_logins() {
    log_in_often(400, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_waits_for_its_turn_on_a_connection_survives_the_end_of_it() {
    log_in_often(200, 1).await;
}

#[tokio::test]
async fn a_request_that_qq_did_not_process_is_sent_again_at_most_twice() {
    let reset = Refusal::Reset(Reason::REFUSED_STREAM);
    let go_away = Refusal::GoAwayBefore(Reason::NO_ERROR);
    let authority = Authority::new("refused");
    let mut setup = Setup::new(&authority, usize::MAX, "info").await;
    let (is_signed_in, ..) = setup.log_in(&[]).await;
    assert!(is_signed_in);
    // QQ gets the code with each request, but those that a GOAWAY precedes.
    for (refusals, times) in [
        (&[reset][..], 2),
        (&[go_away], 1),
        (&[reset, reset], 3),
        (&[go_away, go_away], 1),
        (&[reset, go_away], 2),
        (&[go_away, reset], 2),
    ] {
        let (is_signed_in, sent, line) = setup.log_in(refusals).await;
        assert!(is_signed_in, "{refusals:?}: {line}");
        assert_eq!(sent, times, "{refusals:?}");
    }
    for (refusals, times) in [([reset; 4], 3), ([go_away; 4], 0)] {
        let (is_signed_in, sent, line) = setup.log_in(&refusals).await;
        assert!(!is_signed_in, "{refusals:?}");
        assert_eq!(sent, times, "{refusals:?}");
        assert_eq!(setup.server.refusals(), 1, "{refusals:?}: three attempts");
        assert!(line.contains("qq_unavailable"), "{refusals:?}: {line}");
        assert!(line.contains("HTTP/2 error"), "{refusals:?}: {line}");
        // The last one is for the next login.
        assert!(setup.log_in(&[]).await.0, "{refusals:?}");
    }
}

#[tokio::test]
async fn a_request_that_qq_may_have_processed_is_never_sent_again() {
    let authority = Authority::new("processed");
    let mut setup = Setup::new(&authority, usize::MAX, "info").await;
    assert!(setup.log_in(&[]).await.0);
    let errors = [
        Reason::NO_ERROR,
        Reason::PROTOCOL_ERROR,
        Reason::INTERNAL_ERROR,
        Reason::STREAM_CLOSED,
        Reason::CANCEL,
        Reason::ENHANCE_YOUR_CALM,
        Reason::HTTP_1_1_REQUIRED,
    ];
    let resets = errors.map(Refusal::Reset);
    // Without an error, QQ has processed the requests up to the last one.
    let go_aways = errors.map(Refusal::GoAwayAt);
    let refused = [Refusal::GoAwayAt(Reason::REFUSED_STREAM), Refusal::Cut];
    for refusal in resets.into_iter().chain(go_aways).chain(refused) {
        let (is_signed_in, sent, line) = setup.log_in(&[refusal]).await;
        assert!(!is_signed_in, "{refusal:?}");
        assert_eq!(sent, 1, "{refusal:?}");
        assert!(line.contains("qq_unavailable"), "{refusal:?}: {line}");
        assert!(setup.log_in(&[]).await.0, "after {refusal:?}");
    }
    for reason in errors.into_iter().skip(1) {
        let refusal = Refusal::GoAwayBefore(reason);
        let (is_signed_in, sent, line) = setup.log_in(&[refusal]).await;
        assert_eq!((is_signed_in, sent), (false, 0), "{refusal:?}: {line}");
        assert!(setup.log_in(&[]).await.0, "after {refusal:?}");
    }
}

/// A connection with a single stream takes one request and holds another. hyper leaves the next ones
/// in a channel, as it does with one that arrives in the instant in which its connection ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_no_connection_takes_is_sent_again() {
    let authority = Authority::new("untaken");
    let mut setup = Setup::new(&authority, usize::MAX, "info").await;
    setup.server.limit_streams(1);
    // Opens the connection that all logins share.
    assert!(setup.log_in(&[]).await.0);
    setup.qq.fault(Endpoint::Token, 1, Fault::Silence);
    let mut logins = JoinSet::new();
    for _ in 0..4 {
        let mut browser = Browser::at(setup.site);
        let callback = browser.callback_from(&setup.qq, "/auth/qq/login").await;
        logins.spawn(async move { browser.get(&callback).await.status });
    }
    let mut ticks = interval(Duration::from_millis(20));
    while setup.server.codes().len() < 4 {
        ticks.tick().await;
        let ended = logins.try_join_next();
        assert!(ended.is_none(), "the first login has given up: {ended:?}");
    }
    let ends = timeout(PATIENCE, logins.join_all()).await.unwrap();
    let succeeded = ends.iter().filter(|status| **status == 303).count();
    assert!(succeeded >= 2, "{ends:?}");
    let codes = setup.server.codes();
    assert!(codes.values().all(|&times| times == 1), "{codes:?}");
}
