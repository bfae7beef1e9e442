//! The crate through its front door: a layered app, a browser with a cookie jar, and a QQ made up.

#![allow(clippy::unwrap_used)] // Helpers do not count as tests for clippy.toml.

mod attempt;
mod mock;
mod process;
mod site;
mod socket;

mod access;
mod allocations;
mod callback;
mod config;
mod examples;
mod login;
mod mounting;
mod payloads;
mod quickstart;
#[cfg(feature = "redis")]
mod redis;
mod replies;
mod return_to;
#[cfg(feature = "revocation")]
mod revocation;
mod secrets;
mod session;
mod sockets;
mod transport;
mod upstream;
