//! The memory of revocations in Redis.

use std::{sync::Arc, time::Instant};

use tower_qq_auth::{
    OpenId, QqApp, QqAuthLayer, QqClient, SessionKeys, mock::MockQq, revocation::RedisRevocations,
    session::SessionId,
};

use crate::{
    fill::{AsyncWork, for_each},
    process::Redis,
    setup::{CALLBACK, ID, KEY, number},
};

struct Revoker {
    layer: QqAuthLayer,
    of_session: bool,
}

impl AsyncWork for Revoker {
    async fn work(&mut self, number: u64) {
        let user = OpenId::new(format!("{number:032X}")).expect("an openid");
        let id: SessionId = format!("{number:032x}").parse().expect("an id");
        let revoke = async || match self.of_session {
            true => self.layer.revoke_session(&user, id).await,
            false => self.layer.revoke_user(&user).await,
        };
        // A call may run late on a busy computer, and does no harm twice.
        while revoke().await.is_err() {}
    }
}

pub async fn measure(redis: &Redis) {
    let entries = number("LOAD_ENTRIES", 1_000_000);
    let app = QqApp::new(ID, KEY, CALLBACK).expect("settings");
    let client = QqClient::with_service(app, MockQq::new(ID, KEY, CALLBACK));
    let list = RedisRevocations::new(&redis.url).expect("a URL");
    let layer = QqAuthLayer::builder(client, SessionKeys::generate()).revocations(list);
    let layer = Arc::new(layer.build().expect("settings"));
    println!("## {entries} revocations in Redis\n");
    println!("| revoked | memory | bytes each | processor time of Redis each | revocations/s |");
    println!("|---|---:|---:|---:|---:|");
    for of_session in [true, false] {
        redis.clear();
        let memory = redis.info("used_memory");
        let (processor, start) = (redis.processor(), Instant::now());
        for_each(entries, 64, || Revoker {
            layer: (*layer).clone(),
            of_session,
        })
        .await;
        let elapsed = start.elapsed().as_secs_f64();
        let memory = redis.info("used_memory") - memory;
        let each = 1.0 / entries as f64;
        println!(
            "| {} | {:.0} MB | {:.0} | {:.1} µs | {:.0} |",
            if of_session { "sessions" } else { "users" },
            memory / 1e6,
            memory * each,
            (redis.processor() - processor) * each * 1e6,
            entries as f64 / elapsed,
        );
    }
    redis.clear();
    println!();
}
