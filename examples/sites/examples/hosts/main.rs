//! Two sites in one process, each at a host of its own and with a QQ app of its own.
//!
//! ```text
//! cargo run -p sites --example hosts
//! ```
//!
//! Open <http://site-a.localhost:3000/> and <http://site-b.localhost:3000/>: browsers know that
//! these names are this machine. Sign in at one, and the other does not know you. `pick` chooses
//! the site by the host of the request; the layers never read it. A host without a site, such as
//! <http://127.0.0.1:3000/>, gets the pages without a layer: no login and no user.

use std::error::Error;

use axum::{Json, Router, extract::Request, response::Response, routing::get};
use sites::{listen, page, shutdown_signal, user_card, with_style};
use tower::{make::Shared, steer::Steer};
use tower_qq_auth::{ConfigError, QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq};

mod pick;

const HOSTS: [&str; 2] = ["site-a.localhost", "site-b.localhost"];
const APP_IDS: [&str; 2] = ["101905280", "101905281"];

/// Returns a site with its layer, and with a mock of QQ beside it.
fn site(host: &'static str, app_id: &str, port: u16) -> Result<Router, ConfigError> {
    let (origin, key) = (format!("http://{host}:{port}"), "made-up-app-key");
    let redirect_uri = format!("{origin}/auth/qq/callback");
    let app = QqApp::builder(app_id, key, &redirect_uri).base_url(format!("{origin}/mock-qq"));
    let mock = MockQq::new(app_id, key, &redirect_uri);
    let client = QqClient::with_service(app.build()?, mock.clone());
    // The sites may share their keys: a session counts only at the redirect URI where it started.
    let qq = QqAuthLayer::new(client, SessionKeys::generate());
    let site = pages(Some(host)).layer(qq);
    Ok(site.nest_service("/mock-qq", mock))
}

fn pages(host: Option<&'static str>) -> Router {
    let pages = Router::new()
        .route("/", get(async move |user: Option<QqUser>| home(host, user)))
        .route("/me", get(async |user: QqUser| Json(user)));
    with_style(pages)
}

fn home(host: Option<&str>, user: Option<QqUser>) -> Response {
    let Some(host) = host else {
        return page(r#"<p>这个地址没有对应的网站 <span lang="en">No site here</span></p>"#);
    };
    let Some(user) = user else {
        return page(&format!(
            r#"<p>{host}</p>
<p><a class="button" href="/auth/qq/login">QQ 登录 <span lang="en">Sign in with QQ</span></a></p>"#
        ));
    };
    let card = user_card(user.nickname(), user.avatar(), host);
    page(&format!(
        r#"{card}<form method="post" action="/auth/qq/logout">
<button class="secondary">退出登录 <span lang="en">Sign out</span></button></form>"#
    ))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = listen("LISTEN", "127.0.0.1:3000").await?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err("anyone can sign in with the mock: listen on a loopback address".into());
    }
    let stopped = shutdown_signal()?;
    let mut sites = Vec::new();
    for (host, app_id) in HOSTS.into_iter().zip(APP_IDS) {
        sites.push(site(host, app_id, address.port())?);
        println!("open          http://{host}:{}/", address.port());
    }
    sites.push(pages(None));
    let pick = |request: &Request, _: &[Router]| pick::pick(request, &HOSTS);
    // `Steer` waits until all sites are ready. Routers always are: put limits and buffers inside.
    axum::serve(listener, Shared::new(Steer::new(sites, pick)))
        .with_graceful_shutdown(stopped)
        .await?;
    Ok(())
}
