//! The lifecycle document of each agent, `lifecycle/agent:<id>`: whether it is paused, what it is at, what it did last.
//!
//! It follows from the runs and is written after them, at most a few times a second; a restart writes it anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

use crate::access::Principal;
use crate::store::{Kind, Owner, Scope, Tenant};

use super::super::Services;
use super::super::agents::Agents;
use super::super::document::{Author, DocumentError, DocumentRef, Proposal, Write};
use super::ledger::today;
use super::lifecycle::{Unreadable, name_of, of_head};
use super::record::{Lifecycle, RunStatus, RunUsage};

/// What happens within this time is one version.
const GATHER: Duration = Duration::from_millis(200);
/// Runs that are looked at when a process begins, the newest first.
const REMEMBERED: usize = 500;

/// Which agents have something new to tell.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    /// A lock, because threads' tasks tell and the task that writes asks; held for a map access.
    news: Mutex<News>,
    changed: Notify,
}

/// Of agents, by tenant and then by id: a run of one that is known makes no new keys.
#[derive(Debug, Default)]
struct News(BTreeMap<String, BTreeMap<String, OfAgent>>);

#[derive(Debug, Default)]
struct OfAgent {
    is_touched: bool,
    last: Option<LastRun>,
}

/// The run of an agent that began or ended last.
#[derive(Debug, Clone, Serialize)]
struct LastRun {
    run_id: String,
    status: RunStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
}

impl LastRun {
    fn of(run: &Lifecycle) -> Self {
        Self { run_id: run.run_id.clone(), status: run.status, finished_at: run.finished_at.clone() }
    }
}

/// The body of the document.
#[derive(Debug, Serialize)]
struct Standing<'s> {
    agent: &'s str,
    /// As `GET /v1/agents/{id}` says it.
    status: &'s str,
    paused: bool,
    /// How many runs are at work.
    live: usize,
    /// How many wait.
    queued: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_run: Option<LastRun>,
    today: Today,
}

#[derive(Debug, Serialize)]
struct Today {
    day: String,
    /// That are over.
    runs: u64,
    usage: RunUsage,
}

impl Standings {
    /// Something about an agent changed.
    pub(crate) fn touch(&self, tenant: &str, agent: &str) {
        self.news().change(tenant, agent, |news| news.is_touched = true);
        self.changed.notify_one();
    }

    /// A run began, waits or ended.
    pub(crate) fn saw(&self, tenant: &str, run: &Lifecycle) {
        self.news().change(tenant, &run.agent, |news| {
            news.is_touched = true;
            if run.status != RunStatus::Queued {
                news.last = Some(LastRun::of(run));
            }
        });
        self.changed.notify_one();
    }

    /// What is known of a run that is over has changed since.
    pub(crate) fn amended(&self, tenant: &str, run: &Lifecycle) {
        self.news().change(tenant, &run.agent, |news| {
            if let Some(last) = news.last.as_mut().filter(|last| last.run_id == run.run_id) {
                last.status = run.status;
                news.is_touched = true;
            }
        });
        self.changed.notify_one();
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().expect("no code panics while it holds this lock")
    }
}

impl News {
    fn change(&mut self, tenant: &str, agent: &str, change: impl FnOnce(&mut OfAgent)) {
        match self.0.get_mut(tenant).and_then(|agents| agents.get_mut(agent)) {
            Some(known) => change(known),
            None => change(self.0.entry(tenant.to_owned()).or_default().entry(agent.to_owned()).or_default()),
        }
    }

    fn last_of(&self, tenant: &str, agent: &str) -> Option<LastRun> {
        self.0.get(tenant)?.get(agent)?.last.clone()
    }

    /// The agents of which there is something new, in order; it is no longer new.
    fn take_touched(&mut self) -> Vec<(String, String)> {
        let mut touched = Vec::new();
        for (tenant, agents) in &mut self.0 {
            let new =
                agents.iter_mut().filter_map(|(agent, news)| std::mem::take(&mut news.is_touched).then_some(agent));
            touched.extend(new.map(|agent| (tenant.clone(), agent.clone())));
        }
        touched
    }
}

/// Writes what is new until the process begins to end.
pub(crate) async fn keep(services: Arc<Services>, agents: Arc<Agents>) {
    let mut swapped = agents.swapped();
    loop {
        tokio::select! {
            () = services.standings.changed.notified() => {}
            Ok(()) = swapped.changed() => touch_all(&services, &agents),
            () = services.stopping.cancelled() => return,
        }
        tokio::time::sleep(GATHER).await;
        write_news(&services, &agents).await;
    }
}

/// Every agent has a document, before anybody can ask for it.
pub(crate) async fn begin(services: &Arc<Services>, agents: &Agents) {
    if let Err(error) = remember(services, agents).await {
        tracing::warn!(%error, "what agents did last could not be read");
    }
    touch_all(services, agents);
    write_news(services, agents).await;
}

/// What the process before could not write any more, because it ended first: the last run of each agent, among those that
/// came to be last and the one that its document names.
async fn remember(services: &Arc<Services>, agents: &Agents) -> Result<(), DocumentError> {
    let Principal { tenant, subject } = Principal::local();
    let (store, owner) = (services.store.as_ref(), Owner::new(subject.as_str()));
    let scope = Scope { tenant: Tenant::new(tenant.as_str()), owner: owner.clone(), kind: Kind::Document };
    let mut runs = Vec::new();
    for stream in store.list_back(&scope, "lifecycle/", None, REMEMBERED).await? {
        runs.extend(of_head(stream.key.id.trim_start_matches("lifecycle/"), &stream.head).map_err(unreadable)?);
    }
    for entry in agents.entries() {
        let body = services.document(&document(&tenant, entry.id())).body(None).await?.value;
        let Some(named) = body.pointer("/last_run/run_id").and_then(Value::as_str) else { continue };
        let name = name_of(tenant.as_str(), owner.clone(), named);
        if let Some(head) = store.head(&name.stream()).await? {
            runs.extend(of_head(named, &head).map_err(unreadable)?);
        }
    }
    let mut news = services.standings.news();
    runs.sort_by(|one, other| latest(one).cmp(&latest(other)));
    for run in runs.iter().filter(|run| run.status != RunStatus::Queued).rev() {
        news.change(&tenant, &run.agent, |news| {
            news.last.get_or_insert_with(|| LastRun::of(run));
        });
    }
    Ok(())
}

/// When it began or ended.
fn latest(run: &Lifecycle) -> Option<&String> {
    run.finished_at.as_ref().or(run.started_at.as_ref())
}

fn unreadable(error: Unreadable) -> DocumentError {
    DocumentError::Unavailable { reason: error.to_string() }
}

/// Of the one tenant that a server without authentication has; of others an agent's document begins with its first run.
fn touch_all(services: &Services, agents: &Agents) {
    for entry in agents.entries() {
        services.standings.touch(&Principal::local().tenant, entry.id());
    }
}

async fn write_news(services: &Arc<Services>, agents: &Agents) {
    let touched = services.standings.news().take_touched();
    for (tenant, agent) in touched {
        if let Err(error) = write(services, agents, &tenant, &agent).await {
            tracing::warn!(%agent, %error, "the lifecycle document of an agent could not be written");
        }
    }
}

async fn write(services: &Arc<Services>, agents: &Agents, tenant: &str, agent: &str) -> Result<(), DocumentError> {
    let (runs, usage) = services.ledger.today_of(services.store.as_ref(), tenant, agent).await?;
    let paused = services.paused.has(tenant, agent);
    let status = match agents.entry(agent) {
        Some(_) if paused => "paused",
        Some(entry) => entry.status(),
        None => "absent",
    };
    let last_run = services.standings.news().last_of(tenant, agent);
    let standing = Standing {
        agent,
        status,
        paused,
        live: services.live_runs.of_agent(agent),
        queued: services.queue.waiting_of(agent),
        last_run,
        today: Today { day: today(), runs, usage },
    };
    let body = serde_json::to_value(&standing).expect("a standing is plain data");
    // What this sets off goes on with the chain of that run.
    let run_id = standing.last_run.as_ref().map(|last| last.run_id.as_str().into());
    let author = Author { run_id, ..Author::new("system") };
    let write = Write { creates: true, ..Write::new(Proposal::Merge(body)) };
    services.document(&document(tenant, agent)).write(write, author).await.map(drop)
}

fn document(tenant: &str, agent: &str) -> DocumentRef {
    let name = format!("lifecycle/agent:{agent}").into();
    DocumentRef { tenant: Tenant::new(tenant), owner: Owner::shared(), name }
}
