//! Failures as JSON for programs (RFC 9457).

use serde_json::Value;

use crate::error::LoginError;
use crate::hooks::failure_page::Failure;
use crate::language::Language;
use crate::messages::{Message, Topic, wrong_method};

pub(super) fn render_problem(failure: &Failure<'_>) -> String {
    let mut problem = problem(failure.error(), failure.title(), failure.text());
    if let Some(url) = failure.login_url() {
        problem["login_url"] = url.into();
    }
    problem.to_string()
}

/// Renders an error without a request: in English, for the developer of the program.
#[cfg(feature = "axum")]
pub(super) fn render_login_error(error: &LoginError) -> String {
    let Message { title, .. } = Message::new(Topic::Failure(error.kind()), Language::English);
    let text = error.to_string();
    problem(error, title, error.reason().unwrap_or(&text)).to_string()
}

fn problem(error: &LoginError, title: &str, detail: &str) -> Value {
    let mut problem = serde_json::json!({
        "type": "about:blank",
        "title": title,
        "detail": detail,
        "status": error.kind().status().as_u16(),
        "code": error.kind().code(),
    });
    if let Some(code) = error.support_code() {
        problem["support_code"] = code.into();
    }
    problem
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
