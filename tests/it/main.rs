//! Tests of the public API: an app with the layer, a browser with a cookie jar, and a mock QQ.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, but not in their helpers.

mod support;

#[cfg(feature = "revocation")]
use support::list;
use support::{attempt, http2, log, phone, process, shown, site, socket};

mod access;
#[cfg(all(feature = "metrics", feature = "redis"))]
mod alerts;
mod allocations;
mod answers;
mod axum_login;
mod begin;
mod binding;
mod caching;
mod callback;
mod chromium;
mod config;
mod cross_site;
#[cfg(all(unix, feature = "redis"))]
mod deploy;
mod doctor;
mod documents;
#[cfg(feature = "revocation")]
mod ended;
mod events;
mod examples;
mod forward;
mod goaway;
mod guards;
mod hooks;
mod hosts;
mod htmx;
mod identity;
mod initiators;
mod joining;
mod keys;
#[cfg(feature = "revocation")]
mod lists;
mod load;
mod login;
mod mock;
mod mock_qq;
mod mounting;
#[cfg(unix)]
mod nginx;
#[cfg(feature = "metrics")]
mod numbers;
mod other_layers;
#[cfg(all(unix, feature = "redis"))]
mod packaging;
mod pages;
mod payloads;
mod plain_tower;
mod popup;
mod prefix;
mod properties;
mod proxy;
mod qq_session;
mod quickstart;
#[cfg(feature = "redis")]
mod redis;
mod remember;
mod replies;
mod return_to;
#[cfg(feature = "revocation")]
mod revocation;
mod secrets;
mod session;
mod session_layout;
mod session_rules;
mod session_size;
mod several;
#[cfg(all(unix, feature = "redis"))]
mod shutdown;
#[cfg(target_os = "linux")]
mod soak;
mod sockets;
mod spa;
mod start;
mod tls;
mod tokens;
mod transport;
mod trusted_origins;
mod union_id;
mod upstream;
mod verify;
mod without_session;
