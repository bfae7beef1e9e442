//! The revocation list of several machines, on Redis.
//!
//! One key for each entry, which Redis drops once no such session can exist any more:
//!
//! | key | value |
//! |---|---|
//! | `qq-auth:{<user>}` | cutoff for all sessions of the user, in milliseconds since the epoch |
//! | `qq-auth:{<user>}:<session>` | the same for one session |
//!
//! `<user>` is a digest of app id and openid, and `<session>` a random number. The braces keep both
//! keys on one node of a cluster, so that a check takes one round trip and a script can take both.

mod check;
mod failure;
mod server;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use redis::{Cmd, FromRedisValue};
use tower::BoxError;

use self::server::Server;
use super::{
    list::{RevocationList, UnreadableEntry},
    subject::Subject,
};
use crate::clock::{as_millis, unix_millis};
use crate::config::ConfigError;

const SETTING: &str = "Redis URL (REDIS_URL)";

/// Raises a cutoff; see its first lines.
const RAISE: &str = include_str!("redis/raise.lua");

/// A [`RevocationList`] on Redis, for a site on several machines.
///
/// It connects at the first call, and again whenever the connection breaks. A connection and an
/// answer may take 400 milliseconds each. [`check`](Self::check) finds a wrong URL or server at
/// start.
///
/// It needs Redis 5 or later. Its keys start with `qq-auth:`. If Redis has ACL users, the one in
/// the URL needs `EVAL`, `GET`, `SET`, `PTTL` and `TIME` on these keys, and for a cluster `CLUSTER
/// SLOTS`.
#[derive(Clone)]
pub struct RedisRevocations {
    server: Arc<Server>,
}

impl RedisRevocations {
    /// Creates a list on the server or cluster at this URL.
    ///
    /// `redis://[user:password@]host[:port][/db]` is a single server, `rediss://` one over TLS.
    /// `redis+cluster://` and `rediss+cluster://` are a cluster; name one node, or several
    /// separated by commas.
    ///
    /// Special characters of user and password are percent-encoded: the password `p@ss/word` is
    /// written `p%40ss%2Fword`.
    ///
    /// ```
    /// # use tower_qq_auth::{ConfigError, revocation::RedisRevocations};
    /// # fn main() -> Result<(), ConfigError> {
    /// let server = RedisRevocations::new("redis://:p%40ss%2Fword@127.0.0.1:6379")?;
    /// let cluster =
    ///     RedisRevocations::new("redis+cluster://10.0.0.1:6379,redis+cluster://10.0.0.2:6379")?;
    /// # drop((server, cluster));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// TLS uses the cryptography that the app has installed in rustls for its process. If there is
    /// none, a `rediss` URL installs aws-lc-rs, because rustls chooses none by itself once the app
    /// contains a second one.
    ///
    /// # Errors
    ///
    /// Returns an error if `url` is not such a URL. The server is first contacted by the first
    /// call, or by [`check`](Self::check).
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        // Omits the URL and the client's error, which quotes it: the URL may contain a password.
        let server = Server::new(url).map_err(|_| {
            let problem = "must be a URL such as redis://127.0.0.1:6379, with special characters \
                           of the password percent-encoded (@ is %40, / is %2F)";
            ConfigError::new(SETTING, problem)
        })?;
        let server = Arc::new(server);
        Ok(Self { server })
    }

    async fn run<T: FromRedisValue>(&self, command: Cmd) -> Result<T, BoxError> {
        let mut commands = redis::pipe();
        commands.add_command(command);
        let (answer,) = self.server.query(&commands).await?;
        Ok(answer)
    }
}

/// Returns the script's call for these keys, which must be those of one user.
fn raise(keys: &[String], cutoff: SystemTime, keep_for: Duration) -> Cmd {
    let mut command = Cmd::new();
    command.arg("EVAL").arg(RAISE).arg(keys.len()).arg(keys);
    command
        .arg(unix_millis(cutoff))
        .arg(as_millis(keep_for).max(1));
    command
}

impl RevocationList for RedisRevocations {
    async fn latest_cutoff(&self, session: Subject) -> Result<Option<SystemTime>, BoxError> {
        // MGET would take a key of another type for a missing one.
        let mut commands = redis::pipe();
        commands
            .get(format_user_key(session))
            .get(format_key(session));
        let cutoffs: [Option<Vec<u8>>; 2] = self.server.query(&commands).await?;
        let cutoffs = cutoffs.into_iter().flatten().map(|cutoff| parse(&cutoff));
        let cutoffs = cutoffs.collect::<Result<Vec<_>, _>>()?;
        Ok(cutoffs.into_iter().max())
    }

    async fn raise_cutoff(
        &self,
        subject: Subject,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<SystemTime, BoxError> {
        let command = raise(&[format_key(subject)], cutoff, keep_for);
        let stored: Vec<u8> = self.run(command).await?;
        Ok(parse(&stored)?)
    }

    async fn raise_user_cutoff(
        &self,
        session: Subject,
        stamp: SystemTime,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<Option<SystemTime>, BoxError> {
        let keys = [format_user_key(session), format_key(session)];
        let mut command = raise(&keys, cutoff, keep_for);
        command.arg(unix_millis(stamp));
        let stored: Option<Vec<u8>> = self.run(command).await?;
        Ok(stored.map(|stored| parse(&stored)).transpose()?)
    }
}

fn format_user_key(subject: Subject) -> String {
    format!("qq-auth:{{{:032x}}}", u128::from_be_bytes(*subject.user()))
}

fn format_key(subject: Subject) -> String {
    let user = format_user_key(subject);
    match subject.session() {
        Some(session) => format!("{user}:{:032x}", u128::from_be_bytes(*session)),
        None => user,
    }
}

fn parse(cutoff: &[u8]) -> Result<SystemTime, UnreadableEntry> {
    let millis = std::str::from_utf8(cutoff).map_err(|_| UnreadableEntry)?;
    let millis = millis.parse().map_err(|_| UnreadableEntry)?;
    let cutoff = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis));
    cutoff.ok_or(UnreadableEntry)
}

impl fmt::Debug for RedisRevocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRevocations").finish_non_exhaustive()
    }
}
