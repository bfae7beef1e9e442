//! The HTML pages of the authorize endpoint.

use http::{HeaderValue, Response, header};

use super::{
    body::MockBody, fault::Fault, journal::Call, people::Person, refused::Refused,
    state::RegisteredApp, wire::encode,
};
use crate::html::escape;

const STYLE: &str = include_str!("page.css");

/// Renders the users and a cancel link. It needs no script: every choice is a link.
pub(super) fn render_choices(people: &[Person], call: &Call) -> Response<MockBody> {
    let query = escape(&call.query);
    let render = |is_failing: bool| -> String {
        let people = people.iter();
        people
            .filter(|person| person.fault.is_some() == is_failing)
            .map(|person| render_person(person, &query))
            .collect()
    };
    let mut content = format!(
        "<h1>模拟 QQ 登录</h1>\n\
         <p>这里不是真正的 QQ，用户均为虚构，请任选一个登录。<br>\
         <span lang=\"en\">A mock, not the real QQ. Choose a made-up user.</span></p>\n\
         <ul>\n{}</ul>\n",
        render(false),
    );
    let failing = render(true);
    if !failing.is_empty() {
        content += &format!(
            "<h2>模拟异常情况 <span lang=\"en\">· What can go wrong</span></h2>\n\
             <ul class=\"failing\">\n{failing}</ul>\n"
        );
    }
    content += &format!(
        "<a class=\"cancel\" href=\"?{query}&amp;cancel=1\">\
         取消登录 <span lang=\"en\">Cancel</span></a>"
    );
    render_page(call, &content)
}

/// Renders QQ's error page. Unlike QQ's, it names the app that is registered.
pub(super) fn render_refusal(
    refused: Refused,
    call: &Call,
    registered: &RegisteredApp,
) -> Response<MockBody> {
    let app_id = match call.non_empty_param("client_id") {
        Some(id) => format!(" [appid: {}]", escape(id)),
        None => String::new(),
    };
    let content = format!(
        "<h1>模拟 QQ：无法登录</h1>\n\
         <p class=\"reason\" lang=\"en\">{text}{app_id} ({code})</p>\n\
         <p>真正的 QQ 也会这样拒绝。请与登记的信息核对：<br>\
         <span lang=\"en\">The real QQ refuses this, too. Compare it with the \
         registered app:</span></p>\n\
         <p>APP ID: <code>{id}</code></p>\n\
         <p>回调地址 <span lang=\"en\">Redirect URI</span>: <code>{redirect_uri}</code></p>",
        text = escape(refused.text().trim_end()),
        code = refused.code(),
        id = escape(&registered.id),
        redirect_uri = escape(&registered.redirect_uri),
    );
    render_page(call, &content)
}

fn render_person(person: &Person, query: &str) -> String {
    let initial: String = match person.fault {
        None => person.nickname.chars().take(1).collect(),
        Some(_) => "!".into(),
    };
    format!(
        "<li><a href=\"?{query}&amp;as={link}\"><i aria-hidden=\"true\">{initial}</i>\
         <span>{nickname}<small>{about}</small></span></a></li>\n",
        link = escape(&encode(&person.openid)),
        initial = escape(&initial),
        nickname = escape(&person.nickname),
        about = render_about(person),
    )
}

/// Returns the openid, or the fault.
fn render_about(person: &Person) -> String {
    let about = match &person.fault {
        None => person.openid.clone(),
        Some((endpoint, Fault::Code(code))) => format!("{endpoint:?}: {code}"),
        Some((endpoint, Fault::Latency(delay))) => format!("{endpoint:?}: {delay:?}"),
        Some((endpoint, fault)) => format!("{endpoint:?}: {fault:?}"),
    };
    escape(&about).into_owned()
}

fn render_page(call: &Call, content: &str) -> Response<MockBody> {
    let class = if call.is_mobile() {
        "mobile"
    } else {
        "desktop"
    };
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"zh-CN\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>模拟 QQ · Mock QQ</title>\n<style>\n{STYLE}</style>\n</head>\n\
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
