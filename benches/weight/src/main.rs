//! An app with JSON and an HTTPS client, and with QQ login if the feature `qq` is on.

use axum::{Json, Router, routing::get};
use serde::Serialize;

#[derive(Serialize)]
struct Weather {
    report: Option<String>,
}

async fn weather() -> Json<Weather> {
    let report = reqwest::get("https://weather.example/").await;
    let report = match report {
        Ok(report) => report.text().await.ok(),
        Err(_) => None,
    };
    Json(Weather { report })
}

#[cfg(feature = "qq")]
fn with_login(app: Router) -> Router {
    use tower_qq_auth::{QqApp, QqAuthLayer, QqUser, SessionKeys};

    let qq_app = QqApp::from_env().expect("settings");
    let keys = SessionKeys::from_env().expect("keys");
    app.route("/me", get(async |user: QqUser| user.nickname().to_owned()))
        .layer(QqAuthLayer::new(qq_app, keys))
}

#[cfg(not(feature = "qq"))]
fn with_login(app: Router) -> Router {
    app
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = with_login(Router::new().route("/", get(weather)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await
}
