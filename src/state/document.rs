//! A document in memory: deciding a mutation in place, taking it back, and the commit that records it. Knows no storage,
//! no clients and no clock.

mod cancel;
mod commit;
mod decide;
mod gate;
mod steps;
mod twins;

use serde_json::Value;

use crate::state::intent::Intent;
use crate::state::later::Later;
use crate::state::limits::Limits;
use crate::state::merge::Past;
use crate::state::patch::{self, Applied, Operation, PatchError};
use crate::state::pointer::Pointer;
use crate::state::schema::{Fault, Hop, View};
use crate::state::value::size;

pub use commit::{Commit, Conflict};

/// A body, its version (0 before the first commit, when the body is `{}`), and its size kept up to date.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    body: Value,
    version: u64,
    size: usize,
    deleted: bool,
}

/// What a writer wants. `since` are the commits in `(base, head]` for the version the writer had seen, oldest first and
/// without gaps; empty when that is the head, or when the writer names none. The writer's own may be among those of a patch:
/// it then means that version with them.
#[derive(Debug, Clone, Copy)]
pub enum Mutation<'m> {
    /// RFC 6902 operations: indexes shift with their elements, `test` looks at the head.
    Patch { ops: &'m [Operation], since: &'m [Later<'m>] },
    /// An RFC 7396 merge patch.
    Merge { patch: &'m Value, since: &'m [Later<'m>] },
    /// Edits that say what is meant (see [`Intent`]); objects missing above their places are created.
    Intents { intents: &'m [Intent], since: &'m [Later<'m>] },
    /// This body instead, whatever stands there.
    Replace(&'m Value),
    /// This body instead of the version before `since`: what differs between the two is written.
    Rewrite { body: &'m Value, since: &'m [Later<'m>] },
    /// A whole state posted by a client of which only a lower bound is known (see [`Past`]).
    Posted { state: &'m Value, past: Past<'m> },
}

impl<'m> Mutation<'m> {
    fn since(&self) -> &'m [Later<'m>] {
        match self {
            Self::Patch { since, .. }
            | Self::Merge { since, .. }
            | Self::Intents { since, .. }
            | Self::Rewrite { since, .. }
            | Self::Posted { past: Past::Since(since) | Past::Exact(since), .. } => since,
            Self::Replace(_) | Self::Posted { past: Past::Unknown, .. } => &[],
        }
    }
}

/// The terms on which a mutation is accepted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms<'t> {
    /// The head must be this version.
    pub if_version: Option<u64>,
    /// Only at and below these places; `None` is everywhere.
    pub allowed: Option<&'t [Pointer]>,
    /// The schema of the document's type as the writer meets it; [`Schema::unrestricted`](crate::state::schema::Schema::unrestricted)
    /// for what the runtime itself writes. `None` where the type has no schema, and for a tombstone.
    pub view: Option<&'t View>,
    /// Whether a patch may create the objects missing above what it adds.
    pub creates_parents: bool,
    /// Whether a mutation that changes nothing makes a version all the same, as the first of a document does.
    pub always: bool,
    pub limits: Limits,
}

/// What became of a mutation that was not refused.
#[derive(Debug, Clone, PartialEq)]
pub enum Decided {
    Unchanged,
    /// The document holds it, as its next version.
    Changed(Change),
}

/// One accepted change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The version it made.
    pub version: u64,
    /// In safe form, from the version before.
    pub ops: Vec<Operation>,
    /// In safe form, back to the version before.
    pub inverse: Vec<Operation>,
    /// Places that others wrote since the writer looked, with what is lost there.
    pub conflicts: Vec<Conflict>,
    trace: Trace,
}

/// What a change did beside its operations: with its inverse it can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    growth: i64,
    /// Whether the version before was a tombstone.
    revives: bool,
}

impl Change {
    pub fn trace(&self) -> Trace {
        self.trace
    }
}

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the document is at version {head}, not {expected}")]
    VersionConflict { expected: u64, head: u64 },
    #[error("this writer may not write at `{path}`")]
    ForbiddenPath { path: Pointer },
    #[error("what others wrote stands in the way at {}: look again and write on what is there", told(paths))]
    Conflict { paths: Vec<Pointer> },
    #[error("the document would not be what its schema says: {}", listed(errors))]
    SchemaInvalid { errors: Vec<Fault> },
    #[error("`{}` may not go from `{}` to {}: {}", .0.path, .0.from, going(.0), following(.0))]
    TransitionInvalid(Hop),
    #[error(transparent)]
    Patch(#[from] PatchError),
}

fn listed(errors: &[Fault]) -> String {
    let mut listed: Vec<_> =
        errors.iter().take(3).map(|fault| format!("`{}`: {}", fault.path, fault.message)).collect();
    listed.extend((errors.len() > 3).then(|| format!("and {} more", errors.len() - 3)));
    listed.join("; ")
}

fn going(hop: &Hop) -> String {
    hop.to.as_ref().map_or_else(|| "nothing".to_owned(), |to| format!("`{to}`"))
}

fn following(hop: &Hop) -> String {
    match hop.allowed.is_empty() {
        true => "nothing follows it".to_owned(),
        false => format!("{} may follow", hop.allowed.join(", ")),
    }
}

fn told(paths: &[Pointer]) -> String {
    paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ")
}

impl Refusal {
    /// The error code of the state API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::VersionConflict { .. } => "version_conflict",
            Self::ForbiddenPath { .. } => "forbidden_path",
            Self::Conflict { .. } => "conflict",
            Self::SchemaInvalid { .. } => "schema_invalid",
            Self::TransitionInvalid(_) => "transition_invalid",
            Self::Patch(error) => error.code(),
        }
    }

    /// The place that was refused, if it is about one.
    pub fn path(&self) -> Option<&Pointer> {
        match self {
            Self::VersionConflict { .. } => None,
            Self::ForbiddenPath { path } => Some(path),
            Self::Conflict { paths } => paths.first(),
            Self::SchemaInvalid { errors } => errors.first().map(|fault| &fault.path),
            Self::TransitionInvalid(hop) => Some(&hop.path),
            Self::Patch(error) => error.path(),
        }
    }
}

impl Document {
    pub fn new(body: Value, version: u64) -> Self {
        let size = size(&body);
        Self { body, version, size, deleted: false }
    }

    /// A document before its first commit.
    pub fn absent() -> Self {
        Self::new(Value::Object(serde_json::Map::new()), 0)
    }

    pub fn body(&self) -> &Value {
        &self.body
    }

    /// Whether there is one: not before its first commit, and not after a tombstone.
    pub fn exists(&self) -> bool {
        self.version > 0 && !self.deleted
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    /// Bytes of the body's compact JSON text.
    pub fn size(&self) -> usize {
        self.size
    }

    pub fn into_body(self) -> Value {
        self.body
    }

    /// Applies a mutation in place, or changes nothing. The cost is that of what the mutation names and touches.
    pub fn decide(&mut self, mutation: Mutation<'_>, terms: &Terms<'_>) -> Result<Decided, Refusal> {
        decide::decide(self, mutation, terms)
    }

    /// Deletes it: the next version is a tombstone, whose operations are the removals that lead to `{}`.
    pub fn end(&mut self) -> Change {
        let ops: Vec<_> = match &self.body {
            Value::Object(members) => {
                members.keys().map(|name| Operation::Remove { path: Pointer::root().join(name.clone()) }).collect()
            }
            _ => vec![Operation::Add { path: Pointer::root(), value: Value::Object(serde_json::Map::new()) }],
        };
        let Applied { effects, inverse, growth } =
            patch::apply(&mut self.body, &ops, &Limits::NONE).expect("what is there can be removed");
        self.version += 1;
        self.grow(growth);
        let revives = std::mem::replace(&mut self.deleted, true);
        Change { version: self.version, ops: effects, inverse, conflicts: Vec::new(), trace: Trace { growth, revives } }
    }

    /// Takes back the latest change.
    pub fn revert(&mut self, change: &Change) {
        self.take_back((change.version, &change.inverse), change.trace);
    }

    /// Takes back the latest change by its record.
    pub fn revert_commit(&mut self, commit: &Commit, trace: Trace) {
        self.take_back((commit.version, &commit.inverse), trace);
    }

    fn take_back(&mut self, (version, inverse): (u64, &[Operation]), trace: Trace) {
        assert_eq!(self.version, version, "only the latest change can be taken back");
        patch::replay(&mut self.body, inverse).expect("an inverse applies to the body that its change made");
        self.version -= 1;
        self.deleted = trace.revives;
        self.grow(-trace.growth);
    }

    /// Applies a commit of the log, which must be the next version.
    pub fn replay(&mut self, commit: &Commit) -> Result<(), PatchError> {
        debug_assert_eq!(commit.version, self.version + 1, "a log is replayed in order");
        let applied = patch::apply(&mut self.body, &commit.ops, &Limits::NONE)?;
        self.version = commit.version;
        self.deleted = commit.deleted;
        self.grow(applied.growth);
        Ok(())
    }

    fn grow(&mut self, by: i64) {
        self.size = self.size.checked_add_signed(by as isize).expect("no value has a size below nothing");
    }
}

#[cfg(test)]
mod tests;
