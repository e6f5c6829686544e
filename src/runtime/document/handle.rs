//! The handle that the rest of the runtime holds of a live document, and how idle ones leave memory.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::agent::context::{StateRequest, Versioned};
use crate::state::schema::View;
use crate::store::Store;

use super::super::presence::Room;
use super::super::registry::{NoRoom, OwnerId, Registry};
use super::super::triggers::Watchers;
use super::super::types::{DocumentTypes, Names};
use super::actor;
use super::seat::{Queued, Seat};
use super::together::Loan;
use super::{
    Accepted, Author, Begun, Command, DeltaTail, DocumentError, DocumentRef, DocumentUnavailable, Evidence, Head,
    LetGo, Log, Proposal, Reader, Reply, Snapshot, Write,
};

/// How the rest of the runtime holds a live document.
#[derive(Debug)]
pub(crate) struct DocumentHandle {
    /// Of the document's task, which starts when somebody finds the seat taken: a document that only its thread asks never
    /// has one. Boxed commands, because a channel takes room for many at once.
    inbox: OnceLock<mpsc::Sender<Box<Command>>>,
    pub(super) seat: Arc<Seat>,
    room: Arc<Room>,
    id: OwnerId,
    /// Where the document is listed, as long as anybody lists it.
    documents: Weak<LiveDocuments>,
}

pub(crate) type LiveDocuments = Registry<DocumentRef, DocumentHandle>;

const INBOX: usize = 256;
/// Documents that live at a time before one more that somebody names is refused, whether somebody holds them or they were
/// used in the last minute.
pub(crate) const LIVE: usize = 65_536;
/// A writer that finds the inbox full waits this long, and is then refused instead of queued without end.
const PATIENCE: Duration = Duration::from_secs(2);
/// A document without a task that nobody asked anything for this long leaves memory.
const IDLE: Duration = Duration::from_secs(60);
/// How often such documents are looked for.
const SWEEP: Duration = Duration::from_secs(15);

/// Lets idle documents go that have no task which does that by itself, until the process begins to end.
pub(crate) async fn sweep(documents: Arc<LiveDocuments>, stopping: CancellationToken) {
    loop {
        let time = tokio::select! {
            () = tokio::time::sleep(SWEEP) => IDLE,
            () = documents.crowded() => Duration::ZERO,
            () = stopping.cancelled() => return,
        };
        documents.retire_those(|document| document.inbox.get().is_none() && document.seat.is_idle(time));
    }
}

impl DocumentHandle {
    /// The live document.
    pub(crate) fn open(
        documents: &Arc<LiveDocuments>,
        store: &Arc<dyn Store>,
        rules: (&Arc<DocumentTypes>, &Arc<Watchers>),
        name: &DocumentRef,
    ) -> Arc<Self> {
        documents.get_or_start(name, |id| Self::start(documents, store, rules, name, id))
    }

    /// The same, unless as many documents live as there is room for.
    pub(crate) fn open_within(
        documents: &Arc<LiveDocuments>,
        store: &Arc<dyn Store>,
        rules: (&Arc<DocumentTypes>, &Arc<Watchers>),
        name: &DocumentRef,
    ) -> Result<Arc<Self>, NoRoom> {
        documents.get_or_start_within(name, |id| Self::start(documents, store, rules, name, id))
    }

    fn start(
        documents: &Arc<LiveDocuments>,
        store: &Arc<dyn Store>,
        (types, watchers): (&Arc<DocumentTypes>, &Arc<Watchers>),
        name: &DocumentRef,
        id: OwnerId,
    ) -> Self {
        let log = Log { store: Arc::clone(store), stream: name.stream() };
        let seat = Arc::new(Seat::new(name.clone(), log, Arc::clone(types), Arc::clone(watchers)));
        Self { inbox: OnceLock::new(), seat, room: Arc::default(), id, documents: Arc::downgrade(documents) }
    }

    /// The queue of the document's task, which is started now if need be.
    fn inbox(&self) -> &mpsc::Sender<Box<Command>> {
        self.inbox.get_or_init(|| {
            let (inbox, commands) = mpsc::channel(INBOX);
            // Nobody lists documents any more when the runtime is gone: then nobody takes what is sent.
            if let Some(documents) = self.documents.upgrade() {
                let name = DocumentRef::of(&self.log().stream);
                let owner = actor::Owner { documents: Arc::clone(&documents), name: name.clone(), id: self.id };
                documents.spawn_owner(&name, self.id, actor::run(owner, Arc::clone(&self.seat), commands));
            }
            inbox
        })
    }

    pub(crate) fn deltas(&self) -> &DeltaTail {
        self.seat.deltas()
    }

    /// Who is at the document; known as long as somebody holds this handle.
    pub(crate) fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// Its commits in the store.
    pub(crate) fn log(&self) -> &Log {
        self.seat.log()
    }

    /// What a run begins with. The caller must not be cancelled meanwhile.
    pub(crate) async fn begin(
        &self,
        initial: Value,
        posted: Option<(Value, Evidence)>,
        author: Author,
    ) -> Result<Begun, DocumentUnavailable> {
        let (reply, answer) = oneshot::channel();
        if let Err(begin) = self.seat.obey(Command::Begin { initial, posted, author, reply }).await {
            self.send(begin).await.map_err(|_| gone())?;
        }
        answer.await.map_err(|_| gone())?
    }

    /// The one way in for everybody but the agent of a run. On return the write is durable, or refused.
    ///
    /// A caller that drops the future does not know whether it was written.
    pub(crate) async fn write(&self, write: Write, author: Author) -> Result<Accepted, DocumentError> {
        let (reply, answer) = oneshot::channel();
        let command = Box::new(Command::Write { write: Box::new(write), author, reply });
        self.enqueue(self.inbox().send_timeout(command, PATIENCE)).await.map_err(|error| match error {
            mpsc::error::SendTimeoutError::Timeout(_) => DocumentError::Overloaded,
            mpsc::error::SendTimeoutError::Closed(_) => gone().into(),
        })?;
        answer.await.map_err(|_| DocumentError::from(gone()))?
    }

    /// Where the document stands, with the body as `reader` sees it.
    pub(crate) async fn head(&self, reader: Option<Reader>) -> Result<Head, DocumentUnavailable> {
        self.ask(|reply| Command::Head { reader, reply }).await
    }

    /// The document's schema as somebody meets it; `None` where nothing is said of it.
    pub(crate) fn view(&self, names: &Names) -> Option<Arc<View>> {
        self.seat.view(names)
    }

    /// Snapshots of old versions, in the order asked; version 0 shows `{}`. The head is `u64::MAX`, and is always there;
    /// `None` stands for a version that is too far back.
    pub(crate) async fn snapshots(
        &self,
        versions: Vec<u64>,
        view: Option<Arc<View>>,
    ) -> Result<Vec<Option<Snapshot>>, DocumentUnavailable> {
        self.ask(|reply| Command::Snapshots { versions, view, reply }).await
    }

    pub(crate) async fn snapshot(&self, view: Option<Arc<View>>) -> Result<Snapshot, DocumentUnavailable> {
        let mut snapshots = self.snapshots(vec![u64::MAX], view).await?;
        Ok(snapshots.pop().flatten().expect("the head was asked for"))
    }

    /// Shows what another writer, who holds no handle, has stored.
    pub(crate) fn read_on(self: Arc<Self>) {
        tokio::spawn(async move {
            if self.send(Box::new(Command::ReadOn)).await.is_err() {
                tracing::debug!("a document's owner has stopped; the next one reads what is stored");
            }
        });
    }

    /// Drops every version that is over, but for what is kept of them.
    pub(crate) async fn let_go(&self) -> Result<LetGo, DocumentUnavailable> {
        self.ask(|reply| Command::LetGo { reply }).await
    }

    /// Does something while nobody writes here and nothing is dropped.
    pub(crate) async fn hold<T>(&self, doing: impl Future<Output = T>) -> Result<T, DocumentUnavailable> {
        let loan = self.borrow().await?;
        let done = doing.await;
        loan.give_back();
        Ok(done)
    }

    pub(super) async fn borrow(&self) -> Result<Loan, DocumentUnavailable> {
        self.ask(|reply| Command::Lend { reply }).await
    }

    /// The body; version 0 while there is no document.
    pub(crate) async fn body(&self, view: Option<Arc<View>>) -> Result<Versioned<Value>, DocumentUnavailable> {
        self.ask(|reply| Command::Body { view, reply }).await
    }

    /// Deletes the document, if it exists: its next version is a tombstone, after which it begins anew.
    pub(crate) async fn end(&self, actor: String) -> Result<(), DocumentUnavailable> {
        match self.write(Write::new(Proposal::Delete), Author::new(actor)).await {
            Ok(_) | Err(DocumentError::NotFound | DocumentError::Deleted { .. }) => Ok(()),
            Err(error) => Err(DocumentUnavailable::new(error.to_string())),
        }
    }

    /// Passes an agent's request on; the document answers the agent itself. The caller must not be cancelled meanwhile.
    pub(crate) async fn serve(&self, request: StateRequest, author: Author) {
        let Err(request) = self.seat.obey(Command::Agent { request, author }).await else { return };
        // Boxed, because mostly the seat is free.
        if let Err(request) = Box::pin(self.send(request)).await {
            actor::refuse(*request, &gone().reason);
        }
    }

    /// Queues a command for the document's task.
    async fn send(&self, command: Box<Command>) -> Result<(), Box<Command>> {
        self.enqueue(self.inbox().send(command)).await.map_err(|mpsc::error::SendError(command)| command)
    }

    async fn enqueue<E>(&self, sending: impl Future<Output = Result<(), E>>) -> Result<(), E> {
        let place = Queued::up(&self.seat);
        sending.await?;
        place.stays();
        Ok(())
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T, DocumentUnavailable>) -> Command,
    ) -> Result<T, DocumentUnavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(command(reply))).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn gone() -> DocumentUnavailable {
    DocumentUnavailable::new("the document's owner has stopped; try again".to_owned())
}

#[cfg(test)]
mod tests {
    use crate::runtime::agents::Agents;
    use crate::store::{Memory, Owner, Tenant};

    use super::*;

    #[tokio::test]
    async fn live_documents_have_a_bound_and_idle_ones_make_room() {
        let documents = Arc::new(LiveDocuments::bounded(4));
        tokio::spawn(sweep(Arc::clone(&documents), CancellationToken::new()));
        tokio::task::yield_now().await;
        let store: Arc<dyn Store> = Arc::new(Memory::default());
        let agents = Arc::new(Agents::load(std::path::Path::new("agents")));
        let types = Arc::new(DocumentTypes::new(Arc::clone(&agents)));
        let watchers = Arc::new(Watchers::new(agents));
        let open = |id: usize| {
            let name = format!("shared/{id}").into();
            let name = DocumentRef { tenant: Tenant::new(""), owner: Owner::shared(), name };
            DocumentHandle::open_within(&documents, &store, (&types, &watchers), &name)
        };
        let mut held: Vec<_> = (0..4).map(|id| open(id).expect("room")).collect();
        assert_eq!(open(4).expect_err("no room"), NoRoom);
        assert!(open(3).is_ok(), "who is live is found");
        held.pop();
        // The owner of the last one leaves when it is asked to.
        let room = async {
            while open(4).is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), room).await.expect("an idle document leaves");
    }
}
