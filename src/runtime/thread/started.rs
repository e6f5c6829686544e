//! What is known of a run from its start, with its text: the log says it while the run is live and its record says it again,
//! in the same words, so they are written once.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json_text;

use super::record::RunStart;

/// A run's start, which does not change any more. Cheap to clone: whoever names a run that is at work holds it.
#[derive(Debug, Clone)]
pub(crate) struct Started(Arc<Known>);

#[derive(Debug)]
struct Known {
    start: RunStart,
    /// Of a run that was read back there is none; it was stored.
    text: Option<Bytes>,
}

impl Started {
    pub(super) fn new(start: RunStart) -> Self {
        let text = json_text::encode(&start).into();
        Self(Arc::new(Known { start, text: Some(text) }))
    }

    /// What the log says while the run is live.
    pub(super) fn summary(&self) -> Bytes {
        self.0.text.clone().unwrap_or_else(|| json_text::encode(&self.0.start).into())
    }
}

impl Deref for Started {
    type Target = RunStart;

    fn deref(&self) -> &RunStart {
        &self.0.start
    }
}

impl Serialize for Started {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.text {
            Some(text) => {
                let text: &RawValue = serde_json::from_slice(text).expect("it was written as JSON");
                text.serialize(serializer)
            }
            None => self.0.start.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Started {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Arc::new(Known { start: RunStart::deserialize(deserializer)?, text: None })))
    }
}
