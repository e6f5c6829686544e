//! `google.protobuf.Value` and `Struct`: JSON as protobuf carries it, read from and written as JSON without a tree in
//! between. Numbers are doubles here; integers beyond 2^53 are rounded.

use std::collections::HashSet;
use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest magnitude up to which every whole double is one integer.
const EXACT: f64 = 9_007_199_254_740_992.0;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub(crate) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Kind {
    /// Always 0, `NULL_VALUE`.
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(ListValue),
}

/// On the wire a map is a list of entries; kept as one, it has an order.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Struct {
    #[prost(message, repeated, tag = "1")]
    pub(crate) fields: Vec<Entry>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Entry {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ListValue {
    #[prost(message, repeated, tag = "1")]
    pub(crate) values: Vec<Value>,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(|kind| Self { kind: Some(kind) })
    }
}

impl<'de> Deserialize<'de> for Struct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        match deserializer.deserialize_any(ValueVisitor)? {
            Kind::Struct(fields) => Ok(fields),
            _ => Err(D::Error::custom("expected an object")),
        }
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null(0))
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(yes))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Kind, E> {
        Ok(Kind::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Kind, E> {
        Ok(Kind::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Kind, E> {
        Ok(Kind::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Kind, E> {
        Ok(Kind::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Kind, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Kind::List(ListValue { values }))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut fields = Vec::new();
        while let Some((key, value)) = map.next_entry()? {
            fields.push(Entry { key, value: Some(value) });
        }
        Ok(Kind::Struct(Struct { fields }))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.kind {
            Some(Kind::Null(_)) | None => serializer.serialize_unit(),
            Some(Kind::Bool(yes)) => serializer.serialize_bool(*yes),
            Some(Kind::Number(number)) if number.fract() == 0.0 && number.abs() < EXACT => {
                serializer.serialize_i64(*number as i64)
            }
            Some(Kind::Number(number)) if number.is_finite() => serializer.serialize_f64(*number),
            Some(Kind::Number(number)) => Err(S::Error::custom(format_args!("{number} is no number of JSON"))),
            Some(Kind::Text(text)) => serializer.serialize_str(text),
            Some(Kind::Struct(fields)) => fields.serialize(serializer),
            Some(Kind::List(list)) => serializer.collect_seq(&list.values),
        }
    }
}

impl Serialize for Struct {
    /// Of entries with one key the last counts, as protobuf's maps have it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut later = HashSet::new();
        let mut last: Vec<&Entry> = self.fields.iter().rev().filter(|entry| later.insert(&entry.key)).collect();
        last.reverse();
        let mut map = serializer.serialize_map(Some(last.len()))?;
        for entry in last {
            map.serialize_entry(&entry.key, &entry.value)?;
        }
        map.end()
    }
}
