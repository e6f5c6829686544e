//! Bringing exported documents back, line by line, each whole or not at all (the format: [`export`](super::export)).
//!
//! Histories are made anew from their operations: what does not apply, exceeds a limit, or comes to what its type's schema
//! refuses, is refused with its line.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::json_text;
use crate::state::document::{Commit, Document, Refusal};
use crate::state::history::Blame;
use crate::state::json;
use crate::state::limits::Limits;
use crate::state::patch;
use crate::state::value::size;

use super::super::document::{Base, DocumentError, Kept, Restored, Tag};
use super::export::{BaseLine, KeptLine};
use super::{DocumentName, Documents};

/// The longest line.
const LINE_BYTES: usize = 64 << 20;
/// The operations of one document's history, in bytes.
const HISTORY_BYTES: usize = 256 << 20;
/// A body is stored when the history since the last one outgrows this, and twice the document.
const BODY_AFTER_BYTES: usize = 64 << 10;

/// What happens to a document that is there already, deleted or not, and to one that only the runtime writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// The import ends there.
    Refuse,
    /// It stays as it is.
    Skip,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    pub documents: u64,
    pub commits: u64,
    /// Names of documents that stay as they are.
    pub skipped: Vec<String>,
}

/// Why an import ended early. Documents before the line are imported, the one it is about is not.
#[derive(Debug, Error)]
#[error("line {line}: {error}")]
pub struct ImportRefused {
    pub line: u64,
    pub error: Box<ImportError>,
    pub done: Imported,
}

#[derive(Debug, Error)]
pub enum ImportError {
    #[error("{0}")]
    Malformed(String),
    #[error("`{name}` exists already")]
    Exists { name: DocumentName },
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// An import under way.
#[derive(Debug)]
pub struct Import<'d> {
    documents: &'d Documents<'d>,
    existing: Existing,
    line: u64,
    current: Option<Current>,
    done: Imported,
    /// Commits that came, those of documents that stay as they are among them.
    commits: u64,
    is_complete: bool,
}

/// A document that is being read.
#[derive(Debug)]
struct Current {
    name: DocumentName,
    tags: Vec<Tag>,
    versions: u64,
    /// Commits up to this version are not kept.
    trimmed: u64,
    body: Value,
    deleted: bool,
    bytes: usize,
    since_body: usize,
    restored: Restored,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Document(Header),
    Commit(Box<Commit>),
    Kept(KeptLine),
    Base(BaseLine),
    End(End),
    #[serde(untagged)]
    File(File),
}

#[derive(Deserialize)]
struct File {
    coagent: String,
    format: u64,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    version: u64,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    trimmed: u64,
}

#[derive(Deserialize)]
struct End {
    documents: u64,
    commits: Option<u64>,
}

impl<'d> Documents<'d> {
    /// Begins an import; lines are given to it one by one.
    pub fn import(&'d self, existing: Existing) -> Import<'d> {
        Import {
            documents: self,
            existing,
            line: 0,
            current: None,
            done: Imported::default(),
            commits: 0,
            is_complete: false,
        }
    }
}

impl Import<'_> {
    /// Takes one line, without its line break. A document is stored when the line after its last commit arrives.
    pub async fn take(&mut self, line: &[u8]) -> Result<(), ImportRefused> {
        self.line += 1;
        let taken = self.try_take(line).await;
        taken.map_err(|error| ImportRefused { line: self.line, error: Box::new(error), done: self.done.clone() })
    }

    /// Ends the import; refused when the `end` line was missing.
    pub fn finish(self) -> Result<Imported, ImportRefused> {
        match self.is_complete {
            true => Ok(self.done),
            false => {
                let error = ImportError::Malformed("the file is incomplete: its `end` is missing".to_owned());
                Err(ImportRefused { line: self.line, error: Box::new(error), done: self.done })
            }
        }
    }

    async fn try_take(&mut self, line: &[u8]) -> Result<(), ImportError> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let value = json::read(line, &Limits { max_depth: 80, ..Limits::of_bytes(LINE_BYTES) });
        let value = value.map_err(|error| ImportError::Malformed(error.to_string()))?;
        let line: Line = serde_json::from_value(value)
            .map_err(|error| ImportError::Malformed(format!("not a line of an export: {error}")))?;
        match line {
            _ if self.is_complete => Err(ImportError::Malformed("something follows the `end`".to_owned())),
            Line::File(file) if self.line == 1 && file.coagent == "documents" && file.format == 1 => Ok(()),
            Line::File(_) => Err(ImportError::Malformed("not the first line of an export of format 1".to_owned())),
            _ if self.line == 1 => Err(ImportError::Malformed("an export begins with its format".to_owned())),
            Line::Document(header) => {
                self.store().await?;
                let current = Current::new(header)?;
                if current.name.is_record() && self.existing == Existing::Refuse {
                    return Err(DocumentError::ReadOnly.into());
                }
                self.current = Some(current);
                Ok(())
            }
            Line::Commit(commit) => self.current()?.take(*commit),
            Line::Kept(kept) => self.current()?.keep(kept),
            Line::Base(base) => self.current()?.begin(base),
            Line::End(end) => {
                self.store().await?;
                let stored = self.done.documents + self.done.skipped.len() as u64;
                if end.documents != stored {
                    let counted = format!("{stored} documents came, {} were announced", end.documents);
                    return Err(ImportError::Malformed(counted));
                }
                if let Some(announced) = end.commits.filter(|&announced| announced != self.commits) {
                    let counted = format!("{} commits came, {announced} were announced", self.commits);
                    return Err(ImportError::Malformed(counted));
                }
                self.is_complete = true;
                Ok(())
            }
        }
    }

    fn current(&mut self) -> Result<&mut Current, ImportError> {
        let none = || ImportError::Malformed("this comes after its document".to_owned());
        self.current.as_mut().ok_or_else(none)
    }

    async fn store(&mut self) -> Result<(), ImportError> {
        let Some(current) = self.current.take() else { return Ok(()) };
        let Current { name, tags, versions, trimmed, restored, body, deleted, .. } = current;
        if trimmed + restored.commits.len() as u64 != versions {
            let counted =
                format!("`{name}` has {} commits of {}", restored.commits.len(), versions.saturating_sub(trimmed));
            return Err(ImportError::Malformed(counted));
        }
        let commits = restored.commits.len() as u64;
        self.commits += commits;
        if name.is_record() {
            self.done.skipped.push(name.to_string());
            return Ok(());
        }
        let live = self.documents.live(&name)?;
        if !deleted && let Some(view) = self.documents.view(&name) {
            let errors = view.schema().faults(&body);
            if !errors.is_empty() {
                let refusal = Refusal::SchemaInvalid { errors };
                return Err(DocumentError::Refused { refusal, head: 0 }.into());
            }
        }
        let head = (!deleted).then(|| encoded(&body));
        if live.restore(Restored { head, ..restored }).await? {
            for tag in tags {
                self.documents.tag(&name, &tag.name, Some(tag.version), None).await?;
            }
            self.done.documents += 1;
            self.done.commits += commits;
            return Ok(());
        }
        match self.existing {
            Existing::Refuse => Err(ImportError::Exists { name }),
            Existing::Skip => {
                self.done.skipped.push(name.to_string());
                Ok(())
            }
        }
    }
}

impl Current {
    fn new(header: Header) -> Result<Self, ImportError> {
        if header.trimmed >= header.version.min(u64::from(u32::MAX)) && header.trimmed > 0 {
            let told = format!("`{}`: no version comes after {}", header.name, header.trimmed);
            return Err(ImportError::Malformed(told));
        }
        Ok(Self {
            name: header.name.parse()?,
            tags: header.tags,
            versions: header.version,
            trimmed: header.trimmed,
            body: Document::absent().into_body(),
            deleted: false,
            bytes: 0,
            since_body: 0,
            restored: Restored::default(),
        })
    }

    fn refused(&self, version: u64, why: &str) -> ImportError {
        ImportError::Malformed(format!("`{}`: version {version} cannot be made again: {why}", self.name))
    }

    /// A body as it was, however it came to be.
    fn check(&mut self, version: u64, body: &Value) -> Result<(), ImportError> {
        let limits = Limits::default();
        json::check(body, &limits).map_err(|error| self.refused(version, &error.to_string()))?;
        if self.name.holds_objects() && !body.is_object() {
            return Err(self.refused(version, "a document of this type is an object"));
        }
        self.bytes += size(body);
        match size(body) <= limits.max_bytes && self.bytes <= HISTORY_BYTES {
            true => Ok(()),
            false => Err(self.refused(version, "it is too large")),
        }
    }

    fn keep(&mut self, kept: KeptLine) -> Result<(), ImportError> {
        let KeptLine { mark, deleted, data } = kept;
        let last = self.restored.kept.last().map_or(0, |kept| kept.mark.version);
        if self.restored.base.is_some() || mark.version <= last || mark.version > self.trimmed {
            return Err(self.refused(mark.version, "kept versions come first, and in order"));
        }
        self.check(mark.version, &data)?;
        self.restored.kept.push(Kept { mark, deleted, body: data });
        Ok(())
    }

    fn begin(&mut self, base: BaseLine) -> Result<(), ImportError> {
        let BaseLine { version, data, blame } = base;
        if version != self.trimmed || self.restored.base.is_some() || !self.restored.commits.is_empty() {
            return Err(self.refused(version, "it is not where the history begins"));
        }
        self.check(version, &data)?;
        self.body.clone_from(&data);
        let blame = Blame::restored(&data, &blame);
        self.restored.base = Some(Base { version, body: data, blame });
        Ok(())
    }

    fn take(&mut self, commit: Commit) -> Result<(), ImportError> {
        if self.trimmed > 0 && self.restored.base.is_none() {
            return Err(self.refused(commit.version, "what came before it is missing"));
        }
        let version = self.trimmed + self.restored.commits.len() as u64 + 1;
        let name = &self.name;
        if commit.version != version {
            let found = commit.version;
            return Err(ImportError::Malformed(format!("`{name}`: version {found} where {version} comes")));
        }
        let limits = Limits { max_ops: usize::MAX, ..Limits::default() };
        let refused =
            |why: String| ImportError::Malformed(format!("`{name}`: version {version} cannot be made again: {why}"));
        let applied = patch::apply(&mut self.body, &commit.ops, &limits).map_err(|error| refused(error.to_string()))?;
        let bytes = size(&self.body);
        if bytes > limits.max_bytes {
            return Err(refused(format!("it is larger than {} bytes", limits.max_bytes)));
        }
        if commit.deleted && self.body != Document::absent().into_body() {
            return Err(refused("a tombstone leaves an empty object".to_owned()));
        }
        if name.holds_objects() && !self.body.is_object() {
            return Err(refused("a document of this type is an object".to_owned()));
        }
        self.deleted = commit.deleted;
        // What leads back is worked out here: history is read with it, and a wrong one would damage what it shows.
        let commit = Commit { ops: applied.effects, inverse: applied.inverse, ..commit };
        let text = json_text::encode(&commit).len();
        self.bytes += text;
        self.since_body += text;
        if self.bytes > HISTORY_BYTES {
            return Err(refused(format!("the history is larger than {HISTORY_BYTES} bytes")));
        }
        if !self.deleted && self.since_body > BODY_AFTER_BYTES.max(2 * bytes) {
            self.restored.bodies.push((version, encoded(&self.body)));
            self.since_body = 0;
        }
        self.restored.commits.push(commit);
        Ok(())
    }
}

fn encoded(body: &Value) -> Bytes {
    json_text::encode(body).into()
}
