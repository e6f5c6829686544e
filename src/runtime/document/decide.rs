//! What a change comes to on a body: operations applied in place, or a refusal with nothing applied. Pure.

use serde_json::Value;

use crate::state::limits::Limits;
use crate::state::merge;
use crate::state::patch::{self, Applied, Operation, PatchError};
use crate::state::pointer::Pointer;

use super::Refused;

/// Whether anything changed.
#[derive(Debug)]
pub(super) enum Decided {
    Unchanged,
    Changed(Applied),
}

/// Applies operations as a writer who may write below `may_write` only (`None` = everywhere).
pub(super) fn patched(
    body: &mut Value,
    ops: &[Operation],
    may_write: Option<&[Pointer]>,
    version: u64,
    room_bytes: usize,
) -> Result<Decided, Refused> {
    if let Some(allowed) = may_write
        && let Some(path) =
            ops.iter().flat_map(Operation::writes).find(|path| !allowed.iter().any(|root| path.starts_with(root)))
    {
        return Err(Refused {
            code: "forbidden_path",
            message: format!("this writer may not write at `{path}`; it may write below {}", listed(allowed)),
            path: Some(path.to_string()),
            version,
        });
    }
    let applied = patch::apply(body, ops, &Limits::of_bytes(room_bytes)).map_err(|error| refused(&error, version))?;
    Ok(if applied.effects.is_empty() { Decided::Unchanged } else { Decided::Changed(applied) })
}

/// The operations by which a posted whole state becomes part of `body`; parts outside `may_write` are left out.
pub(super) fn posted(
    body: &Value,
    posted: &Value,
    past: merge::Past<'_>,
    may_write: Option<&[Pointer]>,
) -> Vec<Operation> {
    let mut ops = merge::posted_edits(body, posted, past).ops;
    if let Some(allowed) = may_write {
        ops.retain(|op| op.writes().all(|path| allowed.iter().any(|root| path.starts_with(root))));
    }
    ops
}

fn listed(paths: &[Pointer]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| format!("`{path}`")).collect();
    if paths.is_empty() { "nothing".to_owned() } else { paths.join(", ") }
}

fn refused(error: &PatchError, version: u64) -> Refused {
    Refused { code: error.code(), message: error.to_string(), path: error.path().map(Pointer::to_string), version }
}
