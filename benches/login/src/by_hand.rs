//! The usual code of an app without this crate: a client for each login, and three calls in turn.

use serde::Deserialize;

use crate::site::{CALLBACK, ID, KEY};

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
struct Me {
    openid: String,
}

#[derive(Deserialize)]
struct Profile {
    nickname: String,
}

/// Exchanges a code and returns the nickname of the user.
pub async fn login(base_url: &str, code: &str) -> reqwest::Result<String> {
    let client = reqwest::Client::new();
    let get = async |path: &str, query: &[(&str, &str)]| {
        let sent = client.get(format!("{base_url}{path}")).query(query).send();
        sent.await?.error_for_status()
    };
    let token: Token = get(
        "/oauth2.0/token",
        &[
            ("grant_type", "authorization_code"),
            ("client_id", ID),
            ("client_secret", KEY),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("fmt", "json"),
        ],
    )
    .await?
    .json()
    .await?;
    let token = &token.access_token;
    let me: Me = get("/oauth2.0/me", &[("access_token", token), ("fmt", "json")])
        .await?
        .json()
        .await?;
    let query = [
        ("access_token", token.as_str()),
        ("oauth_consumer_key", ID),
        ("openid", &me.openid),
    ];
    let profile: Profile = get("/user/get_user_info", &query).await?.json().await?;
    Ok(profile.nickname)
}
