//! The names that versions of a document were given: a small stream beside its log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::json_text;
use crate::store::{Append, Batch, CommitError, Kind, Limit, NewEntry, Remember, Seq, StoreError, StreamKey};

use super::super::clock::{now, now_ms};
use super::past::Log;
use super::repeat::ANSWERS_MS;
use super::write::{DocumentError, Once};

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

/// A naming as it is remembered under its key.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    fingerprint: String,
    tag: Tag,
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

    /// What an earlier request with this key named.
    pub(crate) async fn tagged_before(&self, once: &Once) -> Result<Option<Tag>, DocumentError> {
        let Some(found) = self.store.remembered(&self.stream.scope.tenant, &once.key).await? else { return Ok(None) };
        let damaged = |error| DocumentError::Unavailable {
            reason: format!("what is remembered under {} is damaged: {error}", once.key),
        };
        let remembered: Remembered = serde_json::from_slice(&found).map_err(damaged)?;
        match remembered.fingerprint == once.fingerprint {
            true => Ok(Some(remembered.tag)),
            false => Err(DocumentError::IdempotencyMismatch),
        }
    }

    /// Appends a name, if it is a new one, with what is to be remembered of the request.
    pub(crate) async fn commit_tag(
        &self,
        tag: &Tag,
        append: Option<Append>,
        once: Option<&Once>,
    ) -> Result<(), CommitError> {
        let remember = |once: &Once| Remember {
            tenant: self.stream.scope.tenant.clone(),
            key: once.key.clone(),
            result: json_text::encode(&Remembered { fingerprint: once.fingerprint.clone(), tag: tag.clone() }).into(),
            expires_at_ms: now_ms() + ANSWERS_MS,
            overwrites: false,
        };
        let remember: Vec<_> = once.into_iter().map(remember).collect();
        if append.is_none() && remember.is_empty() {
            return Ok(());
        }
        let batch = Batch { appends: append.into_iter().collect(), remember, ..Batch::default() };
        self.store.commit(batch).await.map(drop)
    }

    /// The append that names a version, after so many names.
    pub(crate) fn tagging(&self, tag: &Tag, by: String, known: usize) -> Append {
        let tagged = Tagged { tag: tag.clone(), at: now(), by };
        let mut append = Append::to(self.tag_stream(), Seq(known as u64));
        append.entries = vec![NewEntry::one(json_text::encode(&tagged))];
        append
    }
}
