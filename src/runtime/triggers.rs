//! What starts runs without a person: firings stored with the commits that cause them, timers that are rows of the store,
//! deliveries of webhooks. All of them end in a submitted run, stored in the commit that settles what caused it, so
//! nothing is missed or doubled by a crash.

mod firing;
mod hooks;
mod outbox;
mod request;
mod timers;
mod watchers;

use std::sync::Arc;

pub use hooks::{Delivered, HookError};
pub(crate) use watchers::{Ended, Watchers};

use crate::agent::cause::{Cause, CauseKind};
use crate::agent::definition::{Trigger, TriggerKind};

use super::agents::Hosted;
use super::runs::SubmitError;
use super::{Runtime, WatchGuard};
use request::Request;

/// The tasks that start runs, for as long as it lives.
#[derive(Debug)]
pub struct TriggersGuard(#[expect(dead_code, reason = "held, so that the tasks end with it")] [WatchGuard; 2]);

impl Runtime {
    /// Starts what triggers say, from now on: first what fires once at the start of the process.
    pub async fn run_triggers(self: &Arc<Self>) -> TriggersGuard {
        for agent in self.agents.all() {
            for trigger in agent.triggers().iter().filter(|trigger| trigger.kind == TriggerKind::Start) {
                if let Err(error) = self.fire_start(&agent, trigger).await {
                    tracing::error!(agent = agent.id(), %error, "a run at the start of the process could not be stored");
                }
            }
        }
        let outbox = tokio::spawn(outbox::serve(Arc::clone(self)));
        let timers = tokio::spawn(timers::serve(Arc::clone(self)));
        TriggersGuard([WatchGuard(outbox), WatchGuard(timers)])
    }

    async fn fire_start(&self, agent: &Arc<Hosted>, trigger: &Trigger) -> Result<(), SubmitError> {
        let request = Request::of_agent(trigger, agent.id());
        let told = serde_json::json!({});
        self.submit(request.submission(Arc::clone(agent), Cause::first(CauseKind::Start), &told)).await.map(drop)
    }

    /// Whether a run waits or is at work in this process.
    fn is_pending(&self, run_id: &str) -> bool {
        self.services.queue.has(run_id) || self.services.live_runs.get(run_id).is_some()
    }
}
