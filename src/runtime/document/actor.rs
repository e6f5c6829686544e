//! The task that owns a live document: it decides on its copy, appends, and only then answers and shows.
//!
//! Changes that wait together are committed together. A commit that the store refuses is undone before anybody saw it.

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
use crate::state::limits::Limits;
use crate::state::merge::Past;
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;
use crate::store::{Append, NewEntry, Seq, Store};

use super::super::clock::now;
use super::deltas::{Delta, DeltaTail};
use super::load::Live;
use super::past::undo;
use super::{Author, Begun, Command, DocumentRef, DocumentUnavailable, Documents, Evidence, Refused, Snapshot};

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

/// Whom to tell when everything decided before is durable.
enum Done {
    Agent(oneshot::Sender<Result<u64, StateError>>, u64),
    Nobody,
}

/// The store failed under the document.
pub(super) struct Broken {
    pub(super) reason: String,
}

pub(super) async fn run(
    documents: Arc<Documents>,
    store: Arc<dyn Store>,
    name: DocumentRef,
    deltas: Arc<DeltaTail>,
    mut inbox: mpsc::Receiver<Command>,
) {
    let ended = match Live::load(store, name.stream(), deltas).await {
        Ok(mut live) => live.serve(&documents, &name, &mut inbox).await,
        Err(broken) => Err(broken),
    };
    if let Err(broken) = ended {
        tracing::error!(document = %name.name, reason = %broken.reason, "a document lost its store");
        documents.discard(&name);
        inbox.close();
        while let Some(command) = inbox.recv().await {
            refuse(command, &broken.reason);
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
    }
}

impl Live {
    async fn serve(
        &mut self,
        documents: &Documents,
        name: &DocumentRef,
        inbox: &mut mpsc::Receiver<Command>,
    ) -> Result<(), Broken> {
        let mut commands = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                taken = inbox.recv_many(&mut commands, BATCH) => {
                    if taken == 0 {
                        return Ok(());
                    }
                    self.obey(&mut commands).await?;
                }
                () = tokio::time::sleep(IDLE) => {
                    if documents.retire(name) {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Changes that stand next to each other share a commit; whatever else is asked sees only what is durable.
    async fn obey(&mut self, commands: &mut Vec<Command>) -> Result<(), Broken> {
        let mut waiting = Vec::new();
        for command in commands.drain(..) {
            match command {
                Command::Agent { request: StateRequest::Patch { ops, if_version, reply }, author } => {
                    match self.decide(Mutation::Patch { ops: &ops, since: &[] }, if_version, &author) {
                        Ok(version) => waiting.push(Done::Agent(reply, version)),
                        Err(refused) => drop(reply.send(Err(refused.into()))),
                    }
                }
                Command::Agent { request: StateRequest::Propose { state, seen, reply }, author } => {
                    self.flush(&mut waiting).await?;
                    match self.take_posted(&state, Evidence::Exact(seen), &author).await? {
                        Ok(version) => waiting.push(Done::Agent(reply, version)),
                        Err(refused) => drop(reply.send(Err(refused.into()))),
                    }
                }
                Command::Agent { request: StateRequest::Read { path, reply }, .. } => {
                    self.flush(&mut waiting).await?;
                    let value =
                        if self.document.version() == 0 { None } else { path.get(self.document.body()).cloned() };
                    drop(reply.send(Ok(Versioned { version: self.document.version(), value })));
                }
                Command::Begin { initial, posted, author, reply } => {
                    self.flush(&mut waiting).await?;
                    let created = self.document.version() == 0;
                    let rejected = self.begin(initial, posted, &author).await?;
                    waiting.push(Done::Nobody);
                    self.flush(&mut waiting).await?;
                    drop(reply.send(Ok(Begun { snapshot: self.head_snapshot(), created, rejected })));
                }
                Command::Snapshots { versions, reply } => {
                    self.flush(&mut waiting).await?;
                    drop(reply.send(Ok(self.snapshots(&versions).await?)));
                }
                Command::Body { reply } => {
                    self.flush(&mut waiting).await?;
                    drop(
                        reply.send(Ok(Versioned {
                            version: self.document.version(),
                            value: self.document.body().clone(),
                        })),
                    );
                }
            }
        }
        self.flush(&mut waiting).await
    }

    /// What a run begins with: the document, created if need be, with the client's edits in it.
    async fn begin(
        &mut self,
        initial: Value,
        posted: Option<(Value, Evidence)>,
        author: &Author,
    ) -> Result<Option<Refused>, Broken> {
        if self.document.version() == 0 {
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
        let inverses = match evidence {
            Evidence::Exact(since) | Evidence::AtLeast(since) => {
                self.past.back_to(since, self.document.version(), self.store.as_ref(), &self.stream).await
            }
            Evidence::Unknown => Ok(None),
        };
        let mut inverses = inverses.map_err(|error| Broken { reason: error.to_string() })?;
        if let (Evidence::Exact(_), Some(steps)) = (evidence, &mut inverses) {
            // One step back, so that nothing in between counts as seen.
            *steps = vec![steps.concat()];
        }
        let past = inverses.as_deref().map_or(Past::Unknown, Past::Since);
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

    /// Appends everything decided, shows it, and tells those who wait.
    async fn flush(&mut self, waiting: &mut Vec<Done>) -> Result<(), Broken> {
        if !self.pending.is_empty() {
            self.append().await?;
        }
        for done in waiting.drain(..) {
            match done {
                Done::Agent(reply, version) => drop(reply.send(Ok(version))),
                Done::Nobody => {}
            }
        }
        Ok(())
    }

    async fn append(&mut self) -> Result<(), Broken> {
        let encode = |pending: &Pending| serde_json::to_vec(&pending.commit).expect("a commit is plain data");
        let entries: Vec<_> = self.pending.iter().map(|pending| NewEntry::one(encode(pending))).collect();
        self.log_bytes += entries.iter().map(|entry| entry.body.len()).sum::<usize>();
        let is_due = self.log_bytes > SNAPSHOT_AFTER_BYTES.max(2 * self.document.size());
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
                self.past.push(commit.inverse);
                Delta::new(commit.version, commit.ops.into())
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
        let (version, body) = (self.document.version(), self.document.body());
        self.snapshot.get_or_insert_with(|| snapshot(version, body)).clone()
    }

    async fn snapshots(&mut self, versions: &[u64]) -> Result<Vec<Snapshot>, Broken> {
        let oldest = versions.iter().copied().filter(|&version| version < self.document.version()).min();
        let inverses = match oldest {
            None => None,
            Some(oldest) => {
                let found = self.past.back_to(oldest, self.document.version(), self.store.as_ref(), &self.stream).await;
                found.map_err(|error| Broken { reason: error.to_string() })?
            }
        };
        let mut older: Vec<Snapshot> = Vec::new();
        if let Some(inverses) = inverses {
            let mut body = self.document.body().clone();
            for (version, inverse) in (0..self.document.version()).rev().zip(&inverses) {
                undo(&mut body, inverse);
                if versions.contains(&version) {
                    older.push(snapshot(version, &body));
                }
            }
        }
        let head = self.head_snapshot();
        let find = |wanted: &u64| older.iter().find(|found| found.version == *wanted).unwrap_or(&head).clone();
        Ok(versions.iter().map(find).collect())
    }
}

fn snapshot(version: u64, body: &Value) -> Snapshot {
    let json = to_raw_value(body).expect("a value is JSON");
    let mut frame = Vec::with_capacity(json.get().len() + 64);
    sse::write_frame(&mut frame, &Event::state_snapshot(json), None);
    Snapshot { version, frame: frame.into() }
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
