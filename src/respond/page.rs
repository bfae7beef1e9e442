//! Failures as pages for browsers.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::Full;

use super::{
    headers::insert_common,
    response::{LayerResponse, with_type},
};
use crate::hooks::failure_page::Failure;
use crate::html::escape;
use crate::language::Language;

/// Renders the layer's page.
pub(super) fn render_page(failure: &Failure<'_>) -> LayerResponse {
    let (lang, label) = match failure.language() {
        Language::Chinese => ("zh-CN", "编号"),
        Language::English => ("en", "Support code"),
    };
    let (title, button) = (failure.title(), failure.button());
    let (text, url) = (escape(failure.text()), escape(failure.url()));
    let code = failure.support_code().map_or_else(String::new, |code| {
        format!("<p class=\"code\">{label}: <code>{code}</code></p>")
    });
    let html = format!(
        "<!doctype html>\n<html lang=\"{lang}\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>{STYLE}</style></head>\n\
         <body><main><h1>{title}</h1><p>{text}</p>\
         <p><a class=\"button\" href=\"{url}\">{button}</a></p>{code}</main></body>\n</html>\n"
    );
    let mut response = with_type(HTML, html);
    let policy = CONTENT_SECURITY_POLICY.clone();
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// Wraps the app's page. The layer decides about caching and, unless the page has a policy of its own,
/// forbids frames.
pub(super) fn wrap_app_page(page: Response<Bytes>) -> LayerResponse {
    let mut response = page.map(Full::from);
    // An outer layer would take them for those of the app's own response.
    response.extensions_mut().clear();
    let headers = response.headers_mut();
    headers
        .entry(header::CONTENT_TYPE)
        .or_insert(HeaderValue::from_static(HTML));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("frame-ancestors 'none'"));
    insert_common(headers);
    response
}

const HTML: &str = "text/html; charset=utf-8";

static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-{hash}'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:#f4f6f8;color:#1b1f24;\
font:16px/1.6 system-ui,-apple-system,\"PingFang SC\",\"Microsoft YaHei\",\"Noto Sans CJK SC\",sans-serif}\
main{box-sizing:border-box;width:min(26rem,100vw - 2rem);margin:1rem;padding:2rem;background:#fff;\
border-radius:12px;box-shadow:0 1px 4px #0002}\
h1{margin:0 0 .5rem;font-size:1.35rem;line-height:1.3}\
p{margin:0 0 1.25rem;overflow-wrap:anywhere}p:last-child{margin:0}\
.button{display:inline-block;padding:.6rem 1.4rem;border-radius:8px;background:#0a63c9;color:#fff;\
text-decoration:none;font-weight:600}\
.button:hover{background:#084f9f}\
.button:focus-visible{outline:3px solid #f5a623;outline-offset:2px}\
.code{color:#57606a;font-size:.875rem}\
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}main{background:#161b22;box-shadow:none}\
.code{color:#9198a1}}";
