//! The server: a process of its own, which starts anew for each measurement.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::routing::get;
use rustix::time::{ClockId, clock_gettime};
use tokio::{net::TcpListener, runtime};

use crate::{Result, case, core};

/// The path that tells the processor time of the server.
const TIME: &str = "/processor-time";

pub struct Server {
    process: Child,
    pub address: SocketAddr,
    /// The session cookie of a signed-in user.
    pub cookie: String,
}

impl Server {
    pub fn start(case: &str, core: usize, redis: &str) -> Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .args(["serve", case, &core.to_string(), redis])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let (address, cookie) = line.trim_end().split_once(' ').ok_or("no server")?;
        Ok(Self {
            process,
            address: address.parse()?,
            cookie: cookie.to_owned(),
        })
    }

    /// Returns the processor time that the server has used so far, in user and kernel mode.
    pub fn processor_time(&self) -> Result<Duration> {
        let mut connection = TcpStream::connect(self.address)?;
        let head = "HTTP/1.1\r\nhost: site.example\r\nconnection: close";
        connection.write_all(format!("GET {TIME} {head}\r\n\r\n").as_bytes())?;
        let mut response = String::new();
        connection.read_to_string(&mut response)?;
        let (_, nanoseconds) = response.split_once("\r\n\r\n").ok_or("no body")?;
        Ok(Duration::from_nanos(nanoseconds.parse()?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the server of a case until the process is killed.
pub fn serve(case: &str, core: usize, redis: &str) -> Result<()> {
    let subject = case::find(case)?.subject;
    core::pin(core)?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (app, cookie) = subject.app(redis).await?;
        // Added last, so that no layer handles it.
        let app = app.route(TIME, get(async || processor_time().to_string()));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{} {cookie}", listener.local_addr()?);
        Ok(axum::serve(listener, app).await?)
    })
}

/// Returns the nanoseconds that all threads of this process have used.
fn processor_time() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
