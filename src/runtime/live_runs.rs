//! Which runs are at work in this process: whose they are, of which agent, and on which thread.

use std::sync::{Arc, Mutex, MutexGuard};

use ahash::{HashMap, HashSet};
use tokio::sync::Notify;

use crate::access::Principal;
use crate::agent::cause::CauseKind;

use super::agents::Hosted;
use super::thread::{RunStart, ThreadRef};

/// Runs by the runtime's id of them.
#[derive(Debug, Default)]
pub(crate) struct LiveRuns {
    /// A lock, because threads' tasks enter and any request asks; it is held for a few map accesses.
    live: Mutex<Live>,
    /// Wakes whoever waits for room when a run has ended.
    changed: Notify,
    /// Wakes whoever waits for runs that triggers have started to end.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Live {
    runs: HashMap<String, AtWork>,
    threads: HashSet<ThreadRef>,
    of_agent: HashMap<String, usize>,
    /// Those without a person before them.
    unattended: usize,
}

/// A run at work.
#[derive(Debug, Clone)]
pub(crate) struct AtWork {
    pub(crate) start: Arc<RunStart>,
    /// As it was defined when the run started.
    pub(crate) agent: Arc<Hosted>,
    pub(crate) thread: ThreadRef,
}

impl AtWork {
    fn is_unattended(&self) -> bool {
        self.start.cause.kind != CauseKind::User
    }
}

/// Keeps a run among the live ones until it is dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    runs: Arc<LiveRuns>,
    start: Arc<RunStart>,
}

impl LiveRuns {
    pub(crate) fn enter(self: &Arc<Self>, start: &Arc<RunStart>, agent: &Arc<Hosted>, thread: &ThreadRef) -> Entered {
        let run = AtWork { start: start.clone(), agent: Arc::clone(agent), thread: thread.clone() };
        let mut live = self.live();
        live.threads.insert(thread.clone());
        *live.of_agent.entry(start.agent.clone()).or_default() += 1;
        live.unattended += usize::from(run.is_unattended());
        live.runs.insert(start.run_id.clone(), run);
        drop(live);
        Entered { runs: Arc::clone(self), start: start.clone() }
    }

    /// Whether this run is at work, for this principal.
    pub(crate) fn is_of(&self, run_id: &str, principal: &Principal) -> bool {
        let of = |run: &AtWork| run.thread.tenant == *principal.tenant && run.thread.owner == *principal.subject;
        self.live().runs.get(run_id).is_some_and(of)
    }

    pub(crate) fn get(&self, run_id: &str) -> Option<AtWork> {
        self.live().runs.get(run_id).cloned()
    }

    /// The run at work on a thread.
    pub(crate) fn on(&self, thread: &ThreadRef) -> Option<AtWork> {
        let live = self.live();
        if !live.threads.contains(thread) {
            return None;
        }
        live.runs.values().find(|run| run.thread == *thread).cloned()
    }

    /// Runs that this one started and waits for.
    pub(crate) fn children(&self, run_id: &str) -> Vec<AtWork> {
        let is_child = |run: &&AtWork| {
            let cause = &run.start.cause;
            cause.kind == CauseKind::Agent && cause.run_id.as_deref() == Some(run_id)
        };
        self.live().runs.values().filter(is_child).cloned().collect()
    }

    pub(crate) fn is_busy(&self, thread: &ThreadRef) -> bool {
        self.live().threads.contains(thread)
    }

    pub(crate) fn of_agent(&self, agent: &str) -> usize {
        self.live().of_agent.get(agent).copied().unwrap_or(0)
    }

    pub(crate) fn unattended(&self) -> usize {
        self.live().unattended
    }

    /// Waits until a run has ended; for one who asks at a time, who misses nothing between two questions.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// As [`changed`](Self::changed), for another one.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Wakes whoever waits for room, though no run has ended.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().expect("no code panics while it holds this lock")
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut live = self.runs.live();
        if let Some(run) = live.runs.remove(&self.start.run_id) {
            live.threads.remove(&run.thread);
            live.unattended -= usize::from(run.is_unattended());
            if let Some(count) = live.of_agent.get_mut(&run.start.agent) {
                *count -= 1;
                if *count == 0 {
                    live.of_agent.remove(&run.start.agent);
                }
            }
        }
        drop(live);
        self.runs.changed.notify_one();
        self.runs.ended.notify_one();
    }
}
