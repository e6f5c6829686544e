//! What runs came to: by agent, by model, by day. Every run that ends leaves a note in the commit that ends it; notes are
//! added up in commits that take them out, so that each counts once whatever happens.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::access::Principal;
use crate::json_text;
use crate::store::{
    Append, Batch, CommitError, Kind, Owner, Scope, Seq, Store, StoreError, Tenant, Waiting, WorkItem, WorkKey,
};

use super::super::clock::now;
use super::super::{ReadError, Runtime};
use super::record::{Lifecycle, ModelUsage, RunUsage};

/// The queue of the store in which notes wait.
const QUEUE: &str = "ended";
/// Notes added up at once.
const PAGE: usize = 256;
/// Days read at once.
const DAYS: usize = 400;

/// What a run came to.
#[derive(Debug, Serialize, Deserialize)]
struct Note<'n> {
    #[serde(borrow)]
    agent: Cow<'n, str>,
    /// `2026-11-27`, UTC.
    #[serde(borrow)]
    day: Cow<'n, str>,
    /// 0 for an attempt that is not the last, and for a run that was counted before.
    runs: u64,
    usage: RunUsage,
}

/// All runs of one day, by agent and then by model.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Day {
    agents: BTreeMap<String, AgentDay>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct AgentDay {
    runs: u64,
    usage: RunUsage,
    /// How many of them used each model.
    runs_of_model: BTreeMap<String, u64>,
}

/// Adds notes up, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// A lock, because two who add up the same notes would both be refused; held over the commit.
    adding: Mutex<()>,
}

/// By what usage is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageBy {
    Agent,
    Model,
    Day,
}

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UsageItem {
    #[serde(skip)]
    pub by: String,
    /// Runs that ended; of models, those that used it.
    pub runs: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
}

/// The note that an attempt of a run leaves which used this. A run counts when it is over for the first time.
pub(crate) fn note(
    tenant: &str,
    (run, is_counted): (&Lifecycle, bool),
    finished_at: &str,
    usage: RunUsage,
) -> WorkItem {
    let (agent, day) = (run.agent.as_str().into(), day_of(finished_at).unwrap_or_default().into());
    let note = Note { agent, day, runs: u64::from(run.status.is_over() && !is_counted), usage };
    // A run that is tried again ends several times.
    let key = [run.run_id.as_str(), finished_at].join("/");
    WorkItem {
        key: WorkKey { tenant: Tenant::new(tenant), queue: QUEUE.to_owned(), key },
        due_at_ms: 0,
        body: json_text::encode(&note).into(),
    }
}

fn day_of(time: &str) -> Option<&str> {
    time.get(..10)
}

pub(crate) fn today() -> String {
    day_of(&now()).expect("a time begins with its day").to_owned()
}

fn scope(tenant: &str) -> Scope {
    Scope { tenant: Tenant::new(tenant), owner: Owner::shared(), kind: Kind::Usage }
}

impl Ledger {
    /// Adds up everything noted so far.
    pub(crate) async fn add_up(&self, store: &dyn Store) -> Result<(), StoreError> {
        let _adding = self.adding.lock().await;
        loop {
            let page = store.work(QUEUE, i64::MAX, None, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            let mut days: BTreeMap<(Tenant, String), (Day, Seq)> = BTreeMap::new();
            for waiting in &page {
                let note: Note<'_> =
                    serde_json::from_slice(&waiting.item.body).map_err(|error| StoreError::Unavailable {
                        reason: format!("the note of run {} is damaged: {error}", waiting.item.key.key),
                    })?;
                let Note { agent, day, runs, usage } = note;
                let (total, _) = match days.entry((waiting.item.key.tenant.clone(), day.into_owned())) {
                    Entry::Occupied(read) => read.into_mut(),
                    Entry::Vacant(new) => {
                        let (tenant, day) = new.key();
                        let read = read_day(store, tenant.as_str(), day).await?;
                        new.insert(read)
                    }
                };
                total.add(agent.into_owned(), runs, &usage);
            }
            let appends = days.into_iter().map(|((tenant, day), (total, seq))| Append {
                summary: Some(json_text::encode(&total).into()),
                ..Append::to(scope(tenant.as_str()).stream(day), seq)
            });
            let settle = page.into_iter().map(Waiting::into_settled).collect();
            match store.commit(Batch { appends: appends.collect(), settle, ..Batch::default() }).await {
                // Another process was faster: what is left is read again.
                Ok(_) | Err(CommitError::Settled { .. } | CommitError::Stale { .. }) => {}
                Err(error) => return Err(StoreError::Unavailable { reason: error.to_string() }),
            }
        }
    }

    /// What an agent's runs of today that are over came to: how many, and their cost.
    pub(crate) async fn today_of(
        &self,
        store: &dyn Store,
        tenant: &str,
        agent: &str,
    ) -> Result<(u64, RunUsage), StoreError> {
        self.add_up(store).await?;
        let (day, _) = read_day(store, tenant, &today()).await?;
        Ok(day.agents.get(agent).map(|day| (day.runs, day.usage.clone())).unwrap_or_default())
    }
}

async fn read_day(store: &dyn Store, tenant: &str, day: &str) -> Result<(Day, Seq), StoreError> {
    let stream = scope(tenant).stream(day);
    let Some(head) = store.head(&stream).await? else { return Ok((Day::default(), Seq::ZERO)) };
    Ok((decode(head.summary.as_deref(), day)?, head.seq))
}

fn decode(summary: Option<&[u8]>, day: &str) -> Result<Day, StoreError> {
    let Some(summary) = summary else { return Ok(Day::default()) };
    serde_json::from_slice(summary)
        .map_err(|error| StoreError::Unavailable { reason: format!("the usage of {day} is damaged: {error}") })
}

impl Day {
    fn add(&mut self, agent: String, runs: u64, usage: &RunUsage) {
        let agent = self.agents.entry(agent).or_default();
        agent.runs += runs;
        for used in &usage.by_model {
            agent.usage.add_model(used);
            *agent.runs_of_model.entry(used.model.clone()).or_default() += runs;
        }
    }
}

impl Runtime {
    /// What the runs of the principal's tenant that are over came to, by day or summed over all days.
    pub async fn usage(&self, principal: &Principal, by: UsageBy) -> Result<Vec<UsageItem>, ReadError> {
        let store: &Arc<dyn Store> = &self.services.store;
        self.services.ledger.add_up(store.as_ref()).await?;
        let mut items: BTreeMap<String, UsageItem> = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = store.list_by_id(&scope(&principal.tenant), "", after.as_deref(), DAYS).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.id.to_string());
            for stream in page {
                let day = decode(stream.head.summary.as_deref(), &stream.key.id)?;
                for (agent, AgentDay { runs, usage, runs_of_model }) in day.agents {
                    match by {
                        UsageBy::Agent => add(&mut items, agent, runs, &whole(&usage)),
                        UsageBy::Day => add(&mut items, stream.key.id.to_string(), runs, &whole(&usage)),
                        UsageBy::Model => {
                            for used in &usage.by_model {
                                let runs = runs_of_model.get(&used.model).copied().unwrap_or(0);
                                add(&mut items, used.model.clone(), runs, used);
                            }
                        }
                    }
                }
            }
        }
        Ok(items.into_values().collect())
    }
}

fn whole(usage: &RunUsage) -> ModelUsage {
    ModelUsage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        total_tokens: usage.total_tokens,
        cost_usd: usage.cost_usd,
        ..ModelUsage::default()
    }
}

fn add(items: &mut BTreeMap<String, UsageItem>, by: String, runs: u64, used: &ModelUsage) {
    let item = items.entry(by.clone()).or_insert_with(|| UsageItem {
        by,
        runs: 0,
        input_tokens: 0,
        output_tokens: 0,
        total_tokens: 0,
        cost_usd: None,
    });
    item.runs += runs;
    item.input_tokens += used.input_tokens;
    item.output_tokens += used.output_tokens;
    item.total_tokens += used.total_tokens;
    item.cost_usd = super::record::sum(item.cost_usd, used.cost_usd);
}

#[cfg(test)]
mod tests {
    use crate::store::Memory;

    use super::*;

    fn noted(agent: &str, day: &str, model: &str, tokens: u64, key: &str) -> WorkItem {
        let mut usage = RunUsage::default();
        usage.add_model(&ModelUsage {
            model: model.to_owned(),
            input_tokens: tokens,
            total_tokens: tokens,
            cost_usd: Some(0.5),
            ..ModelUsage::default()
        });
        let note = Note { agent: agent.into(), day: day.into(), runs: 1, usage };
        WorkItem {
            key: WorkKey { tenant: Tenant::new("t"), queue: QUEUE.to_owned(), key: key.to_owned() },
            due_at_ms: 0,
            body: serde_json::to_vec(&note).expect("plain data").into(),
        }
    }

    #[tokio::test]
    async fn every_note_counts_once_whoever_adds_up_and_how_often() {
        let (store, ledger) = (Memory::new(), Ledger::default());
        let put = (0..600).map(|n| noted("a", "2026-11-27", "m", 2, &n.to_string())).collect();
        store.commit(Batch { put, ..Batch::default() }).await.expect("a store");
        let (one, other) = tokio::join!(ledger.add_up(&store), ledger.add_up(&store));
        one.and(other).expect("a store");
        let (day, _) = read_day(&store, "t", "2026-11-27").await.expect("a store");
        let sums = &day.agents["a"];
        assert_eq!((sums.runs, sums.usage.total_tokens, sums.usage.cost_usd), (600, 1200, Some(300.0)));
        assert_eq!(sums.runs_of_model["m"], 600);
        let (elsewhere, _) = read_day(&store, "other", "2026-11-27").await.expect("a store");
        assert!(elsewhere.agents.is_empty());
    }
}
