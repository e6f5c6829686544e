//! A parsed file whose every value knows where it was written: the one shape that YAML, JSON and TOML are read into.
//!
//! It knows no field of a definition.

mod json;
mod toml;
mod yaml;

use serde_json::{Map, Number, Value};

use crate::state::pointer::{Pointer, array_index};

/// How deeply lists and mappings may be nested in a definition.
pub(crate) const MAX_DEPTH: usize = 64;

/// A place in a file: line and column from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Position {
    /// The place of a byte offset. Offsets beyond the end mean the end.
    pub(super) fn of_offset(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: 1 + before.matches('\n').count() as u32, column: 1 + before[line_start..].chars().count() as u32 }
    }
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) shape: Shape,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A member's name and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) at: Position,
    pub(crate) name: String,
}

/// Why a text is not a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) at: Option<Position>,
    pub(crate) message: String,
}

impl Unreadable {
    /// Whatever it is, it is of no place in particular.
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self { at: None, message: message.into() }
    }
}

/// The language a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Yaml,
    Json,
    Toml,
}

impl Node {
    /// Reads a text. `first_line` is the number of its first line in the file.
    pub(crate) fn parse(text: &str, format: Format, first_line: u32) -> Result<Self, Unreadable> {
        let parsed = match format {
            Format::Yaml => yaml::parse(text),
            Format::Json => json::parse(text),
            Format::Toml => toml::parse(text),
        };
        let below = first_line - 1;
        match parsed {
            Ok(mut node) => {
                node.move_down(below);
                Ok(node)
            }
            Err(mut error) => {
                if let Some(at) = &mut error.at {
                    at.line += below;
                }
                Err(error)
            }
        }
    }

    /// The plain value.
    pub(crate) fn to_value(&self) -> Value {
        match &self.shape {
            Shape::Null => Value::Null,
            Shape::Bool(yes) => Value::Bool(*yes),
            Shape::Number(number) => Value::Number(number.clone()),
            Shape::Text(text) => Value::String(text.clone()),
            Shape::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Shape::Map(members) => Value::Object(
                members.iter().map(|(key, node)| (key.name.clone(), node.to_value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// The value of a mapping's member of that name.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        match &self.shape {
            Shape::Map(members) => members.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
            Shape::Null | Shape::Bool(_) | Shape::Number(_) | Shape::Text(_) | Shape::List(_) => None,
        }
    }

    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.shape {
            Shape::Null => "nothing",
            Shape::Bool(_) => "a boolean",
            Shape::Number(_) => "a number",
            Shape::Text(_) => "a text",
            Shape::List(_) => "a list",
            Shape::Map(_) => "a mapping",
        }
    }

    /// Where the value at a dotted path (`turns[0].do`) begins; the deepest existing parent when it is absent.
    pub(crate) fn locate(&self, path: &str) -> Position {
        self.find(path).at
    }

    /// The value at a dotted path; its deepest existing parent when it is absent.
    pub(crate) fn find(&self, path: &str) -> &Self {
        let mut here = self;
        for segment in path.split(['.', '[']).map(|segment| segment.trim_end_matches(']')) {
            if segment.is_empty() {
                continue;
            }
            let next = match &here.shape {
                Shape::Map(members) => members.iter().find(|(key, _)| key.name == segment).map(|(_, node)| node),
                Shape::List(items) => segment.parse::<usize>().ok().and_then(|index| items.get(index)),
                Shape::Null | Shape::Bool(_) | Shape::Number(_) | Shape::Text(_) => None,
            };
            match next {
                Some(node) => here = node,
                None => break,
            }
        }
        here
    }

    /// The value at a pointer, or its deepest existing parent, and the whole way to it, dotted: `.turns[0].do`.
    pub(crate) fn below(&self, pointer: &Pointer) -> (&Self, String) {
        let (mut here, mut deepest) = (Some(self), self);
        let mut path = String::new();
        for token in pointer.tokens() {
            here = here.and_then(|here| match &here.shape {
                Shape::Map(members) => members.iter().find(|(key, _)| key.name == *token).map(|(_, node)| node),
                Shape::List(items) => array_index(token).and_then(|index| items.get(index)),
                Shape::Null | Shape::Bool(_) | Shape::Number(_) | Shape::Text(_) => None,
            });
            deepest = here.unwrap_or(deepest);
            let step = if array_index(token).is_some() { format!("[{token}]") } else { format!(".{token}") };
            path.push_str(&step);
        }
        (deepest, path)
    }

    fn move_down(&mut self, lines: u32) {
        self.at.line += lines;
        match &mut self.shape {
            Shape::List(items) => items.iter_mut().for_each(|item| item.move_down(lines)),
            Shape::Map(members) => members.iter_mut().for_each(|(key, node)| {
                key.at.line += lines;
                node.move_down(lines);
            }),
            Shape::Null | Shape::Bool(_) | Shape::Number(_) | Shape::Text(_) => {}
        }
    }
}

fn too_deep(at: Option<Position>) -> Unreadable {
    Unreadable { at, message: format!("nested more than {MAX_DEPTH} levels deep") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line and column.
    type Place = (u32, u32);

    /// Reads `text` and compares where each member of the top level (and its value) is said to be.
    fn check(format: Format, text: &str, expected: &[(&str, Place, Place)]) {
        let node = Node::parse(text, format, 1).expect("the text is well formed");
        let Shape::Map(members) = &node.shape else { panic!("not a mapping: {node:?}") };
        let mut found: Vec<_> = members
            .iter()
            .map(|(key, value)| (key.name.as_str(), (key.at.line, key.at.column), (value.at.line, value.at.column)))
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn every_format_knows_where_its_members_and_values_are() {
        check(Format::Yaml, "a: 1\nb:\n  - x\n", &[("a", (1, 1), (1, 4)), ("b", (2, 1), (3, 3))]);
        check(Format::Yaml, "{ é: 1, b: [ä, 2] }", &[("b", (1, 9), (1, 12)), ("é", (1, 3), (1, 6))]);
        check(Format::Json, "{\n\t\"a\": 1,\n\t\"\\u00e9\" : [\n1]}", &[("a", (2, 2), (2, 7)), ("é", (3, 2), (3, 13))]);
        check(Format::Toml, "a = 1\n\n[b]\nc = 2\n", &[("a", (1, 1), (1, 5)), ("b", (3, 2), (3, 1))]);
    }

    #[test]
    fn every_format_says_where_it_is_broken() {
        for (format, text, line, column) in [
            (Format::Yaml, "a: 1\nb: [1,\nc: 2\n", 2, 4),
            (Format::Yaml, "a: 1\na: 2\n", 2, 1),
            (Format::Json, "{\"a\": 1,\n \"b\" 2}", 2, 6),
            (Format::Json, "{\"a\": 1,\n \"a\": 2}", 2, 2),
            (Format::Json, "{\"a\": {\n \"b\": 1,\n \"b\": 2}}", 3, 2),
            (Format::Json, "{\"a\": 1} x", 1, 10),
            (Format::Toml, "a = 1\nb = \n", 2, 5),
            (Format::Toml, "a = 1\na = 2\n", 2, 1),
            (Format::Toml, "a = 1\nb = 1979-05-27\n", 2, 5),
        ] {
            let error = Node::parse(text, format, 1).expect_err(text);
            let at = error.at.unwrap_or_else(|| panic!("{text}: no position: {}", error.message));
            assert_eq!((at.line, at.column), (line, column), "{text}: {}", error.message);
        }
    }

    #[test]
    fn the_same_tree_is_read_from_every_format() {
        let yaml = "agent: { kind: native, n: 3, f: 1.5, on: [true, null] }\nt: \"a\\n😀\"\n";
        let json = r#"{"agent":{"kind":"native","n":3,"f":1.5,"on":[true,null]},"t":"a\n\ud83d\ude00"}"#;
        let toml = "t = \"a\\n😀\"\n[agent]\nkind = \"native\"\nn = 3\nf = 1.5\non = [true]\n";
        let of = |text, format| Node::parse(text, format, 1).expect(text).to_value();
        assert_eq!(of(yaml, Format::Yaml), of(json, Format::Json));
        let mut without_null = of(json, Format::Json);
        without_null["agent"]["on"] = serde_json::json!([true]);
        assert_eq!(of(toml, Format::Toml), without_null, "TOML has no null");
    }

    #[test]
    fn a_bottomless_file_is_refused_in_every_format() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        for (text, format) in
            [(deep.clone(), Format::Yaml), (deep.clone(), Format::Json), (format!("a = {deep}"), Format::Toml)]
        {
            assert!(Node::parse(&text, format, 1).is_err(), "{format:?}");
        }
    }

    #[test]
    fn a_path_is_located_or_else_its_nearest_parent() {
        let node = Node::parse("turns:\n  - do:\n      - say: x\n", Format::Yaml, 1).expect("well formed");
        let line = |path| node.locate(path).line;
        assert_eq!((line("turns[0].do[0].say"), line("turns[0].do[7]"), line("nowhere")), (3, 3, 1));
    }
}
