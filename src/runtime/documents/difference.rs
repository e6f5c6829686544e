//! What differs between two versions of a document.

use crate::state::diff::diff;
use crate::state::patch::Operation;

use super::super::document::DocumentError;
use super::{DocumentName, Documents, had_version};

/// The way from one version to another.
#[derive(Debug, Clone)]
pub struct Difference {
    pub from: u64,
    pub to: u64,
    /// In safe form.
    pub ops: Vec<Operation>,
}

impl Documents<'_> {
    /// The operations that lead from one version to another, by default the newest; either may be the older one.
    ///
    /// Version 0 and tombstones are the empty object.
    pub async fn difference(
        &self,
        name: &DocumentName,
        from: u64,
        to: Option<u64>,
    ) -> Result<Difference, DocumentError> {
        let live = self.live(name)?;
        let head = live.head(None).await?;
        let to = to.unwrap_or(head.version);
        for version in [from, to].into_iter().filter(|&version| version > 0) {
            had_version(&live, version).await?;
        }
        if head.version == 0 {
            return Err(DocumentError::NotFound);
        }
        let seen = |body| self.seen(name, body).ok_or(DocumentError::NotFound);
        let (before, after) = (seen(live.log().body_at(from).await?)?, seen(live.log().body_at(to).await?)?);
        Ok(Difference { from, to, ops: diff(&before, &after) })
    }
}
