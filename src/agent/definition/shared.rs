//! A file under `_shared/`, which several definitions use: found, parsed and resolved, whatever is in it.

use std::path::{Path, PathBuf};

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
        for unresolved in placeholder::resolve_beside(&mut root, &from, is_secret) {
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
