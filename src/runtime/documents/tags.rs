//! Named versions of a document: a small stream beside its log.

use crate::store::CommitError;

use super::super::document::{DocumentError, DocumentHandle, Once, Tag};
use super::{DocumentName, Documents, absence, had_version};

const NAME_CHARACTERS: usize = 128;
/// Of one document.
const MOST: usize = 1000;
const ATTEMPTS: usize = 16;

/// A version that has a name now, or had got it from an earlier request with the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    pub tag: Tag,
    pub duplicate: bool,
}

impl Documents<'_> {
    /// Every named version, in the order of the naming.
    pub async fn tags(&self, name: &DocumentName) -> Result<Vec<Tag>, DocumentError> {
        let live = self.live(name)?;
        let head = live.head(None).await?;
        if head.version == 0 {
            return Err(DocumentError::NotFound);
        }
        Ok(live.log().tags().await?)
    }

    /// Names a version, by default the newest. The same name for the same version is no error, for another one it is.
    pub async fn tag(
        &self,
        name: &DocumentName,
        tag: &str,
        version: Option<u64>,
        once: Option<Once>,
    ) -> Result<Tagged, DocumentError> {
        if tag.is_empty() || tag.chars().count() > NAME_CHARACTERS || tag.chars().any(char::is_control) {
            let reason = "a tag has 1 to 128 characters and no control characters";
            return Err(DocumentError::InvalidName { name: tag.to_owned(), reason });
        }
        let live = self.live(name)?;
        if let Some(once) = &once
            && let Some(tag) = live.log().tagged_before(once).await?
        {
            return Ok(Tagged { tag, duplicate: true });
        }
        let version = match version {
            Some(version) => {
                had_version(&live, version).await?;
                version
            }
            None => {
                let head = live.head(None).await?;
                if !head.exists {
                    return Err(absence(&head));
                }
                head.version
            }
        };
        let tag = Tag { name: tag.to_owned(), version };
        let (by, held) = (self.principal.actor(), std::sync::Arc::clone(&live));
        // Held, so that the version is not dropped while it gets its name.
        live.hold(async move { name_version(&held, tag, by, once.as_ref()).await }).await?
    }
}

/// The document is held meanwhile.
async fn name_version(
    live: &DocumentHandle,
    tag: Tag,
    by: String,
    once: Option<&Once>,
) -> Result<Tagged, DocumentError> {
    let log = live.log();
    log.is_there(tag.version).await?;
    for _ in 0..ATTEMPTS {
        let stored = log.tags().await?;
        let append = match stored.iter().find(|known| known.name == tag.name) {
            Some(known) if known.version == tag.version => None,
            Some(known) => return Err(DocumentError::TagTaken { name: tag.name, version: known.version }),
            None if stored.len() >= MOST => return Err(DocumentError::TooManyTags { most: MOST }),
            None => Some(log.tagging(&tag, by.clone(), stored.len())),
        };
        match log.commit_tag(&tag, append, once).await {
            Ok(()) => return Ok(Tagged { tag, duplicate: false }),
            Err(CommitError::Stale { .. } | CommitError::Settled { .. }) => {}
            // The same request was sent twice at once.
            Err(CommitError::Repeated { .. }) => {
                if let Some(once) = once
                    && let Some(tag) = log.tagged_before(once).await?
                {
                    return Ok(Tagged { tag, duplicate: true });
                }
            }
            Err(CommitError::Full) => return Err(DocumentError::StorageFull),
            Err(error @ (CommitError::Unavailable { .. } | CommitError::Fenced { .. })) => {
                return Err(DocumentError::Unavailable { reason: error.to_string() });
            }
        }
    }
    Err(DocumentError::Overloaded)
}
