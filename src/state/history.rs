//! Arithmetic on a document's commits: one delta for many, the way back, a run undone, and who wrote what.

mod blame;
mod squash;
mod undo;

use crate::state::later::Later;
use crate::state::patch::Operation;

pub use blame::{Blame, Mark};
pub use squash::squash;
pub use undo::{Skipped, Undo, undo_run};

/// Operations, in safe form, that lead from the head back to the version before `since`, the commits after it.
pub fn rollback(since: &[Later<'_>]) -> Vec<Operation> {
    squash(since.iter().rev().map(|later| later.inverse))
}

#[cfg(test)]
mod tests;
