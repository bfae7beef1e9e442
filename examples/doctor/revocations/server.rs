//! A call to the Redis server, by the revocation list that a site has.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use tower::BoxError;
use tower_qq_auth::{
    OpenId, QqApp, QqAuthLayer, SessionKeys,
    revocation::{RedisRevocations, RevocationList, Subject},
};

use crate::language::say;
use crate::report::{Check, Report};

const SLOW: Duration = Duration::from_millis(100);

pub(super) async fn check_server(report: &mut Report, url: &str) {
    let list = match RedisRevocations::new(url) {
        Ok(list) => list,
        Err(error) => {
            let finding = error.to_string();
            let finding = say(&finding, format!("REDIS_URL 不正确（{finding}）"));
            return report.error(Check::Redis, finding, advice());
        }
    };
    let start = Instant::now();
    let result = write_and_read(&list).await;
    let elapsed = start.elapsed();
    let millis = elapsed.as_millis();
    let finding = match result {
        Ok(()) => say(
            format!("REDIS_URL: an entry was written and read in {millis} ms"),
            format!("REDIS_URL：写入并读取一条记录，用时 {millis} 毫秒"),
        ),
        Err(error) => {
            let finding = say(
                format!("the server of REDIS_URL fails: {error}"),
                format!("REDIS_URL 指向的服务器出错：{error}"),
            );
            return report.error(Check::Redis, finding, advice());
        }
    };
    if elapsed < SLOW {
        report.ok(Check::Redis, finding);
    } else {
        let advice = say(
            "slow: requests of signed-in users wait for it; use a server nearer to the site",
            "偏慢：已登录用户的请求要等它返回；请换用离网站更近的 Redis",
        );
        report.warning(Check::Redis, finding, advice);
    }
}

fn advice() -> String {
    say(
        "check host, port, scheme (redis, rediss, redis+cluster), user, password and database; the user needs GET and EVAL on qq-auth:*, on a server that accepts writes",
        "请检查主机、端口、协议（redis、rediss、redis+cluster）、用户名、密码和数据库编号；用户需要对 qq-auth:* 执行 GET 和 EVAL，服务器必须可写",
    )
}

/// Revokes a user who does not exist, for a second.
async fn write_and_read(list: &RedisRevocations) -> Result<(), BoxError> {
    let subject = made_up_user().await?;
    let stored = list
        .raise_cutoff(subject, SystemTime::now(), Duration::from_secs(1))
        .await?;
    match list.latest_cutoff(subject).await? {
        Some(read) if read == stored => Ok(()),
        _ => Err(say("it does not return what was stored", "读不到刚写入的记录").into()),
    }
}

/// Only a layer can digest a user: lets one revoke a user, and listens.
async fn made_up_user() -> Result<Subject, BoxError> {
    let app = QqApp::new("1", "key", "http://localhost/callback")?;
    let listener = Listener::default();
    // With new keys the digest is random.
    let layer = QqAuthLayer::builder(app, SessionKeys::generate());
    let layer = layer.revocations(listener.clone()).build()?;
    layer.revoke_user(&OpenId::new("doctor")?).await?;
    let subject = listener.0.lock().map_or(None, |subject| *subject);
    subject.ok_or_else(|| "no revocation".into())
}

#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Option<Subject>>>);

impl RevocationList for Listener {
    async fn latest_cutoff(&self, _: Subject) -> Result<Option<SystemTime>, BoxError> {
        Ok(None)
    }

    async fn raise_cutoff(
        &self,
        subject: Subject,
        cutoff: SystemTime,
        _: Duration,
    ) -> Result<SystemTime, BoxError> {
        *self.0.lock().map_err(|_| "poisoned")? = Some(subject);
        Ok(cutoff)
    }
}
