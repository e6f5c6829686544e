//! Takes typed values out of the tree and gathers every problem on the way, instead of stopping at the first.
//!
//! It knows how values are written, not which fields there are.

use std::path::Path;
use std::time::Duration;

use super::fields::{Place, refusal};
use super::problem::Problem;
use super::span;
use super::tree::{Key, Node, Position, Shape};

/// A reading of one file. Values that cannot be read are absent, and the problem is noted.
pub(crate) struct Reader<'a> {
    file: &'a Path,
    pub(crate) problems: Vec<Problem>,
}

/// A mapping of the file and the dotted path that leads to it.
pub(crate) struct Fields<'n> {
    pub(crate) at: Position,
    path: String,
    members: &'n [(Key, Node)],
}

impl<'n> Fields<'n> {
    /// The value of a field; one that is written as nothing (`name:`) counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.members
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
            .filter(|node| node.shape != Shape::Null)
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a Path) -> Self {
        Self { file, problems: Vec::new() }
    }

    pub(crate) fn note(&mut self, at: Position, path: &str, message: impl Into<String>) {
        let problem = Problem::of_file(self.file, message).at(at);
        self.problems.push(Problem { path: Some(path.to_owned()), ..problem });
    }

    /// The members of a mapping, whatever they are called.
    pub(crate) fn any_fields<'n>(&mut self, node: &'n Node, path: &str) -> Option<Fields<'n>> {
        match &node.shape {
            Shape::Map(members) => Some(Fields { at: node.at, path: path.to_owned(), members }),
            _ => self.expected("a mapping", node, path),
        }
    }

    /// Notes every field of the mapping that is not accepted at `place`.
    pub(crate) fn refuse_strangers(&mut self, fields: &Fields<'_>, place: Place) {
        for (key, _) in fields.members {
            let path = fields.path_of(&key.name);
            if let Some(message) = refusal(place, &path, &key.name) {
                self.note(key.at, &path, message);
            }
        }
    }

    /// The text of a field, when it is there.
    pub(crate) fn text<'n>(&mut self, fields: &Fields<'n>, name: &str) -> Option<(&'n str, Position)> {
        let node = fields.get(name)?;
        match &node.shape {
            Shape::Text(text) => Some((text, node.at)),
            _ => self.expected("a text", node, &fields.path_of(name)),
        }
    }

    pub(crate) fn bool_or(&mut self, fields: &Fields<'_>, name: &str, default: bool) -> bool {
        match fields.get(name) {
            None => default,
            Some(Node { shape: Shape::Bool(yes), .. }) => *yes,
            Some(node) => self.expected("true or false", node, &fields.path_of(name)).unwrap_or(default),
        }
    }

    /// A whole number between `least` and `most`.
    pub(crate) fn count_or(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        default: usize,
        (least, most): (usize, usize),
    ) -> usize {
        let Some(node) = fields.get(name) else { return default };
        let count = match &node.shape {
            Shape::Number(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
            _ => None,
        };
        match count {
            Some(count) if (least..=most).contains(&count) => count,
            _ => {
                let expected = format!("a whole number from {least} to {most}");
                self.expected(&expected, node, &fields.path_of(name)).unwrap_or(default)
            }
        }
    }

    /// A duration of more than nothing.
    pub(crate) fn duration_or(&mut self, fields: &Fields<'_>, name: &str, default: Duration) -> Duration {
        let Some(node) = fields.get(name) else { return default };
        let path = fields.path_of(name);
        let Shape::Text(text) = &node.shape else {
            return self.expected("a duration such as 500ms, 5s or 10m", node, &path).unwrap_or(default);
        };
        match span::parse(text) {
            Ok(Duration::ZERO) => self.note(node.at, &path, format!("`{path}` must be longer than nothing")),
            Ok(duration) => return duration,
            Err(message) => self.note(node.at, &path, message),
        }
        default
    }

    /// One of a closed list of words.
    pub(crate) fn word_or<T: Copy>(&mut self, fields: &Fields<'_>, name: &str, words: &[(&str, T)], default: T) -> T {
        let Some((text, at)) = self.text(fields, name) else { return default };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => *meaning,
            None => {
                let accepted: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                let path = fields.path_of(name);
                self.note(at, &path, format!("`{path}` cannot be `{text}`: write {}", accepted.join(", ")));
                default
            }
        }
    }

    /// The texts of a list, each with its place and path.
    pub(crate) fn texts<'n>(&mut self, fields: &Fields<'n>, name: &str) -> Option<Vec<(&'n str, Position, String)>> {
        let node = fields.get(name)?;
        let path = fields.path_of(name);
        let Shape::List(items) = &node.shape else { return self.expected("a list of texts", node, &path) };
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            match &item.shape {
                Shape::Text(text) => texts.push((text.as_str(), item.at, path)),
                _ => return self.expected("a text", item, &path),
            }
        }
        Some(texts)
    }

    /// The texts of a mapping, by name.
    pub(crate) fn named_texts<'n>(&mut self, fields: &Fields<'n>, name: &str) -> Vec<(&'n Key, &'n str, Position)> {
        let Some(node) = fields.get(name) else { return Vec::new() };
        let Some(entries) = self.any_fields(node, &fields.path_of(name)) else { return Vec::new() };
        let mut texts = Vec::with_capacity(entries.members.len());
        for (key, value) in entries.members {
            match &value.shape {
                Shape::Text(text) => texts.push((key, text.as_str(), value.at)),
                _ => self.expected("a text", value, &entries.path_of(&key.name)).unwrap_or(()),
            }
        }
        texts
    }

    /// Notes that `node` is not what it should be. Answers `None`, whatever was wanted.
    pub(crate) fn expected<T>(&mut self, what: &str, node: &Node, path: &str) -> Option<T> {
        let found = match &node.shape {
            Shape::Number(number) => format!("{} {number}", node.kind()),
            _ => node.kind().to_owned(),
        };
        let subject = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
        self.note(node.at, path, format!("{subject} must be {what}, found {found}"));
        None
    }
}
