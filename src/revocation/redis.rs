//! The revocation list of several machines, on Redis.
//!
//! One key for each entry, which Redis drops once no such session can exist any more:
//!
//! | key | value |
//! |---|---|
//! | `qq-auth:{<user>}` | cutoff for all sessions of the user, in milliseconds since the epoch |
//! | `qq-auth:{<user>}:<session>` | the same for one session |
//!
//! `<user>` is a digest of the openid under the session key and `<session>` a random number, so
//! Redis learns nothing about users. The braces keep both keys on one node of a cluster, so that a
//! check takes one round trip.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use redis::{
    Client, Cmd, FromRedisValue, Pipeline, RedisError, RedisFuture, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio::sync::OnceCell;
use tower::BoxError;

use super::{
    list::{RevocationList, UnreadableEntry},
    subject::Subject,
};
use crate::clock::{as_millis, unix_millis};
use crate::config::ConfigError;

/// Time limit for a connection and for an answer.
const TIMEOUT: Duration = Duration::from_millis(400);

/// Stores `max(stored + 1, given)` for the longer of both lifetimes, and returns what is stored.
///
/// An entry without a time to live keeps none, and one beyond 2^53 stays as it is, since Lua cannot
/// add to it. An entry that is not a timestamp is replaced.
const RAISE: &str = "\
    local text = redis.pcall('GET', KEYS[1])
    local stored = type(text) == 'string' and text:match('^%d+$') and tonumber(text)
    if stored and stored >= 2^53 and stored <= 2^64 then return text end
    local cutoff, keep_for, left = tonumber(ARGV[1]), tonumber(ARGV[2]), -2
    if stored and stored < 2^53 then
        if stored >= cutoff then cutoff = stored + 1 end
        left = redis.call('PTTL', KEYS[1])
    end
    text = string.format('%.0f', cutoff)
    if left == -1 then
        redis.call('SET', KEYS[1], text)
    else
        keep_for = string.format('%.0f', math.max(keep_for, left))
        redis.call('SET', KEYS[1], text, 'PX', keep_for)
    end
    return text";

/// A [`RevocationList`] on Redis, for a site on several machines.
///
/// It connects at the first call, and again whenever the connection breaks. A connection and an
/// answer may take 400 milliseconds each. Its keys start with `qq-auth:`, and it needs the command
/// `EVAL`.
#[derive(Clone)]
pub struct RedisRevocations {
    server: Arc<Server>,
}

struct Server {
    address: Address,
    connection: OnceCell<Connection>,
}

#[allow(clippy::large_enum_variant)] // one for each list
enum Address {
    Single(Client),
    Cluster(ClusterClient),
}

#[derive(Clone)]
enum Connection {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl RedisRevocations {
    /// Creates a list on the server or cluster at this URL.
    ///
    /// `redis://[user:password@]host[:port][/db]` is a single server, `rediss://` one over TLS.
    /// `redis+cluster://` and `rediss+cluster://` are a cluster; name one node, or several
    /// separated by commas.
    ///
    /// ```
    /// # use tower_qq_auth::{ConfigError, revocation::RedisRevocations};
    /// # fn main() -> Result<(), ConfigError> {
    /// let server = RedisRevocations::new("redis://127.0.0.1:6379")?;
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
    /// call.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        // Omits the URL and the client's error, which quotes it: the URL may contain a password.
        let invalid = |_| {
            let problem = "must be a URL such as redis://127.0.0.1:6379";
            ConfigError::new("Redis URL (REDIS_URL)", problem)
        };
        let address = if url.contains("+cluster://") {
            let nodes = url.replace("+cluster://", "://");
            let nodes = nodes.split(',').map(str::trim).collect::<Vec<_>>();
            let client = ClusterClientBuilder::new(nodes)
                .connection_timeout(TIMEOUT)
                .response_timeout(TIMEOUT)
                .build();
            Address::Cluster(client.map_err(invalid)?)
        } else {
            Address::Single(Client::open(url).map_err(invalid)?)
        };
        if url.starts_with("rediss") {
            install_cryptography();
        }
        let connection = OnceCell::new();
        let server = Arc::new(Server {
            address,
            connection,
        });
        Ok(Self { server })
    }
}

/// Installs aws-lc-rs for all TLS of this process by default, unless the app has made a choice.
/// Redis asks rustls for the default, which panics if there is none and several are compiled in.
fn install_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Fails only if another thread has just installed one.
        let _ = aws_lc_rs::default_provider().install_default();
    }
}

impl Server {
    async fn connection(&self) -> Result<Connection, RedisError> {
        let connect = async || match &self.address {
            Address::Single(client) => {
                let config = ConnectionManagerConfig::new()
                    .set_connection_timeout(Some(TIMEOUT))
                    .set_response_timeout(Some(TIMEOUT))
                    .set_number_of_retries(1)
                    .set_max_delay(Duration::from_millis(100));
                let manager = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
                Ok(Connection::Single(manager))
            }
            Address::Cluster(client) => {
                let connection = client.get_async_connection().await?;
                Ok(Connection::Cluster(connection))
            }
        };
        self.connection.get_or_try_init(connect).await.cloned()
    }

    /// Sends the commands, and retries once if the connection is gone, as idle ones may be.
    /// Repeating any of them is harmless.
    async fn query<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, BoxError> {
        let mut connection = self.connection().await.map_err(describe)?;
        let answer = match commands.query_async(&mut connection).await {
            Err(error) if error.is_io_error() && !error.is_timeout() => {
                commands.query_async(&mut connection).await
            }
            answer => answer,
        };
        answer.map_err(describe)
    }
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
        let mut raise = Cmd::new();
        raise.arg("EVAL").arg(RAISE).arg(1).arg(format_key(subject));
        raise
            .arg(unix_millis(cutoff))
            .arg(as_millis(keep_for).max(1));
        let mut commands = redis::pipe();
        commands.add_command(raise);
        let (stored,): (Vec<u8>,) = self.server.query(&commands).await?;
        Ok(parse(&stored)?)
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

/// Returns only the kind of an error: its text may contain what the server sent.
fn describe(error: RedisError) -> BoxError {
    let category = format!("redis: {}", error.category());
    // In a pipeline each command has an error of its own.
    let errors = error.into_server_errors();
    if errors.is_some_and(|errors| errors.iter().all(|(_, it)| it.code() == "WRONGTYPE")) {
        return UnreadableEntry.into();
    }
    category.into()
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

impl fmt::Debug for RedisRevocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRevocations").finish_non_exhaustive()
    }
}
