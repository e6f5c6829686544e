//! Which triggers watch a document, and what a commit sets off: found where the commit is decided, stored with it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Notify, watch as changes};

use crate::agent::definition::{Outcome, StateTrigger, TriggerKind};
use crate::agent::trigger::expression::{self, Change};
use crate::state::document::Commit;
use crate::state::watch::{Place, changes as changed_at};
use crate::store::WorkItem;

use super::super::agents::Agents;
use super::super::clock::now_ms;
use super::super::document::DocumentRef;
use super::super::runs::{Lifecycle, RunStatus};
use super::super::thread::ThreadRef;
use super::firing::Firing;

/// So many documents' watchers are kept in mind.
const KNOWN: usize = 4096;

/// The triggers of all agents, as documents ask for them.
pub(crate) struct Watchers {
    agents: Arc<Agents>,
    /// A lock, because every document's task asks; held for a look at a map.
    known: Mutex<Known>,
    /// Wakes the task that starts runs for what fired.
    fired: Notify,
}

/// A run that ended, as triggers of other agents' ends want to know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'r> {
    pub(crate) thread: &'r ThreadRef,
    pub(crate) run: &'r Lifecycle,
}

struct Known {
    /// Tells when the agents were swapped, and what is known is old.
    swapped: changes::Receiver<()>,
    /// Every trigger on documents, looked up with the first commit after a swap.
    all: Option<Arc<[Watching]>>,
    /// Every trigger on ends of runs, looked up with the first end after a swap.
    ends: Option<Arc<[Awaiting]>>,
    /// Those that watch a document.
    of: HashMap<String, Arc<[Watching]>>,
}

/// One trigger that watches a document.
#[derive(Debug, Clone)]
struct Watching {
    agent: String,
    id: String,
    trigger: StateTrigger,
}

/// One trigger that waits for runs of an agent to end.
#[derive(Debug)]
struct Awaiting {
    agent: String,
    id: String,
    awaited: String,
    outcome: Outcome,
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers").finish_non_exhaustive()
    }
}

impl Watchers {
    pub(crate) fn new(agents: Arc<Agents>) -> Self {
        let known = Mutex::new(Known { swapped: agents.swapped(), all: None, ends: None, of: HashMap::new() });
        Self { agents, known, fired: Notify::new() }
    }

    /// Whether any trigger watches a document.
    pub(crate) fn watch(&self, document: &DocumentRef) -> bool {
        !self.of(&document.name).is_empty()
    }

    /// What a commit sets off, to be stored with it. `body` is the document as the commit left it.
    pub(crate) fn set_off(&self, document: &DocumentRef, commit: &Commit, body: &Value) -> Vec<WorkItem> {
        let watching = self.of(&document.name);
        watching.iter().filter_map(|watching| watching.set_off(document, commit, body)).collect()
    }

    /// What the end of a run sets off, to be stored with it.
    pub(crate) fn set_off_by_end(&self, ended: Ended<'_>) -> Vec<WorkItem> {
        let Ended { thread, run } = ended;
        let awaiting = self.awaiting();
        let is_awaited = |it: &&Awaiting| it.awaited == run.agent && is(it.outcome, run.status);
        let firing = |it: &Awaiting| Firing::of_end(thread, (&it.agent, &it.id), run, now_ms()).item(Duration::ZERO);
        awaiting.iter().filter(is_awaited).map(firing).collect()
    }

    /// What was set off is stored.
    pub(crate) fn ring(&self) {
        self.fired.notify_one();
    }

    /// Waits until something was stored that was set off; for the one task that asks.
    pub(super) async fn fired(&self) {
        self.fired.notified().await;
    }

    fn of(&self, document: &str) -> Arc<[Watching]> {
        let mut known = self.known();
        let all = Arc::clone(known.all.get_or_insert_with(|| self.look_up().into()));
        if all.is_empty() {
            return all;
        }
        if let Some(watching) = known.of.get(document) {
            return Arc::clone(watching);
        }
        let watching: Arc<[Watching]> =
            all.iter().filter(|watching| watching.trigger.watches(document)).cloned().collect();
        if known.of.len() >= KNOWN {
            known.of.clear();
        }
        known.of.insert(document.to_owned(), Arc::clone(&watching));
        watching
    }

    fn awaiting(&self) -> Arc<[Awaiting]> {
        Arc::clone(self.known().ends.get_or_insert_with(|| self.look_up_ends().into()))
    }

    fn look_up_ends(&self) -> Vec<Awaiting> {
        let mut found = Vec::new();
        for agent in self.agents.all() {
            for trigger in agent.triggers() {
                if let TriggerKind::Agent { agent: awaited, outcome } = &trigger.kind {
                    let (agent, id) = (agent.id().to_owned(), trigger.id.clone());
                    found.push(Awaiting { agent, id, awaited: awaited.clone(), outcome: *outcome });
                }
            }
        }
        found
    }

    fn look_up(&self) -> Vec<Watching> {
        let mut found = Vec::new();
        for agent in self.agents.all() {
            for trigger in agent.triggers() {
                if let TriggerKind::State(state) = &trigger.kind {
                    let (agent, id) = (agent.id().to_owned(), trigger.id.clone());
                    found.push(Watching { agent, id, trigger: state.clone() });
                }
            }
        }
        found
    }

    /// What is known of the agents as they are.
    fn known(&self) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock().expect("no code panics while it holds this lock");
        if known.swapped.has_changed().unwrap_or(false) {
            known.swapped.mark_unchanged();
            (known.all, known.ends) = (None, None);
            known.of.clear();
        }
        known
    }
}

fn is(outcome: Outcome, status: RunStatus) -> bool {
    match outcome {
        Outcome::Success => status == RunStatus::Succeeded,
        Outcome::Failure => status.is_failure(),
        Outcome::Any => status.is_over() && status != RunStatus::Waiting,
    }
}

impl Watching {
    fn set_off(&self, document: &DocumentRef, commit: &Commit, body: &Value) -> Option<WorkItem> {
        let Self { agent, id, trigger } = self;
        // What is recorded of an agent's own runs counts as written by it.
        let is_own_record = document.name.starts_with("lifecycle/") && body["agent"] == **agent;
        if !trigger.hears(&commit.actor, agent) || (is_own_record && trigger.from.is_none()) {
            return None;
        }
        let whole = Place::default();
        let place = trigger.path.as_ref().unwrap_or(&whole);
        let mut changed = changed_at(place, body, &commit.ops, &commit.inverse);
        if let Some(condition) = &trigger.when {
            changed.retain(|change| {
                let (old, new) = (change.old.as_ref(), change.new.as_ref());
                let change = Change { old, new, state: body, doc: &document.name, actor: &commit.actor };
                expression::holds(condition, change).unwrap_or_else(|error| {
                    tracing::warn!(%agent, trigger = %id, doc = %document.name, %error, "a condition cannot be told");
                    false
                })
            });
        }
        if changed.is_empty() {
            return None;
        }
        let firing = Firing::of_commit(document, (agent, id), commit, changed, now_ms());
        Some(firing.item(trigger.debounce))
    }
}
