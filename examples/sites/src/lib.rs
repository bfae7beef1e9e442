//! What the examples share: a server, and the look of a page.

#![allow(dead_code, unused_imports)] // Each example uses a part of it.

use std::error::Error;

use axum::{
    Router,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::header;

mod server;

pub(crate) use server::{Server, main, say};

impl Server {
    /// Says where it is and serves this, until Ctrl-C.
    pub(crate) async fn serve(self, site: Router) -> Result<(), Box<dyn Error>> {
        let (listener, mock) = self.announce()?;
        let mut site = with_style(site);
        if let Some(mock) = mock {
            site = site.nest_service("/mock-qq", mock);
        }
        axum::serve(listener, site)
            .with_graceful_shutdown(async {
                let _ = tokio::signal::ctrl_c().await;
            })
            .await?;
        Ok(())
    }
}

/// A page with this content, which is HTML. No cache may keep it: it shows who is signed in.
pub(crate) fn page(content: &str) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, Html(PAGE.replace("{content}", content))).into_response()
}

/// Somebody's name and picture, and a line about them. None of it is HTML.
pub(crate) fn person(name: &str, picture: Option<&str>, about: &str) -> String {
    let initial = escaped(&name.chars().take(1).collect::<String>());
    let picture = picture.map_or_else(String::new, |url| {
        let url = escaped(url);
        format!("<img src=\"{url}\" alt=\"\" referrerpolicy=\"no-referrer\">")
    });
    let name = match name {
        "" => "QQ 用户".into(),
        name => escaped(name),
    };
    let about = escaped(about);
    format!(
        "<p class=\"who\"><span class=\"picture\" aria-hidden=\"true\">{initial}{picture}</span>\
         <span>你好，<b>{name}</b><br><small>{about}</small></span></p>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// A site with the look of its pages.
pub(crate) fn with_style(site: Router) -> Router {
    site.route("/style.css", get(style))
}

async fn style() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (headers, include_str!("style.css"))
}

/// Scripts from nowhere, forms to nowhere else, pictures from wherever QQ keeps them.
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
