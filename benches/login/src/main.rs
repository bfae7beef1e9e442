//! The time of a login: the round trips to QQ, and the work on this machine. See `README.md`.

use std::{
    env,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use http::Request;
use tokio::{task::JoinSet, time::sleep};
use tower::{ServiceExt, service_fn};
use tower_qq_auth::{QqApp, QqAppBuilder, QqClient, mock::MockQq};

mod by_hand;
mod far;
mod site;

use self::{
    far::Authority,
    site::{CALLBACK, ID, KEY, app, callback, finish, qq, site},
};

/// The time to QQ and back.
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// Returns a client of the mock in this process, with this latency.
fn client(app: QqApp, qq: &MockQq, latency: Duration) -> QqClient {
    let qq = qq.clone();
    QqClient::with_service(
        app,
        service_fn(move |request| {
            let qq = qq.clone();
            async move {
                if !latency.is_zero() {
                    sleep(latency).await;
                }
                qq.oneshot(request).await
            }
        }),
    )
}

/// A login at a distant QQ behind TLS.
struct Case {
    name: &'static str,
    /// The lowest possible number of round trips.
    limit: u32,
    configure: fn(QqAppBuilder) -> QqAppBuilder,
    /// QQ leaves the openid out of the token reply, so that it takes a call to `/me`.
    needs_me: bool,
    /// The site has had a login before.
    is_second: bool,
}

const FIRST: Case = Case {
    name: "openid in the token reply",
    limit: 2,
    configure: |app| app,
    needs_me: false,
    is_second: false,
};

const CASES: [Case; 6] = [
    FIRST,
    Case {
        name: "openid by `/me`",
        limit: 3,
        needs_me: true,
        ..FIRST
    },
    Case {
        name: "with UnionID",
        configure: QqAppBuilder::request_union_id,
        ..FIRST
    },
    Case {
        name: "with UnionID, second login",
        configure: QqAppBuilder::request_union_id,
        is_second: true,
        ..FIRST
    },
    Case {
        name: "`without_warm_up()`",
        limit: 4,
        configure: QqAppBuilder::without_warm_up,
        ..FIRST
    },
    Case {
        name: "`without_warm_up()`, second login",
        configure: QqAppBuilder::without_warm_up,
        is_second: true,
        ..FIRST
    },
];

/// The time that the user spends on QQ's page, a short one.
const AT_QQ: Duration = ROUND_TRIP.saturating_mul(8);

impl Case {
    /// Measures the callback of a new site.
    async fn callback(&self, authority: &Authority, protocol: &str) -> Duration {
        let qq = qq();
        qq.ignore_need_openid(self.needs_me);
        let url = far::serve(qq.clone(), authority, protocol, ROUND_TRIP).await;
        let app = (self.configure)(QqApp::builder(ID, KEY, CALLBACK)).base_url(url);
        let site = site(QqClient::new(app.build().expect("settings")));
        if self.is_second {
            let callback = callback(&site, &qq).await;
            sleep(AT_QQ).await;
            finish(&site, callback).await;
        }
        let callback = callback(&site, &qq).await;
        sleep(AT_QQ).await;
        let start = Instant::now();
        finish(&site, callback).await;
        start.elapsed()
    }
}

/// Measures an app that calls QQ itself.
async fn by_hand(authority: &Authority, protocol: &str) -> Duration {
    let qq = qq();
    let url = far::serve(qq.clone(), authority, protocol, ROUND_TRIP).await;
    let callback = callback(&site(client(app(), &qq, Duration::ZERO)), &qq).await;
    let query = callback.uri().query().unwrap_or_default();
    let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
    let start = Instant::now();
    let nickname = by_hand::login(&url, code.expect("a code")).await;
    assert_eq!(nickname.expect("a login"), qq.people()[0].nickname);
    start.elapsed()
}

/// Returns the least of several times, in round trips.
async fn round_trips(time: impl AsyncFn() -> Duration) -> f64 {
    let mut least = Duration::MAX;
    for _ in 0..5 {
        least = least.min(time().await);
    }
    least.as_secs_f64() / ROUND_TRIP.as_secs_f64()
}

/// Measures a login, start and callback, on one thread, in microseconds: total and the mock alone.
async fn measure_work() -> (f64, f64) {
    const LOGINS: u32 = 200;
    let (mut least, mut least_mock) = (Duration::MAX, Duration::MAX);
    for _ in 0..20 {
        let qq = qq();
        let site = site(client(app(), &qq, Duration::ZERO));
        let start = Instant::now();
        for _ in 0..LOGINS {
            let callback = callback(&site, &qq).await;
            finish(&site, callback).await;
        }
        least = least.min(start.elapsed() / LOGINS);
        least_mock = least_mock.min(measure_mock(LOGINS).await / LOGINS);
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    (micros(least), micros(least_mock))
}

/// Measures the calls of this many logins to the mock.
async fn measure_mock(logins: u32) -> Duration {
    let qq = qq();
    let url =
        QqClient::with_service(app(), qq.clone()).authorize_url("0123456789abcdefghijkl", false);
    let mut elapsed = Duration::ZERO;
    for _ in 0..logins {
        let start = Instant::now();
        let callback = qq.approve(&url).expect("the user agrees");
        let code = callback
            .split("code=")
            .nth(1)
            .and_then(|it| it.split('&').next());
        let query = format!(
            "grant_type=authorization_code&client_id={ID}&client_secret={KEY}&code={}&redirect_uri={}&fmt=json&need_openid=1",
            code.expect("a code"),
            "https%3A%2F%2Fsite.example%2Fauth%2Fqq%2Fcallback",
        );
        let token = get(&qq, &format!("/oauth2.0/token?{query}")).await;
        let token = token
            .split("\"access_token\":\"")
            .nth(1)
            .and_then(|it| it.split('"').next());
        let openid = &qq.people()[0].openid;
        let query = format!(
            "access_token={}&oauth_consumer_key={ID}&openid={openid}",
            token.expect("a token")
        );
        let profile = get(&qq, &format!("/user/get_user_info?{query}")).await;
        assert!(profile.contains("nickname"), "{profile}");
        elapsed += start.elapsed();
    }
    elapsed
}

async fn get(qq: &MockQq, path: &str) -> String {
    use http_body_util::{BodyExt, Full};
    let uri = format!("https://graph.qq.com{path}");
    let request = Request::get(uri)
        .body(Full::<&[u8]>::default())
        .expect("a request");
    let response = qq.clone().oneshot(request).await;
    let body = response.expect("infallible").into_body().collect().await;
    let body = body.map_err(drop).expect("a body").to_bytes();
    String::from_utf8(body.into()).expect("text")
}

/// Measures callbacks per second with this many at a time.
async fn measure_throughput(concurrency: usize) -> f64 {
    let qq = qq();
    let site = site(client(app(), &qq, Duration::ZERO));
    let logins = concurrency.max(1000);
    let mut callbacks = Vec::new();
    for _ in 0..logins {
        callbacks.push(callback(&site, &qq).await);
    }
    let (mut left, start) = (callbacks.into_iter(), Instant::now());
    let mut running = JoinSet::new();
    let site = Arc::new(site);
    let spawn = |running: &mut JoinSet<()>, callback| {
        let site = Arc::clone(&site);
        running.spawn(async move { finish(&*site, callback).await });
    };
    for callback in left.by_ref().take(concurrency) {
        spawn(&mut running, callback);
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("a login");
        if let Some(callback) = left.next() {
            spawn(&mut running, callback);
        }
    }
    logins as f64 / start.elapsed().as_secs_f64()
}

/// Measures the memory of a login that waits for QQ, in bytes.
async fn measure_memory() -> f64 {
    const LOGINS: usize = 5000;
    let qq = qq();
    let site = site(client(app(), &qq, Duration::from_secs(4)));
    let mut callbacks = Vec::new();
    for _ in 0..LOGINS {
        callbacks.push(callback(&site, &qq).await);
    }
    let before = resident_memory();
    let mut waiting = JoinSet::new();
    for callback in callbacks {
        let site = site.clone();
        waiting.spawn(async move { drop(site.oneshot(callback).await) });
    }
    sleep(Duration::from_secs(1)).await;
    (resident_memory() - before) * 1024.0 / LOGINS as f64
}

/// Returns the resident memory of this process in KiB.
fn resident_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

fn main() {
    const TRUSTED: &str = "LOGIN_BENCH_TRUSTED";
    let Some(trusted) = env::var_os(TRUSTED) else {
        // The built-in client reads the trusted certificates of the system when the process starts.
        let file = env::temp_dir().join(format!("login-bench-{}.pem", std::process::id()));
        let status = Command::new(env::current_exe().expect("this program"))
            .env(TRUSTED, &file)
            .env("SSL_CERT_FILE", &file)
            .status();
        let _ = std::fs::remove_file(file);
        std::process::exit(status.expect("it starts").code().unwrap_or(1));
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(run(&Authority::new(Path::new(&trusted))));
}

async fn run(authority: &Authority) {
    println!(
        "a login that waits for QQ takes {:.0} bytes of memory\n",
        measure_memory().await
    );
    let (total, mock) = measure_work().await;
    println!("a login takes {total:.0} µs, of which the mock takes {mock:.0}\n");
    println!("| at a time | callbacks per second |\n|---:|---:|");
    for concurrency in [1, 10, 100, 1000] {
        let mut most = 0.0_f64;
        for _ in 0..3 {
            most = most.max(measure_throughput(concurrency).await);
        }
        println!("| {concurrency} | {most:.0} |");
    }
    println!("\n| callback, in round trips of 50 ms | limit | HTTP/1.1 | HTTP/2 |");
    println!("|---|---:|---:|---:|");
    for case in &CASES {
        let time =
            async |protocol| round_trips(async || case.callback(authority, protocol).await).await;
        let (http1, http2) = (time("http/1.1").await, time("h2").await);
        println!(
            "| {} | {} | {http1:.2} | {http2:.2} |",
            case.name, case.limit
        );
    }
    let time = async |protocol| round_trips(async || by_hand(authority, protocol).await).await;
    let (http1, http2) = (time("http/1.1").await, time("h2").await);
    println!(
        "| without the crate: a new client for each login, three calls | 5 | {http1:.2} | {http2:.2} |"
    );
}
