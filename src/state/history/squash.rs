//! Consecutive deltas as one: what a later write covers is left out.

use std::collections::BTreeSet;

use crate::state::patch::Operation;
use crate::state::pointer::{Pointer, array_index};

/// One delta, in safe form, for consecutive deltas in safe form, without looking at the document.
///
/// A write of a place that is written again, or that lies below one that is, is dropped; where elements of a list come or
/// go, what stands before that is kept, for its indexes mean other elements.
pub fn squash<'o>(deltas: impl IntoIterator<Item = &'o [Operation]>) -> Vec<Operation> {
    let ops: Vec<&Operation> = deltas.into_iter().flatten().collect();
    let mut covered = Covered::default();
    let mut kept: Vec<&Operation> = Vec::new();
    for op in ops.into_iter().rev() {
        if !covered.covers(op) {
            covered.note(op);
            kept.push(op);
        }
    }
    kept.into_iter().rev().cloned().collect()
}

/// The places that operations further on write, as they are called before those.
#[derive(Default)]
struct Covered {
    /// What is at and below them is written anew.
    set: BTreeSet<Pointer>,
    /// What is below them goes; they themselves must be there to be removed.
    removed: BTreeSet<Pointer>,
}

impl Covered {
    fn covers(&self, op: &Operation) -> bool {
        let path = op.path();
        let mut above = Pointer::root();
        for token in path.tokens() {
            if self.set.contains(&above) || self.removed.contains(&above) {
                return true;
            }
            above = above.join(token);
        }
        self.set.contains(path) && !shifts(op)
    }

    fn note(&mut self, op: &Operation) {
        let path = op.path();
        if shifts(op) {
            let list = path.parent().expect("the root shifts nothing");
            for places in [&mut self.set, &mut self.removed] {
                let mut behind = places.split_off(&list);
                let is_through = |place: &Pointer| place.starts_with(&list) && *place != list;
                behind.retain(|place| !is_through(place));
                places.append(&mut behind);
            }
        } else if matches!(op, Operation::Remove { .. }) {
            self.removed.insert(path.clone());
        } else {
            self.set.insert(path.clone());
        }
    }
}

/// Whether elements of a list may change their places. A member named by digits cannot be told from one.
fn shifts(op: &Operation) -> bool {
    let is_step = op.path().last().is_some_and(|last| array_index(last).is_some());
    is_step && matches!(op, Operation::Add { .. } | Operation::Remove { .. })
}
