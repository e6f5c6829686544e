//! From a file under `_types/` to a [`TypeSpec`], or to the reasons why not, each with its line and column.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::beginning;
use super::fields::Place;
use super::placeholder::{self, Surroundings};
use super::problem::Problem;
use super::reader::{Fields, Reader};
use super::source::{read_text, read_tree};
use super::tree::{Format, Node, Shape};
use crate::agent::types::{Durability, Put, Retention, TypeSpec};
use crate::state::limits::Limits;
use crate::state::pointer::Pointer;
use crate::state::schema::Schema;

/// A file that declares the type `name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeSource {
    pub(crate) name: String,
    path: PathBuf,
}

impl TypeSource {
    /// The files of `folder` that declare types, by name, and what is wrong with the others. No folder: no types.
    pub(crate) fn find(folder: &Path) -> (Vec<Self>, Vec<Problem>) {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return (Vec::new(), Vec::new()),
            Err(error) => return (Vec::new(), vec![Problem::of_file(folder, format!("cannot be read: {error}"))]),
        };
        let (mut sources, mut problems): (Vec<Self>, Vec<Problem>) = (Vec::new(), Vec::new());
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (name, extension) = file.rsplit_once('.').unwrap_or((&file, ""));
            if file.starts_with(['.', '_']) || !["yaml", "yml", "json", "toml"].contains(&extension) {
                continue;
            }
            let refusal = if !is_type(name) {
                format!("`{name}` cannot be a type: use at most 64 of a-z, 0-9, `_` and `-`, beginning with a letter")
            } else if name == "lifecycle" {
                "`lifecycle` cannot be declared: the runtime writes these documents".to_owned()
            } else if sources.iter().any(|other| other.name == name) {
                format!("type `{name}` is declared twice: keep one file")
            } else {
                sources.push(Self { name: name.to_owned(), path });
                continue;
            };
            problems.push(Problem::of_file(path, refusal));
        }
        (sources, problems)
    }

    pub(crate) fn read(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<TypeSpec, Vec<Problem>> {
        let text = read_text(&self.path).map_err(|why| vec![Problem::unreadable(&self.path, why)])?;
        let folder = self.path.parent().unwrap_or(Path::new("")).to_owned();
        self.check(&text, &Surroundings { variable, folder })
    }

    fn check(&self, text: &str, from: &Surroundings<'_>) -> Result<TypeSpec, Vec<Problem>> {
        let format = match self.path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Format::Json,
            Some("toml") => Format::Toml,
            _ => Format::Yaml,
        };
        let root = Node::parse(text, format, 1).map_err(|why| vec![Problem::unreadable(&self.path, why)])?;
        let mut reader = Reader::new(&self.path, from);
        let spec = spec(&mut reader, &self.name, &self.path, root, from);
        match spec {
            Some(spec) if reader.problems.is_empty() => Ok(spec),
            _ => Err(reader.problems),
        }
    }
}

/// Something about the subschema at `pointer` of the schema in the file of a type.
pub(crate) fn problem_in_schema(file: &Path, pointer: &Pointer, message: String) -> Problem {
    let problem = Problem::of_file(file, message);
    match read_tree(file) {
        Ok(root) => problem.at(root.find("schema").below(pointer).0.at),
        Err(_) => problem,
    }
}

fn is_type(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(allowed)
}

fn spec(reader: &mut Reader<'_>, name: &str, file: &Path, mut root: Node, from: &Surroundings<'_>) -> Option<TypeSpec> {
    // A schema's patterns may look like placeholders: only what a new document begins with can have some.
    if let Shape::Map(members) = &mut root.shape {
        for (_, node) in members.iter_mut().filter(|(key, _)| key.name == "initial") {
            for unresolved in placeholder::resolve(node, from) {
                reader.note(unresolved.at, &format!("initial.{}", unresolved.path), unresolved.message);
            }
        }
    }
    let fields = reader.any_fields(&root, "")?;
    reader.refuse_strangers(&fields, Place::Type);
    let schema = fields.get("schema").and_then(|node| schema(reader, node));
    let put = reader.word_or(&fields, "put", &[("replace", Put::Replace), ("merge", Put::Merge)], Put::default());
    let durability = reader.word_or(&fields, "durability", &[("sync", Durability::Sync)], Durability::default());
    let retention = retention(reader, &fields);
    let limits = limits(reader, &fields);
    let initial = initial(reader, &fields, &limits);
    let file = Some(file.to_owned());
    Some(TypeSpec { name: name.to_owned(), schema, put, retention, limits, initial, durability, file })
}

/// What is below the documents of the type when they are new; nothing that they could not hold.
fn initial(reader: &mut Reader<'_>, fields: &Fields<'_>, limits: &Limits) -> Value {
    let initial = Value::Object(reader.object(fields, "initial").unwrap_or_default());
    if let (Some(node), Some((pointer, message))) = (fields.get("initial"), beginning::refusal(&initial, limits)) {
        let (at, path) = node.below(&pointer);
        reader.note(at.at, &format!("initial{path}"), message);
    }
    initial
}

fn schema(reader: &mut Reader<'_>, node: &Node) -> Option<Schema> {
    match Schema::compile(node.to_value()) {
        Ok(schema) => Some(schema),
        Err(error) => {
            let (at, path) = node.below(&error.path);
            reader.note(at.at, &format!("schema{path}"), error.message);
            None
        }
    }
}

fn retention(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Retention {
    let Some(below) = reader.below(fields, "retention", Place::TypeRetention) else { return Retention::default() };
    let mut count = |name| reader.count(&below, name, (1, usize::MAX)).map(|count| count as u64);
    Retention { versions: count("versions"), days: count("days") }
}

fn limits(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Limits {
    let all = Limits::default();
    let Some(below) = reader.below(fields, "limits", Place::TypeLimits) else { return all };
    Limits {
        max_bytes: reader.count_or(&below, "document_bytes", all.max_bytes, (2, all.max_bytes)),
        max_depth: reader.count_or(&below, "depth", all.max_depth, (1, all.max_depth)),
        max_ops: reader.count_or(&below, "operations", all.max_ops, (1, all.max_ops)),
        ..all
    }
}
