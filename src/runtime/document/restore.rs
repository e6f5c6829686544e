//! Writing a document's whole history at once, where there was none: what an import brings.

use std::num::NonZeroU32;

use bytes::Bytes;

use crate::json_text;
use crate::state::document::Commit;
use crate::store::{Append, Batch, CommitError, NewEntry, Seq, StreamKey};

use super::DocumentHandle;
use super::kept::{Base, Dropping, Kept};
use super::load::Stamp;
use super::write::DocumentError;

/// A history in order, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    pub(crate) commits: Vec<Commit>,
    /// What older versions came to, where the history does not begin with the first.
    pub(crate) base: Option<Base>,
    /// Those of them that are kept, oldest first.
    pub(crate) kept: Vec<Kept>,
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
        let encode = |commit: &Commit| NewEntry::one(json_text::encode(commit));
        let before = restored.base.as_ref().map_or(0, |base| base.version);
        let mut append = Append::to(self.log().stream.clone(), Seq(before));
        append.entries = restored.commits.iter().map(encode).collect();
        let stamp = restored.commits.last().map(Stamp::of);
        append.summary = stamp.map(|stamp| json_text::encode(&stamp).into());
        append.snapshot = restored.head;
        let put = loan.live.reminder_of(restored.commits.first()).into_iter().collect();
        let mut appends = Vec::new();
        if let Some(base) = restored.base {
            appends.push(gone(self.log().stream.clone(), base.version));
            appends.push(self.log().dropped(Dropping::begun(base, &restored.kept)));
        }
        appends.push(append);
        let mut versions = Vec::new();
        for (version, body) in restored.bodies {
            appends.push(self.log().checkpoint(&versions, version, body));
            versions.push(version);
        }
        let error = match self.log().store.commit(Batch { appends, put, ..Batch::default() }).await {
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
            Err(error @ (CommitError::Unavailable { .. } | CommitError::Fenced { .. })) => {
                return Err(DocumentError::Unavailable { reason: error.to_string() });
            }
        };
        loan.give_back();
        Err(error)
    }
}

/// Versions up to this one are counted, and not there.
fn gone(stream: StreamKey, version: u64) -> Append {
    let span = u32::try_from(version).ok().and_then(NonZeroU32::new).expect("a base is a version, and below 2^32");
    let mut append = Append::to(stream, Seq::ZERO);
    append.entries = vec![NewEntry { span, body: Bytes::new() }];
    append.trim = Some(Seq(version));
    append
}
