//! A revocation list that works or fails as the test says.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use tokio::time::sleep;
use tower::BoxError;
use tower_qq_auth::revocation::{InMemoryRevocations, RevocationList, Subject};

use crate::load::CountGuard;

/// A list in memory that passes for a remote one, unless `IS_LOCAL`. Clones share everything.
#[derive(Clone, Default)]
pub(crate) struct TestList<const IS_LOCAL: bool = false> {
    entries: InMemoryRevocations,
    state: Arc<Mutex<State>>,
    running: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    mode: Mode,
    checks: Vec<Subject>,
    raises: Vec<(Subject, Duration)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Mode {
    #[default]
    Working,
    Failing,
    /// Raises a cutoff after 100 ms. Answers after 100 ms with what was true before.
    Slow,
    Hanging,
    /// Panics before there is a future.
    PanickingAtOnce,
    /// Panics in the future.
    Panicking,
}

impl TestList {
    pub(crate) fn new() -> Self {
        Self::default()
    }
}

impl TestList<true> {
    pub(crate) fn local() -> Self {
        Self::default()
    }
}

impl<const IS_LOCAL: bool> TestList<IS_LOCAL> {
    pub(crate) fn set(&self, mode: Mode) {
        self.state.lock().unwrap().mode = mode;
    }

    fn mode(&self) -> Mode {
        self.state.lock().unwrap().mode
    }

    /// Returns the subjects of all calls for the latest cutoff.
    pub(crate) fn checks(&self) -> Vec<Subject> {
        self.state.lock().unwrap().checks.clone()
    }

    /// Returns the subjects of all calls that raise a cutoff, and how long to keep it.
    pub(crate) fn raises(&self) -> Vec<(Subject, Duration)> {
        self.state.lock().unwrap().raises.clone()
    }

    /// Returns the number of calls that are under way.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Relaxed)
    }

    fn note_raise(&self, subject: Subject, keep_for: Duration) {
        let mut state = self.state.lock().unwrap();
        state.raises.push((subject, keep_for));
    }

    async fn wait(&self) -> Result<(), BoxError> {
        match self.mode() {
            Mode::Working => Ok(()),
            Mode::Failing => Err("canary".into()),
            Mode::Slow => {
                sleep(Duration::from_millis(100)).await;
                Ok(())
            }
            Mode::Hanging => pending().await,
            Mode::PanickingAtOnce | Mode::Panicking => panic!("on purpose"),
        }
    }
}

impl<const IS_LOCAL: bool> RevocationList for TestList<IS_LOCAL> {
    const IS_LOCAL: bool = IS_LOCAL;

    fn latest_cutoff(
        &self,
        session: Subject,
    ) -> impl Future<Output = Result<Option<SystemTime>, BoxError>> + Send {
        let mode = self.mode();
        self.state.lock().unwrap().checks.push(session);
        assert_ne!(mode, Mode::PanickingAtOnce, "on purpose");
        async move {
            let _guard = CountGuard::new(&self.running);
            let cutoff = self.entries.latest_cutoff(session).await;
            self.wait().await?;
            cutoff
        }
    }

    async fn raise_cutoff(
        &self,
        subject: Subject,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<SystemTime, BoxError> {
        self.note_raise(subject, keep_for);
        self.wait().await?;
        self.entries.raise_cutoff(subject, cutoff, keep_for).await
    }

    async fn raise_user_cutoff(
        &self,
        session: Subject,
        started_at: SystemTime,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> Result<Option<SystemTime>, BoxError> {
        self.note_raise(session, keep_for);
        self.wait().await?;
        let raise = self
            .entries
            .raise_user_cutoff(session, started_at, cutoff, keep_for);
        raise.await
    }
}
