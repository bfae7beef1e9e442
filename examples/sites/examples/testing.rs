//! An app and its tests: of the whole login, and of handlers for a signed-in user.
//!
//! ```text
//! cargo test -p sites --example testing
//! cargo run -p sites --example testing
//! ```
//!
//! In your own app the tests need two dev-dependencies: `tower` with the feature `util`, and
//! `tower-qq-auth` with `mock`. No test opens a connection.

use std::error::Error;

use axum::{Router, extract::Path, routing::get};
use http::StatusCode;
use sites::Server;
use tower_qq_auth::{QqAuthLayer, QqUser};

/// Returns the app. It takes the layer as an argument, so that tests can pass their own.
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

/// Every user has a drawer, which no other user may open.
async fn drawer(user: QqUser, Path(owner): Path<String>) -> Result<&'static str, StatusCode> {
    match user.openid().as_str() == owner {
        true => Ok("socks"),
        false => Err(StatusCode::FORBIDDEN),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    let app = app(QqAuthLayer::new(server.client(), server.keys()));
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

    /// Returns a mock in memory and a layer that calls it.
    fn mock_and_layer() -> (MockQq, QqAuthLayer) {
        let qq = MockQq::new(ID, KEY, CALLBACK);
        let client = QqClient::with_service(QqApp::new(ID, KEY, CALLBACK).unwrap(), qq.clone());
        (qq, QqAuthLayer::new(client, SessionKeys::generate()))
    }

    /// Requests a page as a browser with this cookie.
    async fn visit(app: &Router, uri: &str, cookie: &str) -> Response {
        let request = Request::get(uri)
            .header(header::ACCEPT, "text/html")
            .header(header::COOKIE, cookie);
        let request = request.body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    }

    /// Starts a login and approves it at QQ. Returns the callback URL and the cookie of the login.
    async fn start_login(app: &Router, qq: &MockQq) -> (String, String) {
        let start = visit(app, "/auth/qq/login?return_to=/?page=2", "").await;
        let callback = qq.approve(location(&start)).unwrap();
        (callback, cookie(&start))
    }

    fn location(response: &Response) -> &str {
        response.headers()[header::LOCATION].to_str().unwrap()
    }

    /// Returns the first cookie of a response: after a login, the session.
    fn cookie(response: &Response) -> String {
        let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    async fn text(response: Response) -> String {
        let body = to_bytes(response.into_body(), 100_000).await.unwrap();
        String::from_utf8(body.into()).unwrap()
    }

    // The whole login.

    #[tokio::test]
    async fn a_login_returns_to_its_page_and_the_home_page_greets_by_name() {
        let (qq, layer) = mock_and_layer();
        let app = app(layer);
        let (callback, login) = start_login(&app, &qq).await;
        let end = visit(&app, &callback, &login).await;
        assert_eq!(location(&end), "/?page=2");
        let home = visit(&app, "/", &cookie(&end)).await;
        let name = &qq.people()[0].nickname;
        assert_eq!(text(home).await, format!("hello, {name}"));
    }

    #[tokio::test]
    async fn a_login_fails_while_qq_is_down_and_the_next_one_succeeds() {
        let (qq, layer) = mock_and_layer();
        let app = app(layer);
        qq.fault(Endpoint::Token, 1, Fault::Status(StatusCode::BAD_GATEWAY));
        let (first, login) = start_login(&app, &qq).await;
        let failed = visit(&app, &first, &login).await;
        assert_eq!(failed.status(), StatusCode::FAILED_DEPENDENCY);
        let home = visit(&app, "/", &cookie(&failed)).await;
        assert_eq!(text(home).await, "sign in: /auth/qq/login");

        let (second, login) = start_login(&app, &qq).await;
        let end = visit(&app, &second, &login).await;
        assert_eq!(end.status(), StatusCode::SEE_OTHER);
    }

    #[tokio::test]
    async fn a_cancelled_login_ends_with_403() {
        let (qq, layer) = mock_and_layer();
        let app = app(layer);
        let start = visit(&app, "/auth/qq/login", "").await;
        let callback = qq.cancel(location(&start)).unwrap();
        let end = visit(&app, &callback, &cookie(&start)).await;
        assert_eq!(end.status(), StatusCode::FORBIDDEN);
    }

    // Handlers only: the layer seals a session for any user, without a login.

    #[tokio::test]
    async fn only_its_owner_opens_a_drawer() {
        let (qq, layer) = mock_and_layer();
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
    async fn a_drawer_sends_signed_out_browsers_to_the_login_and_back() {
        let (_, layer) = mock_and_layer();
        let response = visit(&app(layer.clone()), "/drawers/ANN", "").await;
        assert_eq!(location(&response), layer.login_url("/drawers/ANN"));
    }
}
