//! The task that owns a live document: it decides on its copy, appends, and only then answers and shows.
//!
//! Changes that wait together are committed together. A commit that the store refuses is undone before anybody saw it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::to_raw_value;
use tokio::sync::{mpsc, oneshot};

use crate::agent::StateError;
use crate::agent::context::{StateRequest, Versioned};
use crate::agui::{Event, sse};
use crate::state::document::{Change, Commit, Decided, Mutation, Refusal, Terms};
use crate::state::json;
use crate::state::later::Later;
use crate::state::limits::Limits;
use crate::state::merge::Past;
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;
use crate::store::{Append, NewEntry, Seq, Store};

use super::super::clock::now;
use super::super::registry::OwnerId;
use super::deltas::{Delta, DeltaTail};
use super::load::Live;
use super::{Author, Begun, Command, DocumentRef, DocumentUnavailable, Documents, Evidence, Refused, Reply, Snapshot};

/// At most this many commands are taken at once.
const BATCH: usize = 64;
/// A document that nobody asked anything for this long leaves memory.
const IDLE: Duration = Duration::from_secs(60);
/// A snapshot is stored when the log since the last one outgrows this, and twice the document.
const SNAPSHOT_AFTER_BYTES: usize = 64 << 10;

/// A change that is decided and not stored yet.
pub(super) struct Pending {
    commit: Commit,
    change: Change,
}

/// Whom to tell of which version when everything decided before is durable.
type Waiting = (oneshot::Sender<Result<u64, StateError>>, u64);

/// The store failed under the document.
pub(super) struct Broken {
    pub(super) reason: String,
}

/// Which entry of the registry this owner is.
pub(super) struct Owner {
    pub(super) documents: Arc<Documents>,
    pub(super) name: DocumentRef,
    pub(super) id: OwnerId,
}

impl Owner {
    fn retires(&self) -> bool {
        self.documents.retire(&self.name, self.id)
    }
}

/// Runs a document's task until it is idle. After a fault of the store it goes on from what the store then holds, so that
/// whoever holds its handle need not know.
pub(super) async fn run(
    owner: Owner,
    store: Arc<dyn Store>,
    deltas: Arc<DeltaTail>,
    mut inbox: mpsc::Receiver<Command>,
) {
    let mut commands = VecDeque::with_capacity(BATCH);
    loop {
        let served = match Live::load(Arc::clone(&store), owner.name.stream(), Arc::clone(&deltas)).await {
            Ok(mut live) => live.serve(&owner, &mut commands, &mut inbox).await,
            Err(broken) => Err(broken),
        };
        let Err(broken) = served else { return };
        tracing::error!(document = %owner.name.name, reason = %broken.reason, "a document lost its store");
        commands.drain(..).for_each(|command| refuse(command, &broken.reason));
        // The next one to ask finds it loaded again, or hears why not.
        if !next(&owner, &mut commands, &mut inbox).await {
            return;
        }
    }
}

/// Waits until something is asked; `false` when the document is to leave memory.
async fn next(owner: &Owner, commands: &mut VecDeque<Command>, inbox: &mut mpsc::Receiver<Command>) -> bool {
    let mut taken = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            count = inbox.recv_many(&mut taken, BATCH) => {
                commands.extend(taken);
                return count > 0;
            }
            () = tokio::time::sleep(IDLE) => {
                if owner.retires() {
                    return false;
                }
            }
        }
    }
}

fn refuse(command: Command, reason: &str) {
    let reason = reason.to_owned();
    match command {
        Command::Begin { reply, .. } => drop(reply.send(Err(DocumentUnavailable { reason }))),
        Command::Agent { request: StateRequest::Read { reply, .. }, .. } => {
            drop(reply.send(Err(StateError::Unavailable { reason })));
        }
        Command::Agent { request: StateRequest::Patch { reply, .. } | StateRequest::Propose { reply, .. }, .. } => {
            drop(reply.send(Err(StateError::Unavailable { reason })));
        }
        Command::Snapshots { reply, .. } => drop(reply.send(Err(DocumentUnavailable { reason }))),
        Command::Body { reply } => drop(reply.send(Err(DocumentUnavailable { reason }))),
        Command::End { reply, .. } => drop(reply.send(Err(DocumentUnavailable { reason }))),
    }
}

impl Live {
    /// Obeys `commands`, then those of the inbox. On a fault `commands` holds what was not answered.
    async fn serve(
        &mut self,
        owner: &Owner,
        commands: &mut VecDeque<Command>,
        inbox: &mut mpsc::Receiver<Command>,
    ) -> Result<(), Broken> {
        loop {
            self.obey(commands).await?;
            if !next(owner, commands, inbox).await {
                return Ok(());
            }
        }
    }

    /// Changes that stand next to each other share a commit; whatever else is asked sees only what is durable.
    async fn obey(&mut self, commands: &mut VecDeque<Command>) -> Result<(), Broken> {
        let mut waiting = Vec::new();
        while let Some(command) = commands.pop_front() {
            let command = match command {
                Command::Agent { request: StateRequest::Patch { ops, if_version, reply }, author } => {
                    match self.decide(Mutation::Patch { ops: &ops, since: &[] }, if_version, &author) {
                        Ok(version) => waiting.push((reply, version)),
                        Err(refused) => drop(reply.send(Err(refused.into()))),
                    }
                    continue;
                }
                command => command,
            };
            if let Err(broken) = self.flush(&mut waiting).await {
                commands.push_front(command);
                return Err(broken);
            }
            self.obey_alone(command, &mut waiting).await?;
        }
        self.flush(&mut waiting).await
    }

    /// Obeys what sees only what is durable. Whoever asked is told of a fault here.
    async fn obey_alone(&mut self, command: Command, waiting: &mut Vec<Waiting>) -> Result<(), Broken> {
        match command {
            Command::Agent { request: StateRequest::Propose { state, seen, reply }, author } => {
                match self.take_posted(&state, Evidence::Exact(seen), &author).await {
                    Ok(Ok(version)) => waiting.push((reply, version)),
                    Ok(Err(refused)) => drop(reply.send(Err(refused.into()))),
                    Err(broken) => {
                        drop(reply.send(Err(StateError::Unavailable { reason: broken.reason.clone() })));
                        return Err(broken);
                    }
                }
                Ok(())
            }
            Command::Agent { request: StateRequest::Read { path, reply }, .. } => {
                let value = if self.document.exists() { path.get(self.document.body()).cloned() } else { None };
                drop(reply.send(Ok(Versioned { version: self.document.version(), value })));
                Ok(())
            }
            Command::Agent { request: StateRequest::Patch { .. }, .. } => {
                unreachable!("patches are decided together with their neighbours")
            }
            Command::Begin { initial, posted, author, reply } => {
                let created = !self.document.exists();
                let begun = match self.begin(initial, posted, &author).await {
                    Ok(rejected) => self.flush(waiting).await.map(|()| rejected),
                    Err(broken) => Err(broken),
                };
                answer(reply, begun.map(|rejected| Begun { snapshot: self.head_snapshot(), created, rejected }))
            }
            Command::Snapshots { versions, reply } => answer(reply, self.snapshots(&versions).await),
            Command::Body { reply } => {
                let (version, value) = (self.document.version(), self.document.body().clone());
                answer(reply, Ok(Versioned { version, value }))
            }
            Command::End { actor, reply } => answer(reply, self.end(actor).await),
        }
    }

    /// What a run begins with: the document, created if need be, with the client's edits in it.
    async fn begin(
        &mut self,
        initial: Value,
        posted: Option<(Value, Evidence)>,
        author: &Author,
    ) -> Result<Option<Refused>, Broken> {
        if !self.document.exists() {
            let seeded = match &posted {
                Some((state, _)) if state.is_object() => over(initial.clone(), state),
                Some(_) | None => initial.clone(),
            };
            let mut rejected = posted.filter(|(state, _)| !state.is_object()).map(|_| self.not_an_object());
            if let Err(refused) = self.create(seeded, author) {
                rejected = Some(refused);
                self.create(initial, author).map_err(|refused| Broken { reason: refused.message })?;
            }
            return Ok(rejected);
        }
        match posted {
            None => Ok(None),
            Some((state, _)) if !state.is_object() => Ok(Some(self.not_an_object())),
            Some((state, evidence)) => Ok(self.take_posted(&state, evidence, author).await?.err()),
        }
    }

    fn not_an_object(&self) -> Refused {
        let message = "the state of an agent is an object".to_owned();
        Refused { code: "schema_invalid", message, path: Some(String::new()), version: self.document.version() }
    }

    /// Version 1, from `{}`; an empty object needs no document.
    fn create(&mut self, body: Value, author: &Author) -> Result<u64, Refused> {
        let Value::Object(members) = body else { return Err(self.not_an_object()) };
        let ops: Vec<Operation> = members
            .into_iter()
            .map(|(member, value)| Operation::Add { path: Pointer::root().join(member), value })
            .collect();
        self.decide(Mutation::Patch { ops: &ops, since: &[] }, None, author)
    }

    /// The tombstone: the removals that lead to `{}`. History and old versions stay.
    async fn end(&mut self, actor: String) -> Result<(), Broken> {
        if !self.document.exists() {
            return Ok(());
        }
        let change = self.document.end();
        let mut commit = Commit::of(change.clone(), actor, now());
        commit.deleted = true;
        self.pending.push(Pending { commit, change });
        self.append().await
    }

    async fn take_posted(
        &mut self,
        state: &Value,
        evidence: Evidence,
        author: &Author,
    ) -> Result<Result<u64, Refused>, Broken> {
        if let Err(error) = json::check(state, &Limits::default()) {
            let code = if error.is_too_large() { "too_large" } else { "invalid_json" };
            return Ok(Err(Refused { code, message: error.to_string(), path: None, version: self.document.version() }));
        }
        let commits = match evidence {
            Evidence::Exact(since) | Evidence::AtLeast(since) => {
                self.past.after(since, self.document.version(), self.store.as_ref(), &self.stream).await
            }
            Evidence::Unknown => Ok(None),
        };
        let commits = commits.map_err(|error| Broken { reason: error.to_string() })?;
        let since: Option<Vec<Later<'_>>> =
            commits.as_ref().map(|commits| commits.iter().map(|commit| commit.as_ref().into()).collect());
        let past = match (evidence, since.as_deref()) {
            (_, None) | (Evidence::Unknown, _) => Past::Unknown,
            (Evidence::AtLeast(_), Some(since)) => Past::Since(since),
            (Evidence::Exact(_), Some(since)) => Past::Exact(since),
        };
        Ok(self.decide(Mutation::Posted { state, past }, None, author))
    }

    /// Decides on the copy in memory; [`flush`](Self::flush) makes it durable.
    fn decide(&mut self, mutation: Mutation<'_>, if_version: Option<u64>, author: &Author) -> Result<u64, Refused> {
        let terms = Terms { if_version, allowed: author.may_write.as_deref(), ..Terms::default() };
        let head = self.document.version();
        let change = match self.document.decide(mutation, &terms) {
            Ok(Decided::Unchanged) => return Ok(head),
            Ok(Decided::Changed(change)) => change,
            Err(refusal) => return Err(Refused::new(&refusal, head)),
        };
        if !self.document.body().is_object() {
            self.document.revert(&change);
            return Err(self.not_an_object());
        }
        let mut commit = Commit::of(change.clone(), author.actor.clone(), now());
        commit.run_id.clone_from(&author.run_id);
        self.pending.push(Pending { commit, change });
        Ok(self.document.version())
    }

    /// Appends everything decided, shows it, and tells those who wait, also of a fault.
    async fn flush(&mut self, waiting: &mut Vec<Waiting>) -> Result<(), Broken> {
        let stored = if self.pending.is_empty() { Ok(()) } else { self.append().await };
        for (reply, version) in waiting.drain(..) {
            let answer = match &stored {
                Ok(()) => Ok(version),
                Err(broken) => Err(StateError::Unavailable { reason: broken.reason.clone() }),
            };
            drop(reply.send(answer));
        }
        stored
    }

    async fn append(&mut self) -> Result<(), Broken> {
        let encode = |pending: &Pending| serde_json::to_vec(&pending.commit).expect("a commit is plain data");
        let entries: Vec<_> = self.pending.iter().map(|pending| NewEntry::one(encode(pending))).collect();
        self.log_bytes += entries.iter().map(|entry| entry.body.len()).sum::<usize>();
        // A snapshot does not say that a document is deleted; its commit does.
        let is_due = self.document.exists() && self.log_bytes > SNAPSHOT_AFTER_BYTES.max(2 * self.document.size());
        let mut append = Append::to(self.stream.clone(), Seq(self.document.version() - self.pending.len() as u64));
        append.entries = entries;
        append.snapshot = is_due.then(|| serde_json::to_vec(self.document.body()).expect("a value is JSON").into());
        if let Err(error) = self.store.commit(append.into()).await {
            self.take_back();
            return Err(Broken { reason: error.to_string() });
        }
        if is_due {
            self.log_bytes = 0;
        }
        let deltas: Vec<_> = self
            .pending
            .drain(..)
            .map(|Pending { commit, .. }| {
                let delta = Delta::new(commit.version, commit.ops.clone().into());
                self.past.push(Arc::new(commit));
                delta
            })
            .collect();
        self.snapshot = None;
        self.deltas.publish(self.document.version(), deltas);
        Ok(())
    }

    /// Nobody has seen what the store refused.
    fn take_back(&mut self) {
        for Pending { change, .. } in self.pending.drain(..).rev() {
            self.document.revert(&change);
        }
    }

    fn head_snapshot(&mut self) -> Snapshot {
        let document = &self.document;
        let fresh = || Snapshot { exists: document.exists(), ..snapshot(document.version(), document.body()) };
        self.snapshot.get_or_insert_with(fresh).clone()
    }

    /// In the order asked; `None` for versions that are too far back to be read for this.
    async fn snapshots(&mut self, versions: &[u64]) -> Result<Vec<Option<Snapshot>>, Broken> {
        let head = self.head_snapshot();
        let older = versions.iter().copied().filter(|&version| version < head.version).collect();
        let older = self.past.bodies(older, &self.document, self.store.as_ref(), &self.stream).await?;
        let shown: Vec<_> = older.iter().map(|(version, body)| snapshot(*version, body)).collect();
        let find = |wanted: &u64| match *wanted < head.version {
            true => shown.iter().find(|found| found.version == *wanted).cloned(),
            false => Some(head.clone()),
        };
        Ok(versions.iter().map(find).collect())
    }
}

/// Answers whoever asked, and passes a fault on.
fn answer<T>(reply: Reply<T, DocumentUnavailable>, result: Result<T, Broken>) -> Result<(), Broken> {
    match result {
        Ok(value) => {
            drop(reply.send(Ok(value)));
            Ok(())
        }
        Err(broken) => {
            drop(reply.send(Err(DocumentUnavailable { reason: broken.reason.clone() })));
            Err(broken)
        }
    }
}

fn snapshot(version: u64, body: &Value) -> Snapshot {
    let json = to_raw_value(body).expect("a value is JSON");
    let mut frame = Vec::with_capacity(json.get().len() + 64);
    sse::write_frame(&mut frame, &Event::state_snapshot(json), None);
    Snapshot { version, exists: version > 0, frame: frame.into() }
}

/// `posted` over `initial`: members of objects one by one, everything else as posted.
fn over(initial: Value, posted: &Value) -> Value {
    match (initial, posted) {
        (Value::Object(mut members), Value::Object(posted)) => {
            for (member, value) in posted {
                let below = members.remove(member).unwrap_or(Value::Null);
                members.insert(member.clone(), over(below, value));
            }
            Value::Object(members)
        }
        (_, posted) => posted.clone(),
    }
}

impl Refused {
    fn new(refusal: &Refusal, version: u64) -> Self {
        let path = refusal.path().map(Pointer::to_string);
        Self { code: refusal.code(), message: refusal.to_string(), path, version }
    }
}

impl From<Refused> for StateError {
    fn from(Refused { code, message, version, .. }: Refused) -> Self {
        Self::Refused { code, message, version }
    }
}
