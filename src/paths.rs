//! The paths that the layer answers, and the prefix under which the public sees them.

use std::borrow::Cow;

use crate::config::ConfigError;
use crate::local_path::{REWRITTEN, is_local_path, unescape};

/// Defaults of the layer's own paths. No redirect URI may have them, so that a layer with default
/// settings can always be built.
pub(crate) const LOGIN_PATH: &str = "/auth/qq/login";
pub(crate) const LOGOUT_PATH: &str = "/auth/qq/logout";

/// A login URL has room for a `return_to` besides.
const MAX_LEN: usize = 256;

/// The paths of one layer, as requests have them: without the prefix that a proxy strips.
#[derive(Debug)]
pub(crate) struct Paths {
    /// Starts the path of every URL that leaves the layer. Empty by default.
    pub(crate) prefix: String,
    pub(crate) login: String,
    pub(crate) callback: String,
    /// `None` if the app keeps the sessions.
    pub(crate) logout: Option<String>,
}

/// A path of the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Login,
    Callback,
    Logout,
}

impl Paths {
    /// Finds the route with this path, byte for byte.
    pub(crate) fn find(&self, path: &str) -> Option<Route> {
        if path == self.login {
            Some(Route::Login)
        } else if path == self.callback {
            Some(Route::Callback)
        } else if Some(path) == self.logout.as_deref() {
            Some(Route::Logout)
        } else {
            None
        }
    }

    /// Returns whether a request has a path of the layer with the prefix, which the proxy should
    /// have stripped.
    pub(crate) fn has_unstripped_prefix(&self, path: &str) -> bool {
        if self.prefix.is_empty() {
            return false;
        }
        let inner = path.strip_prefix(self.prefix.as_str());
        inner.is_some_and(|inner| self.find(inner).is_some())
    }

    /// Returns whether the path leads to a route, with the prefix or without it, in a spelling that
    /// a proxy may change into the route's own: with needless escapes, or a slash at the end.
    pub(crate) fn leads_to_route(&self, path: &str) -> bool {
        let path = spell_out(path);
        let path = path.trim_end_matches('/');
        let inner = path.strip_prefix(self.prefix.as_str());
        let routes = [
            Some(&self.login),
            Some(&self.callback),
            self.logout.as_ref(),
        ];
        routes.into_iter().flatten().any(|route| {
            let route = spell_out(route);
            let route = route.trim_end_matches('/');
            route == path || Some(route) == inner
        })
    }

    /// Returns a path of a request as the public sees it.
    pub(crate) fn add_prefix(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Returns whether a path starts with the segments of the prefix.
    pub(crate) fn has_prefix(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.prefix.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }

    /// Returns a path with the prefix. It may have it already.
    pub(crate) fn ensure_prefix<'p>(&self, path: &'p str) -> Cow<'p, str> {
        match self.has_prefix(path) {
            true => Cow::Borrowed(path),
            false => Cow::Owned(self.add_prefix(path)),
        }
    }

    /// Returns the public path of the home page.
    pub(crate) fn home(&self) -> String {
        self.add_prefix("/")
    }

    /// Returns the public path that starts a login.
    pub(crate) fn public_login(&self) -> String {
        self.add_prefix(&self.login)
    }

    pub(crate) fn check_login(&self) -> Result<(), ConfigError> {
        self.check("login path", &self.login)
    }

    pub(crate) fn check_logout(&self) -> Result<(), ConfigError> {
        let Some(logout) = &self.logout else {
            return Ok(());
        };
        if *logout == self.login {
            let settings = "login path and logout path";
            return Err(ConfigError::with_value(settings, "must differ", logout));
        }
        self.check("logout path", logout)
    }

    fn check(&self, setting: &str, path: &str) -> Result<(), ConfigError> {
        let problem = if !is_plain(path) {
            "must be a plain path such as /auth/qq/login"
        } else if path == self.callback {
            "must differ from the path of the redirect URI"
        } else {
            return Ok(());
        };
        Err(ConfigError::with_value(setting, problem, path))
    }
}

/// Returns a path without escapes.
fn spell_out(path: &str) -> Cow<'_, str> {
    match path.contains('%') {
        true => Cow::Owned(String::from_utf8_lossy(&unescape(path)).into_owned()),
        false => Cow::Borrowed(path),
    }
}

/// Returns the path of the redirect URI without the public prefix.
pub(crate) fn strip_prefix<'p>(
    prefix: &str,
    redirect_path: &'p str,
) -> Result<&'p str, ConfigError> {
    let wrong = |problem| Err(ConfigError::with_value("public prefix", problem, prefix));
    if prefix.is_empty() {
        return Ok(redirect_path);
    }
    if !is_plain(prefix) || prefix.ends_with('/') {
        return wrong("must be a plain path such as /club, without a slash at the end");
    }
    match redirect_path.strip_prefix(prefix) {
        Some("" | "/") => wrong("must be shorter than the path of the redirect URI"),
        Some(path) if path.starts_with('/') => Ok(path),
        _ => wrong("must start the path of the redirect URI"),
    }
}

fn is_plain(path: &str) -> bool {
    (2..=MAX_LEN).contains(&path.len())
        && is_local_path(path)
        && path.bytes().all(|byte| byte.is_ascii_graphic())
        && !path.contains(['?', '#'])
        && !path.contains(REWRITTEN)
}
