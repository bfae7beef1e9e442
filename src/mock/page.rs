//! The HTML pages of the authorize endpoint.

use http::{HeaderValue, Response, header};

use super::{body::MockBody, journal::Call, people::Person, refused::Refused, wire::encode};
use crate::html::escape;

const STYLE: &str = "\
:root{color-scheme:light dark;--back:#eef2f6;--card:#fff;--text:#1c2733;--soft:#5d6b7a;--line:#d9e0e7;--blue:#0a6fc2}
@media(prefers-color-scheme:dark){:root{--back:#11161c;--card:#1b222b;--text:#e8edf2;--soft:#9aa7b4;--line:#313b46;--blue:#62b0f0}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;background:var(--back);color:var(--text);
font:16px/1.5 system-ui,-apple-system,'PingFang SC','Microsoft YaHei',sans-serif}
main{width:100%;max-width:26rem;padding:1.5rem;background:var(--card);border:1px solid var(--line);border-radius:12px}
body.mobile{place-items:start center}
h1{margin:0 0 .25rem;font-size:1.3rem}
p{margin:0 0 1rem;color:var(--soft)}
main>:last-child{margin-bottom:0}
ul{margin:0 0 1rem;padding:0;list-style:none}
a{display:flex;align-items:center;gap:.75rem;margin-bottom:.5rem;padding:.65rem .75rem;min-height:3rem;
color:inherit;text-decoration:none;border:1px solid var(--line);border-radius:10px;overflow-wrap:anywhere}
a:hover,a:focus-visible{border-color:var(--blue);outline:2px solid var(--blue);outline-offset:-1px}
a i{flex:none;display:grid;place-items:center;width:2.25rem;height:2.25rem;border-radius:50%;
background:var(--blue);color:var(--card);font-style:normal}
a small{display:block;color:var(--soft);font-size:.75rem}
a.cancel{justify-content:center;margin:0;color:var(--soft)}
code{color:var(--text)}";

/// Renders the list of users and a cancel link.
pub(super) fn render_choices(people: &[Person], call: &Call) -> Response<MockBody> {
    let query = escape(&call.query);
    let items: String = people
        .iter()
        .map(|person| render_item(person, &query))
        .collect();
    let class = match call.param("display") {
        Some("mobile") => "mobile",
        _ => "desktop",
    };
    render_page(
        class,
        &format!(
            "<h1>模拟 QQ 登录</h1>\n\
             <p>这里不是真正的 QQ，用户均为虚构，请任选一个登录。<br>\
             <span lang=\"en\">This is a mock, not the real QQ. Choose a made-up user.</span></p>\n\
             <ul>\n{items}</ul>\n\
             <a class=\"cancel\" href=\"?{query}&amp;cancel=1\">取消 · Cancel</a>"
        ),
    )
}

/// Renders QQ's error page. Like QQ, the mock never redirects an invalid request.
pub(super) fn render_refusal(refused: Refused) -> Response<MockBody> {
    render_page(
        "error",
        &format!(
            "<h1>模拟 QQ：无法登录</h1>\n\
             <p>模拟 QQ 拒绝了登录请求，返回码与真实的 QQ 一致：<br>\
             <span lang=\"en\">The mock refused this request with QQ's error code:</span></p>\n\
             <p><code>{}</code> {}</p>",
            refused.code(),
            escape(refused.text().trim_end()),
        ),
    )
}

fn render_item(person: &Person, query: &str) -> String {
    let initial: String = person.nickname.chars().take(1).collect();
    format!(
        "<li><a href=\"?{query}&amp;as={link}\"><i aria-hidden=\"true\">{initial}</i>\
         <span>{nickname}<small>{openid}</small></span></a></li>\n",
        link = escape(&encode(&person.openid)),
        initial = escape(&initial),
        nickname = escape(&person.nickname),
        openid = escape(&person.openid),
    )
}

fn render_page(class: &str, content: &str) -> Response<MockBody> {
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"zh-CN\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>模拟 QQ · Mock QQ</title>\n<style>{STYLE}</style>\n</head>\n\
         <body class=\"{class}\">\n<main>\n{content}\n</main>\n</body>\n</html>\n"
    );
    let mut response = Response::new(MockBody::from(html));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
