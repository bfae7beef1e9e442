//! Clocks of Redis and the machines that disagree.

use std::{
    path::PathBuf,
    process::{self, Command},
    time::{Duration, SystemTime},
};

use http::StatusCode;

use super::server::Redis;
use super::{openid, status};
use crate::site::{Browser, Site};

const SECOND: Duration = Duration::from_secs(1);
const FOUR_MINUTES: Duration = Duration::from_secs(4 * 60);

/// A site whose clock shows the real time, as the one of Redis does.
fn site_of_today() -> Site {
    let base = Site::new();
    let ahead = base.clock.now().duration_since(SystemTime::now());
    base.clock.turn_back(ahead.unwrap());
    base
}

/// A library that sets the clock of a program back by a minute. It is preloaded.
struct SlowClock(PathBuf);

impl SlowClock {
    fn new() -> Self {
        const SOURCE: &str = "
            #include <sys/time.h>
            #include <time.h>
            int gettimeofday(struct timeval *restrict now, void *restrict zone) {
                struct timespec time;
                clock_gettime(CLOCK_REALTIME, &time);
                now->tv_sec = time.tv_sec - 60;
                now->tv_usec = time.tv_nsec / 1000;
                return 0;
            }";
        let name = format!("slow-clock-{}", process::id());
        let library = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let source = library.with_extension("c");
        std::fs::write(&source, SOURCE).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]);
        compiler.arg(&library).arg(&source);
        assert!(compiler.status().unwrap().success());
        std::fs::remove_file(source).unwrap();
        Self(library)
    }
}

impl Drop for SlowClock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_redis_that_restarts_with_its_clock_behind_forgets_and_weakens_nothing() {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    let base = site_of_today();
    let (site, layer) = redis.strict_machine(&base);
    let is_alive = async |browser: &Browser| status(browser).await == StatusCode::OK;
    let first = site.signed_in().await;
    layer.revoke_user(&openid(&base)).await.unwrap();
    assert!(!is_alive(&first).await);
    base.clock.advance(SECOND);
    let second = site.signed_in().await;

    let clock = SlowClock::new();
    redis.save_and_stop().await;
    let library = clock.0.to_str().unwrap();
    redis.restart_in(&[("LD_PRELOAD", library)]).await;
    let time = redis.command("TIME").await;
    let time: u64 = time.lines().nth(2).unwrap().parse().unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time);
    assert!(time < SystemTime::now() - 50 * SECOND);

    // The list connects again.
    super::eventually("the list connects", async || {
        status(&second).await != StatusCode::FAILED_DEPENDENCY
    })
    .await;
    assert!(!is_alive(&first).await, "a cutoff from before stays");
    assert!(is_alive(&second).await);
    base.clock.advance(SECOND);
    layer.revoke_user(&openid(&base)).await.unwrap();
    assert!(!is_alive(&first).await);
    assert!(!is_alive(&second).await, "a session from before");
    base.clock.advance(SECOND);
    assert!(is_alive(&site.signed_in().await).await);
}

#[tokio::test]
async fn a_machine_whose_clock_is_four_minutes_behind_revokes_all_earlier_sessions() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = site_of_today();
    let (site, layer) = redis.strict_machine(&base);
    let browser = site.signed_in().await;
    assert_eq!(status(&browser).await, StatusCode::OK);
    base.clock.turn_back(FOUR_MINUTES);
    layer.revoke_user(&openid(&base)).await.unwrap();
    base.clock.advance(FOUR_MINUTES);
    assert_eq!(status(&browser).await, StatusCode::UNAUTHORIZED);
}
