//! The mock as a separate HTTP server.

use std::io;

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};
use tower_service::Service;

use super::qq::MockQq;

impl MockQq {
    /// Serves HTTP/1 on this listener. Dropping the future closes all connections.
    ///
    /// # Errors
    ///
    /// Returns an error if the listener fails. A connection that fails is closed, and the server
    /// continues.
    ///
    /// # Examples
    ///
    /// ```
    /// use tokio::net::TcpListener;
    /// use tower_qq_auth::mock::MockQq;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let qq = MockQq::new("101905280", "key", "http://127.0.0.1:3000/auth/qq/callback");
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// println!("mock QQ listening on http://{}", listener.local_addr()?);
    /// let server = tokio::spawn(qq.clone().serve(listener));
    /// # server.abort();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            let qq = self.clone();
            let service = service_fn(move |request| qq.clone().call(request));
            // The journal keeps requests, so their size is limited, too.
            let mut http = http1::Builder::new();
            http.max_buf_size(64 * 1024);
            connections.spawn(http.serve_connection(TokioIo::new(stream), service));
            while connections.try_join_next().is_some() {}
        }
    }
}
