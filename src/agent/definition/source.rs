//! From the bytes of one file to a definition or to the reasons why not.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::credentials;
use super::placeholder::{self, Surroundings};
use super::problem::Problem;
use super::reader::Reader;
use super::schema;
use super::tree::{Format, Node, Position, Unreadable};
use super::{Definition, Instructions, SchemaForm, StateSchema};

/// The most bytes a definition may have.
const MAX_BYTES: u64 = 1024 * 1024;

/// The extensions a definition may have.
pub(crate) const EXTENSIONS: &[&str] = &["md", "yaml", "yml", "json", "toml"];

/// A file that defines the agent `id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) id: String,
    pub(crate) path: PathBuf,
}

impl Source {
    /// Reads, resolves and checks the file. `variable` answers environment variables.
    pub(crate) fn read(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Definition, Vec<Problem>> {
        let unreadable = |why| vec![Problem::unreadable(&self.path, why).of_agent(&self.id)];
        let text = read_text(&self.path).map_err(unreadable)?;
        let folder = self.path.parent().unwrap_or(Path::new("")).to_owned();
        self.check(&text, &Surroundings { variable, folder })
    }

    /// The kind that a file names and the file's hash, whatever else is wrong with it.
    pub(crate) fn sketch(&self) -> (Option<String>, String) {
        let Ok(text) = read_text(&self.path) else { return (None, String::new()) };
        let kind = self.parse(&text).ok().and_then(|(root, _)| match root.to_value().pointer("/agent/kind") {
            Some(Value::String(kind)) => Some(kind.clone()),
            _ => None,
        });
        (kind, hash(&text))
    }

    /// As [`read`](Self::read), for a text that is at hand.
    pub(crate) fn check(&self, text: &str, from: &Surroundings<'_>) -> Result<Definition, Vec<Problem>> {
        let (mut root, mut body) = self.parse(text).map_err(|problem| vec![problem])?;
        let mut reader = Reader::new(&self.path, from);
        let literal = credentials::of_definition(&root);
        for unresolved in literal.into_iter().chain(placeholder::resolve(&mut root, from)) {
            reader.note(unresolved.at, &unresolved.path, unresolved.message);
        }
        if let Some(body) = &mut body {
            match placeholder::expand(&body.text, from) {
                Ok(text) => body.text = text,
                Err(message) => reader.note(Position { line: body.first_line, column: 1 }, "instructions", message),
            }
        }
        let definition = schema::definition(&mut reader, &root, &self.id, body, &self.path, hash(text));
        match definition {
            Some(definition) if reader.problems.is_empty() => Ok(with_schema_file(definition, &from.folder)),
            _ => {
                let mut problems = reader.problems;
                problems.sort_by_key(|problem| (problem.line, problem.column));
                // One wrong value is told once, by whoever saw it first.
                problems.dedup_by(|later, earlier| {
                    (later.line, later.column, &later.path) == (earlier.line, earlier.column, &earlier.path)
                });
                Err(problems.into_iter().map(|problem| self.held(problem)).collect())
            }
        }
    }

    /// A problem held against the agent; one of another file says whose it is.
    fn held(&self, problem: Problem) -> Problem {
        let whose = if problem.file == self.path { String::new() } else { format!(" (used by agent `{}`)", self.id) };
        let message = format!("{}{whose}", problem.message);
        Problem { message, ..problem.of_agent(&self.id) }
    }

    /// The fields of the file, and the text below them.
    pub(super) fn parse(&self, text: &str) -> Result<(Node, Option<Instructions>), Problem> {
        let unreadable = |why| Problem::unreadable(&self.path, why).of_agent(&self.id);
        let mut body = None;
        let (fields, first_line, format) = match self.path.extension().and_then(|extension| extension.to_str()) {
            Some("md") => {
                let (fields, instructions) = front_matter(text).map_err(unreadable)?;
                body = Some(instructions);
                (fields, 2, Format::Yaml)
            }
            Some("yaml" | "yml") => (text, 1, Format::Yaml),
            Some("json") => (text, 1, Format::Json),
            Some("toml") => (text, 1, Format::Toml),
            _ => return Err(unreadable(Unreadable::whole("not a definition: write .md, .yaml, .yml, .json or .toml"))),
        };
        let root = Node::parse(fields, format, first_line).map_err(unreadable)?;
        Ok((root, body))
    }
}

/// The schema beside a definition is part of what a run starts with.
fn with_schema_file(mut definition: Definition, folder: &Path) -> Definition {
    if let Some(StateSchema { form: SchemaForm::File(name), schema: Some(schema) }) = &definition.state.schema {
        let (file, content) = (folder.join(name), schema.source().to_string());
        definition.is_made_of(file, &content);
    }
    definition
}

pub(super) fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn read_text(path: &Path) -> Result<String, Unreadable> {
    let unreadable = |error: std::io::Error| Unreadable::whole(format!("cannot be read: {error}"));
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    // A pipe may have nobody at its other end, and a device no end at all.
    if !metadata.is_file() {
        return Err(Unreadable::whole("cannot be read: it is no regular file"));
    }
    if metadata.len() > MAX_BYTES {
        return Err(Unreadable::whole("is larger than 1 MiB"));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let (bad, before) = (error.utf8_error(), error.utf8_error().valid_up_to());
        let at = Position::of_offset(&String::from_utf8_lossy(&error.as_bytes()[..before]), before);
        Unreadable { at: Some(at), message: format!("is not UTF-8: {bad}") }
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// A file of fields, in any of the formats of definitions.
pub(super) fn read_tree(path: &Path) -> Result<Node, Unreadable> {
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Format::Json,
        Some("yaml" | "yml") => Format::Yaml,
        Some("toml") => Format::Toml,
        _ => return Err(Unreadable::whole("write .json, .yaml or .toml")),
    };
    Node::parse(&read_text(path)?, format, 1)
}

/// The YAML between the first line `---` and the next one, and the text below it.
fn front_matter(text: &str) -> Result<(&str, Instructions), Unreadable> {
    let first_line =
        |message: &str| Unreadable { at: Some(Position { line: 1, column: 1 }), message: message.to_owned() };
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    if first.trim_end() != "---" {
        return Err(first_line("has no front matter: its first line must be `---`, then YAML fields, then `---`"));
    }
    let mut end = first.len();
    for (line, number) in lines.zip(2..) {
        if line.trim_end() == "---" {
            let below = text[end + line.len()..].to_owned();
            return Ok((&text[first.len()..end], Instructions { text: below, first_line: number + 1 }));
        }
        end += line.len();
    }
    Err(first_line("the front matter is not closed: end it with a line `---`"))
}
