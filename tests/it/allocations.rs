//! What the layer costs a request that it only passes on. The counter counts per thread, so other tests do not matter.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};

use crate::site::{layer, qq};

/// A request is made anew for each call, so that no call profits from the one before.
#[track_caller]
fn assert_costs_nothing(request: impl Fn() -> Request<()>) {
    let app = service_fn(answer);
    let layer = layer(&qq());
    let alone = allocations(app, request());
    let layered = allocations(layer.layer(app), request());
    assert!(alone > 0, "the counter counts");
    assert_eq!(layered, alone);
}

fn answer(request: Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    let body = request.uri().path().to_owned();
    ready(Ok(Response::new(Full::from(black_box(body)))))
}

/// How often memory is taken from readiness to the response.
fn allocations<S, B>(mut service: S, request: Request<()>) -> u64
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let mut response = None;
    let counted = allocation_counter::measure(|| {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        match pin!(service.call(request)).poll(&mut context) {
            Poll::Ready(Ok(answer)) => response = Some(answer),
            Poll::Pending => panic!("nothing to wait for"),
        }
    });
    assert!(response.is_some());
    counted.count_total
}

#[test]
fn a_request_without_a_cookie_costs_nothing() {
    assert_costs_nothing(|| Request::get("/page?a=b").body(()).unwrap());
    assert_costs_nothing(|| Request::post("/page").body(()).unwrap());
}

#[test]
fn foreign_cookies_cost_nothing() {
    assert_costs_nothing(|| {
        Request::get("/page")
            .header(header::COOKIE, "theme=dark; sid=0123456789abcdef")
            .header(header::COOKIE, "qq_session=1; __Host-qq_sessio=2; a; =")
            .body(())
            .unwrap()
    });
}

#[test]
fn a_browser_on_its_way_to_a_page_costs_nothing() {
    let with = |name: &'static str, value: &'static str| {
        move || {
            let mut request = Request::get("/page?a=b").header(name, value);
            // As a server leaves it: a piece of the bytes it read. A first clone of bytes of their own allocates.
            drop(request.uri_ref().unwrap().clone());
            request = request.header(header::COOKIE, "theme=dark");
            request.body(()).unwrap()
        }
    };
    assert_costs_nothing(with("accept", "text/html,application/xhtml+xml,*/*;q=0.8"));
    assert_costs_nothing(with("sec-fetch-mode", "navigate"));
}
