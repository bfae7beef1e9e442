//! A Redis server for the run.

use std::{
    io::ErrorKind,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::Result;

pub struct RedisServer {
    process: Child,
    url: String,
}

impl RedisServer {
    /// Starts a server that keeps nothing on disk. Returns `None` if Redis is not installed.
    pub fn start() -> Result<Option<Self>> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn();
        let process = match process {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            process => process?,
        };
        let url = format!("redis://{address}");
        let server = Self { process, url };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if start.elapsed() > Duration::from_secs(10) {
                return Err("redis-server does not start".into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Some(server))
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
