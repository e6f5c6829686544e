//! Writing a document's whole history at once, where there was none: what an import brings.

use bytes::Bytes;

use crate::state::document::Commit;
use crate::store::{Append, Batch, CommitError, NewEntry, Seq};

use super::DocumentHandle;
use super::load::Stamp;
use super::write::DocumentError;

/// A history in order: version 1 first.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    pub(crate) commits: Vec<Commit>,
    /// Bodies of some versions, so that those near them are read without all that came before.
    pub(crate) bodies: Vec<(u64, Bytes)>,
    /// The body at the end, unless the document is deleted.
    pub(crate) head: Option<Bytes>,
}

impl DocumentHandle {
    /// Writes the history; `false` when the document has one already, deleted or not.
    pub(crate) async fn restore(&self, restored: Restored) -> Result<bool, DocumentError> {
        let mut loan = self.borrow().await?;
        if loan.live.document.version() > 0 {
            loan.give_back();
            return Ok(false);
        }
        let encode = |commit: &Commit| NewEntry::one(serde_json::to_vec(commit).expect("a commit is plain data"));
        let mut append = Append::to(self.log().stream.clone(), Seq::ZERO);
        append.entries = restored.commits.iter().map(encode).collect();
        let stamp = restored.commits.last().map(Stamp::of);
        append.summary = stamp.map(|stamp| serde_json::to_vec(&stamp).expect("a stamp is plain data").into());
        append.snapshot = restored.head;
        let mut appends = vec![append];
        let mut versions = Vec::new();
        for (version, body) in restored.bodies {
            appends.push(self.log().checkpoint(&versions, version, body));
            versions.push(version);
        }
        let error = match self.log().store.commit(Batch { appends, ..Batch::default() }).await {
            Ok(_) => {
                let read = loan.live.reload().await;
                read.map_err(|broken| DocumentError::Unavailable { reason: broken.reason })?;
                loan.give_back();
                return Ok(true);
            }
            Err(CommitError::Stale { .. } | CommitError::Repeated { .. } | CommitError::Settled { .. }) => {
                return Ok(false);
            }
            Err(CommitError::Full) => DocumentError::StorageFull,
            Err(CommitError::Unavailable { reason }) => return Err(DocumentError::Unavailable { reason }),
        };
        loan.give_back();
        Err(error)
    }
}
