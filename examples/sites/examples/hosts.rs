//! Two sites in one process, each at a host of its own and with a QQ app of its own.
//!
//! ```text
//! cargo run -p sites --all-features --example hosts
//! ```
//!
//! Open <http://site-a.localhost:3000/> and <http://site-b.localhost:3000/>: browsers know that these
//! names are this machine. Sign in at one, and the other does not know you. `pick` chooses the site
//! by the host of the request; the layers never read it. A host without a site, such as
//! <http://127.0.0.1:3000/>, gets the same pages, but no login and no user.

use std::{env, error::Error};

use axum::{Json, Router, extract::Request, response::Response, routing::get};
use http::{header, uri::Authority};
use sites::{page, user_card, with_style};
use tokio::net::TcpListener;
use tower::{make::Shared, steer::Steer};
use tower_qq_auth::{ConfigError, QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq};

/// The host and the app id of each site.
const SITES: [(&str, &str); 2] = [
    ("site-a.localhost", "101905280"),
    ("site-b.localhost", "101905281"),
];

/// Returns a site with its layer, and with a mock of QQ beside it.
fn site(host: &'static str, app_id: &str, port: u16) -> Result<Router, ConfigError> {
    let (origin, key) = (format!("http://{host}:{port}"), "made-up-app-key");
    let redirect_uri = format!("{origin}/auth/qq/callback");
    let app = QqApp::builder(app_id, key, &redirect_uri).base_url(format!("{origin}/mock-qq"));
    let mock = MockQq::new(app_id, key, &redirect_uri);
    // The sites may share their keys: a session counts only at the redirect URI where it started.
    let client = QqClient::with_service(app.build()?, mock.clone());
    let qq = QqAuthLayer::new(client, SessionKeys::generate());
    Ok(pages(host).layer(qq).nest_service("/mock-qq", mock))
}

fn pages(name: &'static str) -> Router {
    let pages = Router::new()
        .route("/", get(async move |user: Option<QqUser>| home(name, user)))
        .route("/me", get(async |user: QqUser| Json(user)));
    with_style(pages)
}

fn home(name: &str, user: Option<QqUser>) -> Response {
    let Some(user) = user else {
        let link = r#"<p><a class="button" href="/me">QQ 登录 <span lang="en">Sign in with QQ</span></a></p>"#;
        return page(&format!("<p>{name}</p>{link}"));
    };
    let card = user_card(user.nickname(), user.avatar(), name);
    page(&format!(
        r#"{card}<form method="post" action="/auth/qq/logout">
<button>退出登录 <span lang="en">Sign out</span></button></form>"#
    ))
}

/// Returns the number of the site that answers this request. The last one has no layer.
fn pick(request: &Request, _: &[Router]) -> usize {
    let host = host(request);
    let site = SITES
        .iter()
        .position(|(known, _)| Some(*known) == host.as_deref());
    site.unwrap_or(SITES.len())
}

/// Returns the host of a request in lower case, without a port and without the dot at the end of a
/// full name.
fn host(request: &Request) -> Option<String> {
    let authority = match request.uri().authority() {
        // `:authority` of HTTP/2, or an absolute URL in the request line.
        Some(authority) => authority.clone(),
        None => {
            let mut hosts = request.headers().get_all(header::HOST).iter();
            let (Some(host), None) = (hosts.next(), hosts.next()) else {
                return None;
            };
            Authority::try_from(host.as_bytes()).ok()?
        }
    };
    let host = authority.host();
    Some(host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err("anyone can sign in with the mock: set LISTEN to a loopback address".into());
    }
    let mut sites = Vec::new();
    for (host, app_id) in SITES {
        sites.push(site(host, app_id, address.port())?);
        println!("open          http://{host}:{}/", address.port());
    }
    sites.push(pages("?"));
    // `Steer` waits until all sites are ready. Routers always are: put limits and buffers inside.
    axum::serve(listener, Shared::new(Steer::new(sites, pick))).await?;
    Ok(())
}
