//! What the owner of a live document does with what it is asked, and the task that serves the queue. Whatever is read is
//! durable.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::agent::StateError;
use crate::agent::context::{StateRequest, Versioned};
use crate::agent::types::Put;
use crate::agui::{Encoding, sse};
use crate::state::document::Document;
use crate::state::pieces;
use crate::state::pointer::Pointer;
use crate::state::schema::View;

use super::super::registry::OwnerId;
use super::super::types::{Names, Rules};
use super::append::Reply;
use super::commit::text;
use super::deltas;
use super::load::Live;
use super::past::{commits_back_to, undo};
use super::seat::Seat;
use super::together::Loan;
use super::write::{DocumentError, Proposal, Write};
use super::{
    Author, Begun, Command, DocumentRef, DocumentUnavailable, Evidence, Head, LiveDocuments, Reader, Refused, Snapshot,
};

/// At most this many commands are taken at once.
const BATCH: usize = 64;
/// A document that nobody asked anything for this long leaves memory.
const IDLE: Duration = Duration::from_secs(60);

/// Principals whose last read version stays in memory.
const READERS: usize = 1024;
/// No replay shows an older version: reading on would keep the document from its writers for too long.
const FURTHEST_SHOWN: u64 = 16_384;
/// Read at once on the way back.
const STEP: u64 = 128;

/// The store failed under the document.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) reason: String,
    /// Its disk is full.
    is_full: bool,
}

impl Broken {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_full: false }
    }
}

impl From<&Broken> for DocumentUnavailable {
    fn from(broken: &Broken) -> Self {
        Self { reason: broken.reason.clone(), is_full: broken.is_full }
    }
}

pub(super) type Borrower = super::Reply<Loan, DocumentUnavailable>;

/// Which entry of the registry this owner is.
pub(super) struct Owner {
    pub(super) documents: Arc<LiveDocuments>,
    pub(super) name: DocumentRef,
    pub(super) id: OwnerId,
}

impl Owner {
    fn retires(&self) -> bool {
        self.documents.retire(&self.name, self.id)
    }
}

/// Runs a document's task until it is idle: it serves those who found the seat taken, and those who cannot wait in it.
pub(super) async fn run(owner: Owner, seat: Arc<Seat>, mut inbox: mpsc::Receiver<Box<Command>>) {
    let mut taken = Vec::new();
    loop {
        tokio::select! {
            count = inbox.recv_many(&mut taken, BATCH) => {
                if count == 0 {
                    return;
                }
                let mut commands: VecDeque<_> = taken.drain(..).map(|command| *command).collect();
                // Boxed, so that the task of an idle document is small.
                Box::pin(seat.obey_queued(&mut commands)).await;
            }
            () = tokio::time::sleep(IDLE) => {
                if seat.is_idle(IDLE) && owner.retires() {
                    return;
                }
            }
            () = owner.documents.crowded() => {
                if seat.is_idle(Duration::ZERO) && owner.retires() {
                    return;
                }
            }
        }
    }
}

pub(super) fn refuse(command: Command, reason: &str) {
    let reason = reason.to_owned();
    match command {
        Command::Begin { reply, .. } => drop(reply.send(Err(DocumentUnavailable::new(reason)))),
        Command::Agent { request: StateRequest::Read { reply, .. }, .. } => {
            drop(reply.send(Err(StateError::Unavailable { reason })));
        }
        Command::Agent { request: StateRequest::Patch { reply, .. } | StateRequest::Propose { reply, .. }, .. } => {
            drop(reply.send(Err(StateError::Unavailable { reason })));
        }
        Command::Write { reply, .. } => drop(reply.send(Err(DocumentError::Unavailable { reason }))),
        Command::Head { reply, .. } => drop(reply.send(Err(DocumentUnavailable::new(reason)))),
        Command::Snapshots { reply, .. } => drop(reply.send(Err(DocumentUnavailable::new(reason)))),
        Command::Body { reply, .. } => drop(reply.send(Err(DocumentUnavailable::new(reason)))),
        Command::Lend { reply } => drop(reply.send(Err(DocumentUnavailable::new(reason)))),
        Command::LetGo { reply } => drop(reply.send(Err(DocumentUnavailable::new(reason)))),
        Command::ReadOn => {}
    }
}

/// Waits until the borrower is done. One that ends without giving back may have written: what is stored counts.
pub(super) async fn lend(live: Box<Live>, borrower: Borrower) -> Result<Box<Live>, Broken> {
    let (name, log) = (live.name.clone(), live.log.clone());
    let rules = (Arc::clone(&live.types), Arc::clone(&live.watchers));
    let deltas = Arc::clone(&live.deltas);
    let (back, returned) = oneshot::channel();
    match borrower.send(Ok(Loan { live, back })) {
        Err(Ok(loan)) => return Ok(loan.live),
        Err(Err(_)) => unreachable!("a loan was sent"),
        Ok(()) => {}
    }
    match returned.await {
        Ok(live) => Ok(live),
        Err(_) => Live::load(name, log, rules, deltas).await.map(Box::new),
    }
}

impl Live {
    /// Writes that stand next to each other share a commit; whatever else is asked sees only what is durable. On a fault
    /// `commands` holds what was not answered.
    ///
    /// Stops early when somebody wants to borrow the document, with everything before that answered.
    pub(super) async fn obey_all(&mut self, commands: &mut VecDeque<Command>) -> Result<Option<Borrower>, Broken> {
        while let Some(command) = commands.pop_front() {
            let command = match command {
                Command::Write { write, author, reply } => {
                    self.take(write, author, Reply::Caller(reply)).await?;
                    continue;
                }
                Command::Agent { request: StateRequest::Patch { write, reply }, author } => {
                    self.take(Box::new(Write::of_agent(write)), author, Reply::Agent(reply)).await?;
                    continue;
                }
                Command::Agent { request: StateRequest::Propose { state, seen, reply }, author } => {
                    let proposal = Proposal::Posted { state, evidence: Evidence::Exact(seen) };
                    self.take(Box::new(Write::bound(proposal)), author, Reply::Agent(reply)).await?;
                    continue;
                }
                command => command,
            };
            if let Err(broken) = self.flush().await {
                commands.push_front(command);
                return Err(broken);
            }
            match command {
                Command::Lend { reply } => return Ok(Some(reply)),
                command => Box::pin(self.obey(command)).await?,
            }
        }
        self.flush().await.map(|()| None)
    }

    /// Obeys what sees only what is durable. Whoever asked is told of a fault here.
    async fn obey(&mut self, command: Command) -> Result<(), Broken> {
        match command {
            Command::Write { .. }
            | Command::Agent { request: StateRequest::Patch { .. } | StateRequest::Propose { .. }, .. } => {
                unreachable!("writes are decided together with their neighbours")
            }
            Command::Lend { .. } => {
                unreachable!("who owns the document lends it")
            }
            Command::Agent { request: StateRequest::Read { path, reply, .. }, author } => {
                drop(reply.send(Ok(self.value_at(&path, &author.actor))));
                Ok(())
            }
            Command::Begin { initial, posted, author, reply } => {
                let created = !self.document.exists();
                let begun = self.begin(initial, posted, &author).await;
                let view = self.view(&author.actor);
                let snapshot = |live: &mut Self| live.head_snapshot(view.as_deref());
                answer(reply, begun.map(|rejected| Begun { snapshot: snapshot(self), created, rejected }))
            }
            Command::ReadOn => self.read_on().await,
            Command::Head { reader, reply } => {
                let over = self.over().await;
                answer(reply, over.map(|over| self.head(reader, over)))
            }
            Command::LetGo { reply } => answer(reply, self.let_go().await),
            Command::Snapshots { versions, view, reply } => {
                answer(reply, self.snapshots(&versions, view.as_deref()).await)
            }
            Command::Body { view, reply } => {
                let shown = seen(view.as_deref(), self.document.body()).filter(|_| self.document.exists());
                let version = shown.as_ref().map_or(0, |_| self.document.version());
                let value = shown.map_or_else(|| Document::absent().into_body(), Cow::into_owned);
                answer(reply, Ok(Versioned { version, value }))
            }
        }
    }

    /// What a run begins with: the document, created if need be, with the client's edits in it.
    async fn begin(
        &mut self,
        initial: Value,
        posted: Option<(Value, Evidence)>,
        author: &Author,
    ) -> Result<Option<Refused>, Broken> {
        if self.document.exists() {
            return Ok(match posted {
                None => None,
                Some((state, evidence)) => self.begin_with(Proposal::Posted { state, evidence }, author).await?,
            });
        }
        let seeded = match &posted {
            Some((state, _)) if state.is_object() => over(initial.clone(), state),
            Some(_) | None => initial.clone(),
        };
        let mut rejected = match posted {
            Some((state, _)) if !state.is_object() => {
                Some(DocumentError::NotAnObject { head: self.document.version() }.into())
            }
            Some(_) | None => None,
        };
        if let Some(refused) = self.create(seeded, author).await? {
            rejected = Some(refused);
            if let Some(refused) = self.create(initial, author).await? {
                return Err(Broken::new(refused.message));
            }
        }
        Ok(rejected)
    }

    /// An empty object needs no document.
    async fn create(&mut self, body: Value, author: &Author) -> Result<Option<Refused>, Broken> {
        match &body {
            Value::Object(members) if members.is_empty() => Ok(None),
            _ => self.begin_with(Proposal::Replace(body), author).await,
        }
    }

    async fn begin_with(&mut self, proposal: Proposal, author: &Author) -> Result<Option<Refused>, Broken> {
        match self.write(Box::new(Write::bound(proposal)), author.clone()).await? {
            Ok(_) => Ok(None),
            Err(error @ (DocumentError::Unavailable { .. } | DocumentError::StorageFull)) => {
                Err(Broken { reason: error.to_string(), is_full: matches!(error, DocumentError::StorageFull) })
            }
            Err(refused) => Ok(Some(refused.into())),
        }
    }

    fn head(&mut self, reader: Option<Reader>, over: u64) -> Head {
        let exists = self.document.exists();
        let data = reader.filter(|_| exists).and_then(|Reader { actor, view }| {
            self.note_read(actor);
            let body = self.document.body();
            match view.filter(|view| !view.sees_all()) {
                None => Some(Arc::clone(self.json.get_or_insert_with(|| text(body)))),
                Some(view) => seen(Some(&view), body).map(|body| text(&body)),
            }
        });
        Head {
            epoch: self.epoch.clone().unwrap_or_default(),
            version: self.document.version(),
            exists,
            latest: self.latest.clone(),
            bytes: self.document.size(),
            data,
            over,
        }
    }

    /// Which version a principal saw, where what it puts next is merged by that.
    fn note_read(&mut self, actor: String) {
        let kind = self.name.kind();
        if self.types.get(kind).is_none_or(|spec| spec.put != Put::Merge) {
            return;
        }
        if self.last_read.len() >= READERS {
            self.last_read.clear();
        }
        self.last_read.insert(actor, self.document.version());
    }

    /// The value at a path as `actor` sees it, `None` when nothing is there.
    pub(super) fn value_at(&self, path: &Pointer, actor: &Arc<str>) -> Versioned<Option<Value>> {
        let there = self.document.exists().then(|| path.get(self.document.body())).flatten();
        let value = match self.view(actor) {
            None => there.cloned(),
            Some(view) => there.and_then(|there| view.value_at(path, there).map(Cow::into_owned)),
        };
        Versioned { version: self.document.version(), value }
    }

    pub(super) fn view(&self, actor: &Arc<str>) -> Option<Arc<View>> {
        self.types.view(&self.name.name, &Names::of_actor(Arc::clone(actor)))
    }

    /// What the types say of a writer here; `None` where the document's type is not declared.
    pub(super) fn rules(&mut self, actor: &Arc<str>) -> Option<Arc<Rules>> {
        if self.rules.as_ref().is_none_or(|rules| !rules.hold(&self.types, actor)) {
            self.rules = self.types.rules(&self.name.name, actor).map(Arc::new);
        }
        self.rules.clone()
    }

    fn head_snapshot(&mut self, view: Option<&View>) -> Snapshot {
        let (version, body) = (self.document.version(), self.document.body());
        let exists = self.document.exists();
        if view.is_some_and(|view| !view.sees_all()) {
            return Snapshot { exists, ..snapshot(version, 0, &shown(view, body)) };
        }
        let size = self.document.size();
        self.snapshot.get_or_insert_with(|| Snapshot { exists, ..snapshot(version, size, body) }).clone()
    }

    /// In the order asked; `None` for versions that are too far back to be read for this.
    async fn snapshots(&mut self, versions: &[u64], view: Option<&View>) -> Result<Vec<Option<Snapshot>>, Broken> {
        let head = self.head_snapshot(view);
        let older = versions.iter().copied().filter(|&version| version < head.version).collect();
        let older = self.bodies(older).await?;
        let shown: Vec<_> = older.iter().map(|(version, body)| snapshot(*version, 0, &shown(view, body))).collect();
        let find = |wanted: &u64| match *wanted < head.version {
            true => shown.iter().find(|found| found.version == *wanted).cloned(),
            false => Some(head.clone()),
        };
        Ok(versions.iter().map(find).collect())
    }

    /// The bodies of those of `wanted`, all before the head, that are near enough to be read, newest first.
    async fn bodies(&self, mut wanted: BTreeSet<u64>) -> Result<Vec<(u64, Value)>, Broken> {
        let head = self.document.version();
        let is_beginning = wanted.remove(&0);
        let shown = wanted.split_off(&head.saturating_sub(FURTHEST_SHOWN).max(self.horizon.dropped));
        let over = std::mem::replace(&mut wanted, shown);
        let mut found = Vec::with_capacity(wanted.len());
        if let Some(&oldest) = wanted.first() {
            let mut body = self.document.body().clone();
            let mut version = head;
            while version > oldest {
                let from = version.saturating_sub(STEP).max(oldest);
                for commit in commits_back_to(from, version, &self.deltas, &self.log).await? {
                    undo(&mut body, &commit.inverse);
                    version -= 1;
                    if wanted.contains(&version) {
                        found.push((version, body.clone()));
                    }
                }
            }
        }
        for version in over.into_iter().filter(|&version| version < self.horizon.dropped) {
            found.extend(self.log.kept(version).await?.map(|kept| (version, kept.body)));
        }
        found.extend(is_beginning.then(|| (0, Document::absent().into_body())));
        Ok(found)
    }
}

/// Answers whoever asked, and passes a fault on.
fn answer<T>(reply: super::Reply<T, DocumentUnavailable>, result: Result<T, Broken>) -> Result<(), Broken> {
    match result {
        Ok(value) => {
            drop(reply.send(Ok(value)));
            Ok(())
        }
        Err(broken) => {
            drop(reply.send(Err(DocumentUnavailable::from(&broken))));
            Err(broken)
        }
    }
}

/// A body as somebody sees it; `None` when all of it is hidden.
fn seen<'b>(view: Option<&View>, body: &'b Value) -> Option<Cow<'b, Value>> {
    view.map_or(Some(Cow::Borrowed(body)), |view| view.value(body))
}

/// The same, where what is hidden as a whole is an empty object.
fn shown<'b>(view: Option<&View>, body: &'b Value) -> Cow<'b, Value> {
    seen(view, body).unwrap_or_else(|| Cow::Owned(Document::absent().into_body()))
}

/// `size` is about how many bytes the body takes, 0 where nobody counted.
fn snapshot(version: u64, size: usize, body: &Value) -> Snapshot {
    let mut frame = Vec::with_capacity(size + 64);
    sse::write_state_snapshot(&mut frame, body);
    if frame.len() > pieces::MOST {
        frame = in_pieces(body);
    }
    Snapshot { version, exists: version > 0, frame: frame.into() }
}

/// The frames of a body that is too large for one.
fn in_pieces(body: &Value) -> Vec<u8> {
    let (begun, rest) = pieces::of_snapshot(body, pieces::MOST);
    let mut frames = Vec::new();
    sse::write_state_snapshot(&mut frames, &begun);
    rest.iter().for_each(|ops| deltas::write_one(&mut frames, ops, Encoding::Sse));
    frames
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
