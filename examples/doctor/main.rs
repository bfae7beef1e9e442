//! Checks a configuration without a login: the settings, the network, QQ's response to the app, and
//! the site itself.
//!
//! ```text
//! cargo run --example qq-doctor --features redis -- --site
//! ```
//!
//! It reads `QQ_APP_ID`, `QQ_APP_KEY`, `QQ_REDIRECT_URI`, `QQ_SESSION_KEY` (or the two keys from
//! `QQ_APP_KEY_FILE` and `QQ_SESSION_KEY_FILE`), `QQ_BASE_URL`, `REDIS_URL` and the proxy
//! variables, opens QQ's login page, and requests a token without a code, which uses nothing up. It
//! prints one line for each finding and no secret, in Chinese with a locale such as
//! `LANG=zh_CN.UTF-8`. It exits with 1 if there is an error.
//!
//! With an address such as `https://www.example.com`, or `--site` for the origin of the redirect
//! URI, it also visits the running site: DNS, TLS, the paths of the layer, and redirects from other
//! addresses of the site. docs/en/troubleshooting.md says how to install it.
//!
//! To try it without an app, start the quickstart and check its mock:
//!
//! ```text
//! QQ_APP_ID=101905280 QQ_APP_KEY=made-up-app-key QQ_SESSION_KEY=$(openssl rand -hex 32) \
//! QQ_REDIRECT_URI=http://127.0.0.1:3000/auth/qq/callback \
//! QQ_BASE_URL=http://127.0.0.1:3000/mock-qq \
//! cargo run --example qq-doctor -- --site
//! ```

mod app_key;
mod client;
mod clock;
mod language;
mod login_page;
mod proxy;
mod refusal;
mod report;
mod revocations;
mod session_keys;
mod settings;
mod site;

use std::{env, process::ExitCode};

use reqwest::Url;
use tower::service_fn;
use tower_qq_auth::{QqApp, QqClient};

use self::{
    language::say,
    report::{Check, Report},
    site::{Site, parse_address},
};

/// The site to visit, by the command line.
enum Visit {
    None,
    OwnSite,
    Address(Url),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let visit = match &*arguments {
        [] => Some(Visit::None),
        [option] if option == "--site" => Some(Visit::OwnSite),
        [address] if !address.starts_with('-') => parse_address(address).map(Visit::Address),
        _ => None,
    };
    let Some(visit) = visit else {
        let usage = "usage: qq-doctor [--site | https://www.example.com]";
        if matches!(&*arguments, [option] if option == "--help" || option == "-h") {
            println!("{usage}");
            return ExitCode::SUCCESS;
        }
        eprintln!("{usage}");
        return ExitCode::FAILURE;
    };
    let mut report = Report::default();
    let app = settings::check(&mut report);
    session_keys::check(&mut report);
    revocations::check(&mut report).await;
    if let Some(app) = app {
        check_app(&mut report, app, visit).await;
    }
    match report.finish() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

async fn check_app(report: &mut Report, app: QqApp, visit: Visit) {
    let urls = (authorize_url(&app), Url::parse(app.redirect_uri()).ok());
    let (Some(authorize_url), Some(redirect_uri)) = urls else {
        let finding = say(
            "QQ_REDIRECT_URI or QQ_BASE_URL is not a URL",
            "QQ_REDIRECT_URI 或 QQ_BASE_URL 不是有效的 URL",
        );
        return report.error(Check::Settings, finding, say("correct it", "请修改"));
    };
    settings::check_base_url(report, &app, &authorize_url);
    if proxy::check(report, &authorize_url).await {
        check_qq(report, app, &authorize_url).await;
    }
    let site = Site {
        redirect_uri,
        authorize_url,
    };
    match visit {
        Visit::None => {}
        Visit::OwnSite => site.check(report, None).await,
        Visit::Address(address) => site.check(report, Some(&address)).await,
    }
}

async fn check_qq(report: &mut Report, app: QqApp, authorize_url: &Url) {
    let client = match client::client_for(authorize_url) {
        Ok(client) => client,
        Err(cause) => {
            let advice = say("install ca-certificates", "请安装 ca-certificates");
            return report.error(Check::Network, cause, advice);
        }
    };
    let redirect_uri = app.redirect_uri();
    if login_page::check(report, &client, authorize_url, redirect_uri).await {
        app_key::check(report, client, app, authorize_url).await;
    }
}

/// Returns the URL of QQ's login page for this app.
fn authorize_url(app: &QqApp) -> Option<Url> {
    let nothing = service_fn(async |_| Err::<http::Response<String>, _>("nothing is sent"));
    let client = QqClient::with_service(app.clone(), nothing);
    Url::parse(&client.authorize_url("doctor", false)).ok()
}
