//! The layer's pages for browsers.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::Full;

use super::{
    csp::csp_hash,
    headers::insert_common,
    popup_script,
    response::{LayerResponse, with_type},
};
use crate::hooks::failure_page::Failure;
use crate::html::escape;
use crate::language::Language;
use crate::messages::{Labels, Message, Topic};

/// The parts in which pages differ.
struct Page<'a> {
    language: Language,
    title: &'a str,
    text: &'a str,
    /// The HTML below the text.
    content: String,
    has_form: bool,
    /// The outcome that a popup broadcasts: `ok` or an error code.
    outcome: Option<&'static str>,
    /// The value of `frame-ancestors`: `'none'`, or `'self'` for a frame of this site.
    frames: &'static str,
}

/// Renders the layer's page for a failure.
pub(super) fn render_failure_page(failure: &Failure<'_>) -> LayerResponse {
    let language = failure.language();
    let mut links = button(failure.url(), failure.button());
    if let Some((label, url)) = failure.link() {
        links += &link(url, label);
    }
    let code = failure.support_code().map_or_else(String::new, |code| {
        let label = Labels::new(language).support_code;
        format!("<p class=\"code\">{label}<code>{code}</code></p>")
    });
    let content = format!("<p>{links}</p>{code}");
    let page = Page::new(language, failure.title(), failure.text(), content);
    let outcome = failure.is_popup.then(|| failure.code());
    Page { outcome, ..page }.render()
}

/// Renders the page of a popup whose login succeeded.
pub(super) fn render_popup(url: &str, language: Language) -> LayerResponse {
    let Message { title, text } = Message::new(Topic::Popup, language);
    let button = button(url, Labels::new(language).go_on);
    let page = Page::new(language, title, text, format!("<p>{button}</p>"));
    let outcome = Some(popup_script::OUTCOME_OK);
    Page { outcome, ..page }.render()
}

/// Renders the page of a frame that needs a login, which opens at the top: QQ allows no frames.
pub(super) fn render_frame(failure: &Failure<'_>) -> LayerResponse {
    let language = failure.language();
    let Message { title, text } = Message::new(Topic::Frame, language);
    let button = button(failure.url(), Labels::new(language).sign_in);
    let page = Page::new(language, title, text, format!("<p>{button}</p>"));
    let frames = "'self'";
    Page { frames, ..page }.render()
}

/// Renders a page with a button that posts to `action`.
pub(super) fn render_logout(action: &str, home: &str, language: Language) -> LayerResponse {
    let Message { title, text } = Message::new(Topic::Logout, language);
    let labels = Labels::new(language);
    let content = format!(
        "<form method=\"post\" action=\"{}\"><p><button class=\"button\">{}</button>{}</p></form>",
        escape(action),
        labels.sign_out,
        link(home, labels.home)
    );
    let page = Page::new(language, title, text, content);
    let has_form = true;
    Page { has_form, ..page }.render()
}

/// Renders a page for a browser that used a wrong method.
pub(super) fn render_wrong_method(home: &str, language: Language) -> LayerResponse {
    let Message { title, text } = Message::new(Topic::WrongMethod, language);
    let home = button(home, Labels::new(language).home);
    Page::new(language, title, text, format!("<p>{home}</p>")).render()
}

/// Wraps the app's page. The layer decides about caching and, unless the page has a policy of its
/// own, forbids frames.
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

impl<'a> Page<'a> {
    /// Returns a page without a form, which cannot be framed.
    fn new(language: Language, title: &'a str, text: &'a str, content: String) -> Self {
        Self {
            language,
            title,
            text,
            content,
            has_form: false,
            outcome: None,
            frames: "'none'",
        }
    }

    fn render(self) -> LayerResponse {
        let (meta, forms) = if self.has_form {
            // With `no-referrer`, browsers without Fetch Metadata would post `Origin: null`, as
            // other sites do. And `form-action` would stop a redirect from the form's target to QQ.
            ("<meta name=\"referrer\" content=\"same-origin\">", "")
        } else {
            ("", "form-action 'none'; ")
        };
        let (body, script, scripts) = match self.outcome {
            Some(outcome) => (
                format!("<body data-outcome=\"{outcome}\">"),
                format!("<script>{}</script>", popup_script::SCRIPT),
                format!("; script-src {}", popup_script::SCRIPT_HASH.as_str()),
            ),
            None => ("<body>".into(), String::new(), String::new()),
        };
        let (content, frames) = (self.content, self.frames);
        let (title, text) = (escape(self.title), escape(self.text));
        let tag = Labels::new(self.language).tag;
        let html = format!(
            "<!doctype html>\n<html lang=\"{tag}\">\n<head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\">{meta}\
             <title>{title}</title><style>{STYLE}</style></head>\n\
             {body}<main><h1>{title}</h1><p>{text}</p>{content}</main>{script}</body>\n</html>\n"
        );
        let mut response = with_type(HTML, html);
        let hash = STYLE_HASH.as_str();
        let policy = format!(
            "default-src 'none'; frame-ancestors {frames}; base-uri 'none'; {forms}\
             style-src {hash}{scripts}"
        );
        // The policy is ASCII; the fallback forbids more.
        let policy = HeaderValue::try_from(policy)
            .unwrap_or(HeaderValue::from_static("default-src 'none'; sandbox"));
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
        response
    }
}

fn button(url: &str, label: &str) -> String {
    anchor("button", url, label)
}

fn link(url: &str, label: &str) -> String {
    anchor("link", url, label)
}

/// Returns a link that leaves any frame.
fn anchor(class: &str, url: &str, label: &str) -> String {
    let url = escape(url);
    format!("<a class=\"{class}\" href=\"{url}\" target=\"_top\">{label}</a>")
}

const HTML: &str = "text/html; charset=utf-8";

static STYLE_HASH: LazyLock<String> = LazyLock::new(|| csp_hash(STYLE));

/// System colors follow the color scheme. Browsers of old apps know neither `min()` nor `gap`.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{box-sizing:border-box;min-height:100vh;min-height:100svh;margin:0;padding:1rem;display:grid;\
align-items:center;justify-items:center;background:#f4f6f8;color:#1b1f24;\
font:16px/1.6 system-ui,-apple-system,\"PingFang SC\",\"Microsoft YaHei\",\"Noto Sans CJK SC\",sans-serif}\
main{box-sizing:border-box;width:100%;max-width:26rem;padding:1.75rem 1.5rem;background:#fff;\
border-radius:12px;box-shadow:0 1px 4px #0002;overflow-wrap:anywhere}\
h1{margin:0 0 .5rem;font-size:1.35rem;line-height:1.3}\
p{margin:0 0 1.25rem}main>:last-child,form>p{margin-bottom:0}\
a,button{display:inline-block;padding:.6rem 0;font:inherit}\
.button{margin-right:1.25rem;padding:.6rem 1.4rem;border:0;border-radius:8px;background:#0a63c9;color:#fff;\
font-weight:600;text-decoration:none;cursor:pointer}\
.button:hover{background:#084f9f}\
.link{color:#0a63c9}\
:focus-visible{outline:3px solid CanvasText;outline-offset:2px}\
.code{color:#57606a;font-size:.875rem}\
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}main{background:#161b22;box-shadow:none}\
.link{color:#6cb0ff}.code{color:#9198a1}}";
