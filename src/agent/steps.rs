//! The steps of a run: pieces of work that are done once, also when the process dies under the run and it goes on in
//! another one.
//!
//! A step is named by its key, by the step around it, and by how often the key was used there before: a loop may use one key
//! for all its rounds. What a run does between its steps is done again after a crash, so it has to come to the same steps
//! again; its writes of state are told from new ones by their place among the writes of their step.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::oneshot;

use super::context::{Emission, RunContext};
use super::error::AgentError;
use crate::agui::Event;

/// The digits of the largest `u32`.
const COUNT_DIGITS: usize = 10;

tokio::task_local! {
    /// The step that is being worked on.
    static CURRENT: Arc<Scope>;
}

/// What a run did before it was cut off.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// What finished steps came to, by path.
    pub(crate) done: HashMap<String, Box<RawValue>>,
    /// Steps that had begun what must not be done twice.
    pub(crate) begun: HashSet<String>,
    /// How long the run had been worked on; the time while no process did is not counted.
    pub(crate) spent: Duration,
}

/// What a step has come to, for the run's journal: it becomes durable together with the events.
#[derive(Debug)]
pub struct StepNote {
    pub(crate) path: String,
    /// `None` when the step has only begun.
    pub(crate) value: Option<Box<RawValue>>,
    pub(crate) events: Vec<Event>,
    /// Told when it is durable; without one it becomes durable with what comes next.
    pub(crate) durable: Option<oneshot::Sender<()>>,
}

/// A step's name, and what was named inside of it so far.
#[derive(Debug, Default)]
pub(super) struct Scope {
    path: String,
    /// A lock, because a step may work on several things at once; held for a look at a short map.
    used: Mutex<HashMap<String, u32>>,
    writes: AtomicU32,
}

impl Scope {
    fn inner(&self, key: &str) -> Self {
        let mut used = self.used.lock().expect("no code panics while it holds this lock");
        let path = match used.get_mut(key) {
            Some(count) => {
                *count += 1;
                format!("{}/{key}#{count}", self.path)
            }
            None => {
                used.insert(key.to_owned(), 0);
                [&self.path, "/", key].concat()
            }
        };
        Self { path, ..Self::default() }
    }
}

/// One step of a run, before it is done.
pub(crate) struct Step<'c> {
    cx: &'c RunContext,
    scope: Arc<Scope>,
}

impl<'c> Step<'c> {
    /// What it came to, if it is done already.
    pub(crate) fn recall<T: DeserializeOwned>(&self) -> Result<Option<T>, AgentError> {
        let Some(value) = self.cx.past().done.get(&self.scope.path) else { return Ok(None) };
        serde_json::from_str(value.get()).map(Some).map_err(|error| {
            let message =
                format!("the run cannot go on: what step `{}` came to is not readable: {error}", self.scope.path);
            AgentError::new("internal", message)
        })
    }

    /// Whether it had begun what must not be done twice, and nothing is known of how that ended.
    pub(crate) fn is_begun(&self) -> bool {
        self.cx.past().begun.contains(&self.scope.path)
    }

    /// From now on it must not be done twice.
    pub(crate) async fn begin(&self) -> Result<(), AgentError> {
        self.note(None, Vec::new()).await
    }

    /// Does work that belongs to it: steps and writes of that are the step's own.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(Arc::clone(&self.scope), work).await
    }

    /// It is done, and with these events: on return that is durable.
    pub(crate) async fn done<T: Serialize>(&self, value: &T, events: Vec<Event>) -> Result<(), AgentError> {
        self.note(Some(self.value(value)?), events).await
    }

    /// As [`done`](Self::done), for what costs nothing to do again: it becomes durable with the events or after them,
    /// never without.
    pub(crate) async fn settle<T: Serialize>(&self, value: &T, events: Vec<Event>) -> Result<(), AgentError> {
        let value = Some(self.value(value)?);
        self.send(StepNote { path: self.scope.path.clone(), value, events, durable: None }).await
    }

    fn value<T: Serialize>(&self, value: &T) -> Result<Box<RawValue>, AgentError> {
        to_raw_value(value).map_err(|error| {
            AgentError::new("internal", format!("what step `{}` came to is no JSON: {error}", self.scope.path))
        })
    }

    async fn note(&self, value: Option<Box<RawValue>>, events: Vec<Event>) -> Result<(), AgentError> {
        let (durable, is_durable) = oneshot::channel();
        self.send(StepNote { path: self.scope.path.clone(), value, events, durable: Some(durable) }).await?;
        is_durable.await.map_err(|_| AgentError::run_is_over())
    }

    async fn send(&self, note: StepNote) -> Result<(), AgentError> {
        self.cx.send(Emission::Step(Box::new(note))).await
    }
}

/// Whether this is work of a step.
pub(super) fn is_in_step() -> bool {
    CURRENT.try_with(|_| ()).is_ok()
}

impl RunContext {
    /// Does a piece of work once, bracketed in `STEP_STARTED` and `STEP_FINISHED`. What it came to is journaled: when the
    /// run goes on after a crash, a step that was done answers that and is not done again.
    ///
    /// A step that was cut off is done again, so what it does to the world has to bear that; its writes of state and its
    /// inner steps are done once anyhow. What it does without waiting for anything, its end included, is one commit. Work in tasks of its own ([`tokio::spawn`]) does not count as the step's.
    pub async fn step<T: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        work: impl Future<Output = Result<T, AgentError>>,
    ) -> Result<T, AgentError> {
        self.meter().step();
        let step = self.open_step(key);
        if let Some(value) = step.recall()? {
            return Ok(value);
        }
        self.emit(Event::step_started(key)).await?;
        let value = step.within(work).await?;
        step.done(&value, vec![Event::step_finished(key)]).await?;
        Ok(value)
    }

    /// The next step of this key, to be done in parts.
    pub(crate) fn open_step(&self, key: &str) -> Step<'_> {
        let scope = Arc::new(self.here(|scope| scope.inner(key)));
        Step { cx: self, scope }
    }

    /// Names the next write of the step that is being worked on.
    pub(super) fn next_mark(&self) -> String {
        self.here(|scope| {
            let mut mark = String::with_capacity(scope.path.len() + 1 + COUNT_DIGITS);
            mark.push_str(&scope.path);
            write!(mark, ":{}", scope.writes.load(Ordering::Relaxed)).expect("memory takes every write");
            mark
        })
    }

    /// The write was made: the next one is another.
    pub(super) fn written(&self) {
        self.here(|scope| scope.writes.fetch_add(1, Ordering::Relaxed));
    }

    fn here<T>(&self, ask: impl FnOnce(&Scope) -> T) -> T {
        match CURRENT.try_with(Arc::clone) {
            Ok(current) => ask(&current),
            Err(_) => ask(self.whole()),
        }
    }
}

#[cfg(test)]
mod tests;
