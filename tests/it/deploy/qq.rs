//! A mock QQ that can go down, with an address for each instance, so that a test knows which one
//! calls it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, select, sync::watch, task::JoinSet};
use tower::Service;
use tower_qq_auth::mock::MockQq;

pub(super) struct Qq {
    pub(super) mock: MockQq,
    pub(super) addresses: [SocketAddr; 2],
    calls: [Arc<AtomicUsize>; 2],
    is_down: watch::Sender<bool>,
}

impl Qq {
    pub(super) async fn start(mock: MockQq) -> Self {
        let (is_down, _) = watch::channel(false);
        let calls = <[Arc<AtomicUsize>; 2]>::default();
        let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); 2];
        for (address, calls) in addresses.iter_mut().zip(&calls) {
            let listener = TcpListener::bind(*address).await.unwrap();
            *address = listener.local_addr().unwrap();
            let calls = Arc::clone(calls);
            tokio::spawn(serve(mock.clone(), listener, calls, is_down.subscribe()));
        }
        Self {
            mock,
            addresses,
            calls,
            is_down,
        }
    }

    /// Closes all connections, and each new one.
    pub(super) fn go_down(&self) {
        self.is_down.send_replace(true);
    }

    pub(super) fn come_back(&self) {
        self.is_down.send_replace(false);
    }

    /// Returns the number of requests of each instance.
    pub(super) fn calls(&self) -> [usize; 2] {
        [0, 1].map(|instance| self.calls[instance].load(Relaxed))
    }
}

async fn serve(
    mock: MockQq,
    listener: TcpListener,
    calls: Arc<AtomicUsize>,
    mut is_down: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            changed = is_down.changed() => match changed {
                Ok(()) => {
                    connections.abort_all();
                    continue;
                }
                Err(_) => return,
            },
        };
        if *is_down.borrow() {
            continue;
        }
        let (mock, calls) = (mock.clone(), Arc::clone(&calls));
        let service = service_fn(move |request: Request<Incoming>| {
            calls.fetch_add(1, Relaxed);
            mock.clone().call(request)
        });
        let stream = TokioIo::new(accepted.unwrap().0);
        connections.spawn(http1::Builder::new().serve_connection(stream, service));
    }
}
