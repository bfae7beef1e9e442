//! The layer that requires a signed-in user.

use tower_layer::Layer;

use crate::guard::RequireQqUserService;

/// A layer that requires a signed-in user, for groups of routes.
///
/// Apply it inside [`QqAuthLayer`](crate::QqAuthLayer), which finds the user and sends signed-out
/// browsers to the login.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_qq_auth::RequireQqUser;
/// # use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, SessionKeys, mock::MockQq};
/// # let callback = "http://localhost:3000/auth/qq/callback";
/// # let app = QqApp::new("101905280", "app-key", callback).unwrap();
/// # let client = QqClient::with_service(app, MockQq::new("101905280", "app-key", callback));
/// # let qq = QqAuthLayer::new(client, SessionKeys::generate());
///
/// let members = Router::new()
///     .route("/inbox", get(|| async { "for members" }))
///     .route_layer(RequireQqUser);
/// let app: Router = Router::new()
///     .route("/", get(|| async { "public" }))
///     .merge(members)
///     .layer(qq);
/// # drop(app);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct RequireQqUser;

impl<S> Layer<S> for RequireQqUser {
    type Service = RequireQqUserService<S>;

    fn layer(&self, inner: S) -> RequireQqUserService<S> {
        RequireQqUserService::new(inner)
    }
}
