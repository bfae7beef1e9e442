//! A signed token in a cookie, which handlers decode.

use std::sync::Arc;

use axum::{Router, extract::State, http::HeaderMap, routing::get};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use tower::layer::util::Identity;

use crate::{
    MINE, PUBLIC, Subject,
    user::{User, user},
};

#[derive(Serialize, Deserialize)]
struct Claims {
    exp: u64,
    user: User,
}

struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

pub fn subject() -> Subject {
    let secret = b"a secret of at least thirty-two bytes";
    let claims = Claims {
        exp: u64::from(u32::MAX),
        user: user(),
    };
    let token = encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(secret),
    );
    let verifier = Arc::new(Verifier {
        key: DecodingKey::from_secret(secret),
        validation: Validation::default(),
    });
    let app = Router::new()
        .route(PUBLIC, get(async || "public"))
        .route(MINE, get(mine))
        .with_state(verifier)
        .layer(Identity::new());
    let token = token.expect("a token");
    Subject::new("jsonwebtoken, HS256", app, format!("jwt={token}"))
}

async fn mine(State(verifier): State<Arc<Verifier>>, headers: HeaderMap) -> String {
    let cookies = headers["cookie"].to_str().expect("ASCII");
    let token = cookies
        .split("; ")
        .find_map(|pair| pair.strip_prefix("jwt="));
    let claims = decode::<Claims>(token.expect("a token"), &verifier.key, &verifier.validation);
    claims.expect("a valid token").claims.user.nickname
}
