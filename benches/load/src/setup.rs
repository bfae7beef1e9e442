//! The settings that the sites, their QQ and the browsers share.

pub const ID: &str = "101905280";
pub const KEY: &str = "made-up-app-key";
/// The site's address for its users. Browsers here connect to the machines themselves.
pub const CALLBACK: &str = "https://site.example/auth/qq/callback";

pub const SESSION_KEY: &str = "52043fcb5b0cc662a9b2dba76c3ada8adf52a8151c479996942a95d8755e5c6c";
pub const NEW_KEY: &str = "0a14983ae332e8d89e40cc103202851adaf970b47f759202d22e1d1198cfa9bc";

pub const SESSION_COOKIE: &str = "__Host-qq_session";

/// Returns the number in an environment variable, or else `default`.
pub fn number(variable: &str, default: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}
