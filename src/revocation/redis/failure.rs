//! The ways in which Redis fails, in words that contain nothing of its URL or its answers.

use std::{error::Error, fmt, io, sync::Arc};

use redis::{ErrorKind, RedisError, ServerError, ServerErrorKind};

use self::Failure::{
    Busy, Closed, ClusterNode, Database, Forbidden, MissingPassword, NoAnswer, NoCluster,
    NoConnection, NoTls, NoWrites, NotRedis, ReadOnly, Refused, Tls, UnknownHost, Untrusted,
    WrongPassword,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Refused,
    UnknownHost,
    NoConnection,
    NoAnswer,
    Closed,
    NotRedis,
    NoTls,
    Untrusted,
    Tls,
    WrongPassword,
    MissingPassword,
    Database,
    Forbidden,
    ReadOnly,
    NoWrites,
    Busy,
    ClusterNode,
    NoCluster,
}

/// The error codes of Redis that have a meaning here.
const CODES: &[(&str, Failure)] = &[
    ("BUSY", Busy),
    ("CLUSTERDOWN", Busy),
    ("LOADING", Busy),
    ("MASTERDOWN", Busy),
    ("MISCONF", NoWrites),
    ("MOVED", ClusterNode),
    ("NOAUTH", MissingPassword),
    ("NOPERM", Forbidden),
    ("NOREPLICAS", NoWrites),
    ("OOM", NoWrites),
    ("READONLY", ReadOnly),
    ("WRONGPASS", WrongPassword),
];

/// Parts of the texts of errors that have no code.
const TEXTS: &[(&str, Failure)] = &[
    ("ACL failure", Forbidden),
    ("The user executing the script can't", Forbidden),
    ("no permissions", Forbidden),
    ("Authentication required", MissingPassword),
    ("DB index is out of range", Database),
    ("SELECT is not allowed in cluster mode", ClusterNode),
    ("cluster support disabled", NoCluster),
];

impl Failure {
    pub(super) fn of(error: &RedisError) -> Self {
        // In a pipeline each command has an error of its own.
        if let Some(errors) = error.clone().into_server_errors() {
            return errors.first().map_or(NotRedis, |(_, error)| {
                Self::of_reply(error).unwrap_or(NotRedis)
            });
        }
        if let Some(error) = find_io_error(error) {
            return Self::of_io(error);
        }
        match error.kind() {
            ErrorKind::AuthenticationFailed => WrongPassword,
            ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => NoConnection,
            // The client has shortened the error of a `SELECT` to its text.
            ErrorKind::Server(ServerErrorKind::ResponseError) => {
                find_text(error.detail()).unwrap_or(Database)
            }
            _ => NotRedis,
        }
    }

    fn of_reply(error: &ServerError) -> Option<Self> {
        let text = error.details();
        // Before Redis 7 a script's error has the code of the command inside its text.
        let is_quoted = |code| text.is_some_and(|text| text.contains(&format!("-{code} ")));
        let mut codes = CODES.iter();
        let known = codes.find(|(code, _)| error.code() == *code || is_quoted(code));
        known.map(|(_, failure)| *failure).or(find_text(text))
    }

    fn of_io(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|error| error.downcast_ref());
        match (tls, error.kind()) {
            (Some(rustls::Error::InvalidMessage(_)), _) => NoTls,
            (Some(rustls::Error::InvalidCertificate(_)), _) => Untrusted,
            (Some(_), _) => Tls,
            (_, io::ErrorKind::ConnectionRefused) => Refused,
            (_, io::ErrorKind::TimedOut) => NoAnswer,
            (
                _,
                io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::UnexpectedEof,
            ) => Closed,
            // The standard library has no kind for it.
            _ if error.to_string().contains("failed to lookup address") => UnknownHost,
            _ => NoConnection,
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Refused => "connection refused",
            UnknownHost => "unknown host",
            NoConnection => "no connection",
            NoAnswer => "no answer in time",
            Closed => "connection closed",
            NotRedis => "unexpected answer",
            NoTls => "no TLS at this port",
            Untrusted => "untrusted certificate",
            Tls => "TLS handshake failed",
            WrongPassword => "wrong password",
            MissingPassword => "password required",
            Database => "no such database",
            Forbidden => "no permission",
            ReadOnly => "read-only replica",
            NoWrites => "writes disabled",
            Busy => "loading or busy",
            ClusterNode => "node of a cluster",
            NoCluster => "not a cluster",
        }
    }

    /// Returns what to do about it.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Refused => "start the server, or correct host and port",
            UnknownHost | NoConnection => "correct the host, or check the network",
            NoAnswer => "check host, port and firewall, and use redis:// for a port without TLS",
            Closed => "use rediss:// for a port with TLS",
            NotRedis => "check that Redis 5 or later is at this host and port",
            NoTls => "use redis:// instead of rediss://",
            Untrusted => {
                "install its authority on this machine (or name it in SSL_CERT_FILE), and connect \
                 to a name in the certificate"
            }
            Tls => "check the TLS settings of the server; client certificates are not supported",
            WrongPassword => {
                "correct user and password, and percent-encode special characters (@ is %40, / is \
                 %2F)"
            }
            MissingPassword => "add it, as in redis://:password@host or redis://user:password@host",
            Database => "use a number below the server's setting `databases`",
            Forbidden => "allow the user EVAL, GET, SET, PTTL and TIME on ~qq-auth:*",
            ReadOnly => "connect to the primary",
            NoWrites => "its memory, disk or replicas do not allow them; see the server's log",
            Busy => "try again once the server is ready",
            ClusterNode => "use redis+cluster:// (rediss+cluster:// for TLS), without a database",
            NoCluster => "use redis:// (rediss:// for TLS)",
        }
    }
}

fn find_text(text: Option<&str>) -> Option<Failure> {
    let text = text?;
    let found = TEXTS.iter().find(|(part, _)| text.contains(part));
    found.map(|(_, failure)| *failure)
}

/// Finds the I/O error, which the client keeps in an `Arc`.
fn find_io_error(error: &RedisError) -> Option<&io::Error> {
    let source = error.source()?;
    let shared = source.downcast_ref::<Arc<dyn Error + Send + Sync>>();
    match shared {
        Some(shared) => shared.downcast_ref(),
        None => source.downcast_ref(),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redis: {}", self.text())
    }
}

impl Error for Failure {}
