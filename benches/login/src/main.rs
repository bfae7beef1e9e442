//! How long a login takes beside what QQ takes, and what work of ours is in it. `README.md` says how to run it.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, Response, header};
use tokio::{task::JoinSet, time::sleep};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, SessionKeys, mock::MockQq};

const ID: &str = "101905280";
const KEY: &str = "made-up-app-key";
const CALLBACK: &str = "https://site.example/auth/qq/callback";

/// What QQ takes for each call.
const LATENCY: Duration = Duration::from_millis(50);

fn app() -> QqApp {
    QqApp::new(ID, KEY, CALLBACK).expect("settings")
}

fn qq() -> MockQq {
    MockQq::new(ID, KEY, CALLBACK)
}

/// The made-up QQ, as far away as this.
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

/// A site that answers nothing but logins.
fn site(client: QqClient) -> impl Site {
    let layer = QqAuthLayer::with_client(client, SessionKeys::generate());
    let layer = layer.max_logins_in_flight(100_000).expect("a number");
    layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }))
}

trait Site:
    Service<Request<()>, Response = Response<Self::Body>, Error = Infallible, Future = Self::Answer>
    + Clone
    + Send
    + 'static
{
    type Body: Send;
    type Answer: Future<Output = Result<Response<Self::Body>, Infallible>> + Send;
}

impl<S, B> Site for S
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Send,
{
    type Body = B;
    type Answer = S::Future;
}

fn text<B>(response: &Response<B>, name: header::HeaderName) -> &str {
    response.headers()[name].to_str().expect("ASCII")
}

/// The request with which QQ sends somebody back.
async fn callback(site: &impl Site, qq: &MockQq) -> Request<()> {
    let start = Request::get("/auth/qq/login").body(()).expect("a request");
    let start = site.clone().oneshot(start).await.expect("infallible");
    let location = text(&start, header::LOCATION);
    let callback = qq.approve(location).expect("a person agrees");
    let cookie = text(&start, header::SET_COOKIE).split(';').next();
    Request::get(callback)
        .header(header::COOKIE, cookie.expect("a pair"))
        .body(())
        .expect("a request")
}

/// The callback ends in a session.
async fn finish(site: &impl Site, callback: Request<()>) {
    let end = site.clone().oneshot(callback).await.expect("infallible");
    assert_eq!(text(&end, header::LOCATION), "/");
}

/// The least time of a callback, in units of QQ's latency.
async fn callback_time(app: QqApp, without_openid: bool) -> f64 {
    let mut least = Duration::MAX;
    for _ in 0..10 {
        let qq = qq();
        if without_openid {
            qq.ignore_need_openid(true);
        }
        let site = site(client(app.clone(), &qq, LATENCY));
        let callback = callback(&site, &qq).await;
        let start = Instant::now();
        let end = site.clone().oneshot(callback).await.expect("infallible");
        least = least.min(start.elapsed());
        assert_eq!(end.status(), 303);
    }
    least.as_secs_f64() / LATENCY.as_secs_f64()
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        println!(
            "memory of a login that waits: {:.0} bytes\n",
            memory().await
        );
        println!("| callback | in units of QQ's latency (50 ms a call) |\n|---|---:|");
        let rows = [
            ("openid in the token reply", app(), false),
            ("the same, UnionID wanted", app().union_id(true), false),
            ("openid by `/me`", app(), true),
        ];
        for (name, app, without_openid) in rows {
            println!(
                "| {name} | {:.2} |",
                callback_time(app, without_openid).await
            );
        }
        let (all, mock) = work().await;
        println!("\na login takes {all:.0} µs, of which the mock takes {mock:.0}\n");
        println!("| at a time | callbacks a second |\n|---:|---:|");
        for at_once in [1, 10, 100, 1000] {
            let mut most = 0.0_f64;
            for _ in 0..3 {
                most = most.max(throughput(at_once).await);
            }
            println!("| {at_once} | {most:.0} |");
        }
    });
}
