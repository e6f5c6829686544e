//! Who wrote each leaf of a document.

use std::collections::BTreeMap;

use crate::state::document::Document;
use crate::state::history::{Blame, Mark};
use crate::state::pointer::Pointer;
use crate::store::StoreError;

use super::super::document::{DocumentError, Log};
use super::{DocumentName, Documents, absence};

impl Documents<'_> {
    /// The commit that wrote each leaf at and below a place. The cost is that of reading the document's whole history.
    pub async fn blame(&self, name: &DocumentName, path: &Pointer) -> Result<BTreeMap<Pointer, Mark>, DocumentError> {
        let live = self.live(name)?;
        let head = live.head(None).await?;
        if !head.exists {
            return Err(absence(&head));
        }
        let mut blame = blame_at(live.log(), head.version).await;
        if let Err(StoreError::Trimmed { .. }) = blame {
            // More was dropped meanwhile.
            blame = blame_at(live.log(), head.version).await;
        }
        let leaves = blame?.map(|blame| blame.leaves(path)).unwrap_or_default();
        Ok(match self.view(name) {
            Some(view) => view.entries(leaves),
            None => leaves,
        })
    }
}

/// Goes on from what the dropped versions came to.
async fn blame_at(log: &Log, head: u64) -> Result<Option<Blame>, StoreError> {
    let base = log.base().await?;
    let (mut blame, mut version) = base.map_or((None, 0), |base| (Some(base.blame), base.version));
    while version < head {
        for commit in log.page(version, head).await? {
            let before = || Blame::new(Document::absent().body(), Mark::from(&commit));
            blame.get_or_insert_with(before).commit(&commit);
            version = commit.version;
        }
    }
    Ok(blame)
}
