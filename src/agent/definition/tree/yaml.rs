//! YAML 1.2 into the tree.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{Location, Spanned};

use super::{Key, MAX_DEPTH, Node, Position, Shape, Unreadable};

pub(super) fn parse(text: &str) -> Result<Node, Unreadable> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_nodes: 100_000, max_documents: 1 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
        // YAML 1.2: `no`, `off` and `y` are texts.
        strict_booleans: true,
    };
    serde_saphyr::from_str_with_options::<Option<Spanned<Content>>>(text, options)
        .map(|root| root.map_or_else(empty, node))
        .map_err(|error| Unreadable { at: error.location().and_then(position), message: message(&error) })
}

/// What a file without a value stands for.
fn empty() -> Node {
    Node { at: Position { line: 1, column: 1 }, shape: Shape::Map(Vec::new()) }
}

fn node(spanned: Spanned<Content>) -> Node {
    let at = position(spanned.referenced).unwrap_or(Position { line: 1, column: 1 });
    Node { at, shape: spanned.value.0 }
}

fn position(location: Location) -> Option<Position> {
    (location != Location::UNKNOWN).then(|| Position { line: location.line() as u32, column: location.column() as u32 })
}

/// What is wrong in a writer's words, else the first line of the parser's without the place, which a problem says itself.
fn message(error: &serde_saphyr::Error) -> String {
    let error = error.without_snippet();
    match error {
        // Told at the alias.
        serde_saphyr::Error::AliasError { error, .. } => return message(error),
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => return format!("duplicate key `{key}`"),
        serde_saphyr::Error::Budget { breach: serde_saphyr::budget::BudgetBreach::Documents { .. }, .. } => {
            return "a second document begins here: a file holds one".to_owned();
        }
        serde_saphyr::Error::Budget { .. } | serde_saphyr::Error::AliasReplayLimitExceeded { .. } => {
            return "the file holds, or its aliases unfold to, more than a definition needs".to_owned();
        }
        _ => {}
    }
    let rendered = error.to_string();
    let line = rendered.lines().next().unwrap_or_default();
    line.split(" at line ").next().unwrap_or(line).trim_start_matches("error: ").to_owned()
}

struct Content(Shape);

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can hold")
    }

    fn visit_unit<E: Error>(self) -> Result<Content, E> {
        Ok(Content(Shape::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Content, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        Content::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Content, E> {
        Ok(Content(Shape::Bool(yes)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Content, E> {
        Ok(Content(Shape::Number(number.into())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Content, E> {
        Ok(Content(Shape::Number(number.into())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Content, E> {
        Number::from_f64(number)
            .map(|number| Content(Shape::Number(number)))
            .ok_or_else(|| E::custom("a number that JSON cannot hold"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content(Shape::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Content>>()? {
            list.push(node(item));
        }
        Ok(Content(Shape::List(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Content, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = members.next_key::<Spanned<String>>()? {
            let value = node(members.next_value::<Spanned<Content>>()?);
            map.push((Key { at: position(key.referenced).unwrap_or(value.at), name: key.value }, value));
        }
        Ok(Content(Shape::Map(map)))
    }
}
