//! How AG-UI JSON is read: straight from the text into typed fields, once. Optional nulls read as absent, unknown keys
//! are skipped, unknown members of a union are dropped or refused, and a failure knows the pointer of its field. It
//! knows no AG-UI type.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::agui::json::{Json, Object};

/// What becomes of a message, part, source, operation or outcome whose tag is not in the schema.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Dropped with what needs it, as the 1.0 client does with what it receives.
    Dropped,
    /// Refused: a caller's own words do not silently vanish.
    Refused,
}

enum Step {
    Key(&'static str),
    Index(usize),
}

/// The state of one reading: its rule for unknown members and, after a failure, where it failed.
pub(crate) struct Reader {
    unknown: Unknown,
    /// From the failed value outwards; empty as long as nothing failed.
    failed_at: Vec<Step>,
    /// The failure is only an unknown member in a required place.
    unknown_member: bool,
}

impl Reader {
    pub(crate) fn new(unknown: Unknown) -> Self {
        Self { unknown, failed_at: Vec::new(), unknown_member: false }
    }

    /// The JSON pointer of the value that failed.
    pub(crate) fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in self.failed_at.iter().rev() {
            pointer.push('/');
            match step {
                Step::Key(key) => pointer.push_str(key),
                Step::Index(index) => pointer.push_str(&index.to_string()),
            }
        }
        pointer
    }

    pub(crate) fn under_key<T, E>(&mut self, key: &'static str, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() {
            self.failed_at.push(Step::Key(key));
        }
        result
    }

    pub(crate) fn under_index<T, E>(&mut self, index: usize, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() {
            self.failed_at.push(Step::Index(index));
        }
        result
    }

    /// The value of a required key.
    pub(crate) fn field<'de, T: Read, A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
        key: &'static str,
    ) -> Result<T, A::Error> {
        let value = map.next_value_seed(Seed(self, PhantomData));
        self.under_key(key, value)
    }

    /// The value of a union's tag, which was peeked before and must not say something else now.
    pub(crate) fn tag<'de, A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
        key: &'static str,
        expected: &'static str,
    ) -> Result<(), A::Error> {
        let tag = map.next_value::<Tag<'de>>().and_then(|tag| {
            if tag.0 == expected {
                Ok(())
            } else {
                Err(A::Error::custom(format_args!("expected {expected:?}, found {:?}", tag.0)))
            }
        });
        self.under_key(key, tag)
    }
}

/// A value that can be read where AG-UI's schema has it.
pub(crate) trait Read: Sized {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error>;

    /// `None` for a member of a union that the schema does not know.
    fn read_known<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Option<Self>, D::Error> {
        Self::read(deserializer, reader).map(Some)
    }
}

struct Seed<'r, T>(&'r mut Reader, PhantomData<T>);

impl<'de, T: Read> DeserializeSeed<'de> for Seed<'_, T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read(deserializer, self.0)
    }
}

struct KnownSeed<'r, T>(&'r mut Reader, PhantomData<T>);

impl<'de, T: Read> DeserializeSeed<'de> for KnownSeed<'_, T> {
    type Value = Option<T>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        T::read_known(deserializer, self.0)
    }
}

/// An optional value: `null` and what the schema does not know read as absent.
impl<T: Read> Read for Option<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        struct OptionVisitor<'r, T>(&'r mut Reader, PhantomData<T>);
        impl<'de, T: Read> Visitor<'de> for OptionVisitor<'_, T> {
            type Value = Option<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an optional value")
            }
            fn visit_none<E>(self) -> Result<Option<T>, E> {
                Ok(None)
            }
            fn visit_unit<E>(self) -> Result<Option<T>, E> {
                Ok(None)
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
                T::read_known(deserializer, self.0)
            }
        }
        deserializer.deserialize_option(OptionVisitor(reader, PhantomData))
    }
}

impl<T: Read> Read for Vec<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(reader, PhantomData))
    }
}

pub(crate) struct ListVisitor<'r, T>(pub(crate) &'r mut Reader, pub(crate) PhantomData<T>);

impl<'de, T: Read> Visitor<'de> for ListVisitor<'_, T> {
    type Value = Vec<T>;
    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let reader = self.0;
        let mut items = Vec::new();
        for index in 0.. {
            let item = list.next_element_seed(KnownSeed(reader, PhantomData));
            match reader.under_index(index, item)? {
                Some(item) => items.extend(item),
                None => break,
            }
        }
        Ok(items)
    }
}

impl<T: Read> Read for Box<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        T::read(deserializer, reader).map(Self::new)
    }

    fn read_known<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Option<Self>, D::Error> {
        Ok(T::read_known(deserializer, reader)?.map(Self::new))
    }
}

macro_rules! read_with_serde {
    ($($type:ty),*) => {$(
        impl Read for $type {
            fn read<'de, D: Deserializer<'de>>(deserializer: D, _: &mut Reader) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }
        }
    )*};
}
read_with_serde!(String, bool, f64, Json, Object);

/// The largest integer that JavaScript holds exactly.
const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// An integer in JavaScript's safe range, however it is spelled (`3`, `3.0`, `3e0`).
impl Read for i64 {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, _: &mut Reader) -> Result<Self, D::Error> {
        struct IntegerVisitor;
        impl Visitor<'_> for IntegerVisitor {
            type Value = i64;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an integer between -(2^53-1) and 2^53-1")
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<i64, E> {
                if number.unsigned_abs() <= MAX_SAFE_INTEGER.unsigned_abs() {
                    Ok(number)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Signed(number), &self))
                }
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<i64, E> {
                match i64::try_from(number) {
                    Ok(number) => self.visit_i64(number),
                    Err(_) => Err(E::invalid_value(serde::de::Unexpected::Unsigned(number), &self)),
                }
            }
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<i64, E> {
                if number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER as f64 {
                    Ok(number as i64)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Float(number), &self))
                }
            }
        }
        deserializer.deserialize_any(IntegerVisitor)
    }
}

/// A time in milliseconds. Servers of 0.x send fractions of one; nobody computes with them.
pub(crate) struct Time(pub(crate) i64);

impl Read for Time {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        let whole = number.as_f64().filter(|time| number.is_f64() && time.abs() < MAX_SAFE_INTEGER as f64);
        match whole {
            Some(time) => Ok(Self(time.floor() as i64)),
            None => i64::read(number, reader).map(Self).map_err(serde::de::Error::custom),
        }
    }
}

/// A count: a safe integer that is not negative.
impl Read for u64 {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        let number = i64::read(deserializer, reader)?;
        Self::try_from(number).map_err(|_| D::Error::custom(format_args!("expected a count, found {number}")))
    }
}

/// A key or a tag, borrowed unless it is written with escapes.
struct Tag<'t>(Cow<'t, str>);

struct TagVisitor;

impl<'de> Visitor<'de> for TagVisitor {
    type Value = Tag<'de>;
    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Tag<'de>, E> {
        Ok(Tag(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Tag<'de>, E> {
        Ok(Tag(Cow::Owned(text.to_owned())))
    }
}

impl<'de> Deserialize<'de> for Tag<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TagVisitor)
    }
}

/// An object of the schema with named fields.
pub(crate) trait Record: Sized {
    /// The fields as far as they were read.
    type Draft: Default;

    /// Reads the value of `key` if the record has it; `false` leaves the value unread.
    fn take<'de, A: MapAccess<'de>>(
        draft: &mut Self::Draft,
        key: &str,
        map: &mut A,
        reader: &mut Reader,
    ) -> Result<bool, A::Error>;

    /// The record, or the pointer step and the reason why it is none.
    fn finish(draft: Self::Draft) -> Result<Self, Incomplete>;
}

/// A record that lacks a field, or whose fields do not go together.
pub(crate) struct Incomplete {
    pub(crate) key: &'static str,
    pub(crate) message: Cow<'static, str>,
}

impl Incomplete {
    pub(crate) fn missing(key: &'static str) -> Self {
        Self { key, message: Cow::Borrowed("is required") }
    }
}

struct RecordVisitor<'r, R>(&'r mut Reader, PhantomData<R>);

impl<'de, R: Record> Visitor<'de> for RecordVisitor<'_, R> {
    type Value = R;
    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<R, A::Error> {
        let reader = self.0;
        let mut draft = R::Draft::default();
        while let Some(Tag(key)) = map.next_key::<Tag<'de>>()? {
            if !R::take(&mut draft, &key, &mut map, reader)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        R::finish(draft).or_else(|incomplete| {
            let error = A::Error::custom(&incomplete.message);
            reader.under_key(incomplete.key, Err(error))
        })
    }
}

pub(crate) fn read_record<'de, R: Record, D: Deserializer<'de>>(
    deserializer: D,
    reader: &mut Reader,
) -> Result<R, D::Error> {
    deserializer.deserialize_map(RecordVisitor(reader, PhantomData))
}

/// Reads a whole text as one value.
pub(crate) fn read_text<T: Read>(text: &str, reader: &mut Reader) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = T::read(&mut deserializer, reader)?;
    deserializer.end()?;
    Ok(value)
}

/// A value that is one of several records, told apart by a tag.
pub(crate) trait Union: Sized {
    const TAG: &'static str;

    /// Reads the member that the tag names, or `None` if no member has that tag.
    fn read_member(tag: &str, text: &str, reader: &mut Reader) -> Option<Result<Self, serde_json::Error>>;
}

/// Reads a member of a union from its own text; `None` if the schema does not know it and the reader drops it.
pub(crate) fn read_union<'de, U: Union, D: Deserializer<'de>>(
    deserializer: D,
    reader: &mut Reader,
) -> Result<Option<U>, D::Error> {
    let text = <&'de RawValue>::deserialize(deserializer)?.get();
    let peeked = peek(text, U::TAG);
    let refusal = match &peeked {
        Peek::NotAnObject => return Err(D::Error::custom("invalid type: expected an object")),
        Peek::Tag(tag) => match U::read_member(tag, text, reader) {
            Some(Err(_)) if reader.unknown_member => {
                reader.unknown_member = false;
                reader.failed_at.clear();
                return Ok(None);
            }
            Some(member) => return member.map(Some).map_err(|error| D::Error::custom(message_of(&error))),
            None => D::Error::custom(format_args!("{tag:?} is not known")),
        },
        Peek::Missing => D::Error::custom("is required"),
    };
    match reader.unknown {
        Unknown::Dropped => Ok(None),
        Unknown::Refused => reader.under_key(U::TAG, Err(refusal)),
    }
}

/// Reads a member of a union in a required place: what is dropped here takes the element around it along.
pub(crate) fn read_required_union<'de, U: Union, D: Deserializer<'de>>(
    deserializer: D,
    reader: &mut Reader,
) -> Result<U, D::Error> {
    read_union(deserializer, reader)?.ok_or_else(|| {
        reader.unknown_member = true;
        D::Error::custom("is not known")
    })
}

/// What stands under an object's tag.
pub(crate) enum Peek<'t> {
    NotAnObject,
    /// No such key, or its value is not a string.
    Missing,
    Tag(Cow<'t, str>),
}

/// Finds the tag of an object without reading the rest of it: at once where only strings stand before it, as everybody
/// writes it.
pub(crate) fn peek<'t>(text: &'t str, key: &str) -> Peek<'t> {
    let Some(members) = text.trim_ascii_start().strip_prefix('{') else { return Peek::NotAnObject };
    if let Some(tag) = leading_tag(members, key) {
        return Peek::Tag(Cow::Borrowed(tag));
    }
    struct TagFinder<'k, 't>(&'k str, &'k mut Option<Cow<'t, str>>);
    impl<'t> Visitor<'t> for TagFinder<'_, 't> {
        type Value = ();
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }
        fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(Tag(key)) = map.next_key::<Tag<'t>>()? {
                if key == self.0 {
                    *self.1 = Some(map.next_value::<Tag<'t>>()?.0);
                    return Ok(());
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }
    let mut found = None;
    // Stopping at the tag reads as an error at the end of the object; only what was found counts.
    match serde_json::Deserializer::from_str(text).deserialize_map(TagFinder(key, &mut found)) {
        Ok(()) | Err(_) => found.map_or(Peek::Missing, Peek::Tag),
    }
}

fn leading_tag<'t>(members: &'t str, key: &str) -> Option<&'t str> {
    let mut rest = members;
    loop {
        let (member, after) = plain_string(rest)?;
        let (value, after) = plain_string(after.trim_ascii_start().strip_prefix(':')?)?;
        if member == key {
            return Some(value);
        }
        rest = after.trim_ascii_start().strip_prefix(',')?;
    }
}

/// A string without escapes at the start of the text, and what comes after it.
fn plain_string(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_ascii_start().strip_prefix('"')?;
    let end = text.bytes().position(|byte| byte == b'"' || byte == b'\\')?;
    let (string, after) = text.split_at(end);
    Some((string, after.strip_prefix('"')?))
}

/// The reason of a failure without the line and column that say nothing inside a borrowed part of the text.
pub(crate) fn message_of(error: &serde_json::Error) -> String {
    let mut message = error.to_string();
    if error.is_data()
        && let Some(end) = message.rfind(" at line ")
    {
        message.truncate(end);
    }
    message
}
