//! The check of a Redis server at start.

use std::time::{Duration, SystemTime};

use redis::Value;
use tower::BoxError;

use super::failure::Failure;
use super::{RedisRevocations, SETTING, format_key};
use crate::config::ConfigError;
use crate::revocation::list::RevocationList;
use crate::revocation::subject::Subject;

/// Time limit of the whole check.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Keys of other slots, at least one of which another node of a cluster has.
const OTHER_KEYS: usize = 16;

impl RedisRevocations {
    /// Checks that the server can be used, for a site that should not start otherwise.
    ///
    /// It connects and does all that a site does, on keys of its own that expire within a second.
    /// It takes 4 seconds at most. If the server may evict entries (any `maxmemory-policy` but
    /// `noeviction`), it logs a warning: evicted revocations bring sessions back.
    ///
    /// ```no_run
    /// # use tower_qq_auth::{ConfigError, revocation::RedisRevocations};
    /// # async fn start() -> Result<(), ConfigError> {
    /// let list = RedisRevocations::new("redis://127.0.0.1:6379")?;
    /// list.check().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the server cannot be used, with the cause and what to do.
    pub async fn check(&self) -> Result<(), ConfigError> {
        let used = tokio::time::timeout(TIMEOUT, self.use_until_answer()).await;
        match used.unwrap_or_else(|_| Err(Failure::NoAnswer.into())) {
            Ok(Some(true)) => tracing::warn!(
                "Redis may evict revocations, which brings revoked sessions back: set its \
                 maxmemory-policy to noeviction"
            ),
            Ok(Some(false)) => {}
            Ok(None) => tracing::warn!(
                "Redis does not show its maxmemory-policy, which must be noeviction: allow INFO, \
                 or check it yourself"
            ),
            Err(error) => {
                let failure = self.find_failure(error).await;
                let (text, advice) = (failure.text(), failure.advice());
                let problem = format!("cannot be used: {text}: {advice}");
                return Err(ConfigError::new(SETTING, problem));
            }
        }
        Ok(())
    }

    async fn find_failure(&self, error: BoxError) -> Failure {
        match error.downcast_ref() {
            Some(Failure::NoAnswer) if self.server.speaks_no_tls().await => Failure::NoTls,
            Some(failure) => *failure,
            None => Failure::NotRedis,
        }
    }

    /// Tries again while there is no answer: when a site starts, a handshake of TLS can take longer
    /// than a call may.
    async fn use_until_answer(&self) -> Result<Option<bool>, BoxError> {
        loop {
            match self.use_once().await {
                Err(error) if matches!(error.downcast_ref(), Some(Failure::NoAnswer)) => {}
                result => return result,
            }
        }
    }

    /// Runs what a site runs, on a random user and session, and returns whether the server may
    /// evict them.
    async fn use_once(&self) -> Result<Option<bool>, BoxError> {
        const KEEP_FOR: Duration = Duration::from_secs(1);
        let random = Subject::random;
        if !self.server.is_cluster() {
            let mut commands = redis::pipe();
            for _ in 0..OTHER_KEYS {
                commands.get(format_key(random()));
            }
            self.server.query::<Vec<Value>>(&commands).await?;
        }
        let session = random();
        let cutoff = self
            .raise_cutoff(session, SystemTime::UNIX_EPOCH, KEEP_FOR)
            .await?;
        if self.latest_cutoff(session).await? != Some(cutoff) {
            return Err(Failure::NotRedis.into());
        }
        let stamp = cutoff + Duration::from_millis(1);
        let raise = self.raise_user_cutoff(session, stamp, SystemTime::UNIX_EPOCH, KEEP_FOR);
        raise.await?.ok_or(Failure::NotRedis)?;
        Ok(self.may_evict().await)
    }

    /// Returns `None` if the server does not tell.
    async fn may_evict(&self) -> Option<bool> {
        let mut connection = self.server.connection().await.ok()?;
        let mut info = redis::cmd("INFO");
        let info = info.arg("memory").query_async(&mut connection).await;
        info.ok().map(|info| has_evicting_policy(&info))
    }
}

/// Reads the reply to `INFO memory`, or the replies of all nodes of a cluster.
fn has_evicting_policy(info: &Value) -> bool {
    let text = match info {
        Value::BulkString(text) => String::from_utf8_lossy(text),
        Value::VerbatimString { text, .. } => text.into(),
        Value::Map(nodes) => return nodes.iter().any(|(_, info)| has_evicting_policy(info)),
        _ => return false,
    };
    let mut policies = text
        .lines()
        .filter_map(|line| line.strip_prefix("maxmemory_policy:"));
    policies.any(|policy| policy != "noeviction")
}
