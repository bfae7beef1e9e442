//! The crate through its front door: a layered app, a browser with a cookie jar, and a QQ made up.

#![allow(clippy::unwrap_used)] // Helpers do not count as tests for clippy.toml.

mod mock;
mod site;

mod access;
mod callback;
mod config;
mod login;
mod quickstart;
mod return_to;
mod session;
