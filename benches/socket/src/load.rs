//! Requests over connections that stay open.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::Result;

const CONNECTIONS: usize = 16;

/// Sends one request again and again, and checks each response.
///
/// Each connection waits for one response. They take turns, so that the server always has requests
/// to handle unless it is faster than this client.
pub struct Load {
    connections: Vec<TcpStream>,
    request: Vec<u8>,
    body: &'static str,
    response: Vec<u8>,
}

pub struct Run {
    pub requests: usize,
    pub time: Duration,
}

impl Load {
    pub fn new(address: SocketAddr, request: &str, body: &'static str) -> Result<Self> {
        let connect = |_| {
            let connection = TcpStream::connect(address)?;
            connection.set_nodelay(true)?;
            connection.set_read_timeout(Some(Duration::from_secs(10)))?;
            Ok(connection)
        };
        let connections: Result<Vec<_>> = (0..CONNECTIONS).map(connect).collect();
        let mut load = Self {
            connections: connections?,
            request: request.into(),
            body,
            response: Vec::new(),
        };
        load.read_first()?;
        Ok(load)
    }

    /// Finds the length of the responses, which are all alike.
    fn read_first(&mut self) -> Result<()> {
        let end = format!("\r\n\r\n{}", self.body);
        self.connections[0].write_all(&self.request)?;
        while !self.response.ends_with(end.as_bytes()) {
            let mut buffer = [0; 4096];
            match self.connections[0].read(&mut buffer)? {
                0 => return Err(String::from_utf8_lossy(&self.response).into()),
                read => self.response.extend_from_slice(&buffer[..read]),
            }
        }
        self.check()
    }

    pub fn response_len(&self) -> usize {
        self.response.len()
    }

    pub fn run(&mut self, time: Duration) -> Result<Run> {
        let start = Instant::now();
        let mut requests = 0;
        for at in 0..CONNECTIONS {
            self.connections[at].write_all(&self.request)?;
        }
        while start.elapsed() < time {
            for at in 0..CONNECTIONS {
                self.receive(at)?;
                self.connections[at].write_all(&self.request)?;
            }
            requests += CONNECTIONS;
        }
        for at in 0..CONNECTIONS {
            self.receive(at)?;
        }
        requests += CONNECTIONS;
        let time = start.elapsed();
        Ok(Run { requests, time })
    }

    fn receive(&mut self, at: usize) -> Result<()> {
        self.connections[at].read_exact(&mut self.response)?;
        self.check()
    }

    fn check(&self) -> Result<()> {
        let response = &self.response;
        let is_expected = response.starts_with(b"HTTP/1.1 200 OK\r\n")
            && response.ends_with(self.body.as_bytes());
        match is_expected {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(response).into()),
        }
    }
}
