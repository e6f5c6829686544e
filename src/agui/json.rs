//! JSON that is carried and not understood: values kept as the text they came in, and objects that can be merged
//! without being parsed whole. It knows no AG-UI type.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Any JSON value, as text: never parsed, never buffered twice.
pub type Json = Box<RawValue>;

/// The text of a serializable value.
///
/// # Panics
/// Never for values that serde_json can write; a map with keys that are not strings is a bug of the caller.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Json {
    serde_json::value::to_raw_value(value).expect("the value has only string keys and finite numbers")
}

/// Any JSON object, as text (`Metadata`, activity content, a response schema).
#[derive(Clone, Debug)]
pub struct Object(Json);

impl Object {
    /// The object `{}`.
    pub fn empty() -> Self {
        Self::from_map(&Map::new())
    }

    /// The text of a parsed object.
    pub fn from_map(map: &Map<String, Value>) -> Self {
        Self(to_json(map))
    }

    /// The value if it is an object.
    pub fn from_json(json: Json) -> Option<Self> {
        json.get().starts_with('{').then_some(Self(json))
    }

    /// The object as JSON text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// The object as the value it is.
    pub fn into_json(self) -> Json {
        self.0
    }

    /// The object parsed; an error only for text that JSON allows and Rust strings do not (a lone surrogate).
    pub fn parse(&self) -> Result<Map<String, Value>, serde_json::Error> {
        serde_json::from_str(self.get())
    }

    /// Takes over every member of `later`: last write wins per key, without recursion (AG-UI's rule for metadata).
    pub fn merge(&mut self, later: &Self) {
        let (Ok(mut members), Ok(newer)) = (Members::of(self), Members::of(later)) else {
            *self = later.clone();
            return;
        };
        for (key, value) in newer.0 {
            match members.0.iter_mut().find(|(known, _)| *known == key) {
                Some(member) => member.1 = value,
                None => members.0.push((key, value)),
            }
        }
        self.0 = to_json(&members);
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        same_text(self.get(), other.get())
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        Self::from_json(json).ok_or_else(|| D::Error::custom("invalid type: expected an object"))
    }
}

/// The members of an object in their order, values as text.
struct Members(Vec<(String, Json)>);

impl Members {
    fn of(object: &Object) -> Result<Self, serde_json::Error> {
        serde_json::from_str(object.get())
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// Whether two values write the same JSON, whatever their spacing and key order.
pub(crate) fn same_json<T: Serialize>(left: &T, right: &T) -> bool {
    match (serde_json::to_string(left), serde_json::to_string(right)) {
        (Ok(left), Ok(right)) => same_text(&left, &right),
        (Ok(_) | Err(_), _) => false,
    }
}

fn same_text(left: &str, right: &str) -> bool {
    let parsed = |text| serde_json::from_str::<Value>(text);
    left == right || matches!((parsed(left), parsed(right)), (Ok(left), Ok(right)) if left == right)
}

/// Reads a value of text that may hold half characters, as JavaScript writes them; each becomes U+FFFD.
pub fn read_json<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| match without_lone_surrogates(text) {
        Some(repaired) => serde_json::from_str(&repaired),
        None => Err(error),
    })
}

/// The text with every lone UTF-16 surrogate escape (`"\ud83d"` without its partner, which JavaScript writes when it
/// cuts a string in the middle of a character) replaced by U+FFFD, or `None` if it has none.
pub(crate) fn without_lone_surrogates(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let unit_at = |at: usize| -> Option<u32> {
        let escape = bytes.get(at..at + 6)?;
        let digits = std::str::from_utf8(escape.strip_prefix(b"\\u")?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let mut repaired = String::new();
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        let width = match (unit_at(at), unit_at(at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                repaired.push_str(&text[copied..at]);
                repaired.push_str("\\ufffd");
                copied = at + 6;
                6
            }
            _ => 2,
        };
        at += width;
    }
    (copied > 0).then(|| repaired + &text[copied..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_metadata_wins_per_key_and_does_not_recurse() {
        let object = |text: &str| serde_json::from_str::<Object>(text).unwrap();
        let mut first = object(r#"{"a":{"x":1},"b":2}"#);
        first.merge(&object(r#"{"a":{"y":2},"c":null}"#));
        assert_eq!(first.get(), r#"{"a":{"y":2},"b":2,"c":null}"#);
    }

    #[test]
    fn half_a_character_becomes_a_replacement_character() {
        for (text, expected) in [
            (r#""\ud83c""#, Some(r#""\ufffd""#)),
            (r#""\udf57 x""#, Some(r#""\ufffd x""#)),
            (r#""\ud83c\ud83c\udf57""#, Some(r#""\ufffd\ud83c\udf57""#)),
            (r#""\ud83c\udf57""#, None),
            (r#""\\ud83c""#, None),
            (r#""é\n""#, None),
        ] {
            assert_eq!(without_lone_surrogates(text).as_deref(), expected, "{text}");
        }
    }
}
