//! The load: mixed traffic at a steady rate, at two machines with one Redis.

use std::{
    fs, process,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};

use crate::{
    fill::fill,
    process::{Redis, Site, Usage},
    qq::{Front, Qq},
    setup::number,
    visits::{Worker, World},
};

const WORKERS: u64 = 64;

/// The growth that passes for noise of the allocator, in KiB.
const NOISE: usize = 4 * 1024;

/// Outcomes of logins, idle connections and buffers are at their usual level by then.
const WARM_UP: Duration = Duration::from_secs(30);

/// Runs the load. Ends the process with an error if a login is lost or a machine leaks.
pub async fn run() {
    let seconds = number("LOAD_SECONDS", 600);
    let rate = number("LOAD_RATE", 500);
    let (qq, port) = Qq::serve().await;
    let (front, redis) = (Front::start(port).await, Redis::start().await);
    let start = async |name, url: &str| {
        let trusted = front.authority.to_str().expect("a path");
        let environment = [
            ("QQ_BASE_URL", url),
            ("REDIS_URL", &redis.url),
            ("SSL_CERT_FILE", trusted),
        ];
        Site::start(name, &environment).await
    };
    // The first machine speaks HTTP/2 with QQ, the second one HTTP/1.1.
    let sites = [
        start("site-http2", &front.http2).await,
        start("site-http1", &front.http1).await,
    ];
    let machines = [sites[0].machines[0], sites[1].machines[0]];
    let world = Arc::new(World::new(qq, machines));
    println!("empty: {}", show(sites.each_ref().map(Site::usage)));
    if number("LOAD_FILL", 1) == 1 {
        fill(&world).await;
        println!(
            "with full tables: {}",
            show(sites.each_ref().map(Site::usage))
        );
    }

    let end = Instant::now() + WARM_UP + Duration::from_secs(seconds);
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        let mut worker = Worker::new(Arc::clone(&world));
        workers.spawn(async move {
            // Each at its own time, and none before its turn.
            let pause = Duration::from_secs(1) * u32::try_from(WORKERS).expect("few")
                / u32::try_from(rate).expect("a rate");
            let mut turn = Instant::now() + pause.mul_f64(number as f64 / WORKERS as f64);
            while turn < end {
                sleep_until(turn).await;
                worker.visit().await;
                turn = (turn + pause).max(Instant::now());
            }
        });
    }
    sleep(WARM_UP).await;
    let mut samples = Vec::new();
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while Instant::now() < end {
        ticks.tick().await;
        let sample = sites.each_ref().map(Site::usage);
        if samples.len() % 60 == 0 {
            println!("{:4} s: {}", samples.len(), show(sample));
        }
        samples.push(sample);
    }
    workers.join_all().await;
    // The last checks of revoked sessions.
    sleep(Duration::from_secs(5)).await;
    find_lost_in_logs(&world, &sites);
    let is_flat = report(&world, &samples);
    let lost = world.tally.lost.lock().expect("no panic").len();
    drop((sites, redis, front));
    if lost > 0 || !is_flat {
        process::exit(1);
    }
}

/// Finds logins of clients that left, none of which QQ failed.
fn find_lost_in_logs(world: &World, sites: &[Site; 2]) {
    for site in sites {
        let log = fs::read_to_string(&site.log).expect("a log");
        for line in log.lines() {
            let result = line.split_once("did not come back: ");
            if result.is_some_and(|(_, result)| !result.starts_with("ok")) {
                world.lose(format!("a login of a client that left: {line}"));
            }
            if line.contains("panicked") || line.contains(" ERROR ") {
                world.lose(line.to_owned());
            }
        }
    }
}

fn show(usage: [Usage; 2]) -> String {
    let one = |it: Usage| {
        let memory = it.memory as f64 / 1024.0;
        let (files, processor) = (it.descriptors, it.processor);
        format!("{memory:.1} MiB, {files} descriptors, {processor:.0} s processor time")
    };
    usage.map(one).join(" | ")
}

fn median(mut values: Vec<usize>) -> usize {
    values.sort_unstable();
    values[values.len() / 2]
}

/// Prints the figures, and returns whether memory and descriptors are flat.
fn report(world: &World, samples: &[[Usage; 2]]) -> bool {
    let tally = &world.tally;
    let lost = tally.lost.lock().expect("no panic").len();
    for (name, counter) in [
        ("visits", &tally.visits),
        ("page views", &tally.pages),
        ("logins", &tally.logins),
        ("  reloaded", &tally.reloads),
        ("  double clicks", &tally.double_clicks),
        ("  left", &tally.left),
        ("  in trouble at QQ", &tally.troubles),
        ("  failed by QQ", &tally.failed_by_qq),
        ("logouts", &tally.logouts),
        ("bans", &tally.bans),
        ("forged callbacks", &tally.forged),
    ] {
        println!("{name:20} {:8}", counter.load(Relaxed));
    }
    println!("{:20} {lost:8}", "lost");
    let third = samples.len() / 3;
    let (first, last) = (&samples[..third], &samples[samples.len() - third..]);
    let mut is_flat = true;
    for machine in 0..2 {
        let part = |part: &[[Usage; 2]], value: fn(&Usage) -> usize| {
            median(part.iter().map(|sample| value(&sample[machine])).collect())
        };
        let memory = |samples| part(samples, |it| it.memory);
        let descriptors = |samples| part(samples, |it| it.descriptors);
        let (early, late) = (memory(first), memory(last));
        let (few, many) = (descriptors(first), descriptors(last));
        println!(
            "machine {machine}: median memory {early} KiB in the first third, {late} in the last; \
             descriptors {few} and {many}"
        );
        is_flat &= late <= early + NOISE && many <= few + few / 4 + 8;
    }
    if !is_flat {
        println!("NOT FLAT");
    }
    is_flat
}
