//! Who wrote each leaf of a document.

use std::collections::BTreeMap;

use crate::state::document::Document;
use crate::state::history::{Blame, Mark};
use crate::state::pointer::Pointer;

use super::super::document::DocumentError;
use super::{DocumentName, Documents, absence};

impl Documents<'_> {
    /// The commit that wrote each leaf at and below a place. The cost is that of reading the document's whole history.
    pub async fn blame(&self, name: &DocumentName, path: &Pointer) -> Result<BTreeMap<Pointer, Mark>, DocumentError> {
        let live = self.live(name)?;
        let head = live.head(None).await?;
        if !head.exists {
            return Err(absence(&head));
        }
        let mut blame: Option<Blame> = None;
        let mut version = 0;
        while version < head.version {
            for commit in live.log().page(version, head.version).await? {
                let before = || Blame::new(Document::absent().body(), Mark::from(&commit));
                blame.get_or_insert_with(before).commit(&commit);
                version = commit.version;
            }
        }
        let leaves = blame.map(|blame| blame.leaves(path)).unwrap_or_default();
        Ok(match self.view(name) {
            Some(view) => view.entries(leaves),
            None => leaves,
        })
    }
}
