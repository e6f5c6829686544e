//! The names that versions of a document were given: a small stream beside its log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::json_text;
use crate::store::{Append, Kind, Limit, NewEntry, Seq, StoreError, StreamKey};

use super::super::clock::now;
use super::past::Log;

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

impl Log {
    fn tag_stream(&self) -> StreamKey {
        self.stream.of_kind(Kind::Tags)
    }

    /// Every named version, in the order of the naming.
    pub(crate) async fn tags(&self) -> Result<Vec<Tag>, StoreError> {
        let mut tags: Vec<Tag> = Vec::new();
        loop {
            let page = self.store.read(&self.tag_stream(), Seq(tags.len() as u64), Limit::default()).await?;
            if page.is_empty() {
                return Ok(tags);
            }
            for entry in page {
                let damaged = |_| StoreError::Corrupt { stream: self.tag_stream(), seq: entry.seq };
                let tagged: Tagged = serde_json::from_slice(&entry.body).map_err(damaged)?;
                tags.push(tagged.tag);
            }
        }
    }

    /// The append that names a version, after so many names.
    pub(crate) fn tagging(&self, tag: &Tag, by: String, known: usize) -> Append {
        let tagged = Tagged { tag: tag.clone(), at: now(), by };
        let mut append = Append::to(self.tag_stream(), Seq(known as u64));
        append.entries = vec![NewEntry::one(json_text::encode(&tagged))];
        append
    }
}
