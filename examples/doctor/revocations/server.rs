//! A call to the Redis server, by the revocation list that a site has.

use std::time::{Duration, Instant};

use tower_qq_auth::{ConfigError, revocation::RedisRevocations};

use crate::language::say;
use crate::report::{Check, Report};

const SLOW: Duration = Duration::from_millis(100);

pub(super) async fn check_server(report: &mut Report, url: &str) {
    let start = Instant::now();
    if let Err(error) = write_and_read(url).await {
        let error = error.to_string();
        // The error ends with what to do.
        let (finding, to_do) = error.rsplit_once(": ").unwrap_or((&error, ADVICE.0));
        let finding = say(finding, format!("REDIS_URL 无法使用（{finding}）"));
        return report.error(Check::Redis, finding, say(to_do, ADVICE.1));
    }
    let elapsed = start.elapsed();
    let millis = elapsed.as_millis();
    let finding = say(
        format!("REDIS_URL: entries were written and read in {millis} ms"),
        format!("REDIS_URL：写入并读取记录，用时 {millis} 毫秒"),
    );
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

const ADVICE: (&str, &str) = (
    "check host, port, scheme (redis, rediss, redis+cluster), user, password and database",
    "请检查主机、端口、协议（redis、rediss、redis+cluster）、用户名、密码（特殊字符要写成 %40 这样的形式）和数据库编号；用户需要对 qq-auth:* 执行 EVAL、GET、SET、PTTL 和 TIME，服务器必须可写",
);

async fn write_and_read(url: &str) -> Result<(), ConfigError> {
    RedisRevocations::new(url)?.check().await
}
