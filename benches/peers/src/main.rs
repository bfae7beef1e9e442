//! What a request costs with QQ login around the app, beside what else could keep somebody signed in, and beside the
//! work that cannot be left out. `README.md` says how to run it.

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
mod floor;
mod jars;
mod jwt;
mod ours;
mod person;
mod tower_sessions;

/// An app, and the cookie of somebody who is signed in to it.
struct Subject {
    name: &'static str,
    /// Answers requests, and says how long that took.
    answer: Box<dyn Fn(Vec<Request<Body>>) -> LocalBoxFuture<Duration>>,
    cookie: String,
}

type LocalBoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

impl Subject {
    fn new<S, B>(name: &'static str, app: S, cookie: impl Into<String>) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + 'static,
        B: 'static,
    {
        let answer = move |requests| {
            let app = app.clone();
            Box::pin(answer(app, requests)) as LocalBoxFuture<Duration>
        };
        Self {
            name,
            answer: Box::new(answer),
            cookie: cookie.into(),
        }
    }
}

async fn answer<S, B>(mut app: S, requests: Vec<Request<Body>>) -> Duration
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

/// Requests of one kind: the path that they ask for, and their cookies.
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

/// A page that asks for nobody, and one that does.
const PUBLIC: &str = "/public";
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

/// As many requests are made beforehand and then timed together.
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

    /// Nanoseconds a request, over one batch.
    async fn time(&self, subject: &Subject) -> f64 {
        let requests = (0..BATCH).map(|_| self.request(subject)).collect();
        (subject.answer)(requests).await.as_nanos() as f64 / BATCH as f64
    }
}

/// What browsers send with a page's own requests.
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
    let [ours, ours_listed, ours_around] = ours::subjects();
    let floor = floor::Floor::like(&ours.cookie);
    let subjects = [
        bare::subject(),
        ours,
        ours_listed,
        ours_around,
        tower_sessions::subject().await,
        axum_login::subject().await,
        jars::private(),
        jars::signed(),
        jwt::subject(),
        bare::with_a_body(),
    ];
    // The least of many batches, and all of them in turn, so that no one has a quiet machine for itself.
    let mut least = subjects.each_ref().map(|_| [f64::MAX; CASES.len()]);
    let mut least_floor = f64::MAX;
    let end = Instant::now() + time;
    while Instant::now() < end {
        for (subject, least) in subjects.iter().zip(&mut least) {
            for (case, least) in CASES.iter().zip(least) {
                *least = least.min(case.time(subject).await);
            }
        }
        least_floor = least_floor.min(floor.time(BATCH));
    }
    let bare = least[0];
    println!(
        "microseconds a request above the same app with a layer that does nothing, which takes {:.2} to {:.2}\n",
        bare[0] / 1000.0,
        bare[2] / 1000.0
    );
    println!("| | {} |", CASES.map(|case| case.name).join(" | "));
    println!("|---|{}", "---:|".repeat(CASES.len()));
    for (subject, least) in subjects.iter().zip(&least).skip(1) {
        let above = [0, 1, 2].map(|case| format!("{:.3}", (least[case] - bare[case]) / 1000.0));
        println!("| {} | {} |", subject.name, above.join(" | "));
    }
    println!(
        "| the floor: base64, AES-256-GCM-SIV, postcard, one extension | 0 | 0 | {:.3} |",
        least_floor / 1000.0
    );
}
