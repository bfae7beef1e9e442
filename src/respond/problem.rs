//! Failures as JSON for programs (RFC 9457).

use crate::hooks::failure_page::Failure;
use crate::language::Language;
use crate::messages::{Message, Topic, wrong_method};

pub(super) fn render_problem(failure: &Failure<'_>) -> String {
    let mut problem = serde_json::json!({
        "type": "about:blank",
        "title": failure.title(),
        "detail": failure.text(),
        "status": failure.status().as_u16(),
        "code": failure.code(),
    });
    if let Some(url) = failure.login_url() {
        problem["login_url"] = url.into();
    }
    if let Some(code) = failure.support_code() {
        problem["support_code"] = code.into();
    }
    problem.to_string()
}

/// Renders the problem of a program that used a wrong method.
pub(super) fn render_wrong_method(allow: &str, language: Language) -> String {
    let Message { title, .. } = Message::new(Topic::WrongMethod, language);
    let problem = serde_json::json!({
        "type": "about:blank",
        "title": title,
        "detail": wrong_method(allow, language),
        "status": 405,
        "code": "method_not_allowed",
    });
    problem.to_string()
}
