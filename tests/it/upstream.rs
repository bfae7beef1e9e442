//! QQ misbehaves: every fault at each of the three calls of a login.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use tokio::time::Instant;
use tower::{BoxError, ServiceExt, service_fn};
use tower_qq_auth::{
    LoginErrorKind, QqApp, QqAuthLayer, QqClient,
    mock::{Endpoint, Fault},
};

use crate::{
    attempt::{Attempt, Calls},
    site::{Clock, Site, app, block_on, keys, pages, qq},
};

const CALLS: [Endpoint; 3] = [Endpoint::Token, Endpoint::Me, Endpoint::UserInfo];

/// What no visitor may see.
const PAGE: &str = "<html><title>canary-page</title><p>canary-page of a firewall</html>";

/// How a call with a fault ends that stays.
struct End {
    status: u16,
    code: &'static str,
    retry_after: Option<&'static str>,
    /// Whether `/me` and the profile are asked once more.
    repeated: bool,
}

const UNAVAILABLE: End = End {
    status: 502,
    code: "qq_unavailable",
    retry_after: None,
    repeated: false,
};
const BROKEN: End = End {
    repeated: true,
    ..UNAVAILABLE
};
const TIMEOUT: End = End {
    status: 504,
    code: "qq_timeout",
    ..UNAVAILABLE
};

fn busy(retry_after: &'static str) -> End {
    End {
        status: 503,
        code: "qq_busy",
        retry_after: Some(retry_after),
        repeated: false,
    }
}

/// Logins in which this fault stays at one call: token, then `/me`, then the profile, which an app may demand or not.
///
/// `took` is the time that one such call takes, by the clock of tokio.
async fn check(
    case: &str,
    end: &End,
    took: Option<Duration>,
    site: impl Fn(QqApp, Endpoint) -> Site,
) {
    for (at, endpoint) in CALLS.into_iter().enumerate() {
        let mut calls: Calls = std::array::from_fn(|call| usize::from(call <= at));
        if at > 0 && end.repeated {
            calls[at] = 2;
        }
        for demanded in [false, true] {
            let case = format!("{case} at {endpoint:?}, profile demanded: {demanded}");
            let site = site(app().require_profile(demanded), endpoint);
            let start = Instant::now();
            let attempt = Attempt::at(&site).await;
            if let Some(took) = took {
                assert_eq!(start.elapsed().as_millis(), took.as_millis(), "{case}");
            }
            if endpoint == Endpoint::UserInfo && !demanded {
                let user = attempt.assert_signed_in(&case, calls);
                assert_eq!(user["openid"], site.qq.people()[0].openid, "{case}");
                assert_eq!(user["nickname"], "", "{case}");
                assert_eq!(user["profile_complete"], false, "{case}");
                continue;
            }
            attempt.assert_failed(&case, (end.status, end.code), calls);
            let retry_after = attempt.reply.headers.get("retry-after");
            let retry_after = retry_after.map(|it| it.to_str().unwrap());
            assert_eq!(retry_after, end.retry_after, "{case}");
            let answer = format!("{:?}", attempt.reply);
            assert!(!answer.contains("canary-page"), "{case}: {answer}");
            assert!(!answer.contains("evil.example"), "{case}: {answer}");
        }
    }
}

/// The same for a fault that the mock can make by itself.
async fn check_fault(case: &str, end: &End, took: Option<Duration>, fault: impl Into<Fault>) {
    let fault = fault.into();
    check(case, end, took, |app, endpoint| {
        let site = Site::with(|_| app, |layer| layer);
        site.qq
            .ignore_need_openid(true)
            .fault(endpoint, usize::MAX, fault.clone());
        site
    })
    .await;
}

fn answer(status: u16, headers: &[(&str, &str)]) -> Response<&'static str> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(PAGE).unwrap()
}

type AnyBody = BoxBody<Bytes, BoxError>;
type Replacement = fn(Response<AnyBody>) -> Result<Response<AnyBody>, BoxError>;

/// A site whose way to QQ puts something else in the place of the answers of one endpoint.
fn site_behind(app: QqApp, endpoint: Endpoint, replace: Replacement) -> Site {
    let (qq, clock) = (qq(), Clock::new());
    qq.ignore_need_openid(true);
    let inner = qq.clone();
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        let inner = inner.clone();
        async move {
            let asked = inner.calls(endpoint);
            let response = inner.clone().oneshot(request).await?;
            let response = response.map(|body| body.map_err(Into::into).boxed());
            if inner.calls(endpoint) == asked {
                return Ok(response);
            }
            replace(response)
        }
    });
    let time = clock.clone();
    let client = QqClient::with_service(app, service);
    let layer = QqAuthLayer::with_client(client, keys()).clock(move || time.now());
    let router = pages().layer(layer);
    Site { qq, router, clock }
}

#[tokio::test]
async fn a_status_other_than_200_is_no_answer() {
    for status in [
        201, 202, 203, 204, 205, 206, 226, 299, 304, 400, 401, 403, 404, 405, 418,
    ] {
        check_fault(&status.to_string(), &UNAVAILABLE, None, answer(status, &[])).await;
    }
    for status in [500, 501, 502, 504, 520, 599] {
        check_fault(&status.to_string(), &BROKEN, None, answer(status, &[])).await;
    }
    for status in [StatusCode::FORBIDDEN, StatusCode::NO_CONTENT] {
        check_fault(status.as_str(), &UNAVAILABLE, None, Fault::Status(status)).await;
    }
}

#[tokio::test]
async fn a_status_other_than_200_spoils_a_good_answer() {
    let good = |mut response: Response<AnyBody>| {
        *response.status_mut() = StatusCode::CREATED;
        Ok(response)
    };
    check("201", &UNAVAILABLE, None, |app, endpoint| {
        site_behind(app, endpoint, good)
    })
    .await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        for location in [
            "http://evil.example/",
            "/oauth2.0/token",
            "https://graph.qq.com/",
        ] {
            let redirect = answer(status, &[("location", location)]);
            check_fault(
                &format!("{status} {location}"),
                &UNAVAILABLE,
                None,
                redirect,
            )
            .await;
        }
    }
}

#[tokio::test]
async fn who_is_busy_may_say_for_how_long() {
    for status in [429, 503] {
        let named = [
            ("1", "1"),
            ("7", "7"),
            ("300", "300"),
            // Not within 5 minutes, or not a number of seconds: our own guess.
            ("0", "5"),
            ("301", "5"),
            ("-1", "5"),
            ("7.5", "5"),
            ("99999999999999999999", "5"),
            ("soon", "5"),
            ("Wed, 21 Oct 2026 07:28:00 GMT", "5"),
            ("", "5"),
        ];
        for (retry_after, told) in named {
            let fault = answer(status, &[("retry-after", retry_after)]);
            let case = format!("{status} {retry_after}");
            check_fault(&case, &busy(told), None, fault).await;
        }
        check_fault("silent", &busy("5"), None, answer(status, &[])).await;
    }
    check_fault("100062", &busy("5"), None, Fault::Code(100062)).await;
}

#[tokio::test]
async fn a_page_at_200_is_no_answer() {
    check_fault("page", &UNAVAILABLE, None, answer(200, &[])).await;
    let typed = [("content-type", "application/json"), ("retry-after", "7")];
    check_fault("typed", &UNAVAILABLE, None, answer(200, &typed)).await;
}

#[tokio::test]
async fn the_content_type_says_nothing() {
    for content_type in [
        "text/html",
        "application/json",
        "image/png",
        "text/plain; charset=gbk",
    ] {
        let attempt = Attempt::with(
            |app| app,
            |qq| {
                qq.ignore_need_openid(true)
                    .content_type(content_type.parse().unwrap());
            },
        )
        .await;
        attempt.assert_signed_in(content_type, [1, 1, 1]);
    }
}

#[tokio::test]
async fn a_body_of_more_than_64_kib_is_no_answer() {
    let json = r#"{"ret":0,"access_token":"T","client_id":"101905280","openid":"A"}"#;
    let brim = json.to_owned() + &" ".repeat(64 * 1024 - json.len());
    let giant = brim.clone() + " ";
    let fault = Response::builder().header("content-length", giant.len());
    check_fault(
        "length",
        &UNAVAILABLE,
        None,
        fault.body(giant.clone()).unwrap(),
    )
    .await;
    check_fault(
        "no length",
        &UNAVAILABLE,
        None,
        Response::new(giant.clone()),
    )
    .await;
    let error = Response::builder().status(500);
    check_fault("500", &BROKEN, None, error.body(giant).unwrap()).await;

    let attempt = Attempt::with(
        |app| app,
        |qq| {
            qq.reply(Endpoint::Token, brim);
        },
    )
    .await;
    attempt.assert_signed_in("64 KiB", [1, 0, 1]);
}

/// 1 KiB after the other, for ever. Counts them.
struct Endless(Arc<AtomicUsize>);

impl Body for Endless {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.fetch_add(1, Relaxed);
        let chunk = Bytes::from(vec![b' '; 1024]);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

#[tokio::test]
async fn an_endless_body_is_left_after_64_kib() {
    check("endless", &UNAVAILABLE, None, |app, endpoint| {
        site_behind(app, endpoint, |_| {
            Ok(Response::new(Endless(Arc::default()).boxed()))
        })
    })
    .await;

    let read = Arc::new(AtomicUsize::new(0));
    let chunks = Arc::clone(&read);
    let service = service_fn(move |_: Request<Full<Bytes>>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(Endless(Arc::clone(
            &chunks,
        )))))
    });
    let error = QqClient::with_service(app(), service).login("code").await;
    assert_eq!(error.unwrap_err().kind(), LoginErrorKind::QqUnavailable);
    assert_eq!(read.load(Relaxed), 65, "one more than fits");
}

#[test]
fn a_giant_body_takes_no_memory() {
    let service = service_fn(|_: Request<Full<Bytes>>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(Endless(Arc::default()))))
    });
    let client = QqClient::with_service(app(), service);
    let memory = allocation_counter::measure(|| {
        let ended = block_on(client.login("code"));
        assert_eq!(ended.unwrap_err().kind(), LoginErrorKind::QqUnavailable);
    });
    assert!(memory.bytes_max > 64 * 1024, "the counter counts");
    assert!(memory.bytes_max < 512 * 1024, "{memory:?}");
    assert!(memory.bytes_current < 4 * 1024, "{memory:?}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_answer() {
    check_fault("cut", &BROKEN, None, Fault::CutBody).await;
}

#[tokio::test]
async fn a_connection_that_fails_is_no_answer() {
    let failures: [(&str, Replacement); 3] = [
        ("refused", |_| {
            let page = "http://evil.example/?client_secret=canary-page";
            Err(io::Error::new(io::ErrorKind::ConnectionRefused, page).into())
        }),
        ("reset", |_| {
            Err(io::Error::from(io::ErrorKind::ConnectionReset).into())
        }),
        ("anything", |_| Err("canary-page".into())),
    ];
    for (case, failure) in failures {
        check(case, &BROKEN, None, |app, endpoint| {
            site_behind(app, endpoint, failure)
        })
        .await;
    }
}

#[tokio::test]
async fn a_service_that_is_never_ready_is_no_answer() {
    #[derive(Clone)]
    struct Broken;

    impl tower::Service<Request<Full<Bytes>>> for Broken {
        type Response = Response<Full<Bytes>>;
        type Error = BoxError;
        type Future = std::future::Ready<Result<Self::Response, BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Err("canary-page".into()))
        }

        fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
            panic!("called although it was not ready")
        }
    }

    let error = QqClient::with_service(app(), Broken)
        .login("code")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::QqUnavailable);
    assert!(!format!("{error} {error:?}").contains("canary-page"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_left_after_5_seconds() {
    let five = Some(Duration::from_secs(5));
    check_fault("silence", &TIMEOUT, five, Fault::Silence).await;
    let slow = Fault::Latency(Duration::from_millis(5001));
    check_fault("late", &TIMEOUT, five, slow).await;
    for pause in [200, 1000, 4900] {
        let drip = Fault::Drip(Duration::from_millis(pause));
        check_fault("dripping", &TIMEOUT, five, drip).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_nearly_5_seconds_is_waited_for() {
    for endpoint in CALLS {
        let start = Instant::now();
        let attempt = Attempt::with(
            |app| app,
            |qq| {
                let late = Fault::Latency(Duration::from_millis(4999));
                qq.ignore_need_openid(true).fault(endpoint, 1, late);
            },
        )
        .await;
        let user = attempt.assert_signed_in("late", [1, 1, 1]);
        assert_eq!(user["profile_complete"], true);
        assert_eq!(start.elapsed().as_millis(), 4999);
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_takes_too_long_is_left_after_10_seconds() {
    let late = Fault::Latency(Duration::from_millis(4500));
    for demanded in [false, true] {
        let start = Instant::now();
        let attempt = Attempt::with(
            |app| app.require_profile(demanded),
            |qq| {
                qq.ignore_need_openid(true);
                for endpoint in CALLS {
                    qq.fault(endpoint, usize::MAX, late.clone());
                }
            },
        )
        .await;
        if demanded {
            attempt.assert_failed("late", (504, "qq_timeout"), [1, 1, 1]);
        } else {
            let user = attempt.assert_signed_in("late", [1, 1, 1]);
            assert_eq!(user["profile_complete"], false);
        }
        assert_eq!(start.elapsed().as_millis(), 10_000);
    }
}

#[tokio::test(start_paused = true)]
async fn asking_once_more_does_not_buy_more_than_10_seconds() {
    let start = Instant::now();
    let attempt = Attempt::with(
        |app| app,
        |qq| {
            let late = Fault::Latency(Duration::from_millis(4900));
            qq.ignore_need_openid(true)
                .fault(Endpoint::Token, 1, late)
                .fault(Endpoint::Me, 1, answer(500, &[]))
                .fault(Endpoint::Me, 1, Fault::Latency(Duration::from_millis(4900)))
                .fault(Endpoint::UserInfo, 1, answer(500, &[]))
                .fault(Endpoint::UserInfo, 1, Fault::Silence);
        },
    )
    .await;
    attempt.assert_signed_in("late", [1, 2, 2]);
    assert_eq!(start.elapsed().as_millis(), 10_000);
}

#[tokio::test(start_paused = true)]
async fn an_app_sets_times_of_its_own() {
    let second = Duration::from_secs(1);
    type Set = fn(QqApp) -> QqApp;
    let settings: [(Set, u64); 3] = [
        (|app| app.call_timeout(Duration::from_secs(1)).unwrap(), 1),
        (|app| app.login_timeout(Duration::from_secs(2)).unwrap(), 2),
        (
            |app| {
                let long = Duration::from_secs(60);
                app.call_timeout(long).unwrap().login_timeout(long).unwrap()
            },
            60,
        ),
    ];
    for (set, seconds) in settings {
        let start = Instant::now();
        let attempt = Attempt::with(set, |qq| {
            qq.fault(Endpoint::Token, 1, Fault::Silence);
        })
        .await;
        attempt.assert_failed("silence", (504, "qq_timeout"), [1, 0, 0]);
        let took = second * u32::try_from(seconds).unwrap();
        assert_eq!(start.elapsed().as_millis(), took.as_millis());
    }
}

#[tokio::test(start_paused = true)]
async fn other_calls_have_5_seconds_too() {
    let qq = qq();
    let client = QqClient::with_service(app(), qq.clone());
    let openid = tower_qq_auth::OpenId::new("A").unwrap();
    qq.fault(Endpoint::Token, usize::MAX, Fault::Silence);
    qq.fault(Endpoint::UserInfo, usize::MAX, Fault::Silence);
    let start = Instant::now();
    let error = client.refresh("token").await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::QqTimeout);
    assert_eq!(start.elapsed().as_millis(), 5000);
    let error = client.user_info("token", &openid).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::QqTimeout);
    assert_eq!(start.elapsed().as_millis(), 10_000);
    assert_eq!(qq.calls(Endpoint::Token), 1);
    assert_eq!(qq.calls(Endpoint::UserInfo), 1);
}

#[tokio::test]
async fn openid_and_profile_survive_one_failure_that_passes() {
    let passing: [fn() -> Fault; 4] = [
        || answer(500, &[]).into(),
        || answer(502, &[]).into(),
        || answer(504, &[]).into(),
        || Fault::CutBody,
    ];
    for fault in passing {
        let attempt = Attempt::with(
            |app| app,
            |qq| {
                qq.ignore_need_openid(true)
                    .fault(Endpoint::Me, 1, fault())
                    .fault(Endpoint::UserInfo, 1, fault());
            },
        )
        .await;
        let user = attempt.assert_signed_in("passing", [1, 2, 2]);
        assert_eq!(user["profile_complete"], true);
    }
}

#[tokio::test]
async fn people_read_a_page_that_says_nothing_of_what_qq_said() {
    let faults: [fn() -> Fault; 4] = [
        || answer(200, &[]).into(),
        || answer(403, &[("set-cookie", "canary-page=1")]).into(),
        || answer(302, &[("location", "http://evil.example/canary-page")]).into(),
        || {
            Fault::from(Response::new(
                r#"{"error":1,"error_description":"canary-page"}"#,
            ))
        },
    ];
    for fault in faults {
        let site = Site::new();
        site.qq.fault(Endpoint::Token, 1, fault());
        let end = site
            .browser()
            .sign_in(&site.qq, "/auth/qq/login?return_to=/deep/page")
            .await;
        assert_eq!(end.status, StatusCode::BAD_GATEWAY);
        assert!(end.header("content-type").starts_with("text/html"));
        assert!(!format!("{end:?}").contains("canary-page"));
        assert!(!format!("{end:?}").contains("evil.example"));
        assert!(
            end.body.contains("/auth/qq/login?return_to=/deep/page\""),
            "{}",
            end.body
        );
    }
}

#[tokio::test]
async fn all_is_well_when_qq_is_back() {
    let site = Site::new();
    let mut signed_in = site.signed_in().await;
    site.qq.fault(Endpoint::Token, 3, answer(502, &[]));
    for _ in 0..3 {
        let attempt = Attempt::at(&site).await;
        attempt.assert_failed("down", (502, "qq_unavailable"), [1, 0, 0]);
        assert_ne!(signed_in.whoami().await, serde_json::Value::Null);
    }
    Attempt::at(&site).await.assert_signed_in("up", [1, 0, 1]);
}
