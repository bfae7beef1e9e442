//! The Redis server of `REDIS_URL`, which several machines need for revocations.

#[cfg(feature = "redis")]
mod server;

use std::env;

#[cfg(feature = "redis")]
use self::server::check_server;
use crate::report::Report;

pub(crate) async fn check(report: &mut Report) {
    let url = env::var("REDIS_URL").unwrap_or_default();
    match url.trim() {
        "" => {}
        url => check_server(report, url).await,
    }
}

#[cfg(not(feature = "redis"))]
async fn check_server(report: &mut Report, _url: &str) {
    use crate::language::say;
    use crate::report::Check;

    report.warning(
        Check::Redis,
        say(
            "REDIS_URL is set, but this doctor cannot check it",
            "设置了 REDIS_URL，但编译 qq-doctor 时没有启用 feature redis，无法检查",
        ),
        say(
            "build it with `--features redis`",
            "请加上 `--features redis` 重新编译",
        ),
    );
}
