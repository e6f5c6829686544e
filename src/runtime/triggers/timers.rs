//! The task of cron and interval triggers: each has one row in the store, which says when it is due next.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::Principal;
use crate::agent::cause::{Cause, CauseKind};
use crate::agent::definition::{Overlap, Trigger, TriggerKind};
use crate::agent::trigger::timer::{self, Tick};
use crate::json_text;
use crate::store::{Batch, CommitError, StoreError, Tenant, Waiting, WorkItem, WorkKey};

use super::super::Runtime;
use super::super::agents::Hosted;
use super::super::clock::now_ms;
use super::super::runs::SubmitError;
use super::outbox::until;
use super::request::Request;

const QUEUE: &str = "timers";
const PAGE: usize = 512;
const AGAIN_MS: i64 = 1000;

/// A timer as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Timer {
    agent: String,
    trigger: String,
}

/// The run that each timer started last, while it is pending.
type Started = HashMap<Timer, String>;

/// Why timers have to wait for better times.
#[derive(Debug, thiserror::Error)]
enum NotNow {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Submit(#[from] SubmitError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("a timer cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
}

pub(super) async fn serve(runtime: Arc<Runtime>) {
    let (mut swapped, mut resumed) = (runtime.agents.swapped(), runtime.services.paused.resumed());
    let mut started = Started::new();
    loop {
        swapped.mark_unchanged();
        resumed.mark_unchanged();
        let next = runtime.run_timers(&mut started).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "timers wait a little longer");
            Some(now_ms() + AGAIN_MS)
        });
        tokio::select! {
            Ok(()) = swapped.changed() => {}
            Ok(()) = resumed.changed() => {}
            () = until(next), if next.is_some() => {}
            () = runtime.services.stopping.cancelled() => return,
        }
    }
}

impl Runtime {
    /// Fires what is due; answers when the next timer is.
    async fn run_timers(&self, started: &mut Started) -> Result<Option<i64>, NotNow> {
        started.retain(|_, run_id| self.is_pending(run_id));
        let mut rows = self.timers().await?;
        let mut next: Option<i64> = None;
        let mut soonest = |due_at_ms: i64| next = Some(next.map_or(due_at_ms, |next: i64| next.min(due_at_ms)));
        for agent in self.agents.all() {
            let is_paused = self.services.paused.has(&Principal::local().tenant, agent.id());
            for trigger in agent.triggers() {
                let timer = Timer { agent: agent.id().to_owned(), trigger: trigger.id.clone() };
                match rows.remove(&timer) {
                    Some(row) if row.item.due_at_ms > now_ms() => soonest(row.item.due_at_ms),
                    // It is missed until the agent is resumed, and then caught up or not.
                    Some(_) if is_paused => {}
                    Some(row) => {
                        if let Some(due_at_ms) = self.fire(&agent, trigger, &timer, &row, started).await? {
                            soonest(due_at_ms);
                        }
                    }
                    None => {
                        let Some(first) = timer::first(&trigger.kind, Timestamp::now()) else { continue };
                        let item = timer.item(first);
                        soonest(item.due_at_ms);
                        self.services.store.commit(Batch { put: vec![item], ..Batch::default() }).await?;
                    }
                }
            }
        }
        // Nobody has these triggers any more.
        let settle: Vec<_> = rows.values().map(Waiting::settled).collect();
        if !settle.is_empty() {
            self.services.store.commit(Batch { settle, ..Batch::default() }).await?;
        }
        Ok(next)
    }

    async fn timers(&self) -> Result<HashMap<Timer, Waiting>, NotNow> {
        let mut rows = HashMap::new();
        let mut after = None;
        loop {
            let page = self.services.store.work(QUEUE, i64::MAX, after, PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(Waiting::cursor);
            for row in page {
                rows.insert(serde_json::from_slice(&row.item.body)?, row);
            }
            if is_last {
                return Ok(rows);
            }
        }
    }

    /// Stores the run and the timer's next time in one commit, or only the latter; answers that time.
    async fn fire(
        &self,
        agent: &Arc<Hosted>,
        trigger: &Trigger,
        timer: &Timer,
        row: &Waiting,
        started: &mut Started,
    ) -> Result<Option<i64>, NotNow> {
        let due = Timestamp::from_millisecond(row.item.due_at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let Tick { fires, next } = timer::tick(&trigger.kind, due, Timestamp::now());
        let next = next.map(|next| timer.item(next));
        let due_next = next.as_ref().map(|item| item.due_at_ms);
        let is_held = started.get(timer).is_some_and(|run_id| match overlap(trigger) {
            Overlap::Skip => true,
            Overlap::Queue => self.services.queue.has(run_id),
            Overlap::Allow => false,
        });
        if !fires || is_held {
            let batch = Batch { settle: vec![row.settled()], put: next.into_iter().collect(), ..Batch::default() };
            self.services.store.commit(batch).await?;
            return Ok(due_next);
        }
        let told = serde_json::json!({ "due": due.to_string() });
        let request = Request::of_agent(trigger, agent.id());
        let mut submission = request.submission(Arc::clone(agent), Cause::first(kind(trigger)), &told);
        submission.settle = vec![row.settled()];
        submission.put = next.into_iter().collect();
        let submitted = self.submit(submission).await?;
        started.insert(timer.clone(), submitted.run_id);
        Ok(due_next)
    }
}

impl Timer {
    fn item(&self, due: Timestamp) -> WorkItem {
        let tenant = Tenant::new(Principal::local().tenant);
        let key = WorkKey { tenant, queue: QUEUE.to_owned(), key: format!("{}/{}", self.agent, self.trigger) };
        let body = json_text::encode(self).into();
        WorkItem { key, due_at_ms: due.as_millisecond(), body }
    }
}

fn overlap(trigger: &Trigger) -> Overlap {
    match &trigger.kind {
        TriggerKind::Cron { overlap, .. } | TriggerKind::Interval { overlap, .. } => *overlap,
        _ => Overlap::Allow,
    }
}

fn kind(trigger: &Trigger) -> CauseKind {
    match &trigger.kind {
        TriggerKind::Cron { .. } => CauseKind::Cron,
        _ => CauseKind::Interval,
    }
}
