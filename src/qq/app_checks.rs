//! Checks of an app's settings: errors for values that cannot work, warnings for doubtful ones.

use std::time::Duration;

use super::app::QqApp;
use crate::absolute_url::AbsoluteUrl;
use crate::config::{ConfigError, find_wrapping};
use crate::ids::is_app_id;
use crate::redirect_uri::SETTING as REDIRECT_URI;

pub(super) const ID: &str = "app id (QQ_APP_ID)";
pub(super) const BASE_URL: &str = "base URL (QQ_BASE_URL)";

pub(super) const DEFAULT_BASE_URL: &str = "https://graph.qq.com";
const QQ_HOST: &str = "graph.qq.com";

impl QqApp {
    /// Logs a warning for each setting that is well formed and yet unlikely to work in production.
    pub(crate) fn warn_about_settings(&self) {
        let base_url = AbsoluteUrl::parse(&self.base_url);
        let host = base_url.as_ref().map(|url| url.authority.host());
        let host = host.unwrap_or_default();
        let is_qq = host.eq_ignore_ascii_case(QQ_HOST);
        let redirect_uri = &self.redirect_uri;
        let shown = redirect_uri.as_str();
        if redirect_uri.path().ends_with('/') {
            tracing::warn!("{REDIRECT_URI} ends in `/`, which QQ refuses with 100010: {shown}");
        }
        if is_qq && redirect_uri.has_port() {
            tracing::warn!("{REDIRECT_URI} has a port, which QQ refuses with 100010: {shown}");
        }
        if !is_qq && redirect_uri.is_secure() {
            let site = redirect_uri.origin();
            tracing::warn!("{BASE_URL} is not QQ's: {host} decides who signs in to {site}");
        }
    }
}

pub(super) fn check_id(setting: &str, id: String) -> Result<String, ConfigError> {
    if is_app_id(&id) {
        return Ok(id);
    }
    let problem = find_wrapping(&id).unwrap_or("must be 1 to 20 digits");
    Err(ConfigError::with_value(setting, problem, &id))
}

pub(super) fn check_key(setting: &str, key: String) -> Result<String, ConfigError> {
    if let Some(problem) = find_wrapping(&key) {
        return Err(ConfigError::new(setting, problem));
    }
    let is_valid =
        (1..=256).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_valid {
        Ok(key)
    } else {
        let problem = "must be 1 to 256 visible ASCII characters";
        Err(ConfigError::new(setting, problem))
    }
}

pub(super) fn check_base_url(text: String) -> Result<String, ConfigError> {
    // A query may hold a token.
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    let wrong = |problem: &str| Err(ConfigError::with_value(BASE_URL, problem, shown));
    if let Some(problem) = find_wrapping(&text) {
        return wrong(problem);
    }
    let Some(url) = AbsoluteUrl::parse(&text) else {
        return wrong("must be a URL such as https://graph.qq.com");
    };
    if url.uri.query().is_some() || text.contains('#') {
        return wrong("must have neither a query nor a fragment");
    }
    if !url.is_secure && !url.is_loopback() {
        return wrong("must be https, except on localhost, 127.0.0.1 and [::1]");
    }
    Ok(text.trim_end_matches('/').into())
}

pub(super) fn check_scope(scope: &str) -> Result<(), ConfigError> {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b',');
    if scope.is_empty() || !scope.bytes().all(is_allowed) {
        let problem = "must be names of QQ's APIs separated by commas, such as get_user_info";
        return Err(ConfigError::with_value("scope", problem, scope));
    }
    Ok(())
}

pub(super) fn check_timeout(setting: &str, timeout: Duration) -> Result<(), ConfigError> {
    if timeout.is_zero() || timeout > Duration::from_secs(60 * 60) {
        let problem = format!("must be greater than zero and at most an hour: {timeout:?}");
        return Err(ConfigError::new(setting, problem));
    }
    Ok(())
}
