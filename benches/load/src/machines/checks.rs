//! The checks of active sessions at Redis, behind an nginx that balances the machines.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    browser::Connection,
    fill::Sessions,
    process::{Nginx, Redis, Site, free_port},
};

const SESSIONS: u32 = 400;

/// Each machine has answered each session before, as on a site that has run for long.
const WARM_UP: Duration = Duration::from_secs(4);
const MEASURED: Duration = Duration::from_secs(15);

struct Case {
    machines: usize,
    /// The mean time between two clicks of a session.
    clicks: Duration,
    freshness: u32,
    is_sticky: bool,
}

impl Case {
    const fn new(machines: usize, clicks: u64) -> Self {
        Self {
            machines,
            clicks: Duration::from_secs(clicks),
            freshness: 3,
            is_sticky: false,
        }
    }
}

const CASES: [Case; 8] = [
    Case::new(1, 1),
    Case::new(2, 1),
    Case::new(8, 1),
    Case::new(32, 1),
    Case::new(2, 10),
    Case::new(32, 10),
    Case {
        is_sticky: true,
        ..Case::new(32, 1)
    },
    Case {
        freshness: 30,
        ..Case::new(32, 1)
    },
];

pub async fn measure(redis: &Redis) {
    println!("## Checks for each active session\n");
    println!(
        "| machines | balanced | freshness | click every | clicks/s | checks/s | by the formula |"
    );
    println!("|---:|---|---:|---:|---:|---:|---:|");
    for case in &CASES {
        case.measure(redis).await;
    }
    println!();
}

impl Case {
    async fn measure(&self, redis: &Redis) {
        let (machines, freshness) = (self.machines.to_string(), self.freshness.to_string());
        let environment = [
            ("REDIS_URL", &*redis.url),
            ("SITE_MACHINES", &machines),
            ("SITE_FRESHNESS", &freshness),
        ];
        let site = Site::start("site-checks", &environment).await;
        let port = free_port();
        let _nginx = Nginx::start("balancer", port, &self.balancer(port, &site.machines)).await;
        let (clicks, checks) = self
            .click(SocketAddr::from(([127, 0, 0, 1], port)), redis)
            .await;
        // One is ours.
        let connections = redis.info("connected_clients") - 1.0;
        assert_eq!(
            connections, self.machines as f64,
            "one connection for each machine"
        );
        let gap = self.clicks.as_secs_f64();
        let machines = if self.is_sticky { 1 } else { self.machines };
        let expected = 1.0 / (gap + f64::from(self.freshness) / machines as f64);
        println!(
            "| {} | {} | {} s | {gap} s | {clicks:.2} | {checks:.2} | {expected:.2} |",
            self.machines,
            if self.is_sticky {
                "by cookie"
            } else {
                "in turn"
            },
            self.freshness,
        );
    }

    fn balancer(&self, port: u16, machines: &[SocketAddr]) -> String {
        let servers = machines.iter().map(|it| format!("server {it}; "));
        let servers = servers.collect::<String>();
        let (map, hash) = match self.is_sticky {
            true => (
                "map $http_cookie $session { \"~__Host-qq_session=([^;]+)\" $1; }",
                "hash $session consistent;",
            ),
            false => ("", ""),
        };
        format!(
            "{map}
            upstream machines {{ {hash} {servers} keepalive 256; }}
            server {{
                listen 127.0.0.1:{port};
                keepalive_requests 100000;
                location / {{
                    proxy_pass http://machines;
                    proxy_http_version 1.1;
                    proxy_set_header Connection \"\";
                }}
            }}"
        )
    }

    /// Returns clicks and checks, per session and second.
    async fn click(&self, entrance: SocketAddr, redis: &Redis) -> (f64, f64) {
        let sessions = Arc::new(Sessions::new());
        let start =
            Instant::now() + WARM_UP + Duration::from_secs_f64(f64::from(self.freshness) / 3.0);
        let end = start + MEASURED;
        let mut users = JoinSet::new();
        for user in 0..SESSIONS {
            let mut jar = sessions.start(user.into());
            let gap = self.clicks.as_secs_f64();
            users.spawn(async move {
                let mut random = SmallRng::from_os_rng();
                let mut connection = Connection::new(entrance);
                let mut turn = Instant::now();
                let mut clicks = 0;
                loop {
                    // The gaps of clicks at random times.
                    let pause = -gap * (1.0 - random.random::<f64>()).ln();
                    turn += Duration::from_secs_f64(pause);
                    if turn >= end {
                        return clicks;
                    }
                    sleep_until(turn).await;
                    let page = connection.get("/me", &mut jar).await.expect("a page");
                    assert_eq!(page.status, 200, "{page:?}");
                    clicks += u32::from(turn >= start);
                }
            });
        }
        sleep_until(start).await;
        let before = redis.checks();
        sleep_until(end).await;
        let checks = redis.checks() - before;
        let clicks: u32 = users.join_all().await.into_iter().sum();
        sleep(Duration::from_millis(100)).await;
        let per_second = |it: f64| it / f64::from(SESSIONS) / MEASURED.as_secs_f64();
        (per_second(clicks.into()), per_second(checks))
    }
}
