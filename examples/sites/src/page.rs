//! The pages of the examples with axum.

use std::error::Error;

use axum::{
    Router,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::header;
use maud::html;

use crate::{Server, shutdown_signal};

impl Server {
    /// Prints the URLs and serves the site, its style and the mock until SIGTERM or Ctrl+C.
    ///
    /// # Errors
    ///
    /// Returns an error if the process cannot handle signals.
    pub async fn serve(self, site: Router) -> Result<(), Box<dyn Error>> {
        let stopped = shutdown_signal()?;
        let (listener, mock) = self.announce();
        let mut site = with_style(site);
        if let Some(mock) = mock {
            site = site.nest_service("/mock-qq", mock);
        }
        axum::serve(listener, site)
            .with_graceful_shutdown(stopped)
            .await?;
        Ok(())
    }
}

/// Returns a page with this HTML. Caches do not keep it: it shows who is signed in.
pub fn page(content: &str) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, Html(PAGE.replace("{content}", content))).into_response()
}

/// Returns the HTML for a user. The arguments are plain text, which the template escapes.
pub fn user_card(nickname: &str, avatar: Option<&str>, about: &str) -> String {
    let name = if nickname.is_empty() {
        "QQ 用户"
    } else {
        nickname
    };
    let card = html! {
        p.user {
            @if let Some(url) = avatar { img src=(url) alt="" referrerpolicy="no-referrer"; }
            span { "你好，" b { (name) } br; small { (about) } }
        }
    };
    card.into_string()
}

/// Adds the stylesheet of the pages to a site.
pub fn with_style(site: Router) -> Router {
    site.route("/style.css", get(style))
}

async fn style() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (headers, include_str!("style.css"))
}

/// No scripts, forms to this site only, avatars from any https host: QQ has several.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src https:; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

const PAGE: &str = r#"<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>QQ 登录 · tower-qq-auth</title>
<link rel="stylesheet" href="/style.css">
</head>
<body><main><h1>tower-qq-auth</h1>{content}</main></body>
</html>
"#;
