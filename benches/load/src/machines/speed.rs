//! Requests per second and processor time, with and without a list, and the limit of one Redis.

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    browser::{Connection, Jar},
    fill::{AsyncWork, Sessions, for_each},
    process::{Redis, Site},
};

const REQUESTS: u64 = 100_000;
const CONNECTIONS: u64 = 16;

struct Visitor {
    connection: Connection,
    jars: Arc<Vec<Jar>>,
}

impl AsyncWork for Visitor {
    async fn work(&mut self, number: u64) {
        let at = usize::try_from(number).expect("few") % self.jars.len();
        let page = self.connection.get("/", &mut self.jars[at].clone()).await;
        assert_eq!(page.expect("a page").status, 200);
    }
}

pub async fn measure(redis: &Redis) {
    println!("## Speed of one machine\n");
    println!(
        "| list | sessions | requests/s | processor time of the site | checks | of Redis for a check |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    let sessions = Sessions::new();
    for (has_list, count) in [
        (false, 0),
        (false, 1_000),
        (true, 1),
        (true, 1_000),
        (true, REQUESTS),
    ] {
        let start = |user| match count {
            0 => Jar::new(),
            _ => sessions.start(user),
        };
        let jars: Arc<Vec<_>> = Arc::new((0..count.max(1)).map(start).collect());
        let environment = [("REDIS_URL", &*redis.url)];
        let environment = if has_list { &environment[..] } else { &[] };
        let site = Site::start("site-speed", environment).await;
        let visitors = || Visitor {
            connection: Connection::new(site.machines[0]),
            jars: Arc::clone(&jars),
        };
        // Each session is asked for once more, if its answer is older than three seconds.
        for_each(count.clamp(1_000, 20_000), CONNECTIONS, visitors).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (processor, checks) = (site.usage().processor, redis.checks());
        let (of_redis, start) = (redis.processor(), Instant::now());
        for_each(REQUESTS, CONNECTIONS, visitors).await;
        let elapsed = start.elapsed().as_secs_f64();
        let checks = redis.checks() - checks;
        let each = (site.usage().processor - processor) / REQUESTS as f64 * 1e6;
        let of_redis = match checks > 10_000.0 {
            true => format!("{:.1} µs", (redis.processor() - of_redis) / checks * 1e6),
            false => "-".into(),
        };
        println!(
            "| {} | {count} | {:.0} | {each:.1} µs | {checks:.0} | {of_redis} |",
            if has_list { "Redis" } else { "none" },
            REQUESTS as f64 / elapsed,
        );
    }
    println!("\n## Limit of one Redis\n");
    println!("| connections | checks/s | processor time each |\n|---:|---:|---:|");
    for connections in [1, 10, 100, 1_000] {
        limit(redis, connections);
    }
    println!();
}

/// Sends the two `GET` of a check on many connections.
fn limit(redis: &Redis, connections: u32) {
    let (before, processor, start) = (redis.checks(), redis.processor(), Instant::now());
    let port = redis.url.rsplit(':').next().expect("a port");
    let status = Command::new("redis-benchmark")
        .args(["-p", port, "-q", "-P", "2", "-r", "1000000"])
        .args(["-c", &connections.to_string()])
        .args([
            "-n",
            if connections == 1 {
                "200000"
            } else {
                "1000000"
            },
        ])
        .args(["get", "qq-auth:{0a14983ae332e8d8__rand_int__}"])
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.expect("redis-benchmark is installed").success());
    let checks = redis.checks() - before;
    println!(
        "| {connections} | {:.0} | {:.1} µs |",
        checks / start.elapsed().as_secs_f64(),
        (redis.processor() - processor) / checks * 1e6
    );
}
