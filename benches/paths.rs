//! The cost of each path through the layer: `cargo bench -p tower-qq-auth-tests`. `benches/peers`
//! compares the layer with other crates.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    pin::pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use divan::{Bencher, counter::BytesCount};
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_qq_auth::{
    LoginRequired, OpenId, QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq,
};

fn main() {
    divan::main();
}

const ID: &str = "101905280";
const KEY: &str = "made-up-app-key";
const CALLBACK: &str = "https://site.example/auth/qq/callback";

static QQ: LazyLock<MockQq> = LazyLock::new(|| MockQq::new(ID, KEY, CALLBACK));

static LAYER: LazyLock<QqAuthLayer> = LazyLock::new(|| {
    let app = QqApp::new(ID, KEY, CALLBACK).expect("settings");
    let client = QqClient::with_service(app, QQ.clone());
    QqAuthLayer::new(client, SessionKeys::generate())
});

fn user() -> QqUser {
    QqUser::new(OpenId::new("CC7F5CEFEFC0EBAB9B07EB481AEBC29C").expect("an openid"))
        .with_nickname("小明同学")
        .with_avatar(
            "https://thirdqq.qlogo.cn/ek_qqapp/AQDbPBW9pJ3l4fEBTRrkEqJzqfy8N3Z1qnBkUqGtZbnZ/100",
        )
        .with_profile_complete(true)
}

fn session() -> String {
    LAYER.session_cookie(&user(), None).expect("a cookie")
}

/// An app that costs next to nothing, with a public page and one that needs a user.
fn app(request: Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    let mut response = Response::new(Full::default());
    if request.uri().path() == "/mine" && request.extensions().get::<QqUser>().is_none() {
        response.extensions_mut().insert(LoginRequired);
    }
    ready(Ok(response))
}

/// Polls once: nothing here has to wait, not even for the mock.
fn call<B>(
    service: &mut impl Service<Request<()>, Response = Response<B>, Error = Infallible>,
    request: Request<()>,
) -> Response<B> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(service.call(request)).poll(&mut context) {
        Poll::Ready(Ok(response)) => response,
        Poll::Pending => panic!("the response is not ready"),
    }
}

fn request(path: &str, headers: &[(header::HeaderName, &str)]) -> Request<()> {
    let request = headers
        .iter()
        .fold(Request::get(path), |request, (name, value)| {
            request.header(name, *value)
        });
    request.body(()).expect("a request")
}

/// Measures a request whose response has this status.
fn measure(bencher: Bencher<'_, '_>, path: &str, cookies: &str, accept: &str, status: StatusCode) {
    let headers = [(header::ACCEPT, accept), (header::COOKIE, cookies)];
    let headers = &headers[..if cookies.is_empty() { 1 } else { 2 }];
    let layered = LAYER.layer(service_fn(app));
    bencher
        .with_inputs(|| (layered.clone(), request(path, headers)))
        .bench_local_values(|(mut service, request)| {
            let response = call(&mut service, request);
            assert_eq!(response.status(), status);
            response
        });
}

const PAGE: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const ANYTHING: &str = "*/*";
const FOREIGN: &str =
    "theme=dark; _ga=GA1.2.1234567890.1700000000; lang=zh-CN; cart=8f14e45fceea167a";

mod passed_through {
    use super::*;

    #[divan::bench]
    fn without_the_layer(bencher: Bencher<'_, '_>) {
        let app = service_fn(app);
        let headers = [(header::ACCEPT, ANYTHING)];
        bencher
            .with_inputs(|| (app, request("/", &headers)))
            .bench_local_values(|(mut service, request)| call(&mut service, request));
    }

    #[divan::bench]
    fn no_cookie(bencher: Bencher<'_, '_>) {
        measure(bencher, "/", "", ANYTHING, StatusCode::OK);
    }

    #[divan::bench]
    fn no_cookie_to_a_page(bencher: Bencher<'_, '_>) {
        measure(bencher, "/", "", PAGE, StatusCode::OK);
    }

    #[divan::bench]
    fn foreign_cookies(bencher: Bencher<'_, '_>) {
        measure(bencher, "/", FOREIGN, ANYTHING, StatusCode::OK);
    }

    #[divan::bench]
    fn signed_in(bencher: Bencher<'_, '_>) {
        let cookies = format!("{FOREIGN}; {}", session());
        measure(bencher, "/mine", &cookies, ANYTHING, StatusCode::OK);
    }

    #[divan::bench]
    fn forged_session(bencher: Bencher<'_, '_>) {
        let cookie = format!("__Host-qq_session={}", "A".repeat(275));
        measure(bencher, "/", &cookie, ANYTHING, StatusCode::OK);
    }

    /// 256 KiB of cookies, with names from unlike to equal to that of the session cookie.
    #[divan::bench(args = ["s=1; ", "__Host-qq_sessio=1; ", "__Host-qq_session; ", "__Host-qq_session=1; "])]
    fn many_cookies(bencher: Bencher<'_, '_>, cookie: &str) {
        let cookies = cookie.repeat((256 << 10) / cookie.len());
        let headers = [(header::COOKIE, cookies.as_str())];
        let layered = LAYER.layer(service_fn(app));
        bencher
            .counter(BytesCount::new(cookies.len()))
            .with_inputs(|| (layered.clone(), request("/", &headers)))
            .bench_local_values(|(mut service, request)| call(&mut service, request));
    }
}

mod answered {
    use super::*;

    #[divan::bench]
    fn page_redirected_to_login(bencher: Bencher<'_, '_>) {
        measure(bencher, "/mine", "", PAGE, StatusCode::SEE_OTHER);
    }

    #[divan::bench]
    fn program_gets_401(bencher: Bencher<'_, '_>) {
        measure(bencher, "/mine", "", ANYTHING, StatusCode::UNAUTHORIZED);
    }

    #[divan::bench]
    fn login_start(bencher: Bencher<'_, '_>) {
        let path = "/auth/qq/login?return_to=/mine";
        measure(bencher, path, FOREIGN, PAGE, StatusCode::SEE_OTHER);
    }

    /// 256 KiB of cookies, with names from unlike to equal to that of a login cookie.
    #[divan::bench(args = ["s=1; ", "__Host-qq_session=1; ", "__Host-qq_login; ", "__Host-qq_login_0=1; "])]
    fn login_start_with_many_cookies(bencher: Bencher<'_, '_>, cookie: &str) {
        let cookies = cookie.repeat((256 << 10) / cookie.len());
        let headers = [(header::COOKIE, cookies.as_str())];
        let layered = LAYER.layer(service_fn(app));
        bencher
            .counter(BytesCount::new(cookies.len()))
            .with_inputs(|| (layered.clone(), request("/auth/qq/login", &headers)))
            .bench_local_values(|(mut service, request)| call(&mut service, request));
    }

    #[divan::bench]
    fn callback_with_a_query_of_64_kib(bencher: Bencher<'_, '_>) {
        let query = "a&".repeat(32 << 10);
        let path = format!("/auth/qq/callback?{}", &query[..65_000]);
        measure(bencher, &path, FOREIGN, PAGE, StatusCode::BAD_REQUEST);
    }

    #[divan::bench]
    fn callback_with_foreign_state(bencher: Bencher<'_, '_>) {
        let path = "/auth/qq/callback?code=C0DE&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        measure(bencher, path, FOREIGN, PAGE, StatusCode::BAD_REQUEST);
    }

    /// Includes the work of the mock.
    #[divan::bench]
    fn callback_with_two_calls(bencher: Bencher<'_, '_>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let runtime = runtime.expect("a runtime");
        let layered = LAYER.layer(service_fn(app));
        let mut start = layered.clone();
        bencher
            .with_inputs(|| {
                let start = call(&mut start, request("/auth/qq/login", &[]));
                let value = |name| start.headers()[name].to_str().expect("ASCII");
                let callback = QQ.approve(value("location")).expect("the user agrees");
                let cookie = value("set-cookie").split(';').next().expect("a pair");
                (
                    layered.clone(),
                    request(&callback, &[(header::COOKIE, cookie)]),
                )
            })
            .bench_local_values(|(mut service, request)| {
                let end = runtime.block_on(async { service.call(request).await });
                let end = end.expect("a response");
                assert_eq!(end.headers()["location"], "/");
                end
            });
    }
}

#[divan::bench]
fn seal_session(bencher: Bencher<'_, '_>) {
    let user = user();
    bencher.bench(|| LAYER.session_cookie(black_box(&user), None));
}
