//! The queue of runs: what waits, and the task that starts what is next in its thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::agui::{Dialect, Encoding};
use crate::store::Store;

use super::super::agents::Agents;
use super::super::clock::now_ms;
use super::super::live_runs::LiveRuns;
use super::super::outage;
use super::super::thread::{Listening, ThreadHandle, ThreadRef};
use super::super::{FrameStream, Services, StartError, StartRun};
use super::lifecycle::{Life, Unreadable, name_of};
use super::line::{Allowed, AtWork, Line, Next, Taken, Waiter};
use super::submit::{Behalf, queued};
use super::ticket::{QUEUE, Ticket};
use super::turn::Turn;
use super::{FromQueue, Starting};

/// When a run is tried again that could not be started, because the store or the process has no room for it.
const AGAIN_MS: i64 = 1000;
/// Read from the store at once.
const PAGE: usize = 256;

/// The runs that wait in this process; each of them is stored.
#[derive(Debug)]
pub(crate) struct Queue {
    /// A lock, because submissions, cancellations and the task that starts runs all come here; held for map accesses.
    inner: Mutex<Inner>,
    live: Arc<LiveRuns>,
    /// Wakes the task that starts runs when the line is another one.
    changed: Notify,
    /// Wakes those who wait for a run that is just being started.
    attempted: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    line: Line,
    held: HashMap<String, Held>,
    entered: u64,
}

/// A run that waits.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) ticket: Ticket,
    pub(super) life: Life,
    /// The clients that wait for its stream, in this process.
    clients: Vec<Client>,
}

/// A client whose run waits.
#[derive(Debug)]
pub(crate) struct Client {
    /// Headers that may travel on to an upstream agent. They are not stored.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) encoding: Encoding,
    /// As it posted it: each is told what it understands, also of a run that several wait for.
    pub(crate) protocol_version: Option<String>,
    pub(crate) stream: oneshot::Sender<Result<FrameStream, StartError>>,
}

impl Client {
    fn listening(&self) -> Listening {
        Listening { dialect: Dialect::of(self.protocol_version.as_deref()), encoding: self.encoding }
    }
}

impl Queue {
    pub(crate) fn new(live: Arc<LiveRuns>) -> Self {
        Self { inner: Mutex::default(), live, changed: Notify::new(), attempted: Notify::new() }
    }

    /// Takes everything that waits in the store.
    pub(crate) async fn load(&self, store: &dyn Store) -> Result<(), Unreadable> {
        let mut after = None;
        loop {
            let page = store.work(QUEUE, i64::MAX, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.cursor());
            for waiting in page {
                let run_id = waiting.item.key.key.clone();
                if self.has(&run_id) {
                    continue;
                }
                let damaged = |error| Unreadable::Damaged { run_id: run_id.clone(), error };
                let ticket: Ticket = serde_json::from_slice(&waiting.item.body).map_err(damaged)?;
                let name = name_of(ticket.tenant.as_str(), ticket.owner.as_str(), &ticket.run_id);
                let life =
                    Life::read(store, name).await?.unwrap_or_else(|| Life::new(&ticket.thread(), queued(&ticket)));
                self.inner().line.hold(&ticket.agent, usize::MAX);
                self.enter(ticket, life, waiting.item.due_at_ms, None);
            }
        }
    }

    /// Takes a place of an agent's that may have so many waiting; `false` when there is none.
    pub(super) fn hold(&self, agent: &str, most: usize) -> bool {
        self.inner().line.hold(agent, most)
    }

    pub(super) fn let_go(&self, agent: &str) {
        self.inner().line.let_go(agent);
    }

    /// A run whose place was taken is stored.
    pub(super) fn enter(&self, ticket: Ticket, life: Life, due_at_ms: i64, client: Option<Client>) {
        let mut inner = self.inner();
        inner.entered += 1;
        let place = inner.entered;
        inner.line.enter(ticket.waiter(due_at_ms), place);
        // One that comes back so soon that those who waited for it do not have their streams yet keeps them.
        let mut clients = inner.held.remove(&ticket.run_id).map(|held| held.clients).unwrap_or_default();
        clients.extend(client);
        inner.held.insert(ticket.run_id.clone(), Held { ticket, life, clients });
        drop(inner);
        self.changed.notify_one();
    }

    /// The first run that waits for a thread.
    pub(super) fn on(&self, thread: &ThreadRef) -> Option<String> {
        let inner = self.inner();
        inner.line.all().find(|waiter| waiter.thread == *thread).map(|waiter| waiter.run_id.clone())
    }

    /// The first run that waits for a thread and is not being started.
    pub(super) fn first_waiting_on(&self, thread: &ThreadRef) -> Option<String> {
        let inner = self.inner();
        inner.line.waiting().find(|waiter| waiter.thread == *thread).map(|waiter| waiter.run_id.clone())
    }

    /// The last run that waits for the same thread and agent on the same behalf, and never began.
    pub(super) fn waiting_like(&self, ticket: &Ticket) -> Option<String> {
        let (inner, thread) = (self.inner(), ticket.thread());
        let is_like = |waiter: &&Waiter| {
            let held = inner.held.get(&waiter.run_id);
            waiter.thread == thread
                && waiter.agent == ticket.agent
                && held.is_some_and(|it| it.ticket.behalf == ticket.behalf && it.life.told.started_at.is_none())
        };
        inner.line.waiting().filter(is_like).last().map(|waiter| waiter.run_id.clone())
    }

    /// The runs that wait because a run asked for them.
    pub(super) fn asked_by(&self, run_id: &str) -> Vec<String> {
        let inner = self.inner();
        let is_asked = |held: &&Held| {
            matches!(held.ticket.behalf, Behalf::Asker | Behalf::Predecessor)
                && held.ticket.cause.run_id.as_deref() == Some(run_id)
        };
        inner.held.values().filter(is_asked).map(|held| held.ticket.run_id.clone()).collect()
    }

    /// The run that waits for a thread under an id that its client posted.
    pub(crate) fn posted_on(&self, thread: &ThreadRef, posted: Option<&str>) -> Option<String> {
        let inner = self.inner();
        let mut waiting = inner.line.waiting().filter(|waiter| waiter.thread == *thread);
        let is_it = |waiter: &&Waiter| {
            let ticket = inner.held.get(&waiter.run_id).map(|held| &held.ticket);
            posted.is_none_or(|posted| ticket.is_some_and(|it| it.is_posted_as(posted)))
        };
        waiting.find(is_it).map(|waiter| waiter.run_id.clone())
    }

    /// How many runs of an agent wait.
    pub(super) fn waiting_of(&self, agent: &str) -> usize {
        self.inner().line.waiting().filter(|waiter| waiter.agent == agent).count()
    }

    /// A run that was taken out is asked something else; one more client follows it.
    pub(super) fn change(&self, ticket: Ticket, life: Life, client: Option<Client>) {
        if let Some(held) = self.inner().held.get_mut(&ticket.run_id) {
            (held.ticket, held.life) = (ticket, life);
            held.clients.extend(client);
        }
    }

    /// Takes a run out that waits, so that it is not started.
    pub(super) fn take(
        self: &Arc<Self>,
        run_id: &str,
        may: impl FnOnce(&Ticket) -> bool,
    ) -> Option<(Turn, Ticket, Life)> {
        let mut inner = self.inner();
        let found = inner.held.get(run_id).filter(|held| may(&held.ticket));
        let (ticket, life) = found.map(|held| (held.ticket.clone(), held.life.clone()))?;
        let taken = inner.line.take(run_id)?;
        Some((Turn::new(Arc::clone(self), taken), ticket, life))
    }

    /// Whether a run waits or is just being started.
    pub(crate) fn has(&self, run_id: &str) -> bool {
        self.inner().line.has(run_id)
    }

    /// A run that was taken out waits no more; answers the clients that waited for it.
    pub(super) fn leave(&self, taken: &Taken) -> Vec<Client> {
        let mut inner = self.inner();
        let clients = if inner.line.leave(taken) {
            inner.held.remove(&taken.run_id).map(|held| held.clients)
        } else {
            inner.held.get_mut(&taken.run_id).map(|held| std::mem::take(&mut held.clients))
        };
        drop(inner);
        self.attempted.notify_waiters();
        self.changed.notify_one();
        clients.unwrap_or_default()
    }

    /// A run that was taken out waits on.
    pub(super) fn put_back(&self, taken: &Taken, due_at_ms: i64) {
        self.inner().line.put_back(taken, due_at_ms);
        self.attempted.notify_waiters();
        self.changed.notify_one();
    }

    /// Waits until some run that was being started is at work, or waits again.
    pub(super) fn attempted(&self) -> &Notify {
        &self.attempted
    }

    /// Whether some run waits, and would be started if there were room.
    fn has_waiting(&self) -> bool {
        self.inner().line.waiting().next().is_some()
    }

    fn next(&self, allowed: &dyn Allowed) -> Next {
        self.inner().line.next(now_ms(), &*self.live, allowed)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no code panics while it holds this lock")
    }
}

impl AtWork for LiveRuns {
    fn is_busy(&self, thread: &ThreadRef) -> bool {
        self.is_busy(thread)
    }

    fn of_agent(&self, agent: &str) -> usize {
        self.of_agent(agent)
    }

    fn in_all(&self) -> usize {
        self.unattended()
    }
}

/// What definitions and those who pause agents say.
struct Rules<'r> {
    agents: &'r Agents,
    services: &'r Services,
}

impl Allowed for Rules<'_> {
    fn at_once(&self, waiter: &Waiter) -> Option<usize> {
        let Waiter { agent, thread, .. } = waiter;
        if self.services.paused.has(thread.tenant.as_str(), agent) {
            return None;
        }
        // One whose definition cannot be served, or is gone, has its runs wait for a better one.
        self.agents.find(agent).map(|agent| agent.run_spec().concurrency.per_agent)
    }
}

impl Services {
    /// A run that was started before waits again; that is stored.
    pub(crate) fn wait_again(&self, ticket: Ticket, life: Life, due_at_ms: i64) {
        life.show(self);
        self.standings.saw(&ticket.tenant, &life.told);
        self.queue.hold(&ticket.agent, usize::MAX);
        self.queue.enter(ticket, life, due_at_ms, None);
    }
}

/// Starts what is next whenever there is room, until the process begins to end.
pub(crate) async fn serve(services: Arc<Services>, agents: Arc<Agents>) {
    let queue = Arc::clone(&services.queue);
    let mut swapped = agents.swapped();
    loop {
        swapped.mark_unchanged();
        let next = queue.next(&Rules { agents: &agents, services: &services });
        if services.stopping.is_cancelled() {
            return;
        }
        match next {
            Next::Start(taken) => {
                let turn = Turn::new(Arc::clone(&queue), taken);
                tokio::spawn(start(Arc::clone(&services), Arc::clone(&agents), turn));
            }
            Next::Wait(due_at_ms) => tokio::select! {
                () = queue.changed.notified() => {}
                // Runs end all the time, and mostly nobody waits for the room they leave.
                () = services.live_runs.changed(), if queue.has_waiting() => {}
                Ok(()) = swapped.changed() => {}
                () = until(due_at_ms), if due_at_ms.is_some() => {}
                () = services.stopping.cancelled() => return,
            },
        }
    }
}

async fn until(due_at_ms: Option<i64>) {
    if let Some(due_at_ms) = due_at_ms {
        let left = u64::try_from(due_at_ms - now_ms()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(left)).await;
    }
}

/// Starts a run that was taken out of the line. It leaves the queue in the commit that begins it.
async fn start(services: Arc<Services>, agents: Arc<Agents>, turn: Turn) {
    let Some((starting, thread)) = prepare(&agents, &turn) else {
        return turn.put_back(now_ms() + AGAIN_MS);
    };
    let run_id = turn.run_id().to_owned();
    let started = match ThreadHandle::open(&services, &thread) {
        Ok(live) => live.start(starting).await,
        Err(no_room) => Err(no_room.into()),
    };
    match started {
        Ok(stream) => hand_over(&services, &thread, &run_id, turn.leave(), stream).await,
        Err(StartError::Settled) => {
            tracing::warn!(run = %run_id, "a queued run was started or taken back elsewhere");
            turn.leave();
        }
        Err(error) => {
            if !matches!(error, StartError::Busy { .. } | StartError::ShuttingDown)
                && let Some(others) = outage::is_to_be_said(&error.to_string())
            {
                tracing::warn!(run = %run_id, %error, others, "a queued run cannot start yet");
            }
            turn.put_back(now_ms() + AGAIN_MS);
        }
    }
}

/// Gives the clients that waited their streams; one that has gone does not stop its run.
async fn hand_over(
    services: &Arc<Services>,
    thread: &ThreadRef,
    run_id: &str,
    clients: Vec<Client>,
    first: Option<FrameStream>,
) {
    let mut clients = clients.into_iter();
    if let (Some(client), Some(stream)) = (clients.next(), first) {
        let _ = client.stream.send(Ok(stream));
    }
    for client in clients {
        let opened = match services.existing(thread).await {
            Ok(Some(live)) => live.run(run_id.to_owned(), None, client.listening()).await,
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        let gone = || StartError::Unavailable { reason: "the run cannot be followed".to_owned() };
        let _ = client.stream.send(opened.map_err(StartError::from).and_then(|stream| stream.ok_or_else(gone)));
    }
}

/// What the thread is asked for a run; `None` when that cannot be said now.
fn prepare(agents: &Agents, turn: &Turn) -> Option<(Box<Starting>, ThreadRef)> {
    let (inner, run_id) = (turn.queue().inner(), turn.run_id());
    let Held { ticket, life, clients } = inner.held.get(run_id)?;
    let client = clients.first();
    let agent = agents.find(&ticket.agent)?;
    let input = ticket.input().inspect_err(|error| {
        tracing::error!(run = %run_id, %error, "the input of a queued run cannot be read: cancel it");
    });
    let mut input = input.ok()?;
    let (mut headers, mut encoding) = (Vec::new(), Encoding::Sse);
    if let Some(client) = client {
        (headers, encoding) = (client.headers.clone(), client.encoding);
        input.protocol_version.clone_from(&client.protocol_version);
    }
    let request = StartRun { principal: ticket.principal(), agent, input, headers, encoding };
    let from_queue = FromQueue { life: life.clone(), ticket: ticket.clone() };
    let wants_stream = client.is_some();
    let starting =
        Starting { request, cause: ticket.cause.clone(), wants_stream, from_queue: Some(Box::new(from_queue)) };
    Some((Box::new(starting), ticket.thread()))
}
