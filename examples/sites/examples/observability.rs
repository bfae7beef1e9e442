//! A site that its operator can watch: metrics for Prometheus, a log in JSON, and request ids.
//!
//! ```text
//! cargo run -p sites --example observability --features metrics,revocation
//! curl http://127.0.0.1:9464/metrics
//! ```
//!
//! Sign in as a user whose login fails: the support code of the page is in a line of the log,
//! beside the id of the request, and the failure is counted. `docs/deploy` has a configuration of
//! Prometheus and alert rules for it. `METRICS_LISTEN` is the address of the metrics, which
//! visitors must not reach. It reads `LISTEN` and the variables of QQ like the quickstart.

use std::{error::Error, io, time::Duration};

use axum::{
    Router,
    extract::Request,
    middleware::map_request,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, header};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use sites::{Server, page, user_card};
use tokio::{net::TcpListener, time::interval};
use tower_http::{
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    trace::{DefaultOnResponse, TraceLayer},
};
use tower_qq_auth::{QqAuthLayer, QqUser, revocation::InMemoryRevocations};
use tracing::{Level, Span, info_span};
use tracing_subscriber::EnvFilter;

/// The header in which the proxy names a request, as by nginx's
/// `proxy_set_header X-Request-Id $request_id;`.
const REQUEST_ID: &str = "x-request-id";

/// Seconds. The last two are the default time limits of a call to QQ and of a login.
const BUCKETS: [f64; 10] = [0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0];

async fn home(user: Option<QqUser>) -> Response {
    match user {
        None => page(SIGNED_OUT),
        Some(user) => page(&format!(
            "{}{SIGN_OUT}",
            user_card(user.nickname(), user.avatar(), "")
        )),
    }
}

/// Logs one JSON object a line, with the fields of the event beside its message.
fn log_json() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
}

/// Adds what must see the answers of the QQ layer too. The last layer sees a request first.
fn observe(site: Router) -> Router {
    let trace = TraceLayer::new_for_http()
        .make_span_with(request_span)
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    site.layer(PropagateRequestIdLayer::x_request_id())
        .layer(trace)
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(map_request(remove_odd_id))
}

/// Removes a request id that could flood or forge the log; the request then gets a new one.
async fn remove_odd_id(mut request: Request) -> Request {
    let is_plain = |id: &HeaderValue| {
        let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        (8..=64).contains(&id.len()) && id.as_bytes().iter().all(is_allowed)
    };
    let mut ids = request.headers().get_all(REQUEST_ID).iter();
    let is_usable = ids.next().is_some_and(is_plain) && ids.next().is_none();
    if !is_usable {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// Returns the span of a request, which every line in it shows. The query is left out: that of a
/// callback has the code and the state of a login.
fn request_span(request: &Request) -> Span {
    let id = request.headers().get(REQUEST_ID);
    info_span!(
        "request",
        method = %request.method(),
        path = request.uri().path(),
        request_id = id.and_then(|id| id.to_str().ok()),
    )
}

/// Collects the metrics of this process.
fn record_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Prefix("qq_auth_".into()), &BUCKETS)?
        .install_recorder()
}

/// Serves the metrics at an address of their own.
async fn serve_metrics(listener: TcpListener, metrics: PrometheusHandle) -> io::Result<()> {
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        // Times pile up until they are sorted into buckets, even if no Prometheus comes.
        let mut ticks = interval(Duration::from_secs(5));
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });
    let render = async move || {
        metrics.run_upkeep(); // publishes new descriptions
        let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
        (headers, metrics.render()).into_response()
    };
    axum::serve(listener, Router::new().route("/metrics", get(render))).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    log_json();
    // Before the layer is built, which describes its metrics and starts them at zero.
    let metrics = record_metrics()?;
    let server = Server::from_env().await?;
    let qq = QqAuthLayer::builder(server.client(), server.keys())
        .revocations(InMemoryRevocations::new())
        .build()?;
    let listener = sites::listen("METRICS_LISTEN", "127.0.0.1:9464").await?;
    println!("metrics       http://{}/metrics", listener.local_addr()?);
    tokio::spawn(serve_metrics(listener, metrics));
    let site = Router::new()
        .route("/", get(home))
        .route("/healthz", get(async || ())) // for load balancers
        .layer(qq);
    server.serve(observe(site)).await
}

const SIGNED_OUT: &str = r#"<p>你还没有登录。<br><span lang="en">You are not signed in.</span></p>
<p><a class="button" href="/auth/qq/login">QQ 登录 <span lang="en">Sign in with QQ</span></a></p>"#;

const SIGN_OUT: &str = r#"<form method="post" action="/auth/qq/logout">
<button class="secondary">退出登录 <span lang="en">Sign out</span></button></form>"#;
