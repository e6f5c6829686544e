//! A document while it lives: how others name it, and what they may ask of it.

mod actor;
mod append;
mod commit;
mod deltas;
mod handle;
mod kept;
mod load;
mod past;
mod repeat;
mod restore;
mod retain;
mod seat;
mod sitting;
mod tagged;
mod together;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::agent::context::{StateRequest, Versioned};
use crate::agui::{Encoding, append_as_protobuf};
use crate::state::pointer::Pointer;
use crate::state::schema::View;
use crate::store::{Kind, Owner, Scope, StreamKey, Tenant};

use super::registry::NoRoom;
use super::types::kind_of;
pub(crate) use deltas::DeltaTail;
pub(crate) use deltas::frame as delta_frame;
pub use deltas::{Delta, Told as DeltaTold, squashed};
pub(crate) use handle::{DocumentHandle, LIVE, LiveDocuments, sweep};
pub(crate) use kept::{Base, Kept};
pub(crate) use load::Stamp;
pub(crate) use past::Log;
pub(crate) use restore::Restored;
pub(crate) use retain::{LetGo, QUEUE as RETENTION, reminder};
pub(crate) use sitting::Sitting;
pub use tagged::Tag;
use together::Loan;
pub use together::TogetherRefused;
pub(crate) use together::{Member, write_together};
pub use write::{Accepted, DocumentError, Expects, Once, Origin, Proposal, Rejection, Write};

/// Names a document: `type/id` within a tenant and an owner (empty = the whole tenant). Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct DocumentRef {
    pub(crate) tenant: Tenant,
    pub(crate) owner: Owner,
    /// `type/id`
    pub(crate) name: Arc<str>,
}

impl DocumentRef {
    /// The stream of its commits; an entry's position is its version.
    pub(crate) fn stream(&self) -> StreamKey {
        let Self { tenant, owner, name } = self.clone();
        StreamKey { scope: Scope { tenant, owner, kind: Kind::Document }, id: name }
    }

    pub(crate) fn of(stream: &StreamKey) -> Self {
        let StreamKey { scope: Scope { tenant, owner, .. }, id } = stream.clone();
        Self { tenant, owner, name: id }
    }

    /// Its type.
    fn kind(&self) -> &str {
        kind_of(&self.name)
    }

    /// Whether its type allows objects only.
    fn holds_objects(&self) -> bool {
        ["agent/", "task/", "lifecycle/"].iter().any(|kind| self.name.starts_with(kind))
    }
}

/// Who changes a document, and on behalf of which run.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    /// `user:…`, `agent:…`, `service:…` or `system`.
    pub(crate) actor: Arc<str>,
    pub(crate) run_id: Option<Arc<str>>,
    /// Whether the run was cut off and goes on, so that it may be repeating a write.
    pub(crate) is_resumed: bool,
    /// Pointers below which this author may write; `None` = everywhere.
    pub(crate) may_write: Option<Arc<[Pointer]>>,
}

impl Author {
    /// One who writes on behalf of no run, and everywhere.
    pub(crate) fn new(actor: impl Into<Arc<str>>) -> Self {
        Self { actor: actor.into(), run_id: None, is_resumed: false, may_write: None }
    }
}

/// What tells which version a client saw when it posted a whole state (design §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It saw exactly this version.
    Exact(u64),
    /// It saw this version or a newer one.
    AtLeast(u64),
    /// Nothing is known: the post may only fill in what is absent.
    Unknown,
}

/// The body of a document at a version, as the `STATE_SNAPSHOT` that shows it; one that is too large for an event goes on
/// in `STATE_DELTA`s (`state/pieces.rs`).
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) version: u64,
    /// Whether the document is there; one that is not shows `{}`.
    pub(crate) exists: bool,
    pub(crate) frame: Bytes,
}

impl Snapshot {
    /// The frame as a reader of this encoding gets it.
    pub(crate) fn told(self, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::Sse => self.frame,
            Encoding::Protobuf => {
                let mut bytes = Vec::with_capacity(self.frame.len());
                append_as_protobuf(&mut bytes, &self.frame);
                bytes.into()
            }
        }
    }
}

/// Where a document stands.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// Empty while the document never existed.
    pub(crate) epoch: Arc<str>,
    /// 0 while the document never existed.
    pub(crate) version: u64,
    /// Whether there is a document, as opposed to none yet or a tombstone.
    pub(crate) exists: bool,
    pub(crate) latest: Stamp,
    /// About how many bytes of JSON the body is.
    pub(crate) bytes: usize,
    /// The body, when it was asked for and there is one.
    pub(crate) data: Option<Arc<RawValue>>,
    /// Versions up to this one are over: they are not kept, but for those that have a name or are the last of a run.
    pub(crate) over: u64,
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

/// A posted state that was refused; nothing of it applied.
#[derive(Debug, Clone, Error)]
#[error("{message}")]
pub(crate) struct Refused {
    /// One of docs/state-api.md §2.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) path: Option<String>,
    /// The head version that the state met.
    pub(crate) version: u64,
}

impl From<DocumentError> for Refused {
    fn from(error: DocumentError) -> Self {
        let path = error.path().map(|path| path.to_string());
        let version = error.head().unwrap_or_default();
        Self { code: error.code(), message: error.to_string(), path, version }
    }
}

/// The document's store failed; asking again tries it again.
#[derive(Debug, Clone, Error)]
#[error("{reason}")]
pub(crate) struct DocumentUnavailable {
    pub(crate) reason: String,
    /// The store's disk is full.
    pub(crate) is_full: bool,
}

impl DocumentUnavailable {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_full: false }
    }
}

impl From<NoRoom> for DocumentUnavailable {
    fn from(_: NoRoom) -> Self {
        Self::new("as many documents are live as this server takes; try again in a moment")
    }
}

impl From<DocumentUnavailable> for DocumentError {
    fn from(error: DocumentUnavailable) -> Self {
        if error.is_full { Self::StorageFull } else { Self::Unavailable { reason: error.reason } }
    }
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
    Write {
        write: Box<Write>,
        author: Author,
        reply: Reply<Accepted, DocumentError>,
    },
    Head {
        /// Who wants to have the body, if anybody does.
        reader: Option<Reader>,
        reply: Reply<Head, DocumentUnavailable>,
    },
    Snapshots {
        versions: Vec<u64>,
        view: Option<Arc<View>>,
        reply: Reply<Vec<Option<Snapshot>>, DocumentUnavailable>,
    },
    Body {
        view: Option<Arc<View>>,
        reply: Reply<Versioned<Value>, DocumentUnavailable>,
    },
    /// Takes what somebody else has stored.
    ReadOn,
    /// Drops what is over.
    LetGo {
        reply: Reply<LetGo, DocumentUnavailable>,
    },
    /// Hands the document out, for a write that spans several.
    Lend {
        reply: Reply<Loan, DocumentUnavailable>,
    },
}

/// Who reads a body.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    /// As commits would name them.
    pub(crate) actor: String,
    /// The type's schema as they meet it.
    pub(crate) view: Option<Arc<View>>,
}
