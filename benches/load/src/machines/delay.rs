//! The time until another machine knows of a revocation.

use std::{sync::Arc, time::Duration};

use rand::Rng;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    browser::Connection,
    fill::Sessions,
    process::{Redis, Site},
};

const ROUNDS: u64 = 5;
const SESSIONS: u64 = 100;
/// The time between two requests of a session at the other machine.
const PAUSE: Duration = Duration::from_millis(50);

pub async fn measure(redis: &Redis) {
    let environment = [("REDIS_URL", &*redis.url), ("SITE_MACHINES", "2")];
    let site = Site::start("site-delay", &environment).await;
    let (here, there) = (site.machines[0], site.machines[1]);
    let sessions = Arc::new(Sessions::new());
    let mut delays = Vec::new();
    for round in 0..ROUNDS {
        let mut users = JoinSet::new();
        for user in 0..SESSIONS {
            let mut jar = sessions.start(round * SESSIONS + user);
            let wait = Duration::from_millis(rand::rng().random_range(0..3_000));
            users.spawn(async move {
                let (mut here, mut there) = (Connection::new(here), Connection::new(there));
                let revoke_at = Instant::now() + wait;
                while Instant::now() < revoke_at {
                    let page = there.get("/me", &mut jar).await.expect("a page");
                    assert_eq!(page.status, 200, "{page:?}");
                    sleep(PAUSE).await;
                }
                let mut copy = jar.clone();
                here.post("/auth/qq/logout", &mut copy)
                    .await
                    .expect("a logout");
                let revoked_at = Instant::now();
                let page = here.get("/me", &mut jar.clone()).await.expect("a page");
                assert_eq!(page.status, 303, "at once on the machine that made it");
                while there
                    .get("/me", &mut jar.clone())
                    .await
                    .expect("a page")
                    .status
                    == 200
                {
                    sleep(PAUSE).await;
                }
                revoked_at.elapsed()
            });
        }
        delays.extend(users.join_all().await);
    }
    delays.sort_unstable();
    let at = |part: f64| delays[((delays.len() - 1) as f64 * part) as usize];
    println!(
        "## Delay of {} revocations on the other machine\n",
        delays.len()
    );
    println!(
        "least {:.1?}, median {:.1?}, 95 % {:.1?}, most {:.1?}\n",
        at(0.0),
        at(0.5),
        at(0.95),
        at(1.0)
    );
}
