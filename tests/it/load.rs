//! Many at once, for long, and gone before the end: nothing is left over and nobody else waits.

use std::{
    convert::Infallible,
    future::{pending, ready},
    hint::black_box,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum::Router;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot},
    task::{JoinSet, yield_now},
    time::{Instant, timeout},
};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_qq_auth::{
    QqApp, QqAuthLayer, QqClient, Verdict,
    mock::{Endpoint, Fault, MockQq},
};

use crate::{
    process::{Running, callback_at},
    site::{APP_ID, APP_KEY, Site, keys, layer, pages, qq},
    socket::Browser,
};

/// Longer than anything here takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a future has to say when it is asked once.
fn now<F: Future + ?Sized>(future: Pin<&mut F>) -> Option<F::Output> {
    let future = pin!(tokio::task::unconstrained(future));
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

// Memory of the server.

#[test]
fn a_hundred_thousand_logins_that_nobody_finishes_take_no_memory() {
    let app = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let mut service = layer(&qq()).layer(app);
    let mut visit = |uri: &str, cookie: &str, status: StatusCode| {
        let request = Request::get(uri).header(header::COOKIE, cookie);
        let answer = pin!(service.call(request.body(()).unwrap()));
        let answer = now(answer).expect("it is answered at once").unwrap();
        assert_eq!(black_box(answer).status(), status);
    };
    let mut start_and_stray = |number: usize| {
        let start = format!("/auth/qq/login?return_to=/page/{number}");
        visit(&start, "theme=dark", StatusCode::SEE_OTHER);
        // Every tenth comes back with a state of somebody's own making.
        if number % 10 == 0 {
            let stray = format!("/auth/qq/callback?code=C0DE&state=forged{number}");
            let cookie = format!("__Host-qq_login_{number}=forged");
            visit(&stray, &cookie, StatusCode::BAD_REQUEST);
        }
    };
    // What is made once for the thread, such as the source of its random numbers.
    start_and_stray(0);
    let memory = allocation_counter::measure(|| {
        for number in 0..100_000 {
            start_and_stray(number);
        }
    });
    assert!(memory.count_total > 100_000, "the counter counts");
    assert_eq!((memory.count_current, memory.bytes_current), (0, 0));
    assert!(memory.bytes_max < 64 * 1024, "{memory:?}");
}

// QQ hangs.

#[tokio::test(start_paused = true)]
async fn while_qq_hangs_256_logins_wait_and_the_others_are_told_at_once() {
    let site = Site::new();
    let mut member = site.signed_in().await;
    let before = site.qq.calls(Endpoint::Token);
    let mut comers = Vec::new();
    for _ in 0..2_000 {
        let mut browser = site.browser().program();
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        comers.push((browser, callback));
    }
    site.qq.fault(Endpoint::Token, usize::MAX, Fault::Silence);
    let asked = || site.qq.calls(Endpoint::Token) - before;
    let mut waiting = Vec::new();
    for (number, (mut browser, callback)) in comers.into_iter().enumerate() {
        let mut login = Box::pin(async move {
            let reply = browser.get(&callback).await;
            (browser, callback, reply)
        });
        match now(login.as_mut()) {
            None => waiting.push(login),
            Some((browser, _, reply)) => {
                reply.assert_failed(503, "overloaded");
                assert_ne!(reply.header("retry-after"), "0");
                assert_eq!(browser.pending_logins(), 1, "it can be tried again");
            }
        }
        assert_eq!(waiting.len(), 256.min(number + 1));
    }
    assert_eq!(asked(), 256);

    let start = Instant::now();
    assert_ne!(member.whoami().await, serde_json::Value::Null);
    assert_eq!(site.browser().get("/").await.body, "nobody");
    let mut newcomer = site.browser();
    assert_eq!(newcomer.get("/auth/qq/login").await.status, 303);
    assert_eq!(member.post("/auth/qq/logout").await.location(), "/");
    assert!(start.elapsed().is_zero(), "pages wait for nothing");

    for login in waiting {
        let (_, _, reply) = login.await;
        reply.assert_failed(504, "qq_timeout");
    }
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(asked(), 256);
    site.qq.clear_faults();
    site.signed_in().await;
}

// Clients that leave.

/// Where a login is when its client leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hop {
    Call(Endpoint),
    Hook,
}

/// Counts those that wait, for as long as they do.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn among(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_at_any_hop_leaves_nothing_running() {
    for hop in [
        Hop::Call(Endpoint::Token),
        Hop::Call(Endpoint::Me),
        Hop::Call(Endpoint::UserInfo),
        Hop::Hook,
    ] {
        let (inside, hangs) = (Arc::default(), Arc::new(Mutex::new(hop == Hop::Hook)));
        let (count, hanging) = (Arc::clone(&inside), Arc::clone(&hangs));
        let hook = move |_, _| {
            let (here, hangs) = (Waiting::among(&count), *hanging.lock().unwrap());
            async move {
                let _here = here;
                if hangs {
                    pending::<()>().await;
                }
                Ok::<_, BoxError>(Verdict::Allow)
            }
        };
        let site = Site::with(
            |app| app,
            |layer| layer.on_login(hook).max_logins_in_flight(1).unwrap(),
        );
        site.qq.ignore_need_openid(true);
        if let Hop::Call(endpoint) = hop {
            site.qq.fault(endpoint, 1, Fault::Silence);
        }
        let mut browser = site.browser();
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        let mut login = Box::pin(browser.get(&callback));
        assert!(now(login.as_mut()).is_none(), "{hop:?}");
        let heard = site.qq.journal().len();
        match hop {
            Hop::Call(endpoint) => assert_eq!(site.qq.calls(endpoint), 1),
            Hop::Hook => assert_eq!(inside.load(Relaxed), 1),
        }
        drop(login);
        assert_eq!(inside.load(Relaxed), 0, "the hook is dropped");

        tokio::time::advance(PATIENCE).await;
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(site.qq.journal().len(), heard, "{hop:?}: no further call");
        *hangs.lock().unwrap() = false;
        site.signed_in().await;
    }
}

#[cfg(feature = "revocation")]
#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_it_is_looked_up_leaves_nothing_running() {
    use tower_qq_auth::{
        Answer, CachedRevocations, LookUp, Revocation, RevocationList, SessionIds,
    };

    /// Hangs for as long as it is told to.
    #[derive(Clone, Default)]
    struct Hanging {
        inside: Arc<AtomicUsize>,
        asked: Arc<AtomicUsize>,
        well: Arc<AtomicUsize>,
    }

    impl RevocationList for Hanging {
        fn look_up(&self, _: SessionIds) -> LookUp {
            let (here, well) = (Waiting::among(&self.inside), self.well.load(Relaxed) > 0);
            self.asked.fetch_add(1, Relaxed);
            LookUp::Asking {
                stale: None,
                answer: Box::pin(async move {
                    let _here = here;
                    if !well {
                        pending::<()>().await;
                    }
                    Ok(None)
                }),
            }
        }

        fn revoke(&self, _: Revocation) -> Answer<()> {
            Box::pin(ready(Ok(())))
        }
    }

    for cached in [false, true] {
        let list = Hanging::default();
        let site = Site::with(
            |app| app,
            |layer| match cached {
                true => layer.revocations(CachedRevocations::new(list.clone())),
                false => layer.revocations(list.clone()),
            },
        );
        let mut browser = site.signed_in().await;
        let before = list.asked.load(Relaxed);
        for _ in 0..100 {
            let mut page = Box::pin(browser.get("/me"));
            assert!(now(page.as_mut()).is_none());
            assert_eq!(list.inside.load(Relaxed), 1);
            drop(page);
            assert_eq!(list.inside.load(Relaxed), 0, "the look-up is dropped");
        }
        tokio::time::advance(PATIENCE).await;
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(list.asked.load(Relaxed), before + 100, "no further look-up");
        list.well.store(1, Relaxed);
        assert_eq!(browser.get("/me").await.status, 200);
    }
}

// The end of the server.

#[tokio::test]
async fn a_graceful_end_lets_logins_under_way_finish() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let callback = callback_at(address);
    let qq = MockQq::new(APP_ID, APP_KEY, &callback);
    // QQ thinks until it is told that it has thought enough.
    let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let slow = {
        let (qq, asked, gate) = (qq.clone(), Arc::clone(&asked), Arc::clone(&gate));
        service_fn(move |request: Request<Full<Bytes>>| {
            asked.fetch_add(1, Relaxed);
            let (qq, gate) = (qq.clone(), Arc::clone(&gate));
            async move {
                gate.acquire().await.unwrap().forget();
                qq.oneshot(request).await
            }
        })
    };
    let app = QqApp::new(APP_ID, APP_KEY, &callback).unwrap();
    let app = app.call_timeout(PATIENCE).unwrap();
    let client = QqClient::with_service(app.login_timeout(PATIENCE).unwrap(), slow);
    let site: Router = pages().layer(QqAuthLayer::with_client(client, keys()));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, site).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let server = tokio::spawn(server.into_future());

    let mut logins = Vec::new();
    for number in 1..=20 {
        let mut browser = Browser::at(address);
        let callback = browser
            .callback_from(&qq, "/auth/qq/login?return_to=/deep/page")
            .await;
        logins.push(browser.send(&callback, "Connection: close\r\n").await);
        while asked.load(Relaxed) < number {
            yield_now().await;
        }
    }
    stop.send(()).unwrap();
    let refused = timeout(PATIENCE, async {
        while TcpStream::connect(address).await.is_ok() {
            yield_now().await;
        }
    });
    refused.await.expect("new connections are refused");
    assert!(!server.is_finished());
    gate.add_permits(1_000);
    for mut login in logins {
        let mut answer = String::new();
        login.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
        assert!(answer.contains("\r\nlocation: /deep/page\r\n"), "{answer}");
        assert!(answer.contains("\r\nset-cookie: qq_session="), "{answer}");
    }
    let ended = timeout(PATIENCE, server).await;
    ended.expect("the server ends").unwrap().unwrap();
}

// For long.

/// The QQ of a program: another one for each round, since a mock remembers all that it was asked.
#[derive(Clone)]
struct Rounds(Arc<Mutex<MockQq>>);

impl Rounds {
    fn serve(listener: TcpListener) -> Self {
        let rounds = Self(Arc::new(Mutex::new(qq())));
        let current = rounds.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let current = current.clone();
                let answer =
                    service_fn(move |request: Request<Incoming>| current.now().oneshot(request));
                let service = TowerToHyperService::new(answer);
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        rounds
    }

    fn now(&self) -> MockQq {
        self.0.lock().unwrap().clone()
    }

    fn begin(&self, site: SocketAddr) -> MockQq {
        let qq = MockQq::new(APP_ID, APP_KEY, callback_at(site));
        *self.0.lock().unwrap() = qq.clone();
        qq
    }
}

/// What became of the visits of a soak.
#[derive(Default, Debug)]
struct Tally {
    visits: AtomicUsize,
    logins: AtomicUsize,
    /// Faults that were ordered, and logins that failed.
    faults: AtomicUsize,
    failures: AtomicUsize,
}

impl Tally {
    /// Comes once. What is done depends on the number alone.
    async fn visit(&self, number: usize, site: SocketAddr, qq: &MockQq) {
        self.visits.fetch_add(1, Relaxed);
        let mut browser = Browser::at(site);
        match number % 100 {
            0 => {
                self.faults.fetch_add(1, Relaxed);
                qq.fault(Endpoint::Token, 1, fault(number / 100));
                self.login(&mut browser, qq).await;
            }
            // Gone before QQ has said anything.
            1 => {
                let callback = browser.callback_from(qq, "/auth/qq/login").await;
                drop(browser.send(&callback, "").await);
            }
            2..30 => self.login(&mut browser, qq).await,
            30..40 => {
                let start = browser.get("/auth/qq/login?return_to=/me").await;
                assert_eq!(start.status, 303);
            }
            40..50 => {
                let forged = format!("/auth/qq/callback?code=C0DE&state=forged{number}");
                assert_eq!(browser.get(&forged).await.status, 400);
            }
            50..60 => assert_eq!(browser.get("/me").await.status, 303),
            _ => assert_eq!(browser.get("/whoami").await.body, "null"),
        }
    }

    /// Signs in, if QQ lets it, looks at two pages and signs out.
    async fn login(&self, browser: &mut Browser, qq: &MockQq) {
        let end = browser.sign_in(qq, "/auth/qq/login?return_to=/me").await;
        if end.status != 303 {
            self.failures.fetch_add(1, Relaxed);
            assert!(matches!(end.status.as_u16(), 400 | 502 | 503), "{end:?}");
            assert_eq!(browser.get("/whoami").await.body, "null");
            return;
        }
        self.logins.fetch_add(1, Relaxed);
        assert_eq!(browser.get("/me").await.status, 200);
        assert_ne!(browser.get("/whoami").await.body, "null");
        assert_eq!(browser.post("/auth/qq/logout").await.location(), "/");
        assert_eq!(browser.get("/whoami").await.body, "null");
    }
}

fn fault(number: usize) -> Fault {
    match number % 6 {
        0 => Fault::CutBody,
        1 => Fault::Status(StatusCode::SERVICE_UNAVAILABLE),
        2 => Fault::Status(StatusCode::BAD_GATEWAY),
        3 => Fault::Code(100_020),
        4 => Response::new("<html>").into(),
        _ => Response::new(vec![b' '; 256 * 1024]).into(),
    }
}

/// Memory that a process takes, in KiB, and its open files.
#[cfg(target_os = "linux")]
fn usage(process: u32) -> (usize, usize) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory = memory.unwrap().trim().trim_end_matches(" kB");
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    (memory.parse().unwrap(), files.count())
}

/// Mixed traffic at a site in a process of its own, whose QQ fails at 1 % of the visits. `SOAK_SECONDS=1800` for half an
/// hour of it.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_traffic_with_failures_leaves_memory_and_descriptors_as_they_were() {
    const AT_ONCE: usize = 8;
    const ROUND: usize = 400;
    /// Connections to QQ that are kept for the next calls, those of clients that left included.
    const KEPT: usize = 4 * AT_ONCE;
    let seconds = std::env::var("SOAK_SECONDS").map_or(20, |it| it.parse().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let rounds = Rounds::serve(listener);
    let (running, site) = Running::at_qq(&base_url, &[("RUST_LOG", "off")]).await;
    let (_, files_before) = usage(running.id());
    let (tally, mut samples) = (Arc::new(Tally::default()), Vec::new());
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end || samples.len() < 4 {
        let (qq, next) = (rounds.begin(site), Arc::new(AtomicUsize::new(0)));
        let mut visitors = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (qq, next, tally) = (qq.clone(), Arc::clone(&next), Arc::clone(&tally));
            visitors.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= ROUND {
                        return;
                    }
                    let visit = tally.visit(number, site, &qq);
                    timeout(PATIENCE, visit).await.expect("every visit ends");
                }
            });
        }
        while let Some(visitor) = visitors.join_next().await {
            visitor.unwrap();
        }
        // The last connections of the round are about to close; those to QQ are kept.
        let quiet = timeout(PATIENCE, async {
            while usage(running.id()).1 > files_before + KEPT {
                yield_now().await;
            }
        });
        quiet.await.expect("connections are closed");
        samples.push(usage(running.id()));
    }
    let Tally {
        visits,
        logins,
        faults,
        failures,
    } = &*tally;
    let (first, second) = samples.split_at(samples.len() / 2);
    let most = |half: &[(usize, usize)]| half.iter().map(|(memory, _)| *memory).max().unwrap();
    println!(
        "{visits:?} visits, {logins:?} logins, {faults:?} faults, {failures:?} failures; memory {} KiB after the first \
         round, at most {} in the first half, {} in the second; files {files_before} before, {} after",
        samples[0].0,
        most(first),
        most(second),
        samples[samples.len() - 1].1
    );
    let (faults, failures) = (faults.load(Relaxed), failures.load(Relaxed));
    assert!(failures <= faults, "{failures} for {faults} faults");
    assert!(failures * 2 > faults, "{failures} for {faults} faults");
    assert!(
        most(second) <= most(first) + 4 * 1024,
        "memory in KiB: {samples:?}"
    );
}
