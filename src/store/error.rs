//! Why an engine refused, sorted by who must react.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{Fence, Seq, StreamKey, WorkKey};

/// Why a commit was refused. Nothing of it was written, except perhaps with [`Unavailable`](Self::Unavailable).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Somebody else appended first: the writer decides again on the actual head.
    #[error("{stream} is at {actual}, not at {expected}: read on and decide again")]
    Stale {
        /// The first stream of the batch that was elsewhere.
        stream: StreamKey,
        /// What the append expected.
        expected: Seq,
        /// Where the stream is; 0 when it does not exist.
        actual: Seq,
    },
    /// This was done before: the caller answers what was answered then.
    #[error("the key {key} was used before: its first result stands")]
    Repeated {
        /// The first key of the batch that is remembered.
        key: String,
        /// What is remembered under it.
        result: Bytes,
    },
    /// The work was settled before, or replaced by other work: whoever wants to do it has to look again.
    #[error("the work {} of {} is not there any more: it was done or replaced", key.key, key.queue)]
    Settled {
        /// The first key of the batch that is gone.
        key: WorkKey,
    },
    /// The writer's lease is void: another process took over what it was doing, and it stops.
    #[error("the lease {fence} is void: another process took over")]
    Fenced {
        /// The lease.
        fence: Fence,
    },
    /// The disk is full: the operator makes room; reads go on, and later commits may succeed.
    #[error("the disk is full: nothing was written; free some space and try again")]
    Full,
    /// The engine cannot take the commit. Whether it was written is unknown when the engine failed while
    /// writing; it refuses everything from then on until a restart.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// What happened and, when known, what to do.
        reason: String,
    },
}

/// Why a read failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Stored bytes are not the ones that were written: restore the stream from a backup.
    #[error("{stream} is damaged at position {seq}: restore it from a backup")]
    Corrupt {
        /// The damaged stream.
        stream: StreamKey,
        /// The first position that cannot be trusted; its head when the damage is beside the entries.
        seq: Seq,
    },
    /// The reader is too far behind: it starts over from the snapshot, or from `trimmed`.
    #[error("{stream} was trimmed up to {trimmed}: start over from its snapshot or from there")]
    Trimmed {
        /// The stream.
        stream: StreamKey,
        /// The lowest position a read can start after.
        trimmed: Seq,
    },
    /// The engine cannot answer now.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// What happened and, when known, what to do.
        reason: String,
    },
}

impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Unavailable { reason } => Self::Unavailable { reason },
            refused => Self::Unavailable { reason: refused.to_string() },
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no engine.
    #[error("cannot open the store {0}: expected memory:, sqlite:PATH or sqlite://PATH")]
    Url(String),
    /// A PostgreSQL URL.
    #[error("this build has no postgres engine yet: expected memory:, sqlite:PATH or sqlite://PATH")]
    PostgresNotBuilt,
    /// Somebody else has it open.
    #[error("{path} is in use by process {holder}: stop that one or choose another database")]
    InUse {
        /// The database.
        path: PathBuf,
        /// The process id the holder left in the lock file, or `unknown`.
        holder: String,
    },
    /// It was written by a newer release.
    #[error("{path} has schema {found}, this release knows up to {known}: use a newer release or another database")]
    Newer {
        /// The database.
        path: PathBuf,
        /// The schema version it has.
        found: i64,
        /// The newest schema version this release knows.
        known: i64,
    },
    /// It is a database, but not of this program.
    #[error("{path} belongs to another program: choose another database")]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// This user may not write where it is.
    #[error("{path} cannot be written ({reason}): let this user write it and its folder, or choose another database")]
    ReadOnly {
        /// The database, its directory or its lock file.
        path: PathBuf,
        /// What the file system says.
        reason: String,
    },
    /// The file system or the engine refused.
    #[error("cannot open {path}: {reason}")]
    Failed {
        /// The database, its directory or its lock file.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
}

impl OpenError {
    /// The file system refused something at `path`.
    pub(super) fn of_file(path: &Path, error: &io::Error) -> Self {
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path, reason },
            _ => Self::Failed { path, reason },
        }
    }
}
