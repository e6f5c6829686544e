//! Takes typed values out of the tree and gathers every problem on the way, instead of stopping at the first.
//!
//! It knows how values are written, not which fields there are.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::fields::{Place, refusal};
use super::placeholder::{self, Surroundings};
use super::problem::Problem;
use super::secret::Secret;
use super::span;
use super::tree::{Key, Node, Position, Shape};

/// A reading of one file. Values that cannot be read are absent, and the problem is noted.
pub(crate) struct Reader<'a> {
    file: &'a Path,
    from: &'a Surroundings<'a>,
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

    /// A field with the place of its name, even if it is written as nothing.
    pub(crate) fn member(&self, name: &str) -> Option<&'n (Key, Node)> {
        self.members.iter().find(|(key, _)| key.name == name)
    }

    /// All fields, in the order of the file.
    pub(crate) fn members(&self) -> &'n [(Key, Node)] {
        self.members
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a Path, from: &'a Surroundings<'a>) -> Self {
        Self { file, from, problems: Vec::new() }
    }

    pub(crate) fn note(&mut self, at: Position, path: &str, message: impl Into<String>) {
        let problem = Problem::of_file(self.file, message).at(at);
        self.problems.push(Problem { path: Some(path.to_owned()), ..problem });
    }

    /// Notes what is wrong in another file, which the field at `path` names.
    pub(crate) fn note_in(&mut self, file: &Path, at: Position, path: &str, message: impl Into<String>) {
        let problem = Problem::of_file(file, message).at(at);
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

    /// The secret that a field points to.
    pub(crate) fn secret(&mut self, fields: &Fields<'_>, name: &str) -> Option<Secret> {
        let (text, at) = self.text(fields, name)?;
        let path = fields.path_of(name);
        placeholder::secret(text, self.from).map_err(|message| self.note(at, &path, message)).ok()
    }

    /// Notes a text that is not one placeholder.
    pub(crate) fn hold_secret(&mut self, text: &str, node: &Node, path: &str) {
        if let Err(message) = placeholder::secret(text, self.from) {
            self.note(node.at, path, message);
        }
    }

    /// A file that the definition names, relative to its folder.
    pub(crate) fn neighbour(&self, name: &str) -> std::path::PathBuf {
        self.from.folder.join(name)
    }

    pub(crate) fn bool_or(&mut self, fields: &Fields<'_>, name: &str, default: bool) -> bool {
        self.bool(fields, name).unwrap_or(default)
    }

    pub(crate) fn bool(&mut self, fields: &Fields<'_>, name: &str) -> Option<bool> {
        match fields.get(name)? {
            Node { shape: Shape::Bool(yes), .. } => Some(*yes),
            node => self.expected("true or false", node, &fields.path_of(name)),
        }
    }

    /// A number between `least` and `most`.
    pub(crate) fn number(&mut self, fields: &Fields<'_>, name: &str, (least, most): (f64, f64)) -> Option<f64> {
        let node = fields.get(name)?;
        let number = match &node.shape {
            Shape::Number(number) => number.as_f64(),
            _ => None,
        };
        match number {
            Some(number) if (least..=most).contains(&number) => Some(number),
            _ => self.expected(&format!("a number from {least} to {most}"), node, &fields.path_of(name)),
        }
    }

    /// A mapping whose members are free, as the value it is.
    pub(crate) fn object(&mut self, fields: &Fields<'_>, name: &str) -> Option<Map<String, Value>> {
        let node = fields.get(name)?;
        match node.to_value() {
            Value::Object(members) => Some(members),
            _ => self.expected("a mapping", node, &fields.path_of(name)),
        }
    }

    /// A mapping below a field; what `place` does not accept in it is noted.
    pub(crate) fn below<'n>(&mut self, fields: &Fields<'n>, name: &str, place: Place) -> Option<Fields<'n>> {
        let below = self.any_fields(fields.get(name)?, &fields.path_of(name))?;
        self.refuse_strangers(&below, place);
        Some(below)
    }

    /// A whole number between `least` and `most`.
    pub(crate) fn count_or(&mut self, fields: &Fields<'_>, name: &str, default: usize, range: (usize, usize)) -> usize {
        self.count(fields, name, range).unwrap_or(default)
    }

    /// A whole number between `least` and `most`.
    pub(crate) fn count(&mut self, fields: &Fields<'_>, name: &str, (least, most): (usize, usize)) -> Option<usize> {
        let node = fields.get(name)?;
        let count = match &node.shape {
            Shape::Number(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
            _ => None,
        };
        match count {
            Some(count) if (least..=most).contains(&count) => Some(count),
            _ => {
                let expected = format!("a whole number from {least} to {most}");
                self.expected(&expected, node, &fields.path_of(name))
            }
        }
    }

    /// A duration of more than nothing.
    pub(crate) fn duration_or(&mut self, fields: &Fields<'_>, name: &str, default: Duration) -> Duration {
        self.duration(fields, name).unwrap_or(default)
    }

    /// A duration of more than nothing.
    pub(crate) fn duration(&mut self, fields: &Fields<'_>, name: &str) -> Option<Duration> {
        let node = fields.get(name)?;
        let path = fields.path_of(name);
        let Shape::Text(text) = &node.shape else {
            return self.expected("a duration such as 500ms, 5s or 10m", node, &path);
        };
        match span::parse(text) {
            Ok(Duration::ZERO) => self.note(node.at, &path, format!("`{path}` must be longer than nothing")),
            Ok(duration) => return Some(duration),
            Err(message) => self.note(node.at, &path, message),
        }
        None
    }

    /// One of a closed list of words.
    pub(crate) fn word_or<T: Copy>(&mut self, fields: &Fields<'_>, name: &str, words: &[(&str, T)], default: T) -> T {
        self.word(fields, name, words).unwrap_or(default)
    }

    /// One of a closed list of words.
    pub(crate) fn word<T: Copy>(&mut self, fields: &Fields<'_>, name: &str, words: &[(&str, T)]) -> Option<T> {
        let (text, at) = self.text(fields, name)?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Some(*meaning),
            None => {
                let accepted: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                let path = fields.path_of(name);
                self.note(at, &path, format!("`{path}` cannot be `{text}`: write {}", accepted.join(", ")));
                None
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
