//! What the app configures.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::sync::Semaphore;
use tower_layer::Layer;

use crate::{
    ConfigError, QqAuth, QqClient, SessionKeys,
    flow::{Flow, Paths},
};

/// Signs people in with QQ around any service: see the [crate's page](crate) for an example.
///
/// Put it on last, on the outermost router. Cloning is cheap.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct QqAuthLayer {
    flow: Arc<Flow>,
}

impl QqAuthLayer {
    /// A layer that reaches QQ by the built-in client.
    #[cfg(feature = "reqwest")]
    pub fn new(app: crate::QqApp, keys: SessionKeys) -> Self {
        Self::with_client(QqClient::new(app), keys)
    }

    /// A layer that reaches QQ by this client.
    pub fn with_client(client: QqClient, keys: SessionKeys) -> Self {
        let flow = Arc::new(Flow::new(client, &keys));
        Self { flow }
    }

    /// The path that starts a login. By default `/auth/qq/login`.
    ///
    /// # Errors
    ///
    /// If it is no plain path, or one of the other two paths.
    pub fn login_path(self, path: impl Into<String>) -> Result<Self, ConfigError> {
        let login = path.into();
        self.paths("login path", |paths| paths.login = login)
    }

    /// The path that ends a session. By default `/auth/qq/logout`.
    ///
    /// # Errors
    ///
    /// If it is no plain path, or one of the other two paths.
    pub fn logout_path(self, path: impl Into<String>) -> Result<Self, ConfigError> {
        let logout = path.into();
        self.paths("logout path", |paths| paths.logout = logout)
    }

    /// How long somebody stays signed in without visiting. By default 7 days.
    ///
    /// A visit in the second half of that time makes it start anew.
    ///
    /// # Errors
    ///
    /// If it is under a minute.
    pub fn session_idle(mut self, idle: Duration) -> Result<Self, ConfigError> {
        let idle = at_least_a_minute(idle, "session idle time")?;
        self.edit().sessions.idle = idle;
        Ok(self)
    }

    /// How long somebody stays signed in at most, visits or not. By default 30 days.
    ///
    /// # Errors
    ///
    /// If it is under a minute.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Result<Self, ConfigError> {
        let lifetime = at_least_a_minute(lifetime, "session lifetime")?;
        self.edit().sessions.lifetime = lifetime;
        Ok(self)
    }

    /// How many logins may wait for QQ at once; more are told to come back. By default 256.
    ///
    /// # Errors
    ///
    /// If it is 0, or more than a semaphore can count.
    pub fn max_logins_in_flight(mut self, most: usize) -> Result<Self, ConfigError> {
        if most == 0 || most > Semaphore::MAX_PERMITS {
            return Err(ConfigError::new("logins in flight", "must be 1 or more"));
        }
        self.edit().in_flight = Arc::new(Semaphore::new(most));
        Ok(self)
    }

    /// Where the time comes from, for tests. By default [`SystemTime::now`].
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.edit().clock = Arc::new(clock);
        self
    }

    fn edit(&mut self) -> &mut Flow {
        Arc::make_mut(&mut self.flow)
    }

    fn paths(
        mut self,
        setting: &'static str,
        change: impl FnOnce(&mut Paths),
    ) -> Result<Self, ConfigError> {
        let paths = &mut self.edit().paths;
        change(paths);
        paths.check(setting)?;
        Ok(self)
    }
}

fn at_least_a_minute(time: Duration, setting: &'static str) -> Result<Duration, ConfigError> {
    if time < Duration::from_secs(60) {
        return Err(ConfigError::new(setting, "must be a minute or more"));
    }
    Ok(time)
}

impl<S> Layer<S> for QqAuthLayer {
    type Service = QqAuth<S>;

    fn layer(&self, inner: S) -> QqAuth<S> {
        QqAuth::new(inner, Arc::clone(&self.flow))
    }
}
