//! Many at once, and gone before the end: nothing is left over and nobody else waits.

use std::{
    convert::Infallible,
    future::{pending, ready},
    hint::black_box,
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
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot},
    task::yield_now,
    time::{Instant, timeout},
};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_qq_auth::{
    QqApp, QqAuthLayer, QqClient, Verdict,
    mock::{Endpoint, Fault, MockQq},
};

use crate::{
    process::callback_at,
    site::{APP_ID, APP_KEY, Site, keys, layer, pages, qq},
    socket::Browser,
};

/// Longer than anything here takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a future has to say when it is asked once.
pub(crate) fn now<F: Future + ?Sized>(future: Pin<&mut F>) -> Option<F::Output> {
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
