//! The paths that the layer answers.

use crate::config::ConfigError;
use crate::local_path::{REWRITTEN, is_local_path};

/// Defaults of the layer's own paths. No redirect URI may have them, so that a layer with default
/// settings can always be built.
pub(crate) const LOGIN_PATH: &str = "/auth/qq/login";
pub(crate) const LOGOUT_PATH: &str = "/auth/qq/logout";

/// A login URL has room for a `return_to` besides.
const MAX_LEN: usize = 256;

/// The paths of one layer.
#[derive(Debug)]
pub(crate) struct Paths {
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
        let is_plain = (2..=MAX_LEN).contains(&path.len())
            && is_local_path(path)
            && path.bytes().all(|byte| byte.is_ascii_graphic())
            && !path.contains(['?', '#'])
            && !path.contains(REWRITTEN);
        let problem = if !is_plain {
            "must be a plain path such as /auth/qq/login"
        } else if path == self.callback {
            "must differ from the path of the redirect URI"
        } else {
            return Ok(());
        };
        Err(ConfigError::with_value(setting, problem, path))
    }
}
