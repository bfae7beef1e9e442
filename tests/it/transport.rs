//! The layer around any tower service: readiness, errors, bodies, upgrades, and logins that nobody waits for.

use std::{
    collections::VecDeque,
    convert::Infallible,
    error::Error,
    fmt,
    future::{Ready, pending, ready},
    mem,
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum::{
    Router,
    extract::{WebSocketUpgrade, ws::Message},
    routing::any,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tower::{
    BoxError, Layer, Service, ServiceExt, buffer::Buffer, limit::ConcurrencyLimit,
    load_shed::LoadShed, service_fn,
};
use tower_qq_auth::{
    ConfigError, Display, LoginError, LoginErrorKind, LoginRequired, OpenId, QqApp, QqAuth,
    QqAuthLayer, QqClient, QqLogin, QqTokens, QqUser, ResponseBody, ResponseFuture, SessionKeys,
    UnionId,
    mock::{Endpoint, Fault, MockQq},
};

use crate::{
    site::{LOGIN, SESSION, layer, path, qq},
    socket::{Local, head, serve},
};

type Page = Response<Full<Bytes>>;

/// An app that says who is signed in, whatever it is asked.
fn app<B>()
-> impl Service<Request<B>, Response = Page, Error = Infallible, Future: Send> + Clone + Send + 'static
{
    service_fn(|request: Request<B>| ready(Ok(Response::new(Full::from(name(&request))))))
}

fn name<B>(request: &Request<B>) -> String {
    let user = request.extensions().get::<QqUser>();
    user.map_or("nobody".into(), |user| user.nickname().to_owned())
}

fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).unwrap()
}

/// Requests that the layer answers without waiting for anything.
fn ours() -> Vec<Request<()>> {
    let prefetch = Request::get("/auth/qq/login").header("sec-purpose", "prefetch");
    let page = Request::get("/auth/qq/callback").header("accept", "text/html");
    vec![
        get("/auth/qq/login"),
        Request::head("/auth/qq/login").body(()).unwrap(),
        prefetch.body(()).unwrap(),
        get("/auth/qq/callback"),
        page.body(()).unwrap(),
        Request::post("/auth/qq/logout").body(()).unwrap(),
    ]
}

/// A browser that comes back from QQ: what it asks for, and the cookie of the login it started.
struct Callback {
    uri: String,
    cookie: String,
}

impl Callback {
    async fn new(layer: &QqAuthLayer, qq: &MockQq) -> Self {
        let start = get("/auth/qq/login?return_to=/page");
        let start = layer.layer(app()).oneshot(start).await.unwrap();
        let location = start.headers()["location"].to_str().unwrap();
        Self {
            uri: path(&qq.approve(location).unwrap()),
            cookie: cookie(&start, LOGIN),
        }
    }

    fn request(&self) -> Request<()> {
        let request = Request::get(&self.uri).header(header::COOKIE, &self.cookie);
        request.body(()).unwrap()
    }
}

/// The cookie of somebody who is signed in.
async fn session(layer: &QqAuthLayer, qq: &MockQq) -> String {
    let callback = Callback::new(layer, qq).await.request();
    let end = layer.layer(app()).oneshot(callback).await.unwrap();
    cookie(&end, SESSION)
}

#[track_caller]
fn cookie<B>(response: &Response<B>, prefix: &str) -> String {
    let mut cookies = response.headers().get_all(header::SET_COOKIE).iter();
    let cookie = cookies.find(|cookie| cookie.as_bytes().starts_with(prefix.as_bytes()));
    let cookie = cookie.unwrap().to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn text<B: Body<Error: fmt::Debug>>(response: Response<B>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[track_caller]
fn assert_signed_in<B>(response: &Response<B>) {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()["location"], "/page");
    cookie(response, SESSION);
}

/// What a future has to say when it is asked once.
fn now<F: Future>(future: F) -> Option<F::Output> {
    let future = pin!(tokio::task::unconstrained(future));
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// QQ will not answer the next login.
fn silence(qq: &MockQq) {
    qq.fault(Endpoint::Token, 1, Fault::Silence);
}

// Readiness and errors.

/// An app that may not be called unless it was itself asked whether it is ready, since the last call.
#[derive(Default)]
struct Strict {
    ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<()>> for Strict {
    type Response = Page;
    type Error = Infallible;
    type Future = Ready<Result<Page, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(mem::take(&mut self.ready), "called unready");
        ready(Ok(Response::new(Full::from(name(&request)))))
    }
}

#[tokio::test]
async fn the_app_is_never_called_unready() {
    let qq = qq();
    let layer = layer(&qq);
    let mut service = layer.layer(Strict::default());
    let mut requests = ours();
    requests.push(Callback::new(&layer, &qq).await.request());
    for request in requests {
        service.ready().await.unwrap().call(request).await.unwrap();
        for _ in 0..2 {
            let page = service.ready().await.unwrap().call(get("/")).await.unwrap();
            assert_eq!(text(page).await, "nobody");
        }
    }
    // Asking twice is no harm, and neither is a clone in between.
    service.ready().await.unwrap();
    let mut clone = service.clone();
    service.ready().await.unwrap().call(get("/")).await.unwrap();
    clone.ready().await.unwrap().call(get("/")).await.unwrap();
}

#[tokio::test]
async fn a_service_that_is_cloned_when_ready_is_the_one_that_is_called() {
    let qq = qq();
    for forwards in [false, true] {
        let layer = match forwards {
            true => layer(&qq).forward_callback(),
            false => layer(&qq),
        };
        let mut service = layer.layer(Strict::default());
        let mut requests = ours();
        requests.push(get("/"));
        requests.push(Callback::new(&layer, &qq).await.request());
        for request in requests {
            service.ready().await.unwrap();
            // The clone is not ready, and whoever is left has to be asked again.
            let clone = service.clone();
            let mut ready = mem::replace(&mut service, clone);
            ready.call(request).await.unwrap();
            ready.ready().await.unwrap().call(get("/")).await.unwrap();
            let page = service.ready().await.unwrap().call(get("/"));
            let mut late = service.clone();
            page.await.unwrap();
            late.ready().await.unwrap().call(get("/")).await.unwrap();
        }
    }
}

/// An app with one place for all, full of people who look at pages and people who sign in.
async fn everybody_is_served_by_an_app_with_one_place() {
    let qq = qq();
    let layer = layer(&qq).forward_callback();
    let inner = Buffer::new(ConcurrencyLimit::new(Strict::default(), 1), 4);
    let service = layer.layer(inner);
    let mut visits = Vec::new();
    for _ in 0..64 {
        let callback = Callback::new(&layer, &qq).await;
        for request in [callback.request(), get("/"), get("/auth/qq/login")] {
            visits.push(tokio::spawn(service.clone().oneshot(request)));
        }
    }
    for visit in visits {
        let visit = timeout(Duration::from_secs(60), visit).await;
        visit.expect("nobody waits for ever").unwrap().unwrap();
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_app_with_one_place_serves_everybody_on_one_thread() {
    everybody_is_served_by_an_app_with_one_place().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_app_with_one_place_serves_everybody_on_many_threads() {
    everybody_is_served_by_an_app_with_one_place().await;
}

#[tokio::test]
async fn the_app_hears_nothing_of_what_the_layer_answers() {
    let (qq, calls) = (qq(), Arc::new(AtomicUsize::new(0)));
    let layer = layer(&qq);
    let count = calls.clone();
    let mut service = layer.layer(service_fn(move |_: Request<()>| {
        count.fetch_add(1, Ordering::SeqCst);
        ready(Ok::<_, Infallible>(Page::default()))
    }));
    let mut requests = ours();
    requests.push(Callback::new(&layer, &qq).await.request());
    for request in requests {
        service.ready().await.unwrap().call(request).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn back_pressure_and_failure_of_the_app_are_passed_on() {
    let (mut service, mut app) =
        tower_test::mock::spawn_layer::<Request<()>, Page, _>(layer(&qq()));
    app.allow(0);
    assert!(service.poll_ready().is_pending());
    assert!(!service.is_woken());
    app.allow(1);
    assert!(service.is_woken());
    assert!(matches!(service.poll_ready(), Poll::Ready(Ok(()))));
    let response = service.call(get("/page"));
    let (request, answer) = app.next_request().await.unwrap();
    assert_eq!(request.uri(), "/page");
    answer.send_response(Page::new(Full::from("page")));
    assert_eq!(text(response.await.unwrap()).await, "page");

    assert!(service.poll_ready().is_pending());
    app.allow(1);
    assert!(service.poll_ready().is_ready());
    let response = service.call(get("/page"));
    let (_, answer) = app.next_request().await.unwrap();
    answer.send_error(Broken);
    assert!(response.await.unwrap_err().is::<Broken>());

    app.send_error(Broken);
    let Poll::Ready(Err(error)) = service.poll_ready() else {
        panic!("a broken app is not ready")
    };
    assert!(error.is::<Broken>());
}

#[derive(Clone, Debug, PartialEq)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken")
    }
}

impl Error for Broken {}

/// An app that fails in a type of its own: when it is asked whether it is ready, or when it is called.
#[derive(Clone, Debug)]
struct Failing {
    ready: Result<(), Broken>,
}

impl Service<Request<()>> for Failing {
    type Response = Page;
    type Error = Broken;
    type Future = Ready<Result<Page, Broken>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(self.ready.clone())
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Err(Broken))
    }
}

#[tokio::test]
async fn errors_of_the_app_keep_their_type() {
    let layer = layer(&qq());
    let mut service = layer.layer(Failing { ready: Ok(()) });
    let error: Broken = service
        .ready()
        .await
        .unwrap()
        .call(get("/"))
        .await
        .unwrap_err();
    assert_eq!(error, Broken);
    let own = service.ready().await.unwrap().call(get("/auth/qq/login"));
    assert_eq!(own.await.unwrap().status(), StatusCode::SEE_OTHER);

    let mut service = layer.layer(Failing { ready: Err(Broken) });
    let error: Broken = service.ready().await.unwrap_err();
    assert_eq!(error, Broken);
}

// Limits inside and around.

#[tokio::test]
async fn what_we_answer_ourselves_holds_no_place_in_the_app() {
    let layer = layer(&qq());
    let mut kept = layer.layer(ConcurrencyLimit::new(app(), 1));
    let mut other = kept.clone();
    for request in ours() {
        // The service stays alive, as that of a connection does, and nobody has polled the answer yet.
        let own = now(kept.ready()).unwrap().unwrap().call(request);
        let page = now(other.ready()).unwrap().unwrap().call(get("/"));
        assert_eq!(text(page.await.unwrap()).await, "nobody");
        own.await.unwrap();
        let page = now(kept.ready()).unwrap().unwrap().call(get("/"));
        assert!(
            now(other.clone().ready()).is_none(),
            "a page does hold a place"
        );
        page.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_waits_for_qq_holds_no_place_in_the_app() {
    let qq = qq();
    let layer = layer(&qq);
    let mut kept = layer.layer(ConcurrencyLimit::new(app(), 1));
    let callback = Callback::new(&layer, &qq).await;
    silence(&qq);
    let mut login = Box::pin(kept.ready().await.unwrap().call(callback.request()));
    assert!(now(login.as_mut()).is_none());
    assert_eq!(qq.calls(Endpoint::Token), 1);
    for mut service in [kept.clone(), kept] {
        let page = now(service.ready()).unwrap().unwrap().call(get("/"));
        assert_eq!(text(page.await.unwrap()).await, "nobody");
        let start = now(service.ready()).unwrap().unwrap();
        let start = start.call(get("/auth/qq/login")).await.unwrap();
        assert_eq!(start.status(), StatusCode::SEE_OTHER);
    }
    assert_eq!(login.await.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_buffered_app_is_left_to_others() {
    let qq = qq();
    let layer = layer(&qq);
    let mut kept = layer.layer(Buffer::new(ConcurrencyLimit::new(app(), 1), 1));
    let mut other = kept.clone();
    for request in ours() {
        let own = now(kept.ready()).unwrap().unwrap().call(request);
        let page = now(other.ready()).unwrap().unwrap().call(get("/"));
        assert_eq!(text(page.await.unwrap()).await, "nobody");
        own.await.unwrap();
    }
    let callback = Callback::new(&layer, &qq).await;
    silence(&qq);
    let mut login = pin!(kept.ready().await.unwrap().call(callback.request()));
    assert!(now(login.as_mut()).is_none());
    let page = now(other.ready()).unwrap().unwrap().call(get("/"));
    assert_eq!(text(page.await.unwrap()).await, "nobody");
    assert_eq!(login.await.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_around_goes_on_while_a_login_waits() {
    let qq = qq();
    let layer = layer(&qq);
    let inner = layer.layer(ConcurrencyLimit::new(app(), 1));
    let mut service = Buffer::new(inner, 8);
    let callback = Callback::new(&layer, &qq).await;
    silence(&qq);
    let login = service.ready().await.unwrap().call(callback.request());
    let login = tokio::spawn(login);
    for request in ours() {
        service.ready().await.unwrap().call(request).await.unwrap();
        let page = service.ready().await.unwrap().call(get("/")).await.unwrap();
        assert_eq!(text(page).await, "nobody");
    }
    assert!(!login.is_finished());
    let failed = login.await.unwrap().unwrap();
    assert_eq!(failed.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_sheds_load_is_not_taken_for_busy() {
    let qq = qq();
    let layer = layer(&qq);
    let callback = Callback::new(&layer, &qq).await;

    // Inside, one for each service.
    let mut kept = layer.layer(LoadShed::new(ConcurrencyLimit::new(app(), 1)));
    let mut other = kept.clone();
    for request in ours() {
        let own = kept.ready().await.unwrap().call(request);
        let page = other.ready().await.unwrap().call(get("/")).await.unwrap();
        assert_eq!(text(page).await, "nobody");
        own.await.unwrap();
    }
    silence(&qq);
    let mut login = pin!(kept.ready().await.unwrap().call(callback.request()));
    assert!(now(login.as_mut()).is_none());
    let page = other.ready().await.unwrap().call(get("/")).await.unwrap();
    assert_eq!(text(page).await, "nobody");

    // Around.
    let mut kept = LoadShed::new(layer.layer(ConcurrencyLimit::new(app(), 1)));
    let mut other = kept.clone();
    silence(&qq);
    let callback = Callback::new(&layer, &qq).await;
    let mut login = pin!(kept.ready().await.unwrap().call(callback.request()));
    assert!(now(login.as_mut()).is_none());
    for request in ours() {
        let own = kept.ready().await.unwrap().call(request);
        let page = other.ready().await.unwrap().call(get("/")).await.unwrap();
        assert_eq!(text(page).await, "nobody");
        own.await.unwrap();
    }
}

#[tokio::test]
async fn an_app_that_has_no_place_left_still_lets_people_start_to_sign_in_if_it_sheds_load() {
    let stuck = service_fn(|_: Request<()>| pending::<Result<Page, Infallible>>());
    let mut kept = layer(&qq()).layer(LoadShed::new(ConcurrencyLimit::new(stuck, 1)));
    let mut other = kept.clone();
    let mut page = pin!(kept.ready().await.unwrap().call(get("/")));
    assert!(now(page.as_mut()).is_none());
    let shed = other.ready().await.unwrap().call(get("/")).await;
    assert!(
        shed.unwrap_err()
            .is::<tower::load_shed::error::Overloaded>()
    );
    let start = other.ready().await.unwrap().call(get("/auth/qq/login"));
    assert_eq!(start.await.unwrap().status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_limit_around_is_free_again_when_a_login_is_dropped() {
    let qq = qq();
    let layer = layer(&qq);
    let callback = Callback::new(&layer, &qq).await;
    silence(&qq);
    let mut service = ConcurrencyLimit::new(layer.layer(app()), 1);
    let mut other = service.clone();
    let mut login = Box::pin(service.ready().await.unwrap().call(callback.request()));
    assert!(now(login.as_mut()).is_none());
    assert!(now(other.ready()).is_none());
    drop(login);
    assert!(now(other.ready()).is_some());
}

// Logins in flight.

#[tokio::test(start_paused = true)]
async fn over_the_limit_a_login_is_told_to_come_back_and_then_finishes() {
    let qq = qq();
    let layer = layer(&qq).max_logins_in_flight(1).unwrap();
    let (first, second) = (
        Callback::new(&layer, &qq).await,
        Callback::new(&layer, &qq).await,
    );
    silence(&qq);
    let mut waiting = pin!(layer.layer(app()).oneshot(first.request()));
    assert!(now(waiting.as_mut()).is_none());

    for (accept, kind) in [
        ("application/json", "application/problem+json"),
        ("text/html", "text/html; charset=utf-8"),
    ] {
        let mut request = second.request();
        let accept = HeaderValue::from_static(accept);
        request.headers_mut().insert(header::ACCEPT, accept);
        // Another service of the same layer: the limit is that of the layer.
        let told = now(layer.layer(app()).oneshot(request)).expect("it is told at once");
        let told = told.unwrap();
        assert_eq!(told.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(told.headers()["content-type"], kind);
        let after = told.headers()["retry-after"].to_str().unwrap();
        assert!((1..=60).contains(&after.parse::<u64>().unwrap()));
        assert!(!told.headers().contains_key(header::SET_COOKIE));
        if kind == "application/problem+json" {
            let problem: serde_json::Value = serde_json::from_str(&text(told).await).unwrap();
            assert_eq!(problem["code"], "overloaded");
        }
    }
    assert_eq!(qq.calls(Endpoint::Token), 1);
    let page = layer.layer(app()).oneshot(get("/")).await.unwrap();
    assert_eq!(text(page).await, "nobody");
    let start = layer.layer(app()).oneshot(get("/auth/qq/login"));
    assert_eq!(start.await.unwrap().status(), StatusCode::SEE_OTHER);

    let failed = waiting.await.unwrap();
    assert_eq!(failed.status(), StatusCode::GATEWAY_TIMEOUT);
    let end = layer.layer(app()).oneshot(second.request()).await.unwrap();
    assert_signed_in(&end);
}

#[tokio::test]
async fn a_dropped_login_frees_its_place_in_flight() {
    let qq = qq();
    let layer = layer(&qq).max_logins_in_flight(1).unwrap();
    let (first, second) = (
        Callback::new(&layer, &qq).await,
        Callback::new(&layer, &qq).await,
    );
    silence(&qq);
    let mut login = Box::pin(layer.layer(app()).oneshot(first.request()));
    assert!(now(login.as_mut()).is_none());
    drop(login);
    // One that was never polled as well.
    drop(layer.layer(app()).call(first.request()));
    let end = layer.layer(app()).oneshot(second.request()).await.unwrap();
    assert_signed_in(&end);
}

#[tokio::test]
async fn a_client_that_hangs_up_frees_its_place_in_flight() {
    const LONG: Duration = Duration::from_secs(3600);
    let Local {
        listener,
        layer,
        qq,
        mut browser,
        ..
    } = Local::with(|app| {
        let app = app.call_timeout(LONG).unwrap();
        app.login_timeout(LONG).unwrap()
    })
    .await;
    let layer = layer.max_logins_in_flight(1).unwrap();
    let listener = Arc::new(listener);
    let service = TowerToHyperService::new(layer.layer(app::<Incoming>()));
    let serve_once = || {
        let (listener, service) = (Arc::clone(&listener), service.clone());
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            served.await.ok();
        })
    };
    serve_once();
    let callback = browser.callback_from(&qq, "/auth/qq/login").await;

    silence(&qq);
    let server = serve_once();
    let client = browser.send(&callback, "").await;
    while qq.calls(Endpoint::Token) == 0 {
        tokio::task::yield_now().await;
    }
    serve_once();
    let told = browser.get(&callback).await;
    assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE);

    drop(client);
    let served = timeout(Duration::from_secs(30), server).await;
    served.expect("the server sees the end").unwrap();
    serve_once();
    assert_eq!(browser.get(&callback).await.location(), "/");
}

// Bodies.

/// A body with everything a body can have: frames, trailers, an error, and opinions about its length.
struct Frames {
    frames: VecDeque<Result<Frame<Bytes>, Broken>>,
}

impl Frames {
    fn new() -> Self {
        let trailers = HeaderMap::from_iter([(header::EXPIRES, HeaderValue::from_static("never"))]);
        Self {
            frames: VecDeque::from([
                Ok(Frame::data(Bytes::from_static(b"one"))),
                Ok(Frame::data(Bytes::new())),
                Ok(Frame::data(Bytes::from_static(b"two"))),
                Ok(Frame::trailers(trailers)),
                Err(Broken),
            ]),
        }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(self.frames.pop_front())
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(3);
        hint.set_upper(99);
        hint
    }
}

#[tokio::test]
async fn bodies_go_through_frame_by_frame_both_ways() {
    let echo = service_fn(|request: Request<Frames>| {
        ready(Ok::<_, Infallible>(Response::new(request.into_body())))
    });
    let request = Request::post("/").body(Frames::new()).unwrap();
    let response = layer(&qq()).layer(echo).oneshot(request).await.unwrap();
    let mut body: ResponseBody<Frames> = response.into_body();
    assert_eq!(
        (body.size_hint().lower(), body.size_hint().upper()),
        (3, Some(99))
    );
    for expected in Frames::new().frames {
        assert!(!body.is_end_stream());
        let frame: Result<Frame<Bytes>, Broken> = body.frame().await.unwrap();
        match (frame, expected) {
            (Ok(frame), Ok(expected)) => {
                assert_eq!(frame.data_ref(), expected.data_ref());
                assert_eq!(frame.trailers_ref(), expected.trailers_ref());
            }
            (frame, expected) => assert_eq!(frame.unwrap_err(), expected.unwrap_err()),
        }
    }
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_request_can_carry_anything_at_all() {
    struct Parcel(Rc<str>);

    let qq = qq();
    let layer = layer(&qq);
    let unpack = service_fn(|request: Request<Parcel>| {
        let content = Bytes::copy_from_slice(request.body().0.as_bytes());
        ready(Ok::<_, Infallible>(Response::new(Full::new(content))))
    });
    let parcel = |request: Request<()>| request.map(|()| Parcel("here".into()));
    let mut service = layer.layer(unpack);
    let page = service.call(parcel(get("/"))).await.unwrap();
    assert_eq!(text(page).await, "here");
    let callback = Callback::new(&layer, &qq).await.request();
    assert_signed_in(&service.call(parcel(callback)).await.unwrap());
}

/// Something of the app's own, or of its server's, in the extensions.
#[derive(Clone, Debug, PartialEq)]
struct Mark(u32);

#[tokio::test]
async fn the_head_of_request_and_response_goes_through_as_it_is() {
    let look = service_fn(|request: Request<()>| {
        assert_eq!(request.method(), Method::PATCH);
        assert_eq!(request.uri(), "http://site.example/a/../b?c=%2f");
        assert_eq!(request.version(), http::Version::HTTP_2);
        assert_eq!(request.headers()["x-one"], "1");
        assert_eq!(request.extensions().get(), Some(&Mark(1)));
        let response = Response::builder()
            .status(299)
            .version(http::Version::HTTP_10)
            .header("set-cookie", "a=b")
            .header("cache-control", "public")
            .extension(Mark(2));
        ready(Ok::<_, Infallible>(
            response.body(Full::<Bytes>::default()).unwrap(),
        ))
    });
    let request = Request::patch("http://site.example/a/../b?c=%2f")
        .version(http::Version::HTTP_2)
        .header("x-one", "1")
        .extension(Mark(1));
    let service = layer(&qq()).layer(look);
    let response = service.oneshot(request.body(()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 299);
    assert_eq!(response.version(), http::Version::HTTP_10);
    assert_eq!(response.extensions().get(), Some(&Mark(2)));
    let headers = response.headers();
    assert_eq!(headers.len(), 2);
    assert_eq!(headers["set-cookie"], "a=b");
    assert_eq!(headers["cache-control"], "public");
}

#[tokio::test]
async fn pages_of_ours_know_their_length() {
    let qq = qq();
    let layer = layer(&qq);
    let required = service_fn(|_: Request<()>| {
        let mut response = Response::new(Frames::new());
        response.extensions_mut().insert(LoginRequired);
        ready(Ok::<_, Infallible>(response))
    });
    let mut service = layer.layer(required);
    let mut requests = ours();
    requests.push(get("/needs/somebody"));
    requests.push(Callback::new(&layer, &qq).await.request());
    for request in requests {
        let what = format!("{} {}", request.method(), request.uri());
        let body = service.call(request).await.unwrap().into_body();
        let length = body.size_hint().exact().expect(&what);
        assert_eq!(body.is_end_stream(), length == 0, "{what}");
        let read = body.collect().await.unwrap().to_bytes().len();
        assert_eq!(read as u64, length, "{what}");
    }
}

// Upgrades and real sockets.

#[tokio::test]
async fn a_switch_of_protocols_keeps_its_extensions() {
    let switch = service_fn(|mut request: Request<()>| {
        let upgrade: Mark = request.extensions_mut().remove().unwrap();
        let response = Response::builder().status(101).extension(upgrade);
        ready(Ok::<_, Infallible>(
            response.body(Full::<Bytes>::default()).unwrap(),
        ))
    });
    let request = Request::get("/").extension(Mark(101)).body(()).unwrap();
    let response = layer(&qq()).layer(switch).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(response.extensions().get(), Some(&Mark(101)));
    assert!(response.headers().is_empty());
}

#[tokio::test]
async fn a_web_socket_knows_who_opened_it() {
    let socket = async |upgrade: WebSocketUpgrade, user: QqUser| {
        upgrade.on_upgrade(async move |mut socket| {
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                let answer = Message::text(format!("{text}, {}", user.nickname()));
                socket.send(answer).await.unwrap();
            }
        })
    };
    let Local {
        listener,
        layer,
        qq,
        clock,
        mut browser,
    } = Local::new().await;
    let app = Router::new().route("/socket", any(socket)).layer(layer);
    tokio::spawn(axum::serve(listener, app).into_future());
    let handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-Fetch-Mode: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    let mut anonymous = browser.send("/socket", handshake).await;
    let refused = head(&mut anonymous).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);

    browser.sign_in(&qq, "/auth/qq/login").await;
    // The session is due for renewal: what is no longer HTTP has to be left alone all the same.
    clock.advance(Duration::from_secs(4 * 24 * 60 * 60));
    let mut socket = browser.send("/socket", handshake).await;
    let accepted = head(&mut socket).await;
    assert_eq!(accepted.status, StatusCode::SWITCHING_PROTOCOLS);
    // The key and its answer are those of RFC 6455, section 1.3.
    assert_eq!(
        accepted.header("sec-websocket-accept"),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert!(accepted.cookies().is_empty());
    // A whole text frame of two bytes, masked by zeros as it were.
    socket.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
    let expected = format!("hi, {}", qq.people()[0].nickname);
    let mut frame = vec![0; 2 + expected.len()];
    socket.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[..2], [0x81, u8::try_from(expected.len()).unwrap()]);
    assert_eq!(&frame[2..], expected.as_bytes());
}

#[tokio::test]
async fn plain_hyper_signs_in_and_says_by_a_mark_who_needs_to() {
    let Local {
        listener,
        layer,
        qq,
        mut browser,
        ..
    } = Local::new().await;
    let app = service_fn(|request: Request<Incoming>| {
        let mut response = Page::new(Full::from(name(&request)));
        if request.uri().path() == "/mine" && name(&request) == "nobody" {
            response.extensions_mut().insert(LoginRequired);
        }
        ready(Ok::<_, Infallible>(response))
    });
    serve(listener, layer.layer(app));
    assert_eq!(browser.get("/").await.body, "nobody");
    let login = browser.get("/mine?a=b").await.location().to_owned();
    assert_eq!(login, "/auth/qq/login?return_to=/mine%3Fa%3Db");
    let end = browser.sign_in(&qq, &login).await;
    assert_eq!(end.location(), "/mine?a=b");
    let nickname = &qq.people()[0].nickname;
    assert_eq!(browser.get("/mine?a=b").await.body, *nickname);

    let program = browser.send("/mine", "Connection: close\r\n").await;
    assert_eq!(head(&mut { program }).await.status, StatusCode::OK);
    let stranger = browser.another();
    let mut program = stranger.send("/mine", "Accept: application/json\r\n").await;
    let refused = head(&mut program).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        refused.header("www-authenticate"),
        "QQ login_url=\"/auth/qq/login\""
    );
}

// Runtimes and types.

async fn eight_people_sign_in_at_once() {
    let qq = qq();
    let layer = layer(&qq);
    let mut logins = Vec::new();
    for _ in 0..8 {
        let callback = Callback::new(&layer, &qq).await;
        let service = layer.layer(app());
        logins.push(tokio::spawn(service.oneshot(callback.request())));
    }
    for login in logins {
        assert_signed_in(&login.await.unwrap().unwrap());
    }
}

#[tokio::test(flavor = "current_thread")]
async fn people_sign_in_on_a_runtime_of_one_thread() {
    eight_people_sign_in_at_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn people_sign_in_on_a_runtime_of_many_threads() {
    eight_people_sign_in_at_once().await;
}

#[tokio::test]
async fn an_app_that_stays_on_its_thread_can_have_the_layer_too() {
    let (qq, word) = (qq(), Rc::new("local"));
    let layer = layer(&qq);
    let local = service_fn(move |_: Request<()>| {
        let word = Rc::clone(&word);
        async move { Ok::<_, Rc<Broken>>(Page::new(Full::from(*word))) }
    });
    let mut service = layer.layer(local);
    let page = service.ready().await.unwrap().call(get("/")).await.unwrap();
    assert_eq!(text(page).await, "local");
    let callback = Callback::new(&layer, &qq).await.request();
    assert_signed_in(&service.ready().await.unwrap().call(callback).await.unwrap());
}

#[test]
fn a_response_of_the_app_is_no_larger_for_the_layer_around_it() {
    let alone = mem::size_of::<axum::body::Body>();
    assert_eq!(mem::size_of::<ResponseBody<axum::body::Body>>(), alone);
}

#[test]
fn types_can_go_where_their_parts_can() {
    fn everywhere<T: Clone + Send + Sync + Unpin + fmt::Debug + 'static>() {}
    fn shared<T: Send + Sync + Unpin + fmt::Debug + 'static>() {}
    fn error<T: Error + Clone + Send + Sync + 'static>() {}
    fn moved<T: Send + Unpin + fmt::Debug + 'static>() {}
    fn one_error<A, B: Body<Error = A::Error, Data = Bytes>>()
    where
        A: Body,
    {
    }

    everywhere::<QqApp>();
    everywhere::<SessionKeys>();
    everywhere::<QqAuthLayer>();
    everywhere::<QqAuth<()>>();
    everywhere::<QqClient>();
    everywhere::<QqUser>();
    everywhere::<OpenId>();
    everywhere::<UnionId>();
    everywhere::<QqLogin>();
    everywhere::<QqTokens>();
    everywhere::<LoginRequired>();
    everywhere::<LoginErrorKind>();
    everywhere::<Display>();
    everywhere::<MockQq>();
    error::<LoginError>();
    error::<ConfigError>();
    shared::<ResponseBody<Full<Bytes>>>();
    moved::<ResponseFuture<tower::util::BoxCloneService<Request<()>, Page, BoxError>, ()>>();
    one_error::<Frames, ResponseBody<Frames>>();
}

// Who is signed in is for the layer to say.

#[tokio::test]
async fn a_person_planted_from_outside_never_reaches_the_app() {
    let qq = qq();
    let layer = layer(&qq);
    let planted = |mut request: Request<()>| {
        let openid = OpenId::new("0123456789ABCDEF0123456789ABCDEF").unwrap();
        let user = QqUser::new(openid).with_nickname("planted");
        request.extensions_mut().insert(user);
        for name in [
            "x-qq-user",
            "x-qq-openid",
            "x-forwarded-user",
            "remote-user",
        ] {
            let value = HeaderValue::from_static("0123456789ABCDEF0123456789ABCDEF");
            request.headers_mut().insert(name, value);
        }
        request
    };
    let service = layer.layer(app()).map_request(planted);
    let page = service.clone().oneshot(get("/")).await.unwrap();
    assert_eq!(text(page).await, "nobody");

    let session = session(&layer, &qq).await;
    for (cookie, name) in [
        (session.as_str(), qq.people()[0].nickname.as_str()),
        (&format!("{session}x"), "nobody"),
    ] {
        let request = Request::get("/").header(header::COOKIE, cookie);
        let page = service.clone().oneshot(request.body(()).unwrap());
        assert_eq!(text(page.await.unwrap()).await, name);
    }
}
