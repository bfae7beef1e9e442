//! The layer around a plain tower service, served by hyper, without axum.
//!
//! ```text
//! cargo run -p sites --example plain_tower --no-default-features
//! ```
//!
//! Open `/members/` or `/me` while signed out: each requires a login in its own way, and the login
//! leads back to it. It reads `LISTEN` and the variables of QQ like the quickstart.

use std::{error::Error, pin::pin};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown, service::TowerToHyperService};
use sites::{Server, shutdown_signal};
use tokio::select;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
use tower_qq_auth::{
    Language, LoginRequired, QqAuthLayer, QqUser, RequireQqUser, html::login_button,
};

type Body = UnsyncBoxBody<Bytes, BoxError>;

/// The site. The layer adds the user to the extensions of the request, if there is one.
async fn site(request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
    let user = request.extensions().get::<QqUser>();
    match (request.uri().path(), user) {
        ("/", Some(user)) => {
            // An openid has only letters, digits, `_` and `-`: nothing to escape.
            let openid = user.openid();
            let html = format!("<p>{openid}<p><a href=/members/>/members/</a>{SIGN_OUT}");
            respond(StatusCode::OK, HTML, html)
        }
        ("/", None) => {
            let button = login_button("/auth/qq/login", Language::Chinese)?;
            respond(StatusCode::OK, HTML, button)
        }
        ("/me", Some(user)) => respond(StatusCode::OK, TEXT, user.openid().to_string()),
        ("/me", None) => login_required(),
        (path, _) if path.starts_with("/members/") => {
            let members = ServiceBuilder::new()
                .layer(RequireQqUser)
                .service_fn(members);
            Ok(members.oneshot(request).await?.map(boxed))
        }
        _ => respond(StatusCode::NOT_FOUND, TEXT, "not found"),
    }
}

/// Asks for a login: the layer replaces a response that has this extension.
fn login_required() -> Result<Response<Body>, BoxError> {
    let mut response = respond(StatusCode::UNAUTHORIZED, TEXT, "")?;
    response.extensions_mut().insert(LoginRequired);
    Ok(response)
}

/// Has a user in every request, thanks to `RequireQqUser`.
async fn members(request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
    let name = request.extensions().get().map_or("", QqUser::nickname);
    respond(StatusCode::OK, TEXT, format!("你好，{name}"))
}

/// Caches do not keep the response: it shows who is signed in.
fn respond(
    status: StatusCode,
    content_type: &str,
    text: impl Into<Bytes>,
) -> Result<Response<Body>, BoxError> {
    let response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CACHE_CONTROL, "no-store")
        .body(boxed(Full::new(text.into())))?;
    Ok(response)
}

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const SIGN_OUT: &str = "<form method=post action=/auth/qq/logout><button>退出登录</button></form>";

fn boxed<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    body.map_err(Into::into).boxed_unsync()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    // The outermost layer, so that it sees every request.
    let site = ServiceBuilder::new()
        .layer(QqAuthLayer::new(server.client(), server.keys()))
        .service_fn(site);
    let mut stopped = pin!(shutdown_signal()?);
    let (listener, mock) = server.announce();
    let service = service_fn(move |request: Request<Incoming>| {
        let (site, mock) = (site.clone(), mock.clone());
        async move {
            match mock {
                Some(mock) if request.uri().path().starts_with("/mock-qq/") => {
                    let Ok(response) = mock.oneshot(request).await;
                    Ok::<_, BoxError>(response.map(boxed))
                }
                _ => Ok(site.oneshot(request).await?.map(boxed)),
            }
        }
    });
    let connections = GracefulShutdown::new();
    loop {
        let stream = select! {
            accepted = listener.accept() => accepted?.0,
            () = &mut stopped => break,
        };
        let service = TowerToHyperService::new(service.clone());
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connections.watch(connection));
    }
    drop(listener);
    connections.shutdown().await;
    Ok(())
}
