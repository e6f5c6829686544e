//! JSON (RFC 8259) into the tree. Places are found by where a slice of the text lies in it.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Number, from_str};

use super::{Key, MAX_DEPTH, Node, Position, Shape, Unreadable, too_deep};

pub(super) fn parse(text: &str) -> Result<Node, Unreadable> {
    let root: &RawValue = from_str(text).map_err(|error| Unreadable {
        at: Some(Position { line: error.line() as u32, column: (error.column() as u32).max(1) }),
        message: message(&error),
    })?;
    read(text, root.get(), MAX_DEPTH)
}

/// The parser's message without the place, which a problem says itself.
fn message(error: &serde_json::Error) -> String {
    let rendered = error.to_string();
    rendered.split(" at line ").next().unwrap_or(&rendered).to_owned()
}

fn read(text: &str, raw: &str, depth: usize) -> Result<Node, Unreadable> {
    let at = place(text, raw);
    if depth == 0 {
        return Err(too_deep(Some(at)));
    }
    let refuse = |error: serde_json::Error| Unreadable { at: Some(at), message: message(&error) };
    let shape = match raw.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = from_str(raw).map_err(refuse)?;
            let mut map: Vec<(Key, Node)> = Vec::with_capacity(members.len());
            for (key, value) in members {
                let key = Key { at: place(text, key.get()), name: from_str(key.get()).map_err(refuse)? };
                if map.iter().any(|(earlier, _)| earlier.name == key.name) {
                    return Err(Unreadable { at: Some(key.at), message: format!("duplicate key `{}`", key.name) });
                }
                map.push((key, read(text, value.get(), depth - 1)?));
            }
            Shape::Map(map)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = from_str(raw).map_err(refuse)?;
            Shape::List(items.into_iter().map(|item| read(text, item.get(), depth - 1)).collect::<Result<_, _>>()?)
        }
        Some(b'"') => Shape::Text(from_str(raw).map_err(refuse)?),
        Some(b't' | b'f') => Shape::Bool(from_str(raw).map_err(refuse)?),
        Some(b'n') => Shape::Null,
        _ => Shape::Number(from_str::<Number>(raw).map_err(refuse)?),
    };
    Ok(Node { at, shape })
}

/// `slice` is a part of `text`.
fn place(text: &str, slice: &str) -> Position {
    Position::of_offset(text, slice.as_ptr() as usize - text.as_ptr() as usize)
}

/// An object's members in the order they are written, names included, undecoded.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(&'de RawValue, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(member) = members.next_entry()? {
            all.push(member);
        }
        Ok(all)
    }
}
