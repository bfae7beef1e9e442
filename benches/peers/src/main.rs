//! The cost of a request with QQ login, compared with other ways to keep users signed in and with
//! the minimal work of a sealed cookie. See `README.md`.

use std::{
    convert::Infallible,
    pin::Pin,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{HeaderName, Request, Response, header},
};
use tower::{Service, ServiceExt};

mod axum_login;
mod bare;
mod jars;
mod jwt;
mod minimum;
mod ours;
mod tower_sessions;
mod user;

/// An app, and the cookie of a user who is signed in to it.
struct Subject {
    name: &'static str,
    /// Handles requests and measures the time.
    handle: Box<dyn Fn(Vec<Request<Body>>) -> LocalBoxFuture<Duration>>,
    cookie: String,
}

type LocalBoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

impl Subject {
    fn new<S, B>(name: &'static str, app: S, cookie: impl Into<String>) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + 'static,
        B: 'static,
    {
        let handle = move |requests| {
            let app = app.clone();
            Box::pin(handle(app, requests)) as LocalBoxFuture<Duration>
        };
        Self {
            name,
            handle: Box::new(handle),
            cookie: cookie.into(),
        }
    }
}

async fn handle<S, B>(mut app: S, requests: Vec<Request<Body>>) -> Duration
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    let start = Instant::now();
    for request in requests {
        let response = app.ready().await.expect("infallible").call(request).await;
        assert!(response.expect("infallible").status().is_success());
    }
    start.elapsed()
}

/// A kind of request.
struct Case {
    name: &'static str,
    path: &'static str,
    cookies: Cookies,
}

enum Cookies {
    None,
    Foreign,
    SignedIn,
}

/// A page that does not use the session.
const PUBLIC: &str = "/public";
/// A page that shows the nickname of the user.
const MINE: &str = "/mine";

const CASES: [Case; 3] = [
    Case {
        name: "no cookie",
        path: PUBLIC,
        cookies: Cookies::None,
    },
    Case {
        name: "foreign cookies",
        path: PUBLIC,
        cookies: Cookies::Foreign,
    },
    Case {
        name: "signed in",
        path: MINE,
        cookies: Cookies::SignedIn,
    },
];

const FOREIGN: &str =
    "theme=dark; _ga=GA1.2.1234567890.1700000000; lang=zh-CN; cart=8f14e45fceea167a; seen=1";

/// The number of requests that are timed together.
const BATCH: usize = 200;

impl Case {
    fn request(&self, subject: &Subject) -> Request<Body> {
        let mut request = Request::get(self.path);
        for (name, value) in BROWSER {
            request = request.header(name, value);
        }
        let cookie = match self.cookies {
            Cookies::None => None,
            Cookies::Foreign => Some(FOREIGN.into()),
            Cookies::SignedIn => Some(format!("{FOREIGN}; {}", subject.cookie)),
        };
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        request.body(Body::empty()).expect("a request")
    }

    /// Measures one batch, in nanoseconds per request.
    async fn time(&self, subject: &Subject) -> f64 {
        let requests = (0..BATCH).map(|_| self.request(subject)).collect();
        (subject.handle)(requests).await.as_nanos() as f64 / BATCH as f64
    }
}

/// The headers of a browser.
const BROWSER: [(HeaderName, &str); 5] = [
    (header::HOST, "site.example"),
    (
        header::USER_AGENT,
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    ),
    (header::ACCEPT, "*/*"),
    (header::ACCEPT_ENCODING, "gzip, deflate, br, zstd"),
    (header::ACCEPT_LANGUAGE, "zh-CN,zh;q=0.9,en;q=0.8"),
];

fn main() {
    let seconds = std::env::var("BENCH_SECONDS").map_or(20, |it| it.parse().expect("seconds"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(run(Duration::from_secs(seconds)));
}

async fn run(time: Duration) {
    let [ours, ours_with_list, ours_outermost] = ours::subjects();
    let minimum = minimum::Minimum::like(&ours.cookie);
    let subjects = [
        bare::subject(),
        ours,
        ours_with_list,
        ours_outermost,
        tower_sessions::subject().await,
        axum_login::subject().await,
        jars::private(),
        jars::signed(),
        jwt::subject(),
        bare::with_own_body(),
    ];
    // The best of many batches. The subjects take turns, so that a busy machine slows all of them.
    let mut best = subjects.each_ref().map(|_| [f64::MAX; CASES.len()]);
    let mut best_minimum = f64::MAX;
    let end = Instant::now() + time;
    while Instant::now() < end {
        for (subject, best) in subjects.iter().zip(&mut best) {
            for (case, best) in CASES.iter().zip(best) {
                *best = best.min(case.time(subject).await);
            }
        }
        best_minimum = best_minimum.min(minimum.time(BATCH));
    }
    let bare = best[0];
    println!(
        "microseconds per request on top of the same app with a layer that does nothing, which takes {:.2} to {:.2}\n",
        bare[0] / 1000.0,
        bare[2] / 1000.0
    );
    println!("| | {} |", CASES.map(|case| case.name).join(" | "));
    println!("|---|{}", "---:|".repeat(CASES.len()));
    for (subject, best) in subjects.iter().zip(&best).skip(1) {
        let above = [0, 1, 2].map(|case| format!("{:.3}", (best[case] - bare[case]) / 1000.0));
        println!("| {} | {} |", subject.name, above.join(" | "));
    }
    println!(
        "| only opening a sealed cookie: base64, AES-256-GCM-SIV, postcard, one extension | 0 | 0 | {:.3} |",
        best_minimum / 1000.0
    );
}
