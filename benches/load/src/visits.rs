//! The visits of a load: what browsers do, and what has to come of it.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::time::sleep;

use crate::{
    browser::{Connection, Jar, Reply},
    qq::{Code, Qq, TROUBLES, Treatment},
    setup::SESSION_COOKIE,
};

/// Signed-in browsers that wait for their next visit.
const SESSIONS: usize = 5_000;

/// `revocation_freshness`, and some time for the request.
const FRESHNESS: Duration = Duration::from_millis(3_300);

#[derive(Default)]
pub struct Tally {
    pub visits: AtomicU64,
    pub pages: AtomicU64,
    pub logins: AtomicU64,
    pub reloads: AtomicU64,
    pub double_clicks: AtomicU64,
    pub left: AtomicU64,
    pub troubles: AtomicU64,
    pub failed_by_qq: AtomicU64,
    pub logouts: AtomicU64,
    pub bans: AtomicU64,
    pub forged: AtomicU64,
    pub lost: Mutex<Vec<String>>,
}

/// Adds one.
fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// The state that all workers share.
pub struct World {
    pub qq: Arc<Qq>,
    pub machines: [SocketAddr; 2],
    pub tally: Tally,
    sessions: Mutex<VecDeque<Jar>>,
}

impl World {
    pub fn new(qq: Arc<Qq>, machines: [SocketAddr; 2]) -> Self {
        Self {
            qq,
            machines,
            tally: Tally::default(),
            sessions: Mutex::default(),
        }
    }

    pub fn sessions(&self) -> std::sync::MutexGuard<'_, VecDeque<Jar>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes something that must not happen. The time leads to the log of the site.
    pub fn lose(&self, what: String) {
        let mut lost = self
            .tally
            .lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if lost.len() < 50 {
            println!("LOST: {what}");
        }
        lost.push(what);
    }
}

/// One worker: a connection to each machine.
pub struct Worker {
    world: Arc<World>,
    connections: [Connection; 2],
    random: SmallRng,
}

impl Worker {
    pub fn new(world: Arc<World>) -> Self {
        let connections = world.machines.map(Connection::new);
        let random = SmallRng::from_os_rng();
        Self {
            world,
            connections,
            random,
        }
    }

    /// Visits the site: 5 % logins, 3 % logouts and bans, 2 % forged callbacks, 90 % pages.
    pub async fn visit(&mut self) {
        count(&self.world.tally.visits);
        let end = match self.random.random_range(0..100) {
            0..5 => self.log_in().await,
            5..7 => self.log_out().await,
            7 => self.ban().await,
            8..10 => self.forge().await,
            10..40 => self.view_signed_in().await,
            40..60 => self.view("/me", 303).await,
            60..80 => self.view("/style.css", 200).await,
            _ => self.view("/", 200).await,
        };
        if let Err(reason) = end {
            self.world.lose(reason);
        }
    }

    /// Each request may reach either machine, but for those of one callback.
    fn machine(&mut self) -> usize {
        self.random.random_range(0..2)
    }

    fn connection(&mut self) -> &mut Connection {
        let machine = self.machine();
        &mut self.connections[machine]
    }

    async fn view(&mut self, path: &str, status: u16) -> Result<(), String> {
        count(&self.world.tally.pages);
        let reply = self.connection().get(path, &mut Jar::new()).await?;
        expect(&reply, status, path)
    }

    async fn view_signed_in(&mut self) -> Result<(), String> {
        let Some(mut jar) = self.world.sessions().pop_front() else {
            return Ok(());
        };
        for path in ["/me", "/style.css"] {
            count(&self.world.tally.pages);
            let reply = self.connection().get(path, &mut jar).await?;
            expect(&reply, 200, path)?;
        }
        self.keep(jar);
        Ok(())
    }

    fn keep(&self, jar: Jar) {
        let mut sessions = self.world.sessions();
        sessions.push_back(jar);
        if sessions.len() > SESSIONS {
            sessions.pop_front();
        }
    }

    /// The copies of the cookie have to be void on the other machine as well.
    async fn log_out(&mut self) -> Result<(), String> {
        let Some(mut jar) = self.world.sessions().pop_front() else {
            return Ok(());
        };
        count(&self.world.tally.logouts);
        let copy = jar.clone();
        let reply = self.connection().post("/auth/qq/logout", &mut jar).await?;
        expect(&reply, 303, "logout")?;
        self.expect_revoked(copy);
        Ok(())
    }

    async fn ban(&mut self) -> Result<(), String> {
        let Some(mut jar) = self.world.sessions().pop_front() else {
            return Ok(());
        };
        count(&self.world.tally.bans);
        let reply = self.connection().post("/ban", &mut jar).await?;
        expect(&reply, 204, "ban")?;
        self.expect_revoked(jar);
        Ok(())
    }

    /// Checks later that both machines know of a revocation.
    fn expect_revoked(&self, jar: Jar) {
        let world = Arc::clone(&self.world);
        tokio::spawn(async move {
            sleep(FRESHNESS).await;
            for machine in world.machines {
                let reply = Connection::new(machine).get("/", &mut jar.clone()).await;
                match reply {
                    Ok(reply) if reply.body.is_empty() => {}
                    Ok(_) => world.lose("a revoked session is still signed in".into()),
                    Err(error) => world.lose(error),
                }
            }
        });
    }

    async fn forge(&mut self) -> Result<(), String> {
        count(&self.world.tally.forged);
        let path = "/auth/qq/callback?code=C0DE&state=0123456789abcdefghijkl";
        let reply = self.connection().get(path, &mut Jar::new()).await?;
        expect(&reply, 400, "a forged callback")
    }

    /// Logs in, and does with the callback what browsers do.
    async fn log_in(&mut self) -> Result<(), String> {
        count(&self.world.tally.logins);
        let way = self.random.random_range(0..100);
        // A client that leaves sees no failure. The log of the site shows it.
        let leaves = way < 10;
        let treatment = match self.random.random_range(0..50) {
            0 if !leaves => TROUBLES[self.random.random_range(0..TROUBLES.len())],
            _ => Treatment::Normal,
        };
        if treatment != Treatment::Normal {
            count(&self.world.tally.troubles);
        }
        let openid = format!("{:032X}", self.random.random::<u128>());
        let mut jar = Jar::new();
        let start = self
            .connection()
            .get("/auth/qq/login?return_to=/me", &mut jar)
            .await?;
        expect(&start, 303, "the start of a login")?;
        let code = self
            .world
            .qq
            .approve(start.location(), Some(&openid), treatment)?;
        let pause = Duration::from_micros(self.random.random_range(0..5_000));
        let machine = self.machine();
        let connection = &mut self.connections[machine];
        let end = match way {
            _ if leaves => {
                count(&self.world.tally.left);
                connection.leave(&code.callback, &jar, pause).await;
                return Ok(());
            }
            10..30 => {
                count(&self.world.tally.reloads);
                connection.leave(&code.callback, &jar, pause).await;
                connection.get(&code.callback, &mut jar).await?
            }
            30..45 => {
                count(&self.world.tally.double_clicks);
                let mut other = Connection::new(self.world.machines[machine]);
                let mut copy = jar.clone();
                let (end, same) = tokio::join!(
                    connection.get(&code.callback, &mut jar),
                    other.get(&code.callback, &mut copy)
                );
                let (end, same) = (end?, same?);
                if end.status != same.status {
                    return Err(format!(
                        "a double click: {} and {}",
                        end.status, same.status
                    ));
                }
                end
            }
            _ => connection.get(&code.callback, &mut jar).await?,
        };
        let reload = (way >= 80).then_some(machine);
        self.finish(end, code, jar, reload).await
    }

    async fn finish(
        &mut self,
        end: Reply,
        code: Code,
        mut jar: Jar,
        reload: Option<usize>,
    ) -> Result<(), String> {
        let calls = code.calls();
        if calls != 1 {
            let treatment = code.treatment;
            let status = end.status;
            self.world.lose(format!(
                "QQ got a code {calls} times ({treatment:?}, {status}): {}",
                summary(&end.body)
            ));
        }
        if end.status != 303 || end.location() != "/me" || !jar.contains_key(SESSION_COOKIE) {
            if code.treatment.is_failure() && matches!(end.status.as_u16(), 400 | 424) {
                count(&self.world.tally.failed_by_qq);
                return Ok(());
            }
            let (treatment, status) = (code.treatment, end.status);
            return Err(format!(
                "a login: {treatment:?}, {calls} calls, {status}: {}",
                summary(&end.body)
            ));
        }
        if let Some(machine) = reload {
            count(&self.world.tally.reloads);
            let connection = &mut self.connections[machine];
            let reply = connection.get(&code.callback, &mut jar).await?;
            expect(&reply, 303, "a reload after the login")?;
        }
        // On the other machine as well.
        for connection in &mut self.connections {
            let reply = connection.get("/me", &mut jar).await?;
            expect(&reply, 200, "the page after a login")?;
        }
        self.keep(jar);
        Ok(())
    }
}

fn expect(reply: &Reply, status: u16, what: &str) -> Result<(), String> {
    match reply.status == status {
        true => Ok(()),
        false => Err(format!(
            "{what}: {}: {}",
            reply.status,
            summary(&reply.body)
        )),
    }
}

/// Returns what a page says, with its support code.
fn summary(page: &str) -> String {
    let body = page.split("<body").nth(1).unwrap_or(page);
    let mut text = String::new();
    let mut is_text = false;
    for character in body.chars() {
        match character {
            '<' => is_text = false,
            '>' => is_text = true,
            _ if is_text || !page.contains('<') => text.push(character),
            _ => {}
        }
    }
    text.split_whitespace()
        .take(40)
        .collect::<Vec<_>>()
        .join(" ")
}
