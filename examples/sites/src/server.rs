//! A QQ, made up or real, and an address to listen on. Nothing in it is of axum.

#![allow(dead_code)] // Each example uses a part of it.

use std::{
    env,
    error::Error,
    io::{self, IsTerminal, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use tokio::net::TcpListener;
use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, SessionKeys, mock::MockQq};
use tracing_subscriber::EnvFilter;

/// Runs an example: what is logged goes to stderr, and so does the one line that tells why it failed.
pub(crate) async fn main(example: impl Future<Output = Result<(), Box<dyn Error>>>) -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    match example.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// A place for a site, and the QQ that its people sign in with.
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    callback: String,
    client: QqClient,
    keys: SessionKeys,
    mock: Option<MockQq>,
}

impl Server {
    /// The real QQ if any of its variables is set, or else one made up.
    pub(crate) async fn from_env() -> Result<Self, Box<dyn Error>> {
        let real = if is_configured() {
            Some((QqApp::from_env()?, SessionKeys::from_env()?))
        } else {
            None
        };
        let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
        let listener = TcpListener::bind(&listen)
            .await
            .map_err(|error| format!("LISTEN: cannot listen on {listen:?}: {error}"))?;
        let address = listener.local_addr()?;
        match real {
            Some((app, keys)) => Ok(Self {
                listener,
                address,
                callback: app.redirect_uri().into(),
                client: QqClient::new(app),
                keys,
                mock: None,
            }),
            None => Self::with_mock(listener, address),
        }
    }

    /// A made-up QQ beside the site, which is also where the layer sends its questions.
    fn with_mock(listener: TcpListener, mut address: SocketAddr) -> Result<Self, Box<dyn Error>> {
        if address.ip().is_unspecified() {
            // In a container the address has to be this one; the browser still comes by a loopback address.
            say(
                "LISTEN        every address of this machine, and everybody is let in: for containers only",
            )?;
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        if !address.ip().is_loopback() {
            return Err(
                "LISTEN: without QQ_APP_ID everybody is let in, so only a loopback address will do"
                    .into(),
            );
        }
        let (id, key) = ("101905280", "made-up-app-key");
        let callback = format!("http://{address}/auth/qq/callback");
        let app = QqApp::new(id, key, &callback)?.base_url(format!("http://{address}/mock-qq"))?;
        let mock = MockQq::new(id, key, &callback);
        let client = QqClient::with_service(app, mock.clone());
        Ok(Self {
            listener,
            address,
            callback,
            client,
            keys: SessionKeys::generate(),
            mock: Some(mock),
        })
    }

    /// The layer, as yet without what the site sets.
    pub(crate) fn qq(&self) -> QqAuthLayer {
        QqAuthLayer::with_client(self.client(), self.keys.clone())
    }

    /// What asks QQ, for a site that has questions of its own.
    pub(crate) fn client(&self) -> QqClient {
        self.client.clone()
    }

    /// Whether people come by https, so that cookies can be kept to it.
    pub(crate) fn is_https(&self) -> bool {
        self.callback.starts_with("https:")
    }

    /// The address without its port.
    pub(crate) fn host(&self) -> IpAddr {
        self.address.ip()
    }

    /// Says where it is, and gives what there is to serve: the site on this listener, and the mock at `/mock-qq`.
    pub(crate) fn announce(self) -> io::Result<(TcpListener, Option<MockQq>)> {
        let (address, callback) = (self.address, self.callback);
        if self.mock.is_some() {
            say(&format!("open          http://{address}/"))?;
            say(&format!(
                "callback      {callback}   (with a real app: register its own at connect.qq.com)"
            ))?;
            say(
                "QQ            made up, inside this program; set QQ_APP_ID, QQ_APP_KEY, QQ_REDIRECT_URI and QQ_SESSION_KEY for the real one",
            )?;
        } else {
            // The first three parts of a URL: scheme, nothing, host.
            let origin = callback.split('/').take(3).collect::<Vec<_>>().join("/");
            say(&format!(
                "open          {origin}/   (listening on {address})"
            ))?;
            say(&format!(
                "callback      {callback}   (register exactly this at connect.qq.com)"
            ))?;
        }
        Ok((self.listener, self.mock))
    }
}

/// Whether anybody began to configure a real app. What is missing then is an error, not a reason to make one up.
fn is_configured() -> bool {
    [
        "QQ_APP_ID",
        "QQ_APP_KEY",
        "QQ_APP_KEY_FILE",
        "QQ_REDIRECT_URI",
        "QQ_BASE_URL",
        "QQ_SESSION_KEY",
    ]
    .into_iter()
    .any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
}

pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
