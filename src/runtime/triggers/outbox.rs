//! The task that turns firings into runs: together what belongs together, when it has been quiet long enough, and as the
//! agent's `on_conflict` says one after the other for each trigger and document.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::access::Principal;
use crate::agent::cause::{Cause, CauseKind};
use crate::agent::definition::{OnConflict, Trigger, TriggerKind};
use crate::store::{Batch, CommitError, Owner, Settle, StoreError, Tenant, Waiting, WorkItem};

use super::super::agents::Hosted;
use super::super::clock::now_ms;
use super::super::document::DocumentRef;
use super::super::runs::{SubmitError, Submitted};
use super::super::{ReadError, Runtime};
use super::firing::{Firing, Group, QUEUE, What};
use super::request::Request;

/// Read from the store at once.
const PAGE: usize = 512;
/// As many firings of a group that has to wait become one item of the store.
const GATHERED: usize = 32;
/// When what could not be done is tried again.
const AGAIN_MS: i64 = 1000;

/// The runs that groups were given last, while those are pending.
type Given = HashMap<Group, String>;

/// Firings of one group that wait, and what of the store they are.
struct Gathered {
    firing: Firing,
    settle: Vec<Settle>,
}

/// Why firings have to wait for better times.
#[derive(Debug, thiserror::Error)]
enum NotNow {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{0}")]
    Submit(SubmitError),
    #[error("a firing cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

pub(super) async fn serve(runtime: Arc<Runtime>) {
    let services = &runtime.services;
    let mut swapped = runtime.agents.swapped();
    let mut given = Given::new();
    loop {
        swapped.mark_unchanged();
        let next = runtime.start_what_fired(&mut given).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "triggers that fired wait a little longer");
            Some(now_ms() + AGAIN_MS)
        });
        tokio::select! {
            () = services.watchers.fired() => {}
            () = services.live_runs.ended(), if !given.is_empty() => {}
            Ok(()) = swapped.changed() => {}
            () = until(next), if next.is_some() => {}
            () = services.stopping.cancelled() => return,
        }
    }
}

pub(super) async fn until(due_at_ms: Option<i64>) {
    if let Some(due_at_ms) = due_at_ms {
        let left = u64::try_from(due_at_ms - now_ms()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(left)).await;
    }
}

impl Runtime {
    /// Stores a run for everything that is due; answers when the next one is.
    async fn start_what_fired(&self, given: &mut Given) -> Result<Option<i64>, NotNow> {
        given.retain(|_, run_id| self.is_pending(run_id));
        let mut next: Option<i64> = None;
        let mut soonest = |due_at_ms: i64| next = Some(next.map_or(due_at_ms, |next: i64| next.min(due_at_ms)));
        for (group, all) in self.gather().await? {
            let found = self.agents.find(&group.agent);
            let trigger = found.as_ref().and_then(|agent| Some((agent, agent.trigger(&group.trigger)?)));
            let Some((agent, trigger)) = trigger else {
                tracing::info!(agent = group.agent, trigger = group.trigger, "a trigger that fired is gone");
                let settle = all.into_iter().flat_map(|gathered| gathered.settle).collect();
                self.commit_alone(settle, None).await?;
                continue;
            };
            let debounce = debounce_of(trigger);
            for gathered in all {
                let due_at_ms = gathered.firing.due_at_ms(debounce);
                let waits_for_a_run = self.gathers_firings(&group.tenant, agent) && given.contains_key(&group);
                if due_at_ms > now_ms() || waits_for_a_run {
                    if !waits_for_a_run {
                        soonest(due_at_ms);
                    }
                    if gathered.settle.len() > GATHERED {
                        self.commit_alone(gathered.settle, Some(gathered.firing.item(debounce))).await?;
                    }
                    continue;
                }
                match self.start_for(agent, trigger, gathered).await {
                    Ok(submitted) => drop(given.insert(group.clone(), submitted.run_id)),
                    // Another firing came into an item meanwhile, or it was done before a crash: it is looked at again.
                    Err(NotNow::Submit(SubmitError::Settled)) => soonest(now_ms()),
                    // The others have room of their own.
                    Err(error @ NotNow::Submit(SubmitError::QueueFull { .. })) => {
                        tracing::debug!(agent = group.agent, %error, "a trigger waits for room in the queue");
                        soonest(now_ms() + AGAIN_MS);
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(next)
    }

    /// Everything that waits: what a trigger set off for one document, and of that what becomes one run.
    async fn gather(&self) -> Result<BTreeMap<Group, Vec<Gathered>>, NotNow> {
        let mut groups: BTreeMap<Group, Vec<Gathered>> = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.services.store.work(QUEUE, i64::MAX, after, PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(Waiting::cursor);
            for waiting in page {
                let settle = waiting.settled();
                let firing: Firing = serde_json::from_slice(&waiting.item.body)?;
                let group = firing.group();
                let apart = self.apart(&group);
                let all = groups.entry(group).or_default();
                match all.pop() {
                    Some(Gathered { firing: earlier, settle: mut both })
                        if apart.is_none_or(|debounce| firing.first_at_ms < earlier.due_at_ms(debounce)) =>
                    {
                        both.push(settle);
                        all.push(Gathered { firing: earlier.with(firing), settle: both });
                    }
                    earlier => {
                        all.extend(earlier);
                        all.push(Gathered { firing, settle: vec![settle] });
                    }
                }
            }
            if is_last {
                return Ok(groups);
            }
        }
    }

    /// The debounce of a trigger whose firings are one run only within it; `None` where all that wait are.
    fn apart(&self, group: &Group) -> Option<Duration> {
        let agent = self.agents.find(&group.agent)?;
        let is_apart = !self.gathers_firings(&group.tenant, &agent)
            && agent.run_spec().concurrency.on_conflict == OnConflict::Enqueue;
        is_apart.then(|| agent.trigger(&group.trigger).map(debounce_of))?
    }

    async fn start_for(&self, agent: &Arc<Hosted>, trigger: &Trigger, gathered: Gathered) -> Result<Submitted, NotNow> {
        let Gathered { firing, settle } = gathered;
        let request = match &firing.what {
            What::State { doc, .. } => {
                let (tenant, owner) = (Tenant::new(firing.tenant.as_str()), Owner::new(firing.owner.as_str()));
                let document = DocumentRef { tenant, owner, name: doc.as_str().into() };
                Request::of_document(trigger, agent.id(), &document)
            }
            What::Ended { .. } => Request::of_agent(trigger, agent.id()),
        };
        let cause = self.cause_of(&firing, request.principal()).await?;
        let mut submission = request.submission(Arc::clone(agent), cause, &firing.told());
        submission.settle = settle;
        self.submit(submission).await.map_err(NotNow::Submit)
    }

    /// The chain of the run that made the change or ended, and one more.
    async fn cause_of(&self, firing: &Firing, principal: &Principal) -> Result<Cause, ReadError> {
        let (kind, run_id) = match &firing.what {
            What::State { run_id, .. } => (CauseKind::State, run_id.as_deref()),
            What::Ended { run_id, .. } => (CauseKind::Agent, Some(run_id.as_str())),
        };
        let before = match run_id {
            Some(run_id) => self.run_record(principal, run_id).await?,
            None => None,
        };
        let cause = match &before {
            Some(run) => run.cause.after(&run.run_id, kind),
            None => Cause::first(kind),
        };
        Ok(match &firing.what {
            What::State { doc, .. } => Cause { doc: Some(doc.clone()), ..cause },
            What::Ended { agent, .. } => Cause { agent: Some(agent.clone()), ..cause },
        })
    }

    /// Settles without a run, or puts one item in the place of many.
    async fn commit_alone(&self, settle: Vec<Settle>, put: Option<WorkItem>) -> Result<(), NotNow> {
        let batch = Batch { settle, put: put.into_iter().collect(), ..Batch::default() };
        match self.services.store.commit(batch).await {
            Ok(_) | Err(CommitError::Settled { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn debounce_of(trigger: &Trigger) -> Duration {
    match &trigger.kind {
        TriggerKind::State(state) => state.debounce,
        _ => Duration::ZERO,
    }
}
