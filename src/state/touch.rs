//! What operations touch: whether two sets of them meet, and where a place has gone after what others did.

mod rebase;

use serde_json::Value;

use crate::state::patch::Operation;
use crate::state::pointer::{Pointer, array_index};

pub use rebase::{RebaseError, Rebased, rebase, rebase_beside};

/// Those of `paths` that `ops` write at, above or below. Indexes are taken as they stand.
pub fn touched<'p>(paths: impl IntoIterator<Item = &'p Pointer>, ops: &[Operation]) -> Vec<&'p Pointer> {
    let meets = |path: &&Pointer| ops.iter().flat_map(Operation::writes).any(|written| written.overlaps(path));
    paths.into_iter().filter(meets).collect()
}

/// Whether two sets of operations write at, above or below each other's places. Indexes are taken as they stand.
pub fn overlap(ops: &[Operation], others: &[Operation]) -> bool {
    ops.iter().flat_map(Operation::writes).any(|path| !touched([path], others).is_empty())
}

/// Where `ops`, in safe form, wrote, as places of the value they led to; what a later one took away again is left out.
pub(crate) fn places(ops: &[Operation], value: &Value) -> Vec<Pointer> {
    let touches = touches(ops, value);
    let carried = touches.iter().enumerate().map(|(index, touch)| {
        let mut place = touch.path.clone();
        let is_gone = touches[index + 1..].iter().any(|later| later.carry(&mut place, false, false).is_err());
        (!is_gone).then_some(place)
    });
    carried.flatten().collect()
}

/// One write as a change of places.
#[derive(Debug, Clone, PartialEq)]
struct Touch {
    path: Pointer,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A new element before the one at `path`.
    Insert,
    /// The element at `path` goes.
    Take,
    /// The value at `path` is written.
    Set,
    /// The member at `path` goes.
    Unset,
    /// The value at `path` is only looked at.
    Read,
}

/// The place was, or was in, an element that went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Taken;

impl Touch {
    /// The array and the index that an insert or a removal shifts.
    fn shifts(&self) -> Option<(&[String], usize)> {
        let is_shift = matches!(self.kind, Kind::Insert | Kind::Take);
        let (last, array) = self.path.tokens().split_last().filter(|_| is_shift)?;
        Some((array, array_index(last)?))
    }

    /// The step of `path` that is an index in the array which `self` shifts, with that index.
    fn index_in(array: &[String], path: &Pointer) -> Option<usize> {
        path.tokens().strip_prefix(array)?.first().and_then(|step| array_index(step))
    }

    /// Carries `path`, of a value or for an insert of the gap before it, over this; says whether it changed.
    ///
    /// Of two inserts at one index, `yields` says whether the one carried goes behind.
    fn carry(&self, path: &mut Pointer, is_insert: bool, yields: bool) -> Result<bool, Taken> {
        let Some((array, at)) = self.shifts() else { return Ok(false) };
        let Some(index) = Self::index_in(array, path) else { return Ok(false) };
        let is_gap = is_insert && path.tokens().len() == array.len() + 1;
        let index = match self.kind {
            Kind::Insert if index > at || index == at && (yields || !is_gap) => index + 1,
            Kind::Take if index > at => index - 1,
            Kind::Take if index == at && !is_gap => return Err(Taken),
            _ => return Ok(false),
        };
        path.tokens_mut()[array.len()] = index.to_string();
        Ok(true)
    }

    /// What another did, as it reads after this; false when nothing is left of it.
    fn leaves(&self, other: &mut Touch) -> bool {
        if matches!(self.kind, Kind::Set | Kind::Unset) && other.path.starts_with(&self.path) {
            return false;
        }
        let is_insert = other.kind == Kind::Insert;
        self.carry(&mut other.path, is_insert, false).is_ok()
    }

    /// This as it read before another; `None` if it is in an element that the other brought. What was put in where the other
    /// had removed an element counts as behind that.
    fn before(&self, other: &Touch) -> Option<Touch> {
        let Some((array, at)) = other.shifts() else { return Some(self.clone()) };
        let is_gap = self.kind == Kind::Insert && self.path.tokens().len() == array.len() + 1;
        let index = Touch::index_in(array, &self.path);
        if other.kind == Kind::Insert && index.is_some_and(|index| index == at || is_gap && index < at) {
            return is_gap.then(|| self.clone());
        }
        Some(Touch { path: other.carry_back(self.path.clone())?, kind: self.kind })
    }

    /// Carries `path` back to where it was before this; `None` if this brought the value.
    fn carry_back(&self, mut path: Pointer) -> Option<Pointer> {
        if self.kind == Kind::Set && path.starts_with(&self.path) {
            return None;
        }
        let Some((array, at)) = self.shifts() else { return Some(path) };
        let Some(index) = Self::index_in(array, &path) else { return Some(path) };
        let index = match self.kind {
            Kind::Insert if index == at => return None,
            Kind::Insert if index > at => index - 1,
            Kind::Take if index >= at => index + 1,
            _ => return Some(path),
        };
        path.tokens_mut()[array.len()] = index.to_string();
        Some(path)
    }
}

/// What operations in safe form did, given the value they led to: only that tells an element from a member named by digits.
/// Inside what was rewritten later it cannot be told, and no longer matters.
fn touches(ops: &[Operation], head: &Value) -> Vec<Touch> {
    let mut touches: Vec<Touch> = Vec::with_capacity(ops.len());
    for op in ops.iter().rev() {
        let path = op.path().clone();
        let in_array = || {
            let mut array = path.parent().filter(|_| path.last().and_then(array_index).is_some())?;
            for later in touches.iter().rev() {
                let is_rewritten = matches!(later.kind, Kind::Set | Kind::Unset) && array.starts_with(&later.path);
                if is_rewritten || later.carry(&mut array, false, false).is_err() {
                    return None;
                }
            }
            array.get(head).filter(|value| value.is_array())
        };
        let kind = match op {
            Operation::Add { .. } if in_array().is_some() => Kind::Insert,
            Operation::Remove { .. } if in_array().is_some() => Kind::Take,
            Operation::Add { .. } | Operation::Replace { .. } | Operation::Move { .. } | Operation::Copy { .. } => {
                Kind::Set
            }
            Operation::Remove { .. } => Kind::Unset,
            Operation::Test { .. } => Kind::Read,
        };
        touches.push(Touch { path, kind });
    }
    touches.reverse();
    touches
}
