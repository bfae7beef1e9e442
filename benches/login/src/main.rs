//! How long a login takes beside what QQ takes, and what work of ours is in it. `README.md` says how to run it.

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
use tower_qq_auth::{QqApp, QqClient, mock::MockQq};

mod by_hand;
mod far;
mod site;

use self::{
    far::Authority,
    site::{ID, KEY, app, callback, finish, qq, site},
};

/// How far away QQ is, there and back.
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// The made-up QQ in this process, as slow as this.
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

/// A login at a QQ that is far away and behind TLS.
struct Case {
    name: &'static str,
    /// What cannot be gone below, in round trips.
    limit: u32,
    settings: fn(QqApp) -> QqApp,
    by_me: bool,
    /// Whether the site has had a login before.
    again: bool,
}

const FIRST: Case = Case {
    name: "openid in the token reply",
    limit: 2,
    settings: |app| app,
    by_me: false,
    again: false,
};

const CASES: [Case; 6] = [
    FIRST,
    Case {
        name: "openid by `/me`",
        limit: 3,
        by_me: true,
        ..FIRST
    },
    Case {
        name: "UnionID wanted",
        settings: |app| app.union_id(true),
        ..FIRST
    },
    Case {
        name: "UnionID wanted, second login",
        settings: |app| app.union_id(true),
        again: true,
        ..FIRST
    },
    Case {
        name: "no connection opened ahead: `warm_up(false)`",
        limit: 4,
        settings: |app| app.warm_up(false),
        ..FIRST
    },
    Case {
        name: "no connection opened ahead, second login",
        settings: |app| app.warm_up(false),
        again: true,
        ..FIRST
    },
];

/// A quick person at QQ's page.
const AT_QQ: Duration = ROUND_TRIP.saturating_mul(8);

impl Case {
    /// How long the callback takes, of a site that has just been started.
    async fn callback(&self, authority: &Authority, protocol: &str) -> Duration {
        let qq = qq();
        qq.ignore_need_openid(self.by_me);
        let url = far::serve(qq.clone(), authority, protocol, ROUND_TRIP).await;
        let app = app().base_url(url).expect("a URL");
        let site = site(QqClient::new((self.settings)(app)));
        if self.again {
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

/// The same by code of an app's own.
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

/// The least of several times, in round trips.
async fn round_trips(time: impl AsyncFn() -> Duration) -> f64 {
    let mut least = Duration::MAX;
    for _ in 0..5 {
        least = least.min(time().await);
    }
    least.as_secs_f64() / ROUND_TRIP.as_secs_f64()
}

/// Microseconds for a login, start and callback, on one thread: ours and the mock's; and the mock's alone.
async fn work() -> (f64, f64) {
    const LOGINS: u32 = 200;
    let (mut least, mut least_of_mock) = (Duration::MAX, Duration::MAX);
    for _ in 0..20 {
        let qq = qq();
        let site = site(client(app(), &qq, Duration::ZERO));
        let start = Instant::now();
        for _ in 0..LOGINS {
            let callback = callback(&site, &qq).await;
            finish(&site, callback).await;
        }
        least = least.min(start.elapsed() / LOGINS);
        least_of_mock = least_of_mock.min(mock_alone(LOGINS).await / LOGINS);
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    (micros(least), micros(least_of_mock))
}

/// The calls of as many logins, made by hand.
async fn mock_alone(logins: u32) -> Duration {
    let qq = qq();
    let url =
        QqClient::with_service(app(), qq.clone()).authorize_url("0123456789abcdefghijkl", false);
    let mut took = Duration::ZERO;
    for _ in 0..logins {
        let start = Instant::now();
        let callback = qq.approve(&url).expect("a person agrees");
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
        took += start.elapsed();
    }
    took
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

/// Callbacks a second, so many at a time.
async fn throughput(at_once: usize) -> f64 {
    let qq = qq();
    let site = site(client(app(), &qq, Duration::ZERO));
    let logins = at_once.max(1000);
    let mut callbacks = Vec::new();
    for _ in 0..logins {
        callbacks.push(callback(&site, &qq).await);
    }
    let (mut left, start) = (callbacks.into_iter(), Instant::now());
    let mut running = JoinSet::new();
    let site = Arc::new(site);
    let begin = |running: &mut JoinSet<()>, callback| {
        let site = Arc::clone(&site);
        running.spawn(async move { finish(&*site, callback).await });
    };
    for callback in left.by_ref().take(at_once) {
        begin(&mut running, callback);
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("a login");
        if let Some(callback) = left.next() {
            begin(&mut running, callback);
        }
    }
    logins as f64 / start.elapsed().as_secs_f64()
}

/// Bytes of memory for each login that waits for QQ.
async fn memory() -> f64 {
    const LOGINS: usize = 5000;
    let qq = qq();
    let site = site(client(app(), &qq, Duration::from_secs(4)));
    let mut callbacks = Vec::new();
    for _ in 0..LOGINS {
        callbacks.push(callback(&site, &qq).await);
    }
    let before = resident();
    let mut waiting = JoinSet::new();
    for callback in callbacks {
        let site = site.clone();
        waiting.spawn(async move { drop(site.oneshot(callback).await) });
    }
    sleep(Duration::from_secs(1)).await;
    (resident() - before) * 1024.0 / LOGINS as f64
}

/// KiB that this process has in memory.
fn resident() -> f64 {
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
        // The built-in client trusts what the system trusts, and that is said before a process begins.
        let file = env::temp_dir().join(format!("login-bench-{}.pem", std::process::id()));
        let status = Command::new(env::current_exe().expect("this program"))
            .env(TRUSTED, &file)
            .env("SSL_CERT_FILE", &file)
            .status();
        let _ = std::fs::remove_file(file);
        std::process::exit(status.expect("it runs").code().unwrap_or(1));
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
        "memory of a login that waits: {:.0} bytes\n",
        memory().await
    );
    let (all, mock) = work().await;
    println!("a login takes {all:.0} µs, of which the mock takes {mock:.0}\n");
    println!("| at a time | callbacks a second |\n|---:|---:|");
    for at_once in [1, 10, 100, 1000] {
        let mut most = 0.0_f64;
        for _ in 0..3 {
            most = most.max(throughput(at_once).await);
        }
        println!("| {at_once} | {most:.0} |");
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
    println!("| by hand: a client for each login, three calls | 5 | {http1:.2} | {http2:.2} |");
}
