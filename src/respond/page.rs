//! Answers of our own: redirects, a page for people, `application/problem+json` for programs.

use std::{sync::LazyLock, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::{audience::Audience, messages::Reason};
use crate::{
    Failure, Language, LoginError, hook::FailurePage, html::escaped, session::keys::random,
};

pub(crate) type OwnResponse = Response<Full<Bytes>>;

/// What there is to tell somebody who does not get what they asked for.
pub(super) struct Notice<'a> {
    pub(super) reason: Reason,
    /// Where the button leads.
    pub(super) url: &'a str,
    pub(super) error: Option<&'a LoginError>,
}

impl Notice<'_> {
    pub(super) fn respond(&self, audience: Audience, hook: Option<&FailurePage>) -> OwnResponse {
        let failure = self.failure(audience.language);
        let mut response = if audience.wants_page {
            let page = hook.and_then(|hook| hook.render(&failure));
            page.map_or_else(|| default_page(&failure), app_page)
        } else {
            typed("application/problem+json", self.problem(&failure))
        };
        *response.status_mut() = self.reason.status();
        let retry_after = match self.reason {
            Reason::Unverified => Some(Duration::from_secs(1)),
            _ => self.error.and_then(LoginError::retry_after),
        };
        if let Some(after) = retry_after {
            let after = after.as_secs().into();
            response.headers_mut().insert(header::RETRY_AFTER, after);
        }
        response
    }

    fn failure(&self, language: Language) -> Failure<'_> {
        let words = self.reason.words(language);
        Failure {
            language,
            status: self.reason.status(),
            code: self.reason.code(),
            title: words.title,
            text: self
                .error
                .and_then(LoginError::reason)
                .unwrap_or(words.text),
            button: words.button,
            url: self.url,
            error: self.error,
        }
    }

    /// RFC 9457.
    fn problem(&self, failure: &Failure<'_>) -> String {
        let mut problem = serde_json::json!({
            "type": "about:blank",
            "title": failure.title,
            "detail": failure.text,
            "status": failure.status.as_u16(),
            "code": failure.code,
        });
        if !matches!(self.reason, Reason::CrossSite | Reason::Unverified) {
            problem["login_url"] = failure.url.into();
        }
        if let Some(code) = failure.support_code() {
            problem["support_code"] = code.into();
        }
        problem.to_string()
    }
}

fn default_page(failure: &Failure<'_>) -> OwnResponse {
    let (lang, label) = match failure.language {
        Language::Chinese => ("zh-CN", "编号"),
        Language::English => ("en", "Support code"),
    };
    let (title, button) = (failure.title, failure.button);
    let (text, url) = (escaped(failure.text), escaped(failure.url));
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
    let mut response = typed(HTML, html);
    let policy = CONTENT_SECURITY_POLICY.clone();
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// A page of the app's own look. What keeps it out of frames and caches is not the app's to choose.
fn app_page(page: Response<String>) -> OwnResponse {
    let (head, html) = page.into_parts();
    let mut response = typed(HTML, html);
    let own = response.headers_mut();
    let policy = HeaderValue::from_static("frame-ancestors 'none'");
    own.insert(header::CONTENT_SECURITY_POLICY, policy);
    for name in head.headers.keys() {
        let is_ours = *name == header::CACHE_CONTROL || COMMON.iter().any(|(ours, _)| ours == name);
        if is_ours {
            continue;
        }
        own.remove(name);
        for value in head.headers.get_all(name) {
            own.append(name, value.clone());
        }
    }
    response
}

const HTML: &str = "text/html; charset=utf-8";

fn typed(content_type: &'static str, body: String) -> OwnResponse {
    let mut response = own(StatusCode::OK, body);
    let content_type = HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

pub(super) fn ok_json(body: &serde_json::Value) -> OwnResponse {
    typed("application/json", body.to_string())
}

/// Eight characters that are easy to read out: Crockford's base 32.
pub(super) fn support_code() -> String {
    let digit = |byte: &u8| char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[usize::from(byte % 32)]);
    random::<8>().iter().map(digit).collect()
}

/// Sends the browser on with a GET.
pub(super) fn see_other(location: &str) -> OwnResponse {
    let mut response = own(StatusCode::SEE_OTHER, String::new());
    // Every location is percent-encoded ASCII; the fallback is where a bad return_to leads as well.
    let location = HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, location);
    response
}

pub(super) fn method_not_allowed(allow: &'static str) -> OwnResponse {
    let mut response = own(StatusCode::METHOD_NOT_ALLOWED, String::new());
    let allow = HeaderValue::from_static(allow);
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

pub(super) fn no_content() -> OwnResponse {
    own(StatusCode::NO_CONTENT, String::new())
}

pub(super) fn with_cookie(mut response: OwnResponse, cookie: HeaderValue) -> OwnResponse {
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

/// What every answer of ours has: nobody keeps it, and nobody is told where it came from.
fn own(status: StatusCode, body: String) -> OwnResponse {
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = status;
    for (name, value) in COMMON {
        head.headers.insert(name, HeaderValue::from_static(value));
    }
    uncacheable(&mut head.headers);
    Response::from_parts(head, Full::from(body))
}

/// Keeps a response with somebody's cookie out of every cache.
pub(super) fn uncacheable(headers: &mut HeaderMap) {
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
    // What is said to shared caches alone would count for more (RFC 9213).
    let targeted = headers.keys().filter(|name| is_targeted(name));
    for name in targeted.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
}

fn is_targeted(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.ends_with("cdn-cache-control") || ["surrogate-control", "x-accel-expires"].contains(&name)
}

const COMMON: [(HeaderName, &str); 2] = [
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

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
