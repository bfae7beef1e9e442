//! The connection to a Redis server or cluster.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, Pipeline, RedisError,
    RedisFuture, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio::sync::OnceCell;
use tower::BoxError;

use super::failure::Failure;
use crate::revocation::list::UnreadableEntry;

/// Time limit for a connection and for an answer.
const TIMEOUT: Duration = Duration::from_millis(400);

pub(super) struct Server {
    address: Address,
    connection: OnceCell<Connection>,
}

#[allow(clippy::large_enum_variant)] // one for each list
enum Address {
    Single(Client),
    Cluster {
        client: ClusterClient,
        /// Each of the nodes as a single server.
        nodes: Vec<Client>,
    },
}

#[derive(Clone)]
pub(super) enum Connection {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Server {
    pub(super) fn new(url: &str) -> Result<Self, RedisError> {
        let address = if url.contains("+cluster://") {
            let nodes = url.replace("+cluster://", "://");
            let nodes = nodes.split(',').map(str::trim).collect::<Vec<_>>();
            let client = ClusterClientBuilder::new(nodes.clone())
                .connection_timeout(TIMEOUT)
                .response_timeout(TIMEOUT)
                .build()?;
            let nodes = nodes
                .into_iter()
                .map(Client::open)
                .collect::<Result<_, _>>()?;
            Address::Cluster { client, nodes }
        } else {
            Address::Single(Client::open(url)?)
        };
        if url.starts_with("rediss") {
            install_cryptography();
        }
        let connection = OnceCell::new();
        Ok(Self {
            address,
            connection,
        })
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.address, Address::Cluster { .. })
    }

    /// Returns whether the first server answers without TLS although its URL says `rediss`. Redis
    /// takes a TLS handshake for the start of a command and waits for the rest.
    pub(super) async fn speaks_no_tls(&self) -> bool {
        let first = match &self.address {
            Address::Single(client) => Some(client),
            Address::Cluster { nodes, .. } => nodes.first(),
        };
        let address = first.map(|client| client.get_connection_info().addr());
        let Some(ConnectionAddr::TcpTls { host, port, .. }) = address else {
            return false;
        };
        // Without the password.
        match Client::open((host.as_str(), *port)) {
            Ok(plain) => connect(&plain).await.is_ok(),
            Err(_) => false,
        }
    }

    pub(super) async fn connection(&self) -> Result<Connection, RedisError> {
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
            Address::Cluster { client, nodes } => match client.get_async_connection().await {
                Ok(connection) => Ok(Connection::Cluster(connection)),
                Err(error) => Err(find_cause(nodes).await.unwrap_or(error)),
            },
        };
        self.connection.get_or_try_init(connect).await.cloned()
    }

    /// Sends the commands, and retries once if the connection is gone, as idle ones may be.
    /// Repeating any of them does no harm.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> Result<T, BoxError> {
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

/// Installs aws-lc-rs for all TLS of this process by default, unless the app has made a choice.
/// Redis asks rustls for the default, which panics if there is none and several are compiled in.
fn install_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Fails only if another thread has just installed one.
        let _ = aws_lc_rs::default_provider().install_default();
    }
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(TIMEOUT))
        .set_response_timeout(Some(TIMEOUT));
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    connection.await
}

/// Returns the first error of the nodes of a cluster: the client of a cluster keeps only its text.
async fn find_cause(nodes: &[Client]) -> Option<RedisError> {
    for node in nodes {
        let slots = async || {
            let mut slots = redis::cmd("CLUSTER");
            slots.arg("SLOTS");
            slots.query_async::<Value>(&mut connect(node).await?).await
        };
        if let Err(error) = slots().await {
            return Some(error);
        }
    }
    None
}

/// Reduces an error to its kind: its text may contain what the server sent.
fn describe(error: RedisError) -> BoxError {
    let failure = Failure::of(&error);
    let errors = error.into_server_errors();
    if errors.is_some_and(|errors| errors.iter().all(|(_, it)| it.code() == "WRONGTYPE")) {
        return UnreadableEntry.into();
    }
    failure.into()
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
