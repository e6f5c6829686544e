//! What a writer wants of a document, and what it is answered.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::agent::StateError;
use crate::agent::context::StateWrite;
use crate::state::document::{Commit, Conflict, Refusal};
use crate::state::history::Skipped;
use crate::state::intent::Intent;
use crate::state::json::JsonError;
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;
use crate::state::schema::Fault;

use super::Evidence;

/// A change that somebody wants, with the terms on which it may happen.
#[derive(Debug, Clone)]
pub struct Write {
    pub proposal: Proposal,
    /// The version the writer had seen: what others did since is merged, not overwritten. 0 is the empty document.
    pub base: Option<u64>,
    /// The version that a run acts on, with what it wrote itself since: a base that counts as none where it is too far back.
    pub(crate) seen: Option<u64>,
    pub expects: Expects,
    /// Whether a document that is absent or deleted is created; its body is `{}` before.
    pub creates: bool,
    /// Decide and answer, and change nothing.
    pub dry_run: bool,
    /// Whether the answer holds the body.
    pub wants_data: bool,
    pub reason: Option<String>,
    /// The run on whose behalf this is written: the runtime's own id of it.
    pub run_id: Option<String>,
    /// Which write of its author's run this is.
    pub(crate) mark: Option<String>,
    pub origin: Option<Origin>,
    pub once: Option<Once>,
    /// Whether an agent is bound to the document by this write, so that the document must be an object.
    pub(crate) is_bound: bool,
}

impl Write {
    /// A change on no terms at all.
    pub fn new(proposal: Proposal) -> Self {
        Self {
            proposal,
            base: None,
            seen: None,
            expects: Expects::Anything,
            creates: false,
            dry_run: false,
            wants_data: false,
            reason: None,
            run_id: None,
            mark: None,
            origin: None,
            once: None,
            is_bound: false,
        }
    }

    /// A change by one whose state the document is.
    pub(crate) fn bound(proposal: Proposal) -> Self {
        Self { creates: true, is_bound: true, ..Self::new(proposal) }
    }

    /// What an agent writes to its own state.
    pub(crate) fn of_agent(write: StateWrite) -> Self {
        let StateWrite { ops, if_version, seen, mark, .. } = write;
        Self { expects: if_version.into(), seen, mark, ..Self::bound(Proposal::Patch(ops)) }
    }
}

impl Write {
    /// A whole body without a base or a precondition means what the document's type says it does.
    pub fn as_put(mut self) -> Self {
        if self.base.is_none() && self.expects == Expects::Anything {
            self.proposal = match self.proposal {
                Proposal::Replace(body) => Proposal::Put(body),
                other => other,
            };
        }
        self
    }
}

/// What the document shall become.
#[derive(Debug, Clone)]
pub enum Proposal {
    /// RFC 6902.
    Patch(Vec<Operation>),
    /// RFC 7396.
    Merge(Value),
    /// Edits that say what is meant.
    Intents(Vec<Intent>),
    /// This body; with a base, what differs from the body at the base.
    Replace(Value),
    /// This body as a client of the type's `PUT` means it: instead of what is there, or merged with it.
    Put(Value),
    /// A whole state posted by a client of which only a lower bound is known.
    Posted { state: Value, evidence: Evidence },
    /// Nothing: a tombstone version.
    Delete,
    /// The body it had at a version.
    Rollback { to: u64 },
    /// What it would be had a run not written, where nobody wrote since.
    UndoRun { run_id: String },
    /// What could not be read as any of these: it is refused in its turn, so that a mutation takes its number.
    Unreadable(Rejection),
}

/// What the document must be for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expects {
    Anything,
    Absent,
    Present,
    Version(u64),
    /// One of these epochs and versions.
    OneOf(Vec<(String, u64)>),
}

impl From<Option<u64>> for Expects {
    fn from(version: Option<u64>) -> Self {
        version.map_or(Self::Anything, Self::Version)
    }
}

/// Which client made a mutation, and which of its own it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub client_id: String,
    pub mutation_id: u64,
}

/// The promise that a write happens once, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// Unique for principal, method, document and the client's own key.
    pub key: String,
    /// Tells another request under the same key from a repetition.
    pub fingerprint: String,
}

/// A write that happened, or had happened before.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Empty for a dry run on a document that never was.
    pub epoch: Arc<str>,
    /// The version that holds the write.
    pub version: u64,
    /// Whether the document was absent or deleted before.
    pub created: bool,
    /// Whether this is the answer to an earlier request with the same key.
    pub duplicate: bool,
    pub conflicts: Vec<Conflict>,
    /// What undoing a run left as it is.
    pub skipped: Vec<Skipped>,
    /// What was committed; `None` when nothing changed.
    pub commit: Option<Arc<Commit>>,
    /// The body at `version`, when it was asked for.
    pub data: Option<Arc<RawValue>>,
}

/// Why a document was not read or not written; nothing of a refused write applied.
#[derive(Debug, Clone, Error)]
pub enum DocumentError {
    #[error("`{name:.80}` is not a legal name: {reason}")]
    InvalidName { name: String, reason: &'static str },
    #[error("no type `{kind}` is declared")]
    UnknownType { kind: String },
    #[error("the document does not exist")]
    NotFound,
    #[error("the document was deleted in version {version}")]
    Deleted { version: u64 },
    #[error("the document has no version {version}; its newest is {head}")]
    VersionNotFound { version: u64, head: u64 },
    #[error("version {version} is not kept any more: the document's type lets go of those up to {over}")]
    VersionOver { version: u64, over: u64, head: u64 },
    #[error("version {base} is too far back to be merged with the head {head}: read the document and try again")]
    BaseTooOld { base: u64, head: u64 },
    #[error("run `{run_id}` made none of the document's latest versions")]
    RunNotHere { run_id: String },
    #[error("commits of run `{run_id}` are not kept any more: it cannot be taken back as a whole")]
    RunOver { run_id: String, head: u64 },
    #[error("{}", standing(*head))]
    VersionConflict { head: u64 },
    #[error("the document exists already, at version {head}")]
    AlreadyExists { head: u64 },
    #[error("`lifecycle` documents are written by the runtime only")]
    ReadOnly,
    #[error("run `{run_id}` is not a live run of this caller")]
    ForeignRun { run_id: String },
    #[error("{refusal}")]
    Refused { refusal: Refusal, head: u64 },
    #[error("{error}")]
    InvalidJson { error: JsonError, head: u64 },
    #[error("a document of this type is an object")]
    NotAnObject { head: u64 },
    #[error("version {version} has the name `{name}` already")]
    TagTaken { name: String, version: u64 },
    #[error("a document has at most {most} tags")]
    TooManyTags { most: usize },
    #[error("the idempotency key was used for another request")]
    IdempotencyMismatch,
    #[error("mutation {expect} of this client comes first")]
    MutationGap { expect: u64 },
    #[error("nothing is remembered of this client or its mutation: compare what is pending with the head")]
    ClientUnknown,
    /// The mutation is none.
    #[error("{}", .0.message)]
    Unreadable(Box<Rejection>),
    /// The same mutation was refused before, and is refused with the same words.
    #[error("{}", .0.message)]
    Before(Box<Rejection>),
    #[error("the document is being changed faster than it can be stored")]
    Overloaded,
    #[error("the disk is full: nothing was written; free some space and try again")]
    StorageFull,
    #[error("{reason}")]
    Unavailable { reason: String },
}

/// The codes of refusals that are remembered for their repetitions.
const REMEMBERED: [&str; 18] = [
    "not_found",
    "deleted",
    "version_not_found",
    "version_conflict",
    "already_exists",
    "conflict",
    "test_failed",
    "target_gone",
    "invalid_patch",
    "invalid_json",
    "too_large",
    "forbidden",
    "forbidden_path",
    "schema_invalid",
    "transition_invalid",
    "unknown_type",
    "invalid_name",
    "idempotency_mismatch",
];

impl DocumentError {
    /// The error code of docs/state-api.md §2.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidName { .. } => "invalid_name",
            Self::UnknownType { .. } => "unknown_type",
            Self::NotFound | Self::RunNotHere { .. } => "not_found",
            Self::Deleted { .. } => "deleted",
            Self::VersionNotFound { .. } | Self::VersionOver { .. } | Self::RunOver { .. } => "version_not_found",
            Self::BaseTooOld { .. } => "conflict",
            Self::VersionConflict { .. } => "version_conflict",
            Self::AlreadyExists { .. } => "already_exists",
            Self::ReadOnly | Self::ForeignRun { .. } => "forbidden",
            Self::Refused { refusal, .. } => refusal.code(),
            Self::InvalidJson { error, .. } if error.is_too_large() => "too_large",
            Self::InvalidJson { .. } => "invalid_json",
            Self::NotAnObject { .. } => "schema_invalid",
            Self::TagTaken { .. } => "conflict",
            Self::TooManyTags { .. } => "too_large",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::MutationGap { .. } => "mutation_gap",
            Self::ClientUnknown => "client_unknown",
            Self::Before(rejection) | Self::Unreadable(rejection) => {
                REMEMBERED.iter().find(|code| **code == rejection.code).unwrap_or(&"conflict")
            }
            Self::Overloaded => "rate_limited",
            Self::StorageFull => "storage_full",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    /// The place that was refused, if it is about one.
    pub fn path(&self) -> Option<Pointer> {
        match self {
            Self::Refused { refusal, .. } => refusal.path().cloned(),
            Self::NotAnObject { .. } => Some(Pointer::root()),
            _ => None,
        }
    }

    /// Whether the same mutation would be answered the same; others may succeed when they are sent again.
    pub(super) fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::MutationGap { .. }
                | Self::ClientUnknown
                | Self::Before(_)
                | Self::Overloaded
                | Self::StorageFull
                | Self::Unavailable { .. }
        )
    }

    /// The refusal as clients of the sockets are told.
    pub fn rejection(&self) -> Rejection {
        if let Self::Before(rejection) | Self::Unreadable(rejection) = self {
            return Rejection::clone(rejection);
        }
        let paths = match self {
            Self::Refused { refusal: Refusal::Conflict { paths }, .. } => {
                paths.iter().map(Pointer::to_string).collect()
            }
            error => error.path().iter().map(Pointer::to_string).collect(),
        };
        let errors = match self {
            Self::Refused { refusal: Refusal::SchemaInvalid { errors }, .. } => errors.clone(),
            Self::NotAnObject { .. } => vec![Fault { path: Pointer::root(), message: self.to_string() }],
            _ => Vec::new(),
        };
        Rejection { code: self.code().to_owned(), message: self.to_string(), version: self.head(), paths, errors }
    }

    /// The head version that a refused write met; none of a document that never was.
    pub fn head(&self) -> Option<u64> {
        let head = match self {
            Self::Deleted { version: head }
            | Self::VersionNotFound { head, .. }
            | Self::VersionOver { head, .. }
            | Self::RunOver { head, .. }
            | Self::BaseTooOld { head, .. }
            | Self::VersionConflict { head }
            | Self::AlreadyExists { head }
            | Self::Refused { head, .. }
            | Self::InvalidJson { head, .. }
            | Self::NotAnObject { head } => Some(*head),
            _ => None,
        };
        head.filter(|&head| head > 0)
    }

    /// The same with this head: what a write of several met is not what readers can see.
    pub(super) fn of_head(mut self, stored: u64) -> Self {
        match &mut self {
            Self::Deleted { version: head }
            | Self::VersionNotFound { head, .. }
            | Self::VersionOver { head, .. }
            | Self::RunOver { head, .. }
            | Self::BaseTooOld { head, .. }
            | Self::VersionConflict { head }
            | Self::AlreadyExists { head }
            | Self::Refused { head, .. }
            | Self::InvalidJson { head, .. }
            | Self::NotAnObject { head } => *head = stored,
            _ => {}
        }
        self
    }
}

fn standing(head: u64) -> String {
    match head {
        0 => "the document does not exist".to_owned(),
        head => format!("the document is at version {head}"),
    }
}

/// A refusal in the words of the state protocol (docs/state-api.md §4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    pub code: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// What the schema refuses, place by place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
}

impl From<DocumentError> for StateError {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::Unavailable { reason } => Self::Unavailable { reason },
            refused => {
                let version = refused.head().unwrap_or_default();
                Self::Refused { code: refused.code(), message: refused.to_string(), version }
            }
        }
    }
}
