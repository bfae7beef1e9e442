//! The layer allocates nothing for requests without its cookies.
//!
//! The allocation counter counts per thread, so tests can run in parallel.

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
use tower_qq_auth::QqAuthLayer;

use crate::site::{layer, qq};

/// Asserts that every layer passes the request on without an allocation.
#[track_caller]
fn assert_allocates_nothing(request: impl Fn() -> Request<()>) {
    let app = service_fn(answer);
    let bare = allocations(app, request());
    assert!(bare > 0, "the counter counts");
    for (name, layer) in layers() {
        let layered = allocations(layer.layer(app), request());
        assert_eq!(layered, bare, "{name}");
    }
}

fn layers() -> Vec<(&'static str, QqAuthLayer)> {
    let layers = [("no list", layer(&qq()))];
    #[cfg(feature = "revocation")]
    let layers = layers.into_iter().chain(with_a_revocation_list::layers());
    Vec::from_iter(layers)
}

fn answer(request: Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    let body = request.uri().path().to_owned();
    ready(Ok(Response::new(Full::from(black_box(body)))))
}

/// Counts the allocations from readiness to the response.
fn allocations<S, B>(mut service: S, request: Request<()>) -> u64
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let mut response = None;
    let measured = allocation_counter::measure(|| {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        match pin!(service.call(request)).poll(&mut context) {
            Poll::Ready(Ok(answer)) => response = Some(answer),
            Poll::Pending => panic!("nothing to wait for"),
        }
    });
    assert!(response.is_some());
    measured.count_total
}

#[test]
fn a_request_without_cookies_allocates_nothing() {
    assert_allocates_nothing(|| Request::get("/page?a=b").body(()).unwrap());
    assert_allocates_nothing(|| Request::post("/page").body(()).unwrap());
}

#[test]
fn a_request_with_other_cookies_allocates_nothing() {
    assert_allocates_nothing(|| {
        Request::get("/page")
            .header(header::COOKIE, "theme=dark; sid=0123456789abcdef")
            .header(header::COOKIE, "qq_session=1; __Host-qq_sessio=2; a; =")
            .body(())
            .unwrap()
    });
}

#[test]
fn a_navigation_allocates_nothing() {
    let with_header = |name: &'static str, value: &'static str| {
        move || {
            let mut request = Request::get("/page?a=b").header(name, value);
            // A server leaves the URI as a slice of shared bytes. Here only the first clone makes
            // the bytes shared, which allocates.
            drop(request.uri_ref().unwrap().clone());
            request = request.header(header::COOKIE, "theme=dark");
            request.body(()).unwrap()
        }
    };
    assert_allocates_nothing(with_header(
        "accept",
        "text/html,application/xhtml+xml,*/*;q=0.8",
    ));
    assert_allocates_nothing(with_header("sec-fetch-mode", "navigate"));
}

#[cfg(feature = "revocation")]
mod with_a_revocation_list {
    use tower::ServiceExt;
    use tower_qq_auth::{OpenId, QqUser, revocation::InMemoryRevocations};

    use super::*;
    use crate::{list::TestList, site::builder};

    pub(super) fn layers() -> [(&'static str, QqAuthLayer); 2] {
        let local = builder(&qq()).revocations(InMemoryRevocations::new());
        [
            ("a local list", local.build().unwrap()),
            ("a remote list", remote()),
        ]
    }

    fn remote() -> QqAuthLayer {
        builder(&qq()).revocations(TestList::new()).build().unwrap()
    }

    // The clock is paused, so that the answer stays fresh on a slow machine.
    #[tokio::test(start_paused = true)]
    async fn a_fresh_answer_allocates_no_more_than_no_list() {
        let (without_list, with_list) = (layer(&qq()), remote());
        let user = QqUser::new(OpenId::new("OPENID").unwrap());
        let cookie = with_list.session_cookie(&user, None).unwrap();
        let request = || {
            let request = Request::get("/page").header(header::COOKIE, &cookie);
            request.body(()).unwrap()
        };
        let app = service_fn(|request: Request<()>| {
            assert!(request.extensions().get::<QqUser>().is_some());
            answer(request)
        });
        let count = |layer: &QqAuthLayer| allocations(layer.layer(app), request());
        // The first request asks the list, and sets up what each thread needs once.
        count(&without_list);
        with_list.layer(app).oneshot(request()).await.unwrap();
        count(&with_list);

        let (without_list, with_list) = (count(&without_list), count(&with_list));
        assert!(
            with_list <= without_list,
            "{with_list} allocations with a list, {without_list} without"
        );
    }
}
