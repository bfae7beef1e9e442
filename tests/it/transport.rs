//! The layer around any tower service: readiness, limits, bodies, upgrades and runtimes.

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
use hyper::body::Incoming;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tower::{
    BoxError, Layer, Service, ServiceExt, buffer::Buffer, limit::ConcurrencyLimit,
    load_shed::LoadShed, service_fn,
};
use tower_qq_auth::{
    ConfigError, Language, LoginError, LoginErrorKind, LoginRequired, OpenId, QqApp, QqAuthLayer,
    QqClient, QqLogin, QqSession, QqTokens, QqUser, SessionKeys, UnionId,
    codes::Responsible,
    mock::{Endpoint, Fault, MockQq},
    service::{QqAuth, ResponseBody, ResponseFuture},
};

use crate::{
    site::{LOGIN, SESSION, builder, layer, path, qq},
    socket::{Browser, Local, head, serve},
};

type Page = Response<Full<Bytes>>;

/// An app that answers every request with the nickname of the user, or `signed out`.
fn app<B>()
-> impl Service<Request<B>, Response = Page, Error = Infallible, Future: Send> + Clone + Send + 'static
{
    service_fn(|request: Request<B>| ready(Ok(Response::new(Full::from(nickname(&request))))))
}

fn nickname<B>(request: &Request<B>) -> String {
    let user = request.extensions().get::<QqUser>();
    user.map_or("signed out".into(), |user| user.nickname().to_owned())
}

fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).unwrap()
}

/// Requests that the layer answers at once.
fn layer_requests() -> Vec<Request<()>> {
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

/// The request of a browser that returns from QQ, with the cookie of the login it started.
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

/// Signs a user in and returns the session cookie.
async fn session_cookie(layer: &QqAuthLayer, qq: &MockQq) -> String {
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

/// Polls a future once; `None` if it is pending.
fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let future = pin!(tokio::task::unconstrained(future));
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Waits for the token call of a login, which runs in a task of its own.
async fn reach(qq: &MockQq) {
    while qq.calls(Endpoint::Token) == 0 {
        tokio::task::yield_now().await;
    }
}

/// Lets the next token call hang until it times out.
fn silence_next_login(qq: &MockQq) {
    qq.fault(Endpoint::Token, 1, Fault::Silence);
}

// Readiness and errors.

/// An app that panics if it is called without a `poll_ready` of the same instance before each call.
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
        ready(Ok(Response::new(Full::from(nickname(&request)))))
    }
}

#[tokio::test]
async fn never_calls_the_app_before_it_is_ready() {
    let qq = qq();
    let layer = layer(&qq);
    let mut service = layer.layer(Strict::default());
    let mut requests = layer_requests();
    requests.push(Callback::new(&layer, &qq).await.request());
    for request in requests {
        service.ready().await.unwrap().call(request).await.unwrap();
        for _ in 0..2 {
            let page = service.ready().await.unwrap().call(get("/")).await.unwrap();
            assert_eq!(text(page).await, "signed out");
        }
    }
    // A second `poll_ready` and a clone in between are allowed.
    service.ready().await.unwrap();
    let mut clone = service.clone();
    service.ready().await.unwrap().call(get("/")).await.unwrap();
    clone.ready().await.unwrap().call(get("/")).await.unwrap();
}

#[tokio::test]
async fn calls_the_instance_that_was_polled_ready_after_a_clone() {
    let qq = qq();
    for layer in [layer(&qq), builder(&qq).forward_callback().build().unwrap()] {
        let mut service = layer.layer(Strict::default());
        let mut requests = layer_requests();
        requests.push(get("/"));
        requests.push(Callback::new(&layer, &qq).await.request());
        for request in requests {
            service.ready().await.unwrap();
            // The clone is not ready: each instance needs a `poll_ready` of its own.
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

/// Sends page views, login starts and callbacks at once to an app with a single permit.
async fn check_an_app_with_one_permit() {
    let qq = qq();
    let layer = builder(&qq).forward_callback().build().unwrap();
    let inner = Buffer::new(ConcurrencyLimit::new(Strict::default(), 1), 4);
    let service = layer.layer(inner);
    let mut responses = Vec::new();
    for _ in 0..64 {
        let callback = Callback::new(&layer, &qq).await;
        for request in [callback.request(), get("/"), get("/auth/qq/login")] {
            responses.push(tokio::spawn(service.clone().oneshot(request)));
        }
    }
    for response in responses {
        let response = timeout(Duration::from_secs(60), response).await;
        response.expect("no request hangs").unwrap().unwrap();
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_app_with_one_permit_serves_all_requests_on_one_thread() {
    check_an_app_with_one_permit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_app_with_one_permit_serves_all_requests_on_many_threads() {
    check_an_app_with_one_permit().await;
}

#[tokio::test]
async fn requests_answered_by_the_layer_never_reach_the_app() {
    let (qq, calls) = (qq(), Arc::new(AtomicUsize::new(0)));
    let layer = layer(&qq);
    let count = calls.clone();
    let mut service = layer.layer(service_fn(move |_: Request<()>| {
        count.fetch_add(1, Ordering::SeqCst);
        ready(Ok::<_, Infallible>(Page::default()))
    }));
    let mut requests = layer_requests();
    requests.push(Callback::new(&layer, &qq).await.request());
    for request in requests {
        service.ready().await.unwrap().call(request).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn passes_on_back_pressure_and_errors_of_the_app() {
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

/// An app that fails with its own error type, in `poll_ready` or in `call`.
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
async fn keeps_the_error_type_of_the_app() {
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
    let start = service.ready().await.unwrap().call(get("/auth/qq/login"));
    assert_eq!(start.await.unwrap().status(), StatusCode::SEE_OTHER);

    let mut service = layer.layer(Failing { ready: Err(Broken) });
    let error: Broken = service.ready().await.unwrap_err();
    assert_eq!(error, Broken);
}

// Limits inside and around the layer.

#[tokio::test]
async fn responses_of_the_layer_hold_no_permit_of_the_app() {
    let layer = layer(&qq());
    let mut service = layer.layer(ConcurrencyLimit::new(app(), 1));
    let mut other = service.clone();
    for request in layer_requests() {
        // The service stays alive, like that of a connection, and the response is not polled yet.
        let response = poll_once(service.ready()).unwrap().unwrap().call(request);
        let page = poll_once(other.ready()).unwrap().unwrap().call(get("/"));
        assert_eq!(text(page.await.unwrap()).await, "signed out");
        response.await.unwrap();
        let page = poll_once(service.ready()).unwrap().unwrap().call(get("/"));
        assert!(
            poll_once(other.clone().ready()).is_none(),
            "a page holds the permit"
        );
        page.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_waiting_for_qq_holds_no_permit_of_the_app() {
    let qq = qq();
    let layer = layer(&qq);
    let mut service = layer.layer(ConcurrencyLimit::new(app(), 1));
    let callback = Callback::new(&layer, &qq).await;
    silence_next_login(&qq);
    let mut login = Box::pin(service.ready().await.unwrap().call(callback.request()));
    assert!(poll_once(login.as_mut()).is_none());
    reach(&qq).await;
    for mut service in [service.clone(), service] {
        let page = poll_once(service.ready()).unwrap().unwrap().call(get("/"));
        assert_eq!(text(page.await.unwrap()).await, "signed out");
        let start = poll_once(service.ready()).unwrap().unwrap();
        let start = start.call(get("/auth/qq/login")).await.unwrap();
        assert_eq!(start.status(), StatusCode::SEE_OTHER);
    }
    assert_eq!(login.await.unwrap().status(), StatusCode::FAILED_DEPENDENCY);
}

#[tokio::test(start_paused = true)]
async fn responses_of_the_layer_hold_no_slot_of_a_buffered_app() {
    let qq = qq();
    let layer = layer(&qq);
    let mut service = layer.layer(Buffer::new(ConcurrencyLimit::new(app(), 1), 1));
    let mut other = service.clone();
    for request in layer_requests() {
        let response = poll_once(service.ready()).unwrap().unwrap().call(request);
        let page = poll_once(other.ready()).unwrap().unwrap().call(get("/"));
        assert_eq!(text(page.await.unwrap()).await, "signed out");
        response.await.unwrap();
    }
    let callback = Callback::new(&layer, &qq).await;
    silence_next_login(&qq);
    let mut login = pin!(service.ready().await.unwrap().call(callback.request()));
    assert!(poll_once(login.as_mut()).is_none());
    let page = poll_once(other.ready()).unwrap().unwrap().call(get("/"));
    assert_eq!(text(page.await.unwrap()).await, "signed out");
    assert_eq!(login.await.unwrap().status(), StatusCode::FAILED_DEPENDENCY);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_around_the_layer_serves_while_a_login_waits() {
    let qq = qq();
    let layer = layer(&qq);
    let inner = layer.layer(ConcurrencyLimit::new(app(), 1));
    let mut service = Buffer::new(inner, 8);
    let callback = Callback::new(&layer, &qq).await;
    silence_next_login(&qq);
    let login = service.ready().await.unwrap().call(callback.request());
    let login = tokio::spawn(login);
    for request in layer_requests() {
        service.ready().await.unwrap().call(request).await.unwrap();
        let page = service.ready().await.unwrap().call(get("/")).await.unwrap();
        assert_eq!(text(page).await, "signed out");
    }
    assert!(!login.is_finished());
    let failed = login.await.unwrap().unwrap();
    assert_eq!(failed.status(), StatusCode::FAILED_DEPENDENCY);
}

#[tokio::test(start_paused = true)]
async fn responses_of_the_layer_do_not_trigger_load_shedding() {
    let qq = qq();
    let layer = layer(&qq);
    let callback = Callback::new(&layer, &qq).await;

    // Load shedding inside the layer: each clone of the service has its own.
    let mut service = layer.layer(LoadShed::new(ConcurrencyLimit::new(app(), 1)));
    let mut other = service.clone();
    for request in layer_requests() {
        let response = service.ready().await.unwrap().call(request);
        let page = other.ready().await.unwrap().call(get("/")).await.unwrap();
        assert_eq!(text(page).await, "signed out");
        response.await.unwrap();
    }
    silence_next_login(&qq);
    let mut login = pin!(service.ready().await.unwrap().call(callback.request()));
    assert!(poll_once(login.as_mut()).is_none());
    let page = other.ready().await.unwrap().call(get("/")).await.unwrap();
    assert_eq!(text(page).await, "signed out");

    // Load shedding around the layer.
    let mut service = LoadShed::new(layer.layer(ConcurrencyLimit::new(app(), 1)));
    let mut other = service.clone();
    silence_next_login(&qq);
    let callback = Callback::new(&layer, &qq).await;
    let mut login = pin!(service.ready().await.unwrap().call(callback.request()));
    assert!(poll_once(login.as_mut()).is_none());
    for request in layer_requests() {
        let response = service.ready().await.unwrap().call(request);
        let page = other.ready().await.unwrap().call(get("/")).await.unwrap();
        assert_eq!(text(page).await, "signed out");
        response.await.unwrap();
    }
}

#[tokio::test]
async fn logins_start_while_the_app_sheds_load() {
    let stuck = service_fn(|_: Request<()>| pending::<Result<Page, Infallible>>());
    let mut service = layer(&qq()).layer(LoadShed::new(ConcurrencyLimit::new(stuck, 1)));
    let mut other = service.clone();
    let mut page = pin!(service.ready().await.unwrap().call(get("/")));
    assert!(poll_once(page.as_mut()).is_none());
    let shed = other.ready().await.unwrap().call(get("/")).await;
    assert!(
        shed.unwrap_err()
            .is::<tower::load_shed::error::Overloaded>()
    );
    let start = other.ready().await.unwrap().call(get("/auth/qq/login"));
    assert_eq!(start.await.unwrap().status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn dropping_a_login_frees_a_limit_around_the_layer() {
    let qq = qq();
    let layer = layer(&qq);
    let callback = Callback::new(&layer, &qq).await;
    silence_next_login(&qq);
    let mut service = ConcurrencyLimit::new(layer.layer(app()), 1);
    let mut other = service.clone();
    let mut login = Box::pin(service.ready().await.unwrap().call(callback.request()));
    assert!(poll_once(login.as_mut()).is_none());
    assert!(poll_once(other.ready()).is_none());
    drop(login);
    assert!(poll_once(other.ready()).is_some());
}

// Logins in flight.

#[tokio::test(start_paused = true)]
async fn excess_logins_are_refused_at_once_and_succeed_later() {
    let qq = qq();
    let layer = builder(&qq).max_logins_in_flight(1).build().unwrap();
    let (first, second) = (
        Callback::new(&layer, &qq).await,
        Callback::new(&layer, &qq).await,
    );
    silence_next_login(&qq);
    let mut waiting = pin!(layer.layer(app()).oneshot(first.request()));
    assert!(poll_once(waiting.as_mut()).is_none());
    reach(&qq).await;

    for (accept, kind) in [
        ("application/json", "application/problem+json"),
        ("text/html", "text/html; charset=utf-8"),
    ] {
        let mut request = second.request();
        let accept = HeaderValue::from_static(accept);
        request.headers_mut().insert(header::ACCEPT, accept);
        // Another service of the same layer: all of them share the limit.
        let rejected = poll_once(layer.layer(app()).oneshot(request));
        let rejected = rejected.expect("the layer answers at once").unwrap();
        assert_eq!(rejected.status(), StatusCode::FAILED_DEPENDENCY);
        assert_eq!(rejected.headers()["content-type"], kind);
        let after = rejected.headers()["retry-after"].to_str().unwrap();
        assert!((1..=60).contains(&after.parse::<u64>().unwrap()));
        assert!(!rejected.headers().contains_key(header::SET_COOKIE));
        if kind == "application/problem+json" {
            let problem: serde_json::Value = serde_json::from_str(&text(rejected).await).unwrap();
            assert_eq!(problem["code"], "overloaded");
        }
    }
    assert_eq!(qq.calls(Endpoint::Token), 1);
    let page = layer.layer(app()).oneshot(get("/")).await.unwrap();
    assert_eq!(text(page).await, "signed out");
    let start = layer.layer(app()).oneshot(get("/auth/qq/login"));
    assert_eq!(start.await.unwrap().status(), StatusCode::SEE_OTHER);

    let failed = waiting.await.unwrap();
    assert_eq!(failed.status(), StatusCode::FAILED_DEPENDENCY);
    let end = layer.layer(app()).oneshot(second.request()).await.unwrap();
    assert_signed_in(&end);
}

// Bodies.

/// A body with data frames, trailers, an error and a size hint.
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
async fn forwards_bodies_frame_by_frame_in_both_directions() {
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
async fn accepts_any_request_body_type() {
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

/// An extension of the app or its server.
#[derive(Clone, Debug, PartialEq)]
struct Mark(u32);

#[tokio::test]
async fn forwards_request_and_response_heads_unchanged() {
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
async fn response_bodies_of_the_layer_have_an_exact_length() {
    let qq = qq();
    let layer = layer(&qq);
    let required = service_fn(|_: Request<()>| {
        let mut response = Response::new(Frames::new());
        response.extensions_mut().insert(LoginRequired);
        ready(Ok::<_, Infallible>(response))
    });
    let mut service = layer.layer(required);
    let mut requests = layer_requests();
    requests.push(get("/private"));
    requests.push(Callback::new(&layer, &qq).await.request());
    for request in requests {
        let case = format!("{} {}", request.method(), request.uri());
        let body = service.call(request).await.unwrap().into_body();
        let length = body.size_hint().exact().expect(&case);
        assert_eq!(body.is_end_stream(), length == 0, "{case}");
        let read = body.collect().await.unwrap().to_bytes().len();
        assert_eq!(read as u64, length, "{case}");
    }
}

// Upgrades and real sockets.

#[tokio::test]
async fn keeps_the_extensions_of_a_protocol_upgrade() {
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

const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-Fetch-Mode: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn a_websocket_handler_receives_the_user() {
    let socket = async |upgrade: WebSocketUpgrade, user: QqUser| {
        upgrade.on_upgrade(async move |mut socket| {
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                let reply = Message::text(format!("{text}, {}", user.nickname()));
                socket.send(reply).await.unwrap();
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
    let mut anonymous = browser.send("/socket", HANDSHAKE).await;
    let refused = head(&mut anonymous).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);

    browser.sign_in(&qq, "/auth/qq/login").await;
    // The session is due for renewal, but a 101 response must not get a cookie.
    clock.advance(Duration::from_secs(4 * 24 * 60 * 60));
    let mut socket = browser.send("/socket", HANDSHAKE).await;
    let accepted = head(&mut socket).await;
    assert_eq!(accepted.status, StatusCode::SWITCHING_PROTOCOLS);
    // Key and accept value are the example of RFC 6455, section 1.3.
    assert_eq!(
        accepted.header("sec-websocket-accept"),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert!(accepted.cookies().is_empty());
    // A text frame of two bytes, masked with zeros.
    socket.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
    let expected = format!("hi, {}", qq.people()[0].nickname);
    let mut frame = vec![0; 2 + expected.len()];
    socket.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[..2], [0x81, u8::try_from(expected.len()).unwrap()]);
    assert_eq!(&frame[2..], expected.as_bytes());
}

/// A WebSocket takes no cookies once it is open: the response that opens it is the only chance.
#[tokio::test]
async fn a_handshake_that_sets_the_account_sets_the_cookie_on_the_101_unless_it_is_foreign() {
    let socket = async |upgrade: WebSocketUpgrade, session: QqSession| {
        let session = session.with_account("42").unwrap();
        (session, upgrade.on_upgrade(async |_| {}))
    };
    let account = async |session: QqSession| session.account().unwrap_or("none").to_owned();
    let Local {
        listener,
        layer,
        qq,
        mut browser,
        ..
    } = Local::new().await;
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/socket", any(socket))
        .route("/account", any(account))
        .layer(layer);
    tokio::spawn(axum::serve(listener, app).into_future());
    browser.sign_in(&qq, "/auth/qq/login").await;
    let handshake = async |browser: &Browser, origin: &str| {
        let lines = format!("{HANDSHAKE}Origin: {origin}\r\n");
        let response = head(&mut browser.send("/socket", &lines).await).await;
        assert_eq!(response.status, StatusCode::SWITCHING_PROTOCOLS);
        response
    };

    for foreign in ["null", "https://evil.example", "http://127.0.0.1:1"] {
        let response = handshake(&browser, foreign).await;
        assert!(response.cookies().is_empty(), "{foreign}");
    }
    assert_eq!(browser.get("/account").await.body, "none");

    let response = handshake(&browser, &origin).await;
    assert_eq!(response.cookies().len(), 1);
    browser.keep_cookies(&response);
    assert_eq!(browser.get("/account").await.body, "42");
}

#[tokio::test]
async fn login_and_login_required_work_with_plain_hyper() {
    let Local {
        listener,
        layer,
        qq,
        mut browser,
        ..
    } = Local::new().await;
    let app = service_fn(|request: Request<Incoming>| {
        let mut response = Page::new(Full::from(nickname(&request)));
        if request.uri().path() == "/mine" && nickname(&request) == "signed out" {
            response.extensions_mut().insert(LoginRequired);
        }
        ready(Ok::<_, Infallible>(response))
    });
    serve(listener, layer.layer(app));
    assert_eq!(browser.get("/").await.body, "signed out");
    let login = browser.get("/mine?a=b").await.location().to_owned();
    assert_eq!(login, "/auth/qq/login?return_to=/mine%3Fa%3Db");
    let end = browser.sign_in(&qq, &login).await;
    assert_eq!(end.location(), "/mine?a=b");
    let nickname = &qq.people()[0].nickname;
    assert_eq!(browser.get("/mine?a=b").await.body, *nickname);

    let mut connection = browser.send("/mine", "Connection: close\r\n").await;
    assert_eq!(head(&mut connection).await.status, StatusCode::OK);
    let anonymous = browser.another();
    let mut connection = anonymous
        .send("/mine", "Accept: application/json\r\n")
        .await;
    let refused = head(&mut connection).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        refused.header("www-authenticate"),
        "QQ login_url=\"/auth/qq/login\""
    );
}

// Runtimes and types.

async fn check_eight_concurrent_logins() {
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
async fn concurrent_logins_succeed_on_one_thread() {
    check_eight_concurrent_logins().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_logins_succeed_on_many_threads() {
    check_eight_concurrent_logins().await;
}

#[tokio::test]
async fn works_with_services_that_are_not_send() {
    let (qq, content) = (qq(), Rc::new("local"));
    let layer = layer(&qq);
    let local = service_fn(move |_: Request<()>| {
        let content = Rc::clone(&content);
        async move { Ok::<_, Rc<Broken>>(Page::new(Full::from(*content))) }
    });
    let mut service = layer.layer(local);
    let page = service.ready().await.unwrap().call(get("/")).await.unwrap();
    assert_eq!(text(page).await, "local");
    let callback = Callback::new(&layer, &qq).await.request();
    assert_signed_in(&service.ready().await.unwrap().call(callback).await.unwrap());
}

#[test]
fn the_response_body_is_no_larger_than_the_body_of_the_app() {
    let alone = mem::size_of::<axum::body::Body>();
    assert_eq!(mem::size_of::<ResponseBody<axum::body::Body>>(), alone);
}

#[test]
fn public_types_implement_the_expected_auto_traits() {
    fn is_value<T: Clone + Send + Sync + Unpin + fmt::Debug + 'static>() {}
    fn is_shared<T: Send + Sync + Unpin + fmt::Debug + 'static>() {}
    fn is_error<T: Error + Clone + Send + Sync + 'static>() {}
    fn is_sendable<T: Send + Unpin + fmt::Debug + 'static>() {}
    fn keeps_the_error<A, B: Body<Error = A::Error, Data = Bytes>>()
    where
        A: Body,
    {
    }

    is_value::<QqApp>();
    is_value::<SessionKeys>();
    is_value::<QqAuthLayer>();
    is_value::<QqAuth<()>>();
    is_value::<QqClient>();
    is_value::<QqUser>();
    is_value::<OpenId>();
    is_value::<UnionId>();
    is_value::<QqLogin>();
    is_value::<QqTokens>();
    is_value::<LoginRequired>();
    is_value::<LoginErrorKind>();
    is_value::<Language>();
    is_value::<Responsible>();
    is_value::<MockQq>();
    is_error::<LoginError>();
    is_error::<ConfigError>();
    is_shared::<ResponseBody<Full<Bytes>>>();
    is_sendable::<ResponseFuture<tower::util::BoxCloneService<Request<()>, Page, BoxError>, ()>>();
    keeps_the_error::<Frames, ResponseBody<Frames>>();
}

// Identity.

#[tokio::test]
async fn ignores_users_planted_in_extensions_or_headers() {
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
    assert_eq!(text(page).await, "signed out");

    let session = session_cookie(&layer, &qq).await;
    for (cookie, name) in [
        (session.as_str(), qq.people()[0].nickname.as_str()),
        (&format!("{session}x"), "signed out"),
    ] {
        let request = Request::get("/").header(header::COOKIE, cookie);
        let page = service.clone().oneshot(request.body(()).unwrap());
        assert_eq!(text(page.await.unwrap()).await, name);
    }
}
