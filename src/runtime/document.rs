//! A document while it lives: how others name it, what they may ask of it, and the handle they hold.

mod actor;
mod deltas;
mod load;
mod past;

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::agent::StateError;
use crate::agent::context::{StateRequest, Versioned};
use crate::state::pointer::Pointer;
use crate::store::{Kind, Owner, Store, StreamKey, Tenant};

use super::registry::Registry;
pub(crate) use deltas::DeltaTail;

/// Names a document: `type/id` within a tenant and an owner (empty = the whole tenant).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct DocumentRef {
    pub(crate) tenant: String,
    pub(crate) owner: String,
    /// `type/id`
    pub(crate) name: String,
}

impl DocumentRef {
    fn stream(&self) -> StreamKey {
        StreamKey {
            tenant: Tenant::new(self.tenant.as_str()),
            owner: Owner::new(self.owner.as_str()),
            kind: Kind::Document,
            id: self.name.as_str().into(),
        }
    }
}

/// Who changes a document, and on behalf of which run.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    /// `user:…`, `agent:…`, `service:…` or `system`.
    pub(crate) actor: String,
    pub(crate) run_id: Option<String>,
    /// Pointers below which this author may write; `None` = everywhere.
    pub(crate) may_write: Option<Arc<[Pointer]>>,
}

/// What tells which version a client saw when it posted a whole state (design §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It saw exactly this version.
    Exact(u64),
    /// It saw this version or a newer one.
    AtLeast(u64),
    /// Nothing is known: the post may only fill in what is absent.
    Unknown,
}

/// The body of a document at a version, as the `STATE_SNAPSHOT` frame that shows it.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) version: u64,
    /// Whether the document is there; one that is not shows `{}`.
    pub(crate) exists: bool,
    pub(crate) frame: Bytes,
}

/// What a run finds when it begins.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) snapshot: Snapshot,
    /// Whether the document did not exist before.
    pub(crate) created: bool,
    /// Why the posted state was not taken, if it was not; nothing of it is written then.
    pub(crate) rejected: Option<Refused>,
}

/// A change that was refused; nothing of it applied.
#[derive(Debug, Clone, Error)]
#[error("{message}")]
pub(crate) struct Refused {
    /// One of docs/state-api.md §2.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) path: Option<String>,
    /// The head version that the change met.
    pub(crate) version: u64,
}

/// The document's store failed; asking again tries it again.
#[derive(Debug, Clone, Error)]
#[error("{reason}")]
pub(crate) struct DocumentUnavailable {
    pub(crate) reason: String,
}

type Reply<T, E> = oneshot::Sender<Result<T, E>>;

/// The closed set of things a document's task answers.
#[derive(Debug)]
enum Command {
    /// Creates the document from `initial` and `posted` if it is absent, else merges `posted` into it.
    Begin {
        initial: Value,
        posted: Option<(Value, Evidence)>,
        author: Author,
        reply: Reply<Begun, DocumentUnavailable>,
    },
    Agent {
        request: StateRequest,
        author: Author,
    },
    Snapshots {
        versions: Vec<u64>,
        reply: Reply<Vec<Option<Snapshot>>, DocumentUnavailable>,
    },
    Body {
        reply: Reply<Versioned<Value>, DocumentUnavailable>,
    },
    /// Deletes the document: a tombstone becomes its next version.
    End {
        actor: String,
        reply: Reply<(), DocumentUnavailable>,
    },
}

/// How the rest of the runtime holds a live document.
#[derive(Debug)]
pub(crate) struct DocumentHandle {
    inbox: mpsc::Sender<Command>,
    deltas: Arc<DeltaTail>,
}

pub(crate) type Documents = Registry<DocumentRef, DocumentHandle>;

const INBOX: usize = 256;

impl DocumentHandle {
    /// The live document, its task started now if need be.
    pub(crate) fn open(documents: &Arc<Documents>, store: &Arc<dyn Store>, name: &DocumentRef) -> Arc<Self> {
        documents.get_or_start(name, |id| {
            let (inbox, commands) = mpsc::channel(INBOX);
            let deltas = Arc::new(DeltaTail::new());
            let owner = actor::Owner { documents: Arc::clone(documents), name: name.clone(), id };
            documents.spawn_owner(name, id, actor::run(owner, Arc::clone(store), Arc::clone(&deltas), commands));
            Self { inbox, deltas }
        })
    }

    pub(crate) fn deltas(&self) -> &DeltaTail {
        &self.deltas
    }

    pub(crate) async fn begin(
        &self,
        initial: Value,
        posted: Option<(Value, Evidence)>,
        author: Author,
    ) -> Result<Begun, DocumentUnavailable> {
        self.ask(|reply| Command::Begin { initial, posted, author, reply }).await
    }

    /// Snapshots of old versions, in the order asked; version 0 shows `{}`. The head is `u64::MAX`, and is always there;
    /// `None` stands for a version that is too far back.
    pub(crate) async fn snapshots(&self, versions: Vec<u64>) -> Result<Vec<Option<Snapshot>>, DocumentUnavailable> {
        self.ask(|reply| Command::Snapshots { versions, reply }).await
    }

    pub(crate) async fn snapshot(&self) -> Result<Snapshot, DocumentUnavailable> {
        let mut snapshots = self.snapshots(vec![u64::MAX]).await?;
        Ok(snapshots.pop().flatten().expect("the head was asked for"))
    }

    /// The head; version 0 and `null` while the document does not exist.
    pub(crate) async fn body(&self) -> Result<Versioned<Value>, DocumentUnavailable> {
        self.ask(|reply| Command::Body { reply }).await
    }

    /// Deletes the document, if it exists: its next version is a tombstone, after which it begins anew.
    pub(crate) async fn end(&self, actor: String) -> Result<(), DocumentUnavailable> {
        self.ask(|reply| Command::End { actor, reply }).await
    }

    /// Passes an agent's request on; the document answers the agent itself.
    pub(crate) async fn serve(&self, request: StateRequest, author: Author) {
        if let Err(mpsc::error::SendError(Command::Agent { request, .. })) =
            self.inbox.send(Command::Agent { request, author }).await
        {
            let gone = || StateError::Unavailable { reason: "the document's owner has stopped".to_owned() };
            match request {
                StateRequest::Read { reply, .. } => drop(reply.send(Err(gone()))),
                StateRequest::Patch { reply, .. } | StateRequest::Propose { reply, .. } => {
                    drop(reply.send(Err(gone())))
                }
            }
        }
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T, DocumentUnavailable>) -> Command,
    ) -> Result<T, DocumentUnavailable> {
        let gone = || DocumentUnavailable { reason: "the document's owner has stopped; try again".to_owned() };
        let (reply, answer) = oneshot::channel();
        self.inbox.send(command(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
