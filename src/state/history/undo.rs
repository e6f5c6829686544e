//! Undoing one run: its commits are taken back where nobody wrote since, and what cannot be is listed.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::squash;
use crate::state::later::{Later, last_writer};
use crate::state::merge::{Kept, take_back};
use crate::state::patch::{self, Operation};
use crate::state::pointer::Pointer;
use crate::state::schema::Schema;

/// How a run is undone on the head.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Undo {
    /// In safe form, to be applied to the head.
    pub ops: Vec<Operation>,
    pub skipped: Vec<Skipped>,
}

/// A change of the run that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Skipped {
    /// Where it is at the head.
    pub path: Pointer,
    pub reason: String,
}

/// What undoes those of `since`, the latest commits of a document at `head`, that `is_of_run` says are the run's.
///
/// Places that others wrote since stay as they are; counters, sets and lists with a merge rule give back what the run put
/// in. `None` if an inverse does not apply. The cost is that of the document for each stretch of commits of the run.
pub fn undo_run(
    head: &Value,
    since: &[Later<'_>],
    is_of_run: impl Fn(&Later<'_>) -> bool,
    schema: Option<&Schema>,
) -> Option<Undo> {
    let mut now = head.clone();
    let mut body = head.clone();
    let mut ops = Vec::new();
    let mut skipped = Vec::new();
    let mut rest = since;
    while let Some(last) = rest.iter().rposition(&is_of_run) {
        for later in rest[last + 1..].iter().rev() {
            patch::replay(&mut body, later.inverse).ok()?;
        }
        let others: Vec<Later<'_>> = since[last + 1..].iter().filter(|later| !is_of_run(later)).copied().collect();
        let after = body.clone();
        let first = rest[..=last].iter().rposition(|later| !is_of_run(later)).map_or(0, |other| other + 1);
        for later in rest[first..=last].iter().rev() {
            patch::replay(&mut body, later.inverse).ok()?;
        }
        let Kept { edits, kept } = take_back(&after, &now, &body, schema);
        patch::replay(&mut now, &edits).ok()?;
        ops.extend(edits);
        for path in kept {
            let reason = match last_writer(&path, &others, head) {
                Some(later) => format!("{} wrote here since, in version {}", later.actor, later.version),
                None => "changed since".to_owned(),
            };
            skipped.push(Skipped { path, reason });
        }
        rest = &rest[..first];
    }
    Some(Undo { ops: squash([ops.as_slice()]), skipped })
}
