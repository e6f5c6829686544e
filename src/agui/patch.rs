//! RFC 6902 operations as AG-UI carries them: their shape is checked, their values stay text. Applying them is for the
//! transcript's activities only; documents have their own patch.

mod apply;

use std::borrow::Cow;

use serde::de::MapAccess;
use serde::ser::SerializeMap;
use serde::{Deserializer, Serialize, Serializer};

use crate::agui::json::{Json, same_json};
use crate::agui::read::{
    Incomplete, Read, Reader, Record, Union, read_record, read_required_union, read_text, read_union,
};
use crate::agui::record::{deserialize_as_read, words};

pub(crate) use apply::apply;

words! {
    /// The six operations of RFC 6902.
    pub enum PatchOp {
        Add = "add",
        Remove = "remove",
        Replace = "replace",
        Move = "move",
        Copy = "copy",
        Test = "test",
    }
}

impl PatchOp {
    fn has_value(self) -> bool {
        matches!(self, Self::Add | Self::Replace | Self::Test)
    }

    fn has_source(self) -> bool {
        matches!(self, Self::Move | Self::Copy)
    }
}

/// One operation. `value` is there for add, replace and test (and may be null), `from` for move and copy; both
/// pointers follow RFC 6901.
#[derive(Clone, Debug)]
pub struct PatchOperation {
    pub op: PatchOp,
    pub path: String,
    pub from: Option<String>,
    pub value: Option<Json>,
}

impl PatchOperation {
    /// Sets the member or inserts the element at `path`.
    pub fn add(path: impl Into<String>, value: Json) -> Self {
        Self { op: PatchOp::Add, path: path.into(), from: None, value: Some(value) }
    }

    /// Replaces what is at `path`.
    pub fn replace(path: impl Into<String>, value: Json) -> Self {
        Self { op: PatchOp::Replace, path: path.into(), from: None, value: Some(value) }
    }

    /// Removes what is at `path`.
    pub fn remove(path: impl Into<String>) -> Self {
        Self { op: PatchOp::Remove, path: path.into(), from: None, value: None }
    }
}

impl PartialEq for PatchOperation {
    fn eq(&self, other: &Self) -> bool {
        same_json(self, other)
    }
}

impl Serialize for PatchOperation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("op", self.op.as_str())?;
        map.serialize_entry("path", &self.path)?;
        if let Some(from) = &self.from {
            map.serialize_entry("from", from)?;
        }
        if let Some(value) = &self.value {
            map.serialize_entry("value", value)?;
        }
        map.end()
    }
}

#[derive(Default)]
pub(crate) struct Draft {
    op: Option<PatchOp>,
    path: Option<String>,
    /// Not looked at unless the operation has a source: operations are open objects.
    from: Option<Json>,
    value: Option<Json>,
}

impl Record for PatchOperation {
    type Draft = Draft;

    fn take<'de, A: MapAccess<'de>>(
        draft: &mut Draft,
        key: &str,
        map: &mut A,
        reader: &mut Reader,
    ) -> Result<bool, A::Error> {
        match key {
            "op" => draft.op = Some(reader.field(map, "op")?),
            "path" => draft.path = Some(reader.field(map, "path")?),
            "from" => draft.from = Some(reader.field(map, "from")?),
            "value" => draft.value = Some(reader.field(map, "value")?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(draft: Draft) -> Result<Self, Incomplete> {
        let op = draft.op.ok_or_else(|| Incomplete::missing("op"))?;
        let path = pointer("path", draft.path)?;
        let from = if op.has_source() {
            let from = draft.from.map(|from| serde_json::from_str::<String>(from.get())).transpose();
            let from = from.map_err(|_| Incomplete { key: "from", message: "expected a string".into() })?;
            Some(pointer("from", from)?)
        } else {
            None
        };
        let value = if op.has_value() { Some(draft.value.ok_or_else(|| Incomplete::missing("value"))?) } else { None };
        Ok(Self { op, path, from, value })
    }
}

fn pointer(key: &'static str, text: Option<String>) -> Result<String, Incomplete> {
    let text = text.ok_or_else(|| Incomplete::missing(key))?;
    if is_pointer(&text) {
        Ok(text)
    } else {
        let message = Cow::Owned(format!("{text:?} is not a JSON pointer (RFC 6901)"));
        Err(Incomplete { key, message })
    }
}

/// `^(/([^/~]|~[01])*)*$`
fn is_pointer(text: &str) -> bool {
    (text.is_empty() || text.starts_with('/')) && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

impl Union for PatchOperation {
    const TAG: &'static str = "op";

    fn read_member(tag: &str, text: &str, reader: &mut Reader) -> Option<Result<Self, serde_json::Error>> {
        struct Operation(PatchOperation);
        impl Read for Operation {
            fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
                read_record(deserializer, reader).map(Self)
            }
        }
        PatchOp::parse(tag).map(|_| read_text::<Operation>(text, reader).map(|operation| operation.0))
    }
}

impl Read for PatchOperation {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        read_required_union(deserializer, reader)
    }

    fn read_known<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Option<Self>, D::Error> {
        read_union(deserializer, reader)
    }
}

deserialize_as_read!(PatchOperation);
