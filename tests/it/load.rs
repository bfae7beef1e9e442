//! Many logins at once, and clients that disconnect or reload.

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
    task::{JoinSet, yield_now},
    time::{Instant, sleep, timeout},
};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_qq_auth::{
    QqApp, QqAuthLayer, QqClient, Verdict,
    mock::{Endpoint, Fault, MockQq},
};

use crate::{
    process::callback_at,
    site::{APP_ID, APP_KEY, Site, app, keys, layer, pages, param, qq},
    socket::Browser,
};

/// Longer than any wait here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Polls a future once.
pub(crate) fn now<F: Future + ?Sized>(future: Pin<&mut F>) -> Option<F::Output> {
    let future = pin!(tokio::task::unconstrained(future));
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

// Memory.

#[test]
fn a_hundred_thousand_unfinished_logins_take_no_memory() {
    let app = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let mut service = layer(&qq()).layer(app);
    let mut visit = |uri: &str, cookie: &str, status: StatusCode| {
        let request = Request::get(uri).header(header::COOKIE, cookie);
        let response = pin!(service.call(request.body(()).unwrap()));
        let response = now(response).expect("the response is ready").unwrap();
        assert_eq!(black_box(response).status(), status);
    };
    let mut visit_in_turn = |number: usize| {
        let start = format!("/auth/qq/login?return_to=/page/{number}");
        visit(&start, "theme=dark", StatusCode::SEE_OTHER);
        if number % 10 == 0 {
            let forged = format!("/auth/qq/callback?code=C0DE&state=forged{number}");
            let cookie = format!("__Host-qq_login_{number}=forged");
            visit(&forged, &cookie, StatusCode::BAD_REQUEST);
        }
    };
    // The first visit sets up what the thread keeps, such as its random number generator.
    visit_in_turn(0);
    let memory = allocation_counter::measure(|| {
        for number in 0..100_000 {
            visit_in_turn(number);
        }
    });
    assert!(memory.count_total > 100_000, "the counter counts");
    assert_eq!((memory.count_current, memory.bytes_current), (0, 0));
    assert!(memory.bytes_max < 64 * 1024, "{memory:?}");
}

// A QQ that hangs.

#[tokio::test(start_paused = true)]
async fn while_qq_hangs_256_logins_wait_and_further_ones_are_overloaded_at_once() {
    let site = Site::new();
    let mut signed_in = site.signed_in().await;
    let before = site.qq.calls(Endpoint::Token);
    let mut callbacks = Vec::new();
    for _ in 0..2_000 {
        let mut browser = site.browser().program();
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        callbacks.push((browser, callback));
    }
    site.qq.fault(Endpoint::Token, usize::MAX, Fault::Silence);
    let token_calls = || site.qq.calls(Endpoint::Token) - before;
    let mut waiting = Vec::new();
    for (number, (mut browser, callback)) in callbacks.into_iter().enumerate() {
        let mut login = Box::pin(async move {
            let reply = browser.get(&callback).await;
            (browser, callback, reply)
        });
        match now(login.as_mut()) {
            None => waiting.push(login),
            Some((browser, _, reply)) => {
                reply.assert_failed(424, "overloaded");
                assert_ne!(reply.header("retry-after"), "0");
                assert_eq!(browser.pending_logins(), 1, "the login can be retried");
            }
        }
        assert_eq!(waiting.len(), 256.min(number + 1));
    }
    while token_calls() < 256 {
        yield_now().await;
    }

    let start = Instant::now();
    assert_ne!(signed_in.whoami().await, serde_json::Value::Null);
    assert_eq!(site.browser().get("/").await.body, "signed out");
    let mut signed_out = site.browser();
    assert_eq!(signed_out.get("/auth/qq/login").await.status, 303);
    assert_eq!(signed_in.post("/auth/qq/logout").await.location(), "/");
    assert!(start.elapsed().is_zero(), "no page waits for QQ");

    for login in waiting {
        let (_, _, reply) = login.await;
        reply.assert_failed(424, "qq_timeout");
    }
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(token_calls(), 256);
    site.qq.clear_faults();
    site.signed_in().await;
}

// Clients that disconnect.

/// The step of a login at which its client disconnects.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Call(Endpoint),
    Hook,
}

/// Counts itself for as long as it lives.
pub(crate) struct CountGuard(Arc<AtomicUsize>);

impl CountGuard {
    pub(crate) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for CountGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_whose_client_disconnects_at_any_step_ends_and_leaves_nothing_running() {
    for step in [
        Step::Call(Endpoint::Token),
        Step::Call(Endpoint::Me),
        Step::Call(Endpoint::UserInfo),
        Step::Hook,
    ] {
        let (running, hangs) = (Arc::default(), Arc::new(Mutex::new(step == Step::Hook)));
        let (count, hook_hangs) = (Arc::clone(&running), Arc::clone(&hangs));
        let hook = move |_, _| {
            let (guard, hangs) = (CountGuard::new(&count), *hook_hangs.lock().unwrap());
            async move {
                let _guard = guard;
                if hangs {
                    pending::<()>().await;
                }
                Ok::<_, BoxError>(Verdict::allow())
            }
        };
        let site = Site::with(
            |app| app,
            |layer| layer.on_login(hook).max_logins_in_flight(1),
        );
        site.qq.ignore_need_openid(true);
        if let Step::Call(endpoint) = step {
            site.qq.fault(endpoint, 1, Fault::Silence);
        }
        let mut browser = site.browser();
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        let mut login = Box::pin(browser.get(&callback));
        assert!(now(login.as_mut()).is_none(), "{step:?}");
        drop(login);
        let reached = || match step {
            Step::Call(endpoint) => site.qq.calls(endpoint) == 1,
            Step::Hook => running.load(Relaxed) == 1,
        };
        while !reached() {
            yield_now().await;
        }
        sleep(PATIENCE).await;
        assert_eq!(running.load(Relaxed), 0, "{step:?}: the hook has ended");
        let calls = site.qq.journal().len();
        sleep(PATIENCE).await;
        assert_eq!(site.qq.journal().len(), calls, "{step:?}: no further call");
        *hangs.lock().unwrap() = false;
        site.signed_in().await;
    }
}

// Reloads.

/// Answers each login after a second, and keeps nothing but the number of logins.
async fn answer(
    request: Request<Full<Bytes>>,
    logins: Arc<AtomicUsize>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = if request.uri().path() == "/oauth2.0/token" {
        logins.fetch_add(1, Relaxed);
        sleep(Duration::from_secs(1)).await;
        r#"{"access_token":"T0KEN","expires_in":5184000,"openid":"0PENID"}"#
    } else {
        r#"{"ret":0,"msg":"","nickname":"nick"}"#
    };
    Ok(Response::new(Full::from(body)))
}

/// Runs one login, whose client leaves, leaves and comes back, or opens the callback twice.
async fn log_in(site: Site, number: usize) {
    let mut browser = site.browser();
    let start = browser.get("/auth/qq/login?return_to=/me").await;
    let state = param(start.location(), "state");
    let callback = format!("/auth/qq/callback?code=C0DE{number}&state={state}");
    let mut other = browser.clone();
    let kind = number % 3;
    if kind < 2 {
        assert!(now(pin!(other.get(&callback))).is_none(), "QQ is slow");
    }
    match kind {
        0 => return,
        1 => assert_eq!(browser.get(&callback).await.location(), "/me"),
        _ => {
            let (end, same) = tokio::join!(browser.get(&callback), other.get(&callback));
            assert_eq!((end.location(), same.location()), ("/me", "/me"));
        }
    }
    assert_eq!(browser.get("/me").await.status, 200);
}

#[test]
fn reloaded_and_abandoned_logins_call_qq_once_each_and_leave_nothing_behind() {
    const AT_ONCE: usize = 8;
    const WAVES: usize = 100;
    let logins = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&logins);
    let answers = service_fn(move |request| answer(request, Arc::clone(&count)));
    let client = QqClient::with_service(app(), answers);
    // A login that keeps its place would refuse one of the next wave.
    let layer = QqAuthLayer::builder(client, keys()).max_logins_in_flight(AT_ONCE);
    let site = Site {
        router: pages().layer(layer.build().unwrap()),
        ..Site::new()
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let run = || {
        runtime.block_on(async {
            for wave in 0..WAVES {
                let numbers = wave * AT_ONCE..(wave + 1) * AT_ONCE;
                let wave: JoinSet<()> = numbers.map(|it| log_in(site.clone(), it)).collect();
                wave.join_all().await;
                // Ends the logins whose clients left as well.
                sleep(Duration::from_secs(2)).await;
            }
            // Forgets the states that were used.
            sleep(Duration::from_secs(16 * 60)).await;
        });
    };
    run();
    let memory = allocation_counter::measure(run);
    assert_eq!(logins.load(Relaxed), 2 * AT_ONCE * WAVES);
    assert!(memory.bytes_current < 64 * 1024, "{memory:?}");
}

#[cfg(feature = "revocation")]
#[tokio::test(start_paused = true)]
async fn a_disconnect_during_a_revocation_check_leaves_nothing_running() {
    use crate::list::{Mode, TestList};

    // The call of a remote list goes on for the other requests that wait for it.
    let list = TestList::new();
    let site = Site::with(|app| app, |layer| layer.revocations(list.clone()));
    let mut browser = site.signed_in().await;
    list.set(Mode::Hanging);
    sleep(PATIENCE).await;
    for _ in 0..100 {
        let mut page = Box::pin(browser.get("/me"));
        assert!(now(page.as_mut()).is_none());
        drop(page);
        yield_now().await;
        assert_eq!(list.running(), 1, "one call for all");
    }
    sleep(PATIENCE).await;
    assert_eq!(list.running(), 0);
    list.set(Mode::Working);
    assert_eq!(browser.get("/me").await.status, 200);

    let list = TestList::local();
    let site = Site::with(|app| app, |layer| layer.revocations(list.clone()));
    let mut browser = site.signed_in().await;
    list.set(Mode::Hanging);
    for _ in 0..100 {
        let mut page = Box::pin(browser.get("/me"));
        assert!(now(page.as_mut()).is_none());
        assert_eq!(list.running(), 1);
        drop(page);
        assert_eq!(list.running(), 0, "the call is dropped");
    }
    list.set(Mode::Working);
    assert_eq!(browser.get("/me").await.status, 200);
}

// Shutdown.

#[tokio::test]
async fn a_graceful_shutdown_lets_pending_logins_finish() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let callback = callback_at(address);
    let qq = MockQq::new(APP_ID, APP_KEY, &callback);
    // QQ responds only when the gate opens.
    let (calls, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let slow = {
        let (qq, calls, gate) = (qq.clone(), Arc::clone(&calls), Arc::clone(&gate));
        service_fn(move |request: Request<Full<Bytes>>| {
            calls.fetch_add(1, Relaxed);
            let (qq, gate) = (qq.clone(), Arc::clone(&gate));
            async move {
                gate.acquire().await.unwrap().forget();
                qq.oneshot(request).await
            }
        })
    };
    let app = QqApp::builder(APP_ID, APP_KEY, &callback)
        .call_timeout(PATIENCE)
        .login_timeout(PATIENCE)
        .build()
        .unwrap();
    let client = QqClient::with_service(app, slow);
    let site: Router = pages().layer(QqAuthLayer::new(client, keys()));
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
        while calls.load(Relaxed) < number {
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
        let mut response = String::new();
        login.read_to_string(&mut response).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 303 "), "{response}");
        assert!(
            response.contains("\r\nlocation: /deep/page\r\n"),
            "{response}"
        );
        assert!(
            response.contains("\r\nset-cookie: qq_session="),
            "{response}"
        );
    }
    let ended = timeout(PATIENCE, server).await;
    ended.expect("the server ends").unwrap().unwrap();
}
