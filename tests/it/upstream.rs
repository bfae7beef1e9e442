//! Faults of QQ at each of the three calls of a login.

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
    LoginErrorKind, OpenId, QqAppBuilder, QqAuthLayer, QqClient, QqTokens,
    mock::{Endpoint, Fault},
};

use crate::{
    attempt::{Attempt, Calls},
    site::{Clock, Site, app, app_builder, block_on, keys, pages, qq},
};

const CALLS: [Endpoint; 3] = [Endpoint::Token, Endpoint::Me, Endpoint::UserInfo];

/// A page that no response of the site may show.
const PAGE: &str = "<html><title>canary-page</title><p>canary-page of a firewall</html>";

/// The response to a login if a fault persists at one call.
struct End {
    status: u16,
    code: &'static str,
    retry_after: Option<&'static str>,
    /// Whether `/me` and the profile are called a second time.
    is_retried: bool,
}

const UNAVAILABLE: End = End {
    status: 424,
    code: "qq_unavailable",
    retry_after: None,
    is_retried: false,
};
const BROKEN: End = End {
    is_retried: true,
    ..UNAVAILABLE
};
const TIMEOUT: End = End {
    code: "qq_timeout",
    ..UNAVAILABLE
};

fn busy(retry_after: &'static str) -> End {
    End {
        status: 424,
        code: "qq_busy",
        retry_after: Some(retry_after),
        is_retried: false,
    }
}

/// Runs a login with a persistent fault at each call, with and without a required profile.
///
/// `duration` is how long one such call takes by the tokio clock.
async fn check(
    case: &str,
    end: &End,
    duration: Option<Duration>,
    site: impl Fn(QqAppBuilder, Endpoint) -> Site,
) {
    for (at, endpoint) in CALLS.into_iter().enumerate() {
        let mut calls: Calls = std::array::from_fn(|call| usize::from(call <= at));
        if at > 0 && end.is_retried {
            calls[at] = 2;
        }
        for profile_required in [false, true] {
            let case = format!("{case} at {endpoint:?}, profile required: {profile_required}");
            let app = match profile_required {
                true => app_builder().require_profile(),
                false => app_builder(),
            };
            let site = site(app, endpoint);
            let start = Instant::now();
            let attempt = Attempt::at(&site).await;
            if let Some(duration) = duration {
                assert_eq!(start.elapsed().as_millis(), duration.as_millis(), "{case}");
            }
            if endpoint == Endpoint::UserInfo && !profile_required {
                let user = attempt.assert_signed_in(&case, calls);
                assert_eq!(user["openid"], site.qq.people()[0].openid, "{case}");
                assert_eq!(user["nickname"], "", "{case}");
                assert_eq!(user["profile_complete"], false, "{case}");
                continue;
            }
            attempt.assert_failed(&case, (end.status, end.code), calls);
            let retry_after = attempt.reply.headers.get("retry-after");
            let retry_after = retry_after.map(|value| value.to_str().unwrap());
            assert_eq!(retry_after, end.retry_after, "{case}");
            let reply = format!("{:?}", attempt.reply);
            assert!(!reply.contains("canary-page"), "{case}: {reply}");
            assert!(!reply.contains("evil.example"), "{case}: {reply}");
        }
    }
}

/// Runs [`check`] with a fault of the mock.
async fn check_fault(case: &str, end: &End, duration: Option<Duration>, fault: impl Into<Fault>) {
    let fault = fault.into();
    check(case, end, duration, |app, endpoint| {
        let site = Site::with(|_| app, |layer| layer);
        site.qq
            .ignore_need_openid(true)
            .fault(endpoint, usize::MAX, fault.clone());
        site
    })
    .await;
}

fn response(status: u16, headers: &[(&str, &str)]) -> Response<&'static str> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(PAGE).unwrap()
}

type AnyBody = BoxBody<Bytes, BoxError>;
type Replacement = fn(Response<AnyBody>) -> Result<Response<AnyBody>, BoxError>;

/// A site whose client sees other responses of one endpoint.
fn site_behind(app: QqAppBuilder, endpoint: Endpoint, replace: Replacement) -> Site {
    let (qq, clock) = (qq(), Clock::new());
    qq.ignore_need_openid(true);
    let inner = qq.clone();
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        let inner = inner.clone();
        async move {
            let calls = inner.calls(endpoint);
            let response = inner.clone().oneshot(request).await?;
            let response = response.map(|body| body.map_err(Into::into).boxed());
            if inner.calls(endpoint) == calls {
                return Ok(response);
            }
            replace(response)
        }
    });
    let time = clock.clone();
    let client = QqClient::with_service(app.build().unwrap(), service);
    let layer = QqAuthLayer::builder(client, keys())
        .clock(move || time.now())
        .build()
        .unwrap();
    let router = pages().layer(layer);
    Site { qq, router, clock }
}

#[tokio::test]
async fn rejects_every_status_other_than_200() {
    for status in [
        201, 202, 203, 204, 205, 206, 226, 299, 304, 400, 401, 403, 404, 405, 418,
    ] {
        check_fault(
            &status.to_string(),
            &UNAVAILABLE,
            None,
            response(status, &[]),
        )
        .await;
    }
    for status in [500, 501, 502, 504, 520, 599] {
        check_fault(&status.to_string(), &BROKEN, None, response(status, &[])).await;
    }
    for status in [StatusCode::FORBIDDEN, StatusCode::NO_CONTENT] {
        check_fault(status.as_str(), &UNAVAILABLE, None, Fault::Status(status)).await;
    }
}

#[tokio::test]
async fn rejects_a_valid_body_with_another_status() {
    let created = |mut response: Response<AnyBody>| {
        *response.status_mut() = StatusCode::CREATED;
        Ok(response)
    };
    check("201", &UNAVAILABLE, None, |app, endpoint| {
        site_behind(app, endpoint, created)
    })
    .await;
}

#[tokio::test]
async fn does_not_follow_redirects() {
    for status in [301, 302, 303, 307, 308] {
        for location in [
            "http://evil.example/",
            "/oauth2.0/token",
            "https://graph.qq.com/",
        ] {
            let redirect = response(status, &[("location", location)]);
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
async fn passes_on_the_retry_after_of_a_busy_qq() {
    for status in [429, 503] {
        let cases = [
            ("1", "1"),
            ("7", "7"),
            ("300", "300"),
            // Anything but 1 to 300 seconds becomes the default of 5 seconds.
            ("0", "5"),
            ("301", "5"),
            ("-1", "5"),
            ("7.5", "5"),
            ("99999999999999999999", "5"),
            ("soon", "5"),
            ("Wed, 21 Oct 2026 07:28:00 GMT", "5"),
            ("", "5"),
        ];
        for (retry_after, expected) in cases {
            let fault = response(status, &[("retry-after", retry_after)]);
            let case = format!("{status} {retry_after}");
            check_fault(&case, &busy(expected), None, fault).await;
        }
        check_fault("no retry-after", &busy("5"), None, response(status, &[])).await;
    }
    check_fault("100062", &busy("5"), None, Fault::Code(100062)).await;
}

#[tokio::test]
async fn rejects_an_html_page_with_status_200() {
    check_fault("page", &UNAVAILABLE, None, response(200, &[])).await;
    let typed = [("content-type", "application/json"), ("retry-after", "7")];
    check_fault("typed", &UNAVAILABLE, None, response(200, &typed)).await;
}

#[tokio::test]
async fn ignores_the_content_type() {
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
async fn rejects_bodies_over_64_kib() {
    let json = r#"{"ret":0,"access_token":"T","client_id":"101905280","openid":"A"}"#;
    let largest = json.to_owned() + &" ".repeat(64 * 1024 - json.len());
    let too_large = largest.clone() + " ";
    let fault = Response::builder().header("content-length", too_large.len());
    check_fault(
        "length",
        &UNAVAILABLE,
        None,
        fault.body(too_large.clone()).unwrap(),
    )
    .await;
    check_fault(
        "no length",
        &UNAVAILABLE,
        None,
        Response::new(too_large.clone()),
    )
    .await;
    let error = Response::builder().status(500);
    check_fault("500", &BROKEN, None, error.body(too_large).unwrap()).await;

    let attempt = Attempt::with(
        |app| app,
        |qq| {
            qq.reply(Endpoint::Token, largest);
        },
    )
    .await;
    attempt.assert_signed_in("64 KiB", [1, 0, 1]);
}

/// An endless body that counts its chunks of 1 KiB.
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
async fn stops_reading_an_endless_body_after_64_kib() {
    check("endless", &UNAVAILABLE, None, |app, endpoint| {
        site_behind(app, endpoint, |_| {
            Ok(Response::new(Endless(Arc::default()).boxed()))
        })
    })
    .await;

    let chunks = Arc::new(AtomicUsize::new(0));
    let body = Arc::clone(&chunks);
    let service = service_fn(move |_: Request<Full<Bytes>>| {
        let body = Endless(Arc::clone(&body));
        std::future::ready(Ok::<_, Infallible>(Response::new(body)))
    });
    let error = QqClient::with_service(app(), service).login("code").await;
    assert_eq!(error.unwrap_err().kind(), LoginErrorKind::QqUnavailable);
    assert_eq!(chunks.load(Relaxed), 65, "one chunk beyond the limit");
}

#[test]
fn an_endless_body_takes_little_memory() {
    let service = service_fn(|_: Request<Full<Bytes>>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(Endless(Arc::default()))))
    });
    let client = QqClient::with_service(app(), service);
    let memory = allocation_counter::measure(|| {
        let login = block_on(client.login("code"));
        assert_eq!(login.unwrap_err().kind(), LoginErrorKind::QqUnavailable);
    });
    assert!(memory.bytes_max > 64 * 1024, "the counter sees the body");
    assert!(memory.bytes_max < 512 * 1024, "{memory:?}");
    assert!(memory.bytes_current < 4 * 1024, "{memory:?}");
}

#[tokio::test]
async fn rejects_a_truncated_body() {
    check_fault("cut", &BROKEN, None, Fault::CutBody).await;
}

#[tokio::test]
async fn connection_errors_fail_the_call() {
    let failures: [(&str, Replacement); 3] = [
        ("refused", |_| {
            let page = "http://evil.example/?client_secret=canary-page";
            Err(io::Error::new(io::ErrorKind::ConnectionRefused, page).into())
        }),
        ("reset", |_| {
            Err(io::Error::from(io::ErrorKind::ConnectionReset).into())
        }),
        ("other error", |_| Err("canary-page".into())),
    ];
    for (case, failure) in failures {
        check(case, &BROKEN, None, |app, endpoint| {
            site_behind(app, endpoint, failure)
        })
        .await;
    }
}

/// Nothing tells what a service of the app has sent.
#[tokio::test]
async fn a_code_that_was_given_to_a_service_is_used_up() {
    let site = site_behind(app_builder(), Endpoint::Token, |_| {
        Err(io::Error::from(io::ErrorKind::ConnectionRefused).into())
    });
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    assert_eq!(browser.get(&callback).await.status, 424);
    assert_ne!(browser.get(&callback).await.status, 303);
    assert_eq!(site.qq.calls(Endpoint::Token), 1);
}

#[tokio::test]
async fn a_service_that_fails_to_get_ready_fails_the_login() {
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
            panic!("called before it was ready")
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
async fn a_slow_call_times_out_after_5_seconds() {
    let five = Some(Duration::from_secs(5));
    check_fault("silence", &TIMEOUT, five, Fault::Silence).await;
    let slow = Fault::Latency(Duration::from_millis(5001));
    check_fault("late", &TIMEOUT, five, slow).await;
    for pause in [200, 1000, 4900] {
        let drip = Fault::Drip(Duration::from_millis(pause));
        check_fault("drip", &TIMEOUT, five, drip).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_of_nearly_5_seconds_succeeds() {
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
async fn a_slow_login_times_out_after_10_seconds() {
    let late = Fault::Latency(Duration::from_millis(4500));
    for profile_required in [false, true] {
        let start = Instant::now();
        let attempt = Attempt::with(
            |app| match profile_required {
                true => app.require_profile(),
                false => app,
            },
            |qq| {
                qq.ignore_need_openid(true);
                for endpoint in CALLS {
                    qq.fault(endpoint, usize::MAX, late.clone());
                }
            },
        )
        .await;
        if profile_required {
            attempt.assert_failed("late", (424, "qq_timeout"), [1, 1, 1]);
        } else {
            let user = attempt.assert_signed_in("late", [1, 1, 1]);
            assert_eq!(user["profile_complete"], false);
        }
        assert_eq!(start.elapsed().as_millis(), 10_000);
    }
}

#[tokio::test(start_paused = true)]
async fn retries_do_not_extend_the_10_seconds_of_a_login() {
    let start = Instant::now();
    let attempt = Attempt::with(
        |app| app,
        |qq| {
            let late = Fault::Latency(Duration::from_millis(4900));
            qq.ignore_need_openid(true)
                .fault(Endpoint::Token, 1, late)
                .fault(Endpoint::Me, 1, response(500, &[]))
                .fault(Endpoint::Me, 1, Fault::Latency(Duration::from_millis(4900)))
                .fault(Endpoint::UserInfo, 1, response(500, &[]))
                .fault(Endpoint::UserInfo, 1, Fault::Silence);
        },
    )
    .await;
    attempt.assert_signed_in("late", [1, 2, 2]);
    assert_eq!(start.elapsed().as_millis(), 10_000);
}

#[tokio::test(start_paused = true)]
async fn timeouts_are_configurable() {
    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);
    type Set = fn(QqAppBuilder) -> QqAppBuilder;
    let cases: [(Set, Duration); 3] = [
        (|app| app.call_timeout(SECOND), SECOND),
        (|app| app.login_timeout(2 * SECOND), 2 * SECOND),
        (|app| app.call_timeout(MINUTE).login_timeout(MINUTE), MINUTE),
    ];
    for (set, timeout) in cases {
        let start = Instant::now();
        let attempt = Attempt::with(set, |qq| {
            qq.fault(Endpoint::Token, 1, Fault::Silence);
        })
        .await;
        attempt.assert_failed("silence", (424, "qq_timeout"), [1, 0, 0]);
        assert_eq!(start.elapsed().as_millis(), timeout.as_millis());
    }
}

#[tokio::test(start_paused = true)]
async fn refresh_and_user_info_time_out_after_5_seconds() {
    let qq = qq();
    let client = QqClient::with_service(app(), qq.clone());
    let openid = OpenId::new("A").unwrap();
    let tokens = QqTokens::new("token", Some("token".into()), None);
    qq.fault(Endpoint::Token, usize::MAX, Fault::Silence);
    qq.fault(Endpoint::UserInfo, usize::MAX, Fault::Silence);
    let start = Instant::now();
    let error = client.refresh(&tokens).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::QqTimeout);
    assert_eq!(start.elapsed().as_millis(), 5000);
    let error = client.user_info(&tokens, &openid).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::QqTimeout);
    assert_eq!(start.elapsed().as_millis(), 10_000);
    assert_eq!(qq.calls(Endpoint::Token), 1);
    assert_eq!(qq.calls(Endpoint::UserInfo), 1);
}

#[tokio::test]
async fn openid_and_profile_calls_survive_one_transient_fault() {
    let transient: [fn() -> Fault; 4] = [
        || response(500, &[]).into(),
        || response(502, &[]).into(),
        || response(504, &[]).into(),
        || Fault::CutBody,
    ];
    for fault in transient {
        let attempt = Attempt::with(
            |app| app,
            |qq| {
                qq.ignore_need_openid(true)
                    .fault(Endpoint::Me, 1, fault())
                    .fault(Endpoint::UserInfo, 1, fault());
            },
        )
        .await;
        let user = attempt.assert_signed_in("transient fault", [1, 2, 2]);
        assert_eq!(user["profile_complete"], true);
    }
}

#[tokio::test]
async fn the_error_page_shows_nothing_of_the_reply_of_qq() {
    let faults: [fn() -> Fault; 4] = [
        || response(200, &[]).into(),
        || response(403, &[("set-cookie", "canary-page=1")]).into(),
        || response(302, &[("location", "http://evil.example/canary-page")]).into(),
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
        assert_eq!(end.status, StatusCode::FAILED_DEPENDENCY);
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
async fn logins_work_again_when_qq_recovers() {
    let site = Site::new();
    let mut signed_in = site.signed_in().await;
    site.qq.fault(Endpoint::Token, 3, response(502, &[]));
    for _ in 0..3 {
        let attempt = Attempt::at(&site).await;
        attempt.assert_failed("down", (424, "qq_unavailable"), [1, 0, 0]);
        assert_ne!(signed_in.whoami().await, serde_json::Value::Null);
    }
    Attempt::at(&site).await.assert_signed_in("up", [1, 0, 1]);
}
