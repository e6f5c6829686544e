//! The fields that every event may carry (section 1.2).

use std::ops::{Deref, DerefMut};

use serde::de::MapAccess;
use serde::ser::SerializeMap;

use crate::agui::json::{Json, Object};
use crate::agui::read::{Reader, Time};

/// What an event says beside what its type does: mostly nothing, which takes next to no memory.
#[derive(Clone, Debug, Default)]
pub struct Base(Option<Box<BaseFields>>);

/// What [`Base`] gives access to.
#[derive(Clone, Debug, Default)]
pub struct BaseFields {
    /// Milliseconds by convention; nothing computes with it.
    pub timestamp: Option<i64>,
    /// The provider's own event: any JSON but null.
    pub raw_event: Option<Json>,
    /// Merged onto the message or tool call that the event builds.
    pub metadata: Option<Object>,
    /// Which subagent's activity this is; never set on `RUN_*` and `MESSAGES_SNAPSHOT`, and on `SUBAGENT_*` a field of
    /// their own.
    pub subagent_run_id: Option<String>,
}

static NOTHING: BaseFields = BaseFields { timestamp: None, raw_event: None, metadata: None, subagent_run_id: None };

impl Deref for Base {
    type Target = BaseFields;

    fn deref(&self) -> &BaseFields {
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl DerefMut for Base {
    fn deref_mut(&mut self) -> &mut BaseFields {
        self.0.get_or_insert_default()
    }
}

impl Base {
    /// Of a subagent's activity, or the agent's own.
    pub fn of(subagent_run_id: Option<String>) -> Self {
        let mut base = Self::default();
        base.set_subagent(subagent_run_id);
        base
    }

    /// Whether every field is absent.
    pub fn is_empty(&self) -> bool {
        let BaseFields { timestamp, raw_event, metadata, subagent_run_id } = &**self;
        timestamp.is_none() && raw_event.is_none() && metadata.is_none() && subagent_run_id.is_none()
    }

    /// Says whose activity it is.
    pub fn set_subagent(&mut self, subagent_run_id: Option<String>) {
        if subagent_run_id.is_some() || self.0.is_some() {
            self.subagent_run_id = subagent_run_id;
        }
    }

    /// Takes the provider's own event out.
    pub fn take_raw_event(&mut self) -> Option<Json> {
        self.0.as_mut()?.raw_event.take()
    }

    pub(crate) fn take<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        map: &mut A,
        reader: &mut Reader,
        attributable: bool,
    ) -> Result<bool, A::Error> {
        match key {
            "timestamp" => self.timestamp = reader.field::<Option<Time>, _>(map, "timestamp")?.map(|time| time.0),
            "rawEvent" => self.raw_event = reader.field(map, "rawEvent")?,
            "metadata" => self.metadata = reader.field(map, "metadata")?,
            "subagentRunId" if attributable => self.subagent_run_id = reader.field(map, "subagentRunId")?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(crate) fn write_time<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.timestamp.map_or(Ok(()), |timestamp| map.serialize_entry("timestamp", &timestamp))
    }

    pub(crate) fn write_rest<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if let Some(subagent) = &self.subagent_run_id {
            map.serialize_entry("subagentRunId", subagent)?;
        }
        if let Some(metadata) = &self.metadata {
            map.serialize_entry("metadata", metadata)?;
        }
        if let Some(raw_event) = &self.raw_event {
            map.serialize_entry("rawEvent", raw_event)?;
        }
        Ok(())
    }
}
