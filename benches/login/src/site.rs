//! A site with QQ login, and its browser.

use std::convert::Infallible;

use http::{HeaderName, Request, Response, header};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, SessionKeys, mock::MockQq};

pub const ID: &str = "101905280";
pub const KEY: &str = "made-up-app-key";
pub const CALLBACK: &str = "https://site.example/auth/qq/callback";

pub fn app() -> QqApp {
    QqApp::new(ID, KEY, CALLBACK).expect("settings")
}

pub fn qq() -> MockQq {
    MockQq::new(ID, KEY, CALLBACK)
}

/// Returns a site that has no pages but those of the layer.
pub fn site(client: QqClient) -> impl Site {
    let layer = QqAuthLayer::builder(client, SessionKeys::generate())
        .max_logins_in_flight(100_000)
        .build()
        .expect("settings");
    layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }))
}

pub trait Site:
    Service<
        Request<()>,
        Response = Response<Self::Body>,
        Error = Infallible,
        Future = Self::ResponseFuture,
    > + Clone
    + Send
    + 'static
{
    type Body: Send;
    type ResponseFuture: Future<Output = Result<Response<Self::Body>, Infallible>> + Send;
}

impl<S, B> Site for S
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Send,
{
    type Body = B;
    type ResponseFuture = S::Future;
}

fn text<B>(response: &Response<B>, name: HeaderName) -> &str {
    response.headers()[name].to_str().expect("ASCII")
}

/// Starts a login, approves it at QQ, and returns the request to the callback.
pub async fn callback(site: &impl Site, qq: &MockQq) -> Request<()> {
    let start = Request::get("/auth/qq/login").body(()).expect("a request");
    let start = site.clone().oneshot(start).await.expect("infallible");
    let location = text(&start, header::LOCATION);
    let callback = qq.approve(location).expect("the user agrees");
    let cookie = text(&start, header::SET_COOKIE).split(';').next();
    Request::get(callback)
        .header(header::COOKIE, cookie.expect("a pair"))
        .body(())
        .expect("a request")
}

/// Sends the callback, which must succeed.
pub async fn finish(site: &impl Site, callback: Request<()>) {
    let end = site.clone().oneshot(callback).await.expect("infallible");
    assert_eq!(text(&end, header::LOCATION), "/");
}
