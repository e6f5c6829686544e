//! Named versions of a document: a small stream beside its log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::store::{Append, CommitError, Kind, Limit, NewEntry, Seq, StreamKey};

use super::super::clock::now;
use super::super::document::DocumentError;
use super::{DocumentName, Documents, absence, had_version};

/// A version with a name. Retention never drops it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tag {
    pub name: String,
    pub version: u64,
}

/// A tag as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Tagged {
    #[serde(flatten)]
    tag: Tag,
    at: String,
    by: String,
}

const NAME_CHARACTERS: usize = 128;
/// Of one document.
const MOST: usize = 1000;
const ATTEMPTS: usize = 16;

impl Documents<'_> {
    /// Every named version, in the order of the naming.
    pub async fn tags(&self, name: &DocumentName) -> Result<Vec<Tag>, DocumentError> {
        let head = self.live(name)?.head(None).await?;
        if head.version == 0 {
            return Err(DocumentError::NotFound);
        }
        self.stored(&self.tag_stream(name)?).await
    }

    /// Names a version, by default the newest. The same name for the same version is no error, for another one it is.
    pub async fn tag(&self, name: &DocumentName, tag: &str, version: Option<u64>) -> Result<Tag, DocumentError> {
        if tag.is_empty() || tag.chars().count() > NAME_CHARACTERS || tag.chars().any(char::is_control) {
            let reason = "a tag has 1 to 128 characters and no control characters";
            return Err(DocumentError::InvalidName { name: tag.to_owned(), reason });
        }
        let live = self.live(name)?;
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
        let stream = self.tag_stream(name)?;
        for _ in 0..ATTEMPTS {
            let stored = self.stored(&stream).await?;
            if let Some(known) = stored.iter().find(|known| known.name == tag.name) {
                return match known.version == version {
                    true => Ok(tag),
                    false => Err(DocumentError::TagTaken { name: tag.name, version: known.version }),
                };
            }
            if stored.len() >= MOST {
                return Err(DocumentError::TooManyTags { most: MOST });
            }
            let tagged = Tagged { tag: tag.clone(), at: now(), by: self.principal.actor() };
            let entry = serde_json::to_vec(&tagged).expect("a tag is plain data");
            let mut append = Append::to(stream.clone(), Seq(stored.len() as u64));
            append.entries = vec![NewEntry::one(entry)];
            match self.services.store.commit(append.into()).await {
                Ok(_) => return Ok(tag),
                Err(CommitError::Stale { .. } | CommitError::Repeated { .. } | CommitError::Settled { .. }) => {}
                Err(CommitError::Full) => return Err(DocumentError::StorageFull),
                Err(CommitError::Unavailable { reason }) => return Err(DocumentError::Unavailable { reason }),
            }
        }
        Err(DocumentError::Overloaded)
    }

    fn tag_stream(&self, name: &DocumentName) -> Result<StreamKey, DocumentError> {
        Ok(StreamKey { kind: Kind::Tags, ..self.resolve(name)?.stream() })
    }

    async fn stored(&self, stream: &StreamKey) -> Result<Vec<Tag>, DocumentError> {
        let mut tags: Vec<Tag> = Vec::new();
        loop {
            let page = self.services.store.read(stream, Seq(tags.len() as u64), Limit::default()).await?;
            if page.is_empty() {
                return Ok(tags);
            }
            for entry in page {
                let tagged: Tagged = serde_json::from_slice(&entry.body)
                    .map_err(|error| DocumentError::Unavailable { reason: format!("a tag is damaged: {error}") })?;
                tags.push(tagged.tag);
            }
        }
    }
}
