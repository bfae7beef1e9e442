//! A change of keys on two machines, one after the other.

use crate::{
    browser::{Connection, Jar},
    fill::Sessions,
    process::{Redis, Site},
    setup::{NEW_KEY, SESSION_COOKIE, SESSION_KEY},
};

const SESSIONS: u64 = 2_000;

pub async fn measure(redis: &Redis) {
    let (old, new) = (SESSION_KEY, NEW_KEY);
    let (old_new, new_old) = (&*format!("{old},{new}"), &*format!("{new},{old}"));
    let steps = [
        (0, [old, old]),
        (0, [old_new, old]),
        (0, [old_new, old_new]),
        (0, [new_old, old_new]),
        (0, [new_old, new_old]),
        (3, [new_old, new_old]),
        // The second half of the idle time: sessions are renewed, as without a change.
        (4, [new_old, new_old]),
        (8, [new, new_old]),
        (8, [new, new]),
        (12, [new, new]),
    ];
    let sessions = Sessions::new();
    let mut jars: Vec<_> = (0..SESSIONS).map(|user| sessions.start(user)).collect();
    println!("## A change of keys, {SESSIONS} sessions\n");
    println!("| day | machine A | machine B | lost sessions | new seals |");
    println!("|---:|---|---|---:|---:|");
    for (day, keys) in steps {
        let days = day.to_string();
        let start = async |name: &str, keys: &str| {
            let environment = [
                ("REDIS_URL", &*redis.url),
                ("QQ_SESSION_KEY", keys),
                ("SITE_DAYS", &days),
            ];
            Site::start(name, &environment).await
        };
        let sites = [
            start("site-a", keys[0]).await,
            start("site-b", keys[1]).await,
        ];
        let (mut lost, mut sealed) = (0, 0);
        for site in &sites {
            let mut connection = Connection::new(site.machines[0]);
            for jar in &mut jars {
                let (is_lost, is_sealed) = visit(&mut connection, jar).await;
                lost += usize::from(is_lost);
                sealed += usize::from(is_sealed);
            }
        }
        let show = |keys: &str| keys.replace(old, "old").replace(new, "new");
        let (a, b) = (show(keys[0]), show(keys[1]));
        println!("| {day} | `{a}` | `{b}` | {lost} | {sealed} |");
    }
    println!();
}

/// Returns whether the session is lost, and whether it has a new seal.
async fn visit(connection: &mut Connection, jar: &mut Jar) -> (bool, bool) {
    let before = jar.get(SESSION_COOKIE).cloned();
    let page = connection.get("/me", jar).await.expect("a page");
    (
        page.status != 200,
        jar.get(SESSION_COOKIE) != before.as_ref(),
    )
}
