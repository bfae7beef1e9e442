//! An app that tests its login: all of it, or only what its handlers do for somebody who is signed in.
//!
//! ```text
//! cargo test --example testing
//! cargo run --example testing
//! ```
//!
//! In an app of its own the tests need two dev-dependencies: `tower` with the feature `util`, and `tower-qq-auth` with
//! `mock`. No test opens a connection.

use std::{error::Error, process::ExitCode};

use axum::{Router, extract::Path, routing::get};
use http::StatusCode;
use tower_qq_auth::{QqAuthLayer, QqUser};

mod common;

/// The app. It takes the layer as an argument, so that a test can bring another one.
fn app(qq: QqAuthLayer) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/drawers/{owner}", get(drawer))
        .layer(qq)
}

async fn home(user: Option<QqUser>) -> String {
    user.map_or("sign in: /auth/qq/login".into(), |user| {
        format!("hello, {}", user.nickname())
    })
}

/// Everybody has a drawer, and nobody looks into another's.
async fn drawer(user: QqUser, Path(owner): Path<String>) -> Result<&'static str, StatusCode> {
    match user.openid().as_str() == owner {
        true => Ok("socks"),
        false => Err(StatusCode::FORBIDDEN),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    common::main(run()).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = common::Server::from_env().await?;
    let app = app(server.qq());
    server.serve(app).await
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        response::Response,
    };
    use http::{Request, header};
    use tower::ServiceExt;
    use tower_qq_auth::{
        OpenId, QqApp, QqClient, SessionKeys,
        mock::{Endpoint, Fault, MockQq},
    };

    use super::*;

    const ID: &str = "101905280";
    const KEY: &str = "app-key";
    const CALLBACK: &str = "https://site.example/auth/qq/callback";

    /// A QQ in memory, and a layer that asks it.
    fn qq() -> (MockQq, QqAuthLayer) {
        let qq = MockQq::new(ID, KEY, CALLBACK);
        let client = QqClient::with_service(QqApp::new(ID, KEY, CALLBACK).unwrap(), qq.clone());
        (
            qq,
            QqAuthLayer::with_client(client, SessionKeys::generate()),
        )
    }

    /// A browser goes there, with this cookie.
    async fn visit(app: &Router, uri: &str, cookie: &str) -> Response {
        let request = Request::get(uri)
            .header(header::ACCEPT, "text/html")
            .header(header::COOKIE, cookie);
        let request = request.body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    }

    /// Starts a login, and gives the callback that QQ sends the first person to, and the cookie that goes with it.
    async fn callback(app: &Router, qq: &MockQq) -> (String, String) {
        let start = visit(app, "/auth/qq/login?return_to=/?page=2", "").await;
        let callback = qq.approve(location(&start)).unwrap();
        (callback, cookie(&start))
    }

    fn location(response: &Response) -> &str {
        response.headers()[header::LOCATION].to_str().unwrap()
    }

    /// The first cookie that a response sets: after a login, that of the session.
    fn cookie(response: &Response) -> String {
        let set = response.headers()[header::SET_COOKIE].to_str().unwrap();
        set.split(';').next().unwrap().to_owned()
    }

    async fn text(response: Response) -> String {
        let body = to_bytes(response.into_body(), 100_000).await.unwrap();
        String::from_utf8(body.into()).unwrap()
    }

    // The whole login.

    #[tokio::test]
    async fn a_login_ends_where_it_began_and_home_greets_by_name() {
        let (qq, layer) = qq();
        let app = app(layer);
        let (callback, pending) = callback(&app, &qq).await;
        let end = visit(&app, &callback, &pending).await;
        assert_eq!(location(&end), "/?page=2");
        let home = visit(&app, "/", &cookie(&end)).await;
        let name = &qq.people()[0].nickname;
        assert_eq!(text(home).await, format!("hello, {name}"));
    }

    #[tokio::test]
    async fn nobody_is_signed_in_while_qq_fails_and_the_next_login_is_good() {
        let (qq, layer) = qq();
        let app = app(layer);
        qq.fault(Endpoint::Token, 1, Fault::Status(StatusCode::BAD_GATEWAY));
        let (first, pending) = callback(&app, &qq).await;
        let failed = visit(&app, &first, &pending).await;
        assert_eq!(failed.status(), StatusCode::BAD_GATEWAY);
        let home = visit(&app, "/", &cookie(&failed)).await;
        assert_eq!(text(home).await, "sign in: /auth/qq/login");

        let (second, pending) = callback(&app, &qq).await;
        let end = visit(&app, &second, &pending).await;
        assert_eq!(end.status(), StatusCode::SEE_OTHER);
    }

    #[tokio::test]
    async fn a_person_who_cancels_is_told_so() {
        let (qq, layer) = qq();
        let app = app(layer);
        let start = visit(&app, "/auth/qq/login", "").await;
        let cancelled = qq.cancel(location(&start)).unwrap();
        let end = visit(&app, &cancelled, &cookie(&start)).await;
        assert_eq!(end.status(), StatusCode::FORBIDDEN);
    }

    // The short way: a session of anybody, by the layer's own seal. No login, no QQ.

    #[tokio::test]
    async fn a_drawer_is_for_its_owner() {
        let (qq, layer) = qq();
        let app = app(layer.clone());
        let user = QqUser::new(OpenId::new("ANN").unwrap()).with_nickname("Ann");
        let ann = layer.session_cookie(&user, None).unwrap();
        let own = visit(&app, "/drawers/ANN", &ann).await;
        assert_eq!(text(own).await, "socks");
        let other = visit(&app, "/drawers/BOB", &ann).await;
        assert_eq!(other.status(), StatusCode::FORBIDDEN);
        assert_eq!(qq.calls(Endpoint::Token), 0);
    }

    #[tokio::test]
    async fn a_drawer_sends_strangers_to_the_login_and_back() {
        let (_, layer) = qq();
        let stranger = visit(&app(layer.clone()), "/drawers/ANN", "").await;
        assert_eq!(location(&stranger), layer.login_url("/drawers/ANN"));
    }
}
