//! The crate through its front door: a layered app, a browser with a cookie jar, and a QQ made up.

#![allow(clippy::unwrap_used)] // Helpers do not count as tests for clippy.toml.

mod attempt;
mod mock;
mod site;

mod login;
mod payloads;
mod replies;
mod secrets;
mod sockets;
mod upstream;
