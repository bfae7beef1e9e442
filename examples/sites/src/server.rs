//! A listener, and QQ or a mock of it. Nothing here depends on axum.

use std::{
    env,
    error::Error,
    io::{self, IsTerminal},
    net::{IpAddr, SocketAddr},
};

use tokio::net::TcpListener;
use tower_qq_auth::{QqApp, QqAppBuilder, QqClient, SessionKeys, mock::MockQq};
use tracing_subscriber::EnvFilter;

/// A listener for a site, and the QQ at which its users sign in.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    /// The URL that users open, if it is not the listener's.
    page: Option<String>,
    redirect_uri: String,
    client: QqClient,
    keys: SessionKeys,
    mock: Option<MockQq>,
}

impl Server {
    /// Starts logging and listens at `LISTEN`. Uses the real QQ if one of its variables is set, and
    /// a mock otherwise.
    ///
    /// # Errors
    ///
    /// Returns an error if a variable is missing or wrong, or the address is not available.
    pub async fn from_env() -> Result<Self, Box<dyn Error>> {
        Self::with_listener(listen("LISTEN", "127.0.0.1:3000").await?)
    }

    /// Starts like [`from_env`](Self::from_env), with a listener from [`listen`].
    ///
    /// # Errors
    ///
    /// Returns an error if a variable is missing or wrong.
    pub fn with_listener(listener: TcpListener) -> Result<Self, Box<dyn Error>> {
        Self::with_app(listener, |app| app)
    }

    /// Does the same with more settings of the QQ app.
    ///
    /// # Errors
    ///
    /// Returns an error if a variable or a setting is missing or wrong.
    pub fn with_app(
        listener: TcpListener,
        set: impl FnOnce(QqAppBuilder) -> QqAppBuilder,
    ) -> Result<Self, Box<dyn Error>> {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        // Fails if the example has started a log of its own, which then stays.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .try_init();
        let address = listener.local_addr()?;
        if !is_configured() {
            return Self::with_mock(listener, address, set);
        }
        let app = set(QqApp::builder_from_env()).build()?;
        Ok(Self {
            listener,
            address,
            page: None,
            redirect_uri: app.redirect_uri().into(),
            client: QqClient::new(app),
            keys: SessionKeys::from_env()?,
            mock: None,
        })
    }

    fn with_mock(
        listener: TcpListener,
        address: SocketAddr,
        set: impl FnOnce(QqAppBuilder) -> QqAppBuilder,
    ) -> Result<Self, Box<dyn Error>> {
        if !address.ip().is_loopback() {
            return Err("anyone can sign in with the mock: listen on a loopback address".into());
        }
        let (id, key) = ("101905280", "made-up-app-key");
        let redirect_uri = format!("http://{address}/auth/qq/callback");
        let app =
            QqApp::builder(id, key, &redirect_uri).base_url(format!("http://{address}/mock-qq"));
        let app = set(app).build()?;
        let mock = MockQq::new(id, key, &redirect_uri);
        Ok(Self {
            listener,
            address,
            page: None,
            redirect_uri,
            client: QqClient::with_service(app, mock.clone()),
            keys: SessionKeys::generate(),
            mock: Some(mock),
        })
    }

    /// Returns the client for the layer.
    pub fn client(&self) -> QqClient {
        self.client.clone()
    }

    /// Returns the mock, unless users sign in at the real QQ.
    pub fn mock(&self) -> Option<&MockQq> {
        self.mock.as_ref()
    }

    /// Returns `DATABASE_URL`. With the mock it is in memory by default.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not set and users sign in at the real QQ: a database in memory gives
    /// the same ids again after a restart, while the sessions go on.
    pub fn database_url(&self) -> Result<String, Box<dyn Error>> {
        match (env::var("DATABASE_URL"), &self.mock) {
            (Ok(url), _) => Ok(url),
            (Err(_), Some(_)) => Ok("sqlite::memory:".into()),
            (Err(_), None) => Err("DATABASE_URL is not set, such as sqlite:users.db".into()),
        }
    }

    /// Returns the session keys for the layer.
    pub fn keys(&self) -> SessionKeys {
        self.keys.clone()
    }

    /// Returns whether browsers use https, so that the app's own cookies can be `Secure`.
    pub fn is_https(&self) -> bool {
        self.redirect_uri.starts_with("https:")
    }

    /// Returns the site's own origin, which is the start of its redirect URI.
    pub fn origin(&self) -> &str {
        let uri = &self.redirect_uri;
        let path = uri.match_indices('/').nth(2); // after the two of `https://`
        path.map_or(uri, |(at, _)| &uri[..at])
    }

    /// Returns the address without its port.
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Sets the URL that users open, for a site whose page is elsewhere.
    #[must_use]
    pub fn with_page(mut self, url: String) -> Self {
        self.page = Some(url);
        self
    }

    /// Prints the URLs, and returns the listener for the site and the mock to serve at `/mock-qq`.
    pub fn announce(self) -> (TcpListener, Option<MockQq>) {
        if self.mock.is_some() {
            let page = self.page;
            let page = page.unwrap_or_else(|| format!("http://{}/", self.address));
            println!("open          {page}");
            println!("callback      {}", self.redirect_uri);
            println!(
                "QQ            a mock inside this program; set QQ_APP_ID etc. for the real one"
            );
        } else {
            println!("listening     {}", self.address);
            println!("callback      {}", self.redirect_uri);
        }
        (self.listener, self.mock)
    }
}

/// Listens at the address in a variable, or else at `default`.
///
/// # Errors
///
/// Returns an error if the address is not available.
pub async fn listen(variable: &str, default: &str) -> Result<TcpListener, String> {
    let address = env::var(variable).unwrap_or_else(|_| default.into());
    TcpListener::bind(&address)
        .await
        .map_err(|error| format!("cannot listen on {variable}={address}: {error}"))
}

/// `QQ_PHONE_APP_ID` alone sets the phone apps of the mock.
fn is_configured() -> bool {
    env::vars_os().any(|(name, value)| {
        let name = name.to_string_lossy();
        name.starts_with("QQ_") && name != "QQ_PHONE_APP_ID" && !value.is_empty()
    })
}
