//! A file under `_shared/`, which several definitions use: found, parsed and resolved, whatever is in it.

use std::path::{Path, PathBuf};

use super::credentials;
use super::placeholder::{self, Surroundings};
use super::problem::Problem;
use super::reader::Reader;
use super::source::read_text;
use super::tree::{Format, Node};

/// The folder below that of the definitions.
const FOLDER: &str = "_shared";
/// The formats in which such a file may be written.
const EXTENSIONS: &[(&str, Format)] =
    &[("yaml", Format::Yaml), ("yml", Format::Yaml), ("json", Format::Json), ("toml", Format::Toml)];

/// What such files are called.
const NAMES: [&str; 3] = ["mcp", "models", "prices"];

/// Files that look like shared ones and that nobody reads: their names are mistaken.
pub(crate) fn strangers(agents: &Path) -> Vec<Problem> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(agents.join(FOLDER))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    let is_stranger = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
        let is_of_a_format = EXTENSIONS.iter().any(|(known, _)| *known == extension);
        is_of_a_format && !name.starts_with(['_', '.']) && !NAMES.contains(&stem)
    };
    let told = |path| {
        let message = format!(
            "nobody reads a shared file of this name: there are {}; begin the name with `_` if it is something else",
            NAMES.join(", ")
        );
        Problem::of_file(path, message)
    };
    paths.into_iter().filter(is_stranger).map(told).collect()
}

/// One shared file.
#[derive(Debug)]
pub(crate) struct SharedFile {
    pub(crate) path: PathBuf,
    /// As it is written: what the hash of a definition that uses it covers.
    pub(crate) text: String,
    pub(crate) root: Node,
}

/// A shared file that is there and cannot be read at all.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) problems: Vec<Problem>,
}

impl SharedFile {
    /// The file `_shared/<stem>` in any of the formats, if there is one. Placeholders are resolved, except where
    /// `is_secret` says that a dotted path holds a secret; those that cannot be are problems beside the file.
    pub(crate) fn read(
        agents: &Path,
        stem: &str,
        variable: &dyn Fn(&str) -> Option<String>,
        is_secret: fn(&str) -> bool,
    ) -> Result<Option<(Self, Vec<Problem>)>, Unreadable> {
        let folder = agents.join(FOLDER);
        let files = EXTENSIONS.iter().map(|(extension, format)| (folder.join(format!("{stem}.{extension}")), *format));
        let found: Vec<(PathBuf, Format)> = files.filter(|(path, _)| path.exists()).collect();
        let (path, format) = match found.as_slice() {
            [] => return Ok(None),
            [(path, format)] => (path.clone(), *format),
            [(path, _), others @ ..] => {
                let others: Vec<String> = others.iter().map(|(path, _)| path.display().to_string()).collect();
                let message = format!("is there twice, also as {}: keep one of them", others.join(", "));
                return Err(Unreadable { problems: vec![Problem::of_file(path, message)] });
            }
        };
        let unreadable = |why| Unreadable { problems: vec![Problem::unreadable(&path, why)] };
        let text = read_text(&path).map_err(unreadable)?;
        let mut root = Node::parse(&text, format, 1).map_err(unreadable)?;
        let from = Surroundings { variable, folder };
        let mut reader = Reader::new(&path, &from);
        let literal = credentials::of_entries(&root);
        for unresolved in literal.into_iter().chain(placeholder::resolve_beside(&mut root, &from, is_secret)) {
            reader.note(unresolved.at, &unresolved.path, unresolved.message);
        }
        let problems = reader.problems;
        Ok(Some((Self { path, text, root }, problems)))
    }

    /// Where placeholders of the file find their values: beside it.
    pub(crate) fn surroundings<'v>(&self, variable: &'v dyn Fn(&str) -> Option<String>) -> Surroundings<'v> {
        Surroundings { variable, folder: self.path.parent().unwrap_or(Path::new("")).to_owned() }
    }
}
