//! The list of revoked sessions of several machines, on Redis.
//!
//! One key for each entry, which Redis drops when no such session can live any more:
//!
//! | key | value |
//! |---|---|
//! | `qq-auth:{<user>}` | milliseconds since the epoch: sessions of this user that began up to then are revoked |
//! | `qq-auth:{<user>}:<session>` | the same for this session |
//!
//! `<user>` is a digest of the openid under the session key, `<session>` a random number: Redis learns nothing of
//! anybody. The braces keep both on one node of a cluster, so that a check is one round trip.

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
use tokio::sync::OnceCell;
use tower::BoxError;

use super::{
    as_millis,
    cached::CachedRevocations,
    millis,
    revocation::{Answer, BadEntry, LookUp, Revocation, RevocationList, SessionIds},
};
use crate::ConfigError;

/// How long Redis may take to accept a connection or to answer.
const PATIENCE: Duration = Duration::from_millis(400);

/// A [`RevocationList`] on Redis, for a site on several machines.
///
/// It connects when it is first asked, and again whenever the connection breaks.
#[derive(Clone)]
pub struct RedisRevocations {
    server: Arc<Server>,
}

struct Server {
    address: Address,
    connection: OnceCell<Connection>,
}

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
    /// The list on this server, behind a [cache](CachedRevocations).
    ///
    /// `redis://[user:password@]host[:port][/db]` is a single server, `rediss://` one over TLS. `redis+cluster://` and
    /// `rediss+cluster://` are a cluster, of which one node or several separated by commas are named.
    ///
    /// ```
    /// # use tower_qq_auth::{ConfigError, RedisRevocations};
    /// # fn main() -> Result<(), ConfigError> {
    /// let one = RedisRevocations::cached("redis://127.0.0.1:6379")?;
    /// let many = RedisRevocations::cached("redis+cluster://10.0.0.1:6379,redis+cluster://10.0.0.2:6379")?;
    /// # drop((one, many));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If it is no such URL. Whether the server is there shows when it is asked.
    pub fn cached(url: &str) -> Result<CachedRevocations<Self>, ConfigError> {
        Self::new(url).map(CachedRevocations::new)
    }

    /// The list on this server, which is asked at every request of somebody who is signed in.
    ///
    /// # Errors
    ///
    /// As [`cached`](Self::cached).
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        // The error of the client may quote the URL, which may hold a password.
        let wrong = |_| {
            let problem = "is no URL such as redis://127.0.0.1:6379";
            ConfigError::new("Redis URL (REDIS_URL)", problem)
        };
        let address = if url.contains("+cluster://") {
            let nodes = url.replace("+cluster://", "://");
            let nodes = nodes.split(',').map(str::trim).collect::<Vec<_>>();
            let client = ClusterClientBuilder::new(nodes)
                .connection_timeout(PATIENCE)
                .response_timeout(PATIENCE)
                .build();
            Address::Cluster(client.map_err(wrong)?)
        } else {
            Address::Single(Client::open(url).map_err(wrong)?)
        };
        let connection = OnceCell::new();
        let server = Arc::new(Server {
            address,
            connection,
        });
        Ok(Self { server })
    }
}

impl Server {
    async fn connection(&self) -> Result<Connection, RedisError> {
        let connect = async || match &self.address {
            Address::Single(client) => {
                let config = ConnectionManagerConfig::new()
                    .set_connection_timeout(Some(PATIENCE))
                    .set_response_timeout(Some(PATIENCE))
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
}

impl Server {
    /// Asks; once more where the connection turns out to be gone, as idle ones may be: every command of ours can be
    /// repeated.
    async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, BoxError> {
        let mut connection = self.connection().await.map_err(plain)?;
        let answer = match commands.query_async(&mut connection).await {
            Err(error) if error.is_io_error() && !error.is_timeout() => {
                commands.query_async(&mut connection).await
            }
            answer => answer,
        };
        answer.map_err(plain)
    }
}

impl RevocationList for RedisRevocations {
    fn look_up(&self, session: SessionIds) -> LookUp {
        let server = Arc::clone(&self.server);
        let answer = Box::pin(async move {
            let user = format!("qq-auth:{{{}}}", session.user());
            let session = format!("{user}:{}", session.session());
            // Not MGET: it takes a key of another type for none at all.
            let mut both = redis::pipe();
            both.get(user).get(session);
            let cutoffs: [Option<Vec<u8>>; 2] = server.ask(&both).await?;
            let cutoffs = cutoffs.into_iter().flatten().map(|millis| {
                let millis = std::str::from_utf8(&millis).map_err(|_| BadEntry)?;
                let millis = millis.parse().map_err(|_| BadEntry)?;
                let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis));
                since.ok_or(BadEntry)
            });
            Ok(cutoffs.collect::<Result<Vec<_>, _>>()?.into_iter().max())
        });
        LookUp::Asking {
            stale: None,
            answer,
        }
    }

    fn revoke(&self, revocation: Revocation) -> Answer<()> {
        let server = Arc::clone(&self.server);
        Box::pin(async move {
            let mut key = format!("qq-auth:{{{}}}", revocation.user());
            if let Some(session) = revocation.session() {
                key += &format!(":{session}");
            }
            let mut set = Cmd::new();
            set.arg("SET").arg(key).arg(millis(revocation.cutoff()));
            set.arg("PX").arg(as_millis(revocation.keep()).max(1));
            let mut one = redis::pipe();
            one.add_command(set).ignore();
            server.ask(&one).await
        })
    }
}

/// The kind of an error: its text may hold what the server sent.
fn plain(error: RedisError) -> BoxError {
    let plain = format!("redis: {}", error.category());
    // Of a pipeline each command has an error of its own.
    let errors = error.into_server_errors();
    if errors.is_some_and(|errors| errors.iter().all(|(_, it)| it.code() == "WRONGTYPE")) {
        return BadEntry.into();
    }
    plain.into()
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
