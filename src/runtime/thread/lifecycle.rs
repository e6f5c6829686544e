//! What a run's lifecycle document says at its start and at its end, written in the commits that make it so.

use crate::agent::meter::Meter;
use crate::agui::Event;
use crate::store::{Batch, Settle};

use super::super::Services;
use super::super::clock::now_ms;
use super::super::runs::{
    FromQueue, Life, Lifecycle, ModelUsage, RunError, RunStatus, RunUsage, Ticket, Verdict, dead_letter, ledger,
    name_of,
};
use super::super::triggers::{Ended, Watchers};
use super::actor::{Broken, Thread};
use super::live::Ending;
use super::record::{RunFacts, RunStart, Told};
use super::{StopReason, ThreadRef};

/// What is stored along with a step of a run.
#[derive(Debug, Clone)]
pub(super) struct AlongWith {
    pub(super) batch: Batch,
    /// Boxed, as the rest is: all of this is moved and kept with threads that have no use for it.
    pub(super) life: Box<Life>,
    /// The record of the run that asked what is now asked no more.
    pub(super) asked: Option<Box<Life>>,
    /// What waits again afterwards, and from when on.
    again: Option<Box<(Ticket, i64)>>,
    /// Whether its end sets triggers off.
    sets_off: bool,
}

/// A run's record at its start, and what waited for that.
pub(super) struct Begins {
    life: Box<Life>,
    settle: Vec<Settle>,
}

impl AlongWith {
    /// With the start of a run.
    pub(super) fn start_of(begins: Begins, watchers: &Watchers) -> Self {
        let Begins { mut life, settle } = begins;
        let batch = life.next_with(Batch { settle, ..Batch::default() }, watchers);
        Self { batch, life, asked: None, again: None, sets_off: false }
    }

    /// With the end of a run on `thread` that told this, and what that sets off; what it did is counted from what it told
    /// where nobody counted.
    pub(super) fn end_of(
        mut life: Box<Life>,
        (facts, told, meter): (&RunFacts, &Told, Option<&Meter>),
        (watchers, thread): (&Watchers, &ThreadRef),
    ) -> Self {
        let terminal = told.events.last().map(|last| &last.event);
        let (usage, error) = match terminal {
            Some(Event::RunFinished(finished)) => (finished.usage.as_deref(), None),
            Some(Event::RunError(failed)) => {
                let code = failed.code.clone().unwrap_or_else(|| "internal".to_owned());
                (failed.usage.as_deref(), Some(RunError { code, message: failed.message.clone() }))
            }
            _ => (None, None),
        };
        let record = &mut life.told;
        record.status = facts.status;
        record.finished_at = Some(facts.finished_at.clone());
        let said = || told.events.iter().filter(|item| matches!(item.event, Event::StepStarted(_))).count() as u64;
        let counted = meter.map(Meter::steps).filter(|steps| *steps > 0).unwrap_or_else(said);
        record.steps = record.steps.max(facts.start.steps_before + counted);
        let mut used = RunUsage::default();
        used.add(usage.unwrap_or_default());
        for (model, usd) in meter.map(Meter::costs).unwrap_or_default() {
            used.add_model(&ModelUsage { model, cost_usd: Some(usd), ..ModelUsage::default() });
        }
        used.by_model.iter().for_each(|used| record.usage.add_model(used));
        record.error = error;
        record.pending_tool_calls.clone_from(&facts.asked);
        let (mut put, mut again) = (Vec::new(), None);
        if let Some(plan) = &facts.start.retry {
            match plan.verdict(record.status, record.error.as_ref()) {
                Verdict::Again(wait) => {
                    let due_at_ms = now_ms() + i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 2);
                    put.push(plan.ticket.item(due_at_ms));
                    again = Some(Box::new((plan.ticket.clone(), due_at_ms)));
                    (record.status, record.finished_at) = (RunStatus::Queued, None);
                    record.attempt += 1;
                }
                Verdict::Dead => {
                    record.status = RunStatus::Dead;
                    put.extend(record.error.as_ref().map(|error| dead_letter(&plan.ticket, error)));
                }
                Verdict::Final => {}
            }
        }
        let is_counted = facts.start.retry.as_ref().is_some_and(|plan| plan.ticket.is_counted);
        put.push(ledger::note(life.tenant(), (&life.told, is_counted), &facts.finished_at, used));
        let set_off = watchers.set_off_by_end(Ended { thread, run: &life.told });
        let sets_off = !set_off.is_empty();
        put.extend(set_off);
        let batch = life.next_with(Batch { put, ..Batch::default() }, watchers);
        Self { batch, life, asked: None, again, sets_off }
    }

    /// It is stored.
    pub(super) fn show(&self, services: &Services) {
        if self.sets_off {
            services.watchers.ring();
        }
        if let Some(asked) = &self.asked {
            asked.show(services);
            services.standings.amended(asked.tenant(), &asked.told);
        }
        if let Some(again) = &self.again {
            let (ticket, due_at_ms) = again.as_ref();
            return services.wait_again(ticket.clone(), Life::clone(&self.life), *due_at_ms);
        }
        self.life.show(services);
        services.standings.saw(self.life.tenant(), &self.life.told);
    }
}

impl Thread {
    /// The record of a run that nobody waited for.
    pub(super) fn life_begins(&self, start: &RunStart) -> Begins {
        Begins { life: self.new_life(start), settle: Vec::new() }
    }

    /// The record of a run that waited in the queue, and does no more.
    pub(super) fn life_goes_on(&self, start: &RunStart, queued: FromQueue) -> Begins {
        let FromQueue { mut life, ticket } = queued;
        let settle = Settle::from(ticket.key());
        let (status, started_at) = (RunStatus::Running, Some(start.started_at.clone()));
        life.told = Lifecycle { status, started_at, finished_at: None, error: None, ..life.told };
        Begins { life: Box::new(life), settle: vec![settle] }
    }

    fn new_life(&self, start: &RunStart) -> Box<Life> {
        Box::new(Life::new(&self.name, begun(&self.name.id, start)))
    }

    /// The record of a run that was live when the process died, as it is stored.
    pub(super) async fn life_of(&self, start: &RunStart) -> Result<Box<Life>, Broken> {
        let name = name_of(self.name.tenant.clone(), self.name.owner.clone(), &start.run_id);
        let read = Life::read(self.services.store.as_ref(), name).await;
        let found = read.map_err(|error| Broken { reason: error.to_string() })?;
        Ok(found.map_or_else(|| self.new_life(start), Box::new))
    }
}

fn begun(thread_id: &str, start: &RunStart) -> Lifecycle {
    Lifecycle {
        run_id: start.run_id.clone(),
        agent: start.agent.clone(),
        thread_id: thread_id.to_owned(),
        status: RunStatus::Running,
        cause: start.cause.clone(),
        queued_at: None,
        started_at: Some(start.started_at.clone()),
        finished_at: None,
        attempt: 1,
        steps: 0,
        usage: RunUsage::default(),
        error: None,
        pending_tool_calls: Vec::new(),
    }
}

impl From<StopReason> for Ending {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::Asked => Self::Stopped,
            StopReason::Superseded => Self::Superseded,
        }
    }
}
