//! The samples of `docs/deploy` for nginx, HAProxy and Caddy, in front of two instances of a site
//! with a mock QQ and a Redis, all in processes of their own but the mock.

use tokio::task::LocalSet;

mod client;
mod front;
mod handover;
mod limits;
mod logs;
mod machines;
mod outages;
mod qq;
mod site;
mod users;

pub(crate) use front::Proxy;
pub(crate) use site::Deployment;

const PROXIES: [Proxy; 3] = [Proxy::Nginx, Proxy::Haproxy, Proxy::Caddy];

/// Runs a scenario behind all proxies that are installed, at the same time.
async fn behind_each(scenario: impl AsyncFn(Deployment) + Copy + 'static) {
    behind(&PROXIES, scenario).await;
}

async fn behind(proxies: &[Proxy], scenario: impl AsyncFn(Deployment) + Copy + 'static) {
    let all = LocalSet::new();
    let start = |&proxy: &Proxy| {
        let run = async move {
            if let Some(deployment) = Deployment::start(proxy).await {
                scenario(deployment).await;
            }
        };
        (proxy, all.spawn_local(run))
    };
    let runs: Vec<_> = proxies.iter().map(start).collect();
    all.run_until(async {
        for (proxy, run) in runs {
            let ended = run.await;
            ended.unwrap_or_else(|error| panic!("behind {proxy:?}: {error}"));
        }
    })
    .await;
}
