//! The layer around a plain tower service, served by hyper.
//!
//! ```text
//! cargo run --example plain_tower
//! cargo run --example plain_tower --no-default-features --features reqwest
//! ```
//!
//! The second line leaves axum out of the crate. `LISTEN` and the variables of QQ are those of the quickstart.

use std::{convert::Infallible, error::Error, process::ExitCode};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
use tower_qq_auth::{Language, LoginRequired, QqUser, RequireQqUser, login_button};

#[path = "common/server.rs"]
mod server;

use server::Server;

type Body = UnsyncBoxBody<Bytes, BoxError>;
type Answer = Result<Response<Body>, Infallible>;

/// The site. The layer has put the person into the request, if there is one.
async fn site(request: Request<Incoming>) -> Answer {
    let user = request.extensions().get::<QqUser>();
    match (request.uri().path(), user) {
        ("/", Some(user)) => {
            let who = user.openid(); // of letters and digits: nothing in it to escape
            let html = format!("<p>{who}<p><a href=/members/>/members/</a>{SIGN_OUT}");
            Ok(answer(StatusCode::OK, HTML, html))
        }
        ("/", None) => {
            let button = login_button("/auth/qq/login", Language::English);
            Ok(answer(StatusCode::OK, HTML, button))
        }
        ("/me", Some(user)) => Ok(answer(StatusCode::OK, TEXT, user.openid().to_string())),
        ("/me", None) => Ok(login_required()),
        (path, _) if path.starts_with("/members/") => {
            let members = ServiceBuilder::new()
                .layer(RequireQqUser)
                .service_fn(members);
            Ok(members.oneshot(request).await?.map(boxed))
        }
        _ => Ok(answer(StatusCode::NOT_FOUND, TEXT, "not found")),
    }
}

/// Needs somebody and has nobody: the layer sees the mark and answers instead.
fn login_required() -> Response<Body> {
    let mut response = answer(StatusCode::UNAUTHORIZED, TEXT, "");
    response.extensions_mut().insert(LoginRequired);
    response
}

/// Behind the guard, so that somebody is there.
async fn members(request: Request<Incoming>) -> Answer {
    let name = request.extensions().get().map_or("", QqUser::nickname);
    Ok(answer(StatusCode::OK, TEXT, format!("hello, {name}")))
}

/// No cache may keep it: it shows who is signed in.
fn answer(status: StatusCode, content_type: &str, text: impl Into<Bytes>) -> Response<Body> {
    let response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CACHE_CONTROL, "no-store")
        .body(boxed(Full::new(text.into())));
    response.expect("a status and two headers that are none of the visitor's")
}

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const SIGN_OUT: &str = "<form method=post action=/auth/qq/logout><button>Sign out</button></form>";

fn boxed<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    body.map_err(Into::into).boxed_unsync()
}

#[tokio::main]
async fn main() -> ExitCode {
    server::main(run()).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    // Outermost, so that it sees every request.
    let site = ServiceBuilder::new().layer(server.qq()).service_fn(site);
    let (listener, mock) = server.announce()?;
    let all = service_fn(move |request: Request<Incoming>| {
        let (site, mock) = (site.clone(), mock.clone());
        async move {
            match mock {
                Some(mock) if request.uri().path().starts_with("/mock-qq/") => {
                    mock.oneshot(request).await.map(|answer| answer.map(boxed))
                }
                _ => site.oneshot(request).await.map(|answer| answer.map(boxed)),
            }
        }
    });
    loop {
        let (stream, _) = listener.accept().await?;
        let all = TowerToHyperService::new(all.clone());
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), all));
    }
}
