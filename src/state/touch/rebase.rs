//! Operations made on an older version, as they read on the head: indexes shifted, conflicts found, the later writer winning.

use serde_json::{Map, Value};

use super::{Kind, Taken, Touch, touches};
use crate::state::patch::Operation;
use crate::state::pointer::{Pointer, array_index};

/// Operations that mean on the head what they meant on their base.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rebased {
    pub ops: Vec<Operation>,
    /// Places at the head that both sides wrote; `ops` win there.
    pub conflicts: Vec<Pointer>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebaseError {
    #[error("operation {index}: the element at `{path}`, or one it is in, was removed meanwhile")]
    TargetGone { index: usize, path: Pointer },
}

/// Carries `ops`, made on a base, over `over`, the effects (in safe form) that led from that base to `head`.
///
/// Disjoint operations come out as they are but for shifted indexes. The same place, or one above or below it, is kept and
/// listed as a conflict. Below an object that `over` removed, the objects are created again, and that is a conflict; below
/// an element that is gone it is an error. What both removed is left out. `test` follows its place and looks at the head.
pub fn rebase(ops: &[Operation], over: &[Operation], head: &Value) -> Result<Rebased, RebaseError> {
    rebase_beside(ops, over, &[], head)
}

/// [`rebase`] for `ops` that were made on a base with its writer's own earlier writes in it, which are those of `over` that
/// `is_own` says. Of these only what they came to here is known: where they met what others removed, it is taken for what is
/// likely.
pub fn rebase_beside(
    ops: &[Operation],
    over: &[Operation],
    is_own: &[bool],
    head: &Value,
) -> Result<Rebased, RebaseError> {
    if over.is_empty() {
        return Ok(Rebased { ops: ops.to_vec(), conflicts: Vec::new() });
    }
    let mut others: Vec<Other<'_>> = Vec::new();
    for (index, (touch, op)) in touches(over, head).into_iter().zip(over).enumerate() {
        match is_own.get(index) {
            Some(true) => put_before(touch, &mut others),
            Some(false) | None => others.push(Other { touch, value: op.value() }),
        }
    }
    let mut rebase = Rebase { head, over: others, own: Vec::new(), created: Vec::new(), done: Rebased::default() };
    for (index, op) in ops.iter().enumerate() {
        rebase.operation(op).map_err(|Gone(path)| RebaseError::TargetGone { index, path })?;
    }
    Ok(rebase.done)
}

/// Takes an own write that was made after `others` to before them: they come to read as after it.
fn put_before(own: Touch, others: &mut Vec<Other<'_>>) {
    let mut stages: Vec<Option<Touch>> = vec![None; others.len()];
    let mut now = Some(own);
    let mut ended = None;
    for (index, other) in others.iter().enumerate().rev() {
        let Some(own) = now else { break };
        now = own.before(&other.touch);
        // Who takes an element that another brought leaves nothing of that.
        let takes = own.kind == Kind::Take && own.path == other.touch.path;
        ended = ended.or((now.is_none() && takes).then_some(index));
        stages[index].clone_from(&now);
    }
    let mut index = 0;
    others.retain_mut(|other| {
        let at = index;
        index += 1;
        match &stages[at] {
            Some(own) => own.leaves(&mut other.touch),
            None => ended != Some(at),
        }
    });
}

/// What another did, as it reads after the own operations so far.
struct Other<'o> {
    touch: Touch,
    value: Option<&'o Value>,
}

/// An object that another removed and that is there again: empty, or with what an own operation put in.
struct Created {
    path: Pointer,
    is_own: bool,
}

struct Gone(Pointer);

struct Rebase<'o> {
    head: &'o Value,
    over: Vec<Other<'o>>,
    /// The own operations so far, as they read on the head.
    own: Vec<Touch>,
    created: Vec<Created>,
    done: Rebased,
}

/// Where one write of an operation goes.
enum Carried {
    To(Pointer),
    /// Both sides removed it.
    Done,
}

impl Rebase<'_> {
    fn operation(&mut self, op: &Operation) -> Result<(), Gone> {
        let carried = match op {
            Operation::Test { path, value } => {
                let path = self.read(path)?;
                Some(Operation::Test { path, value: value.clone() })
            }
            Operation::Remove { path } => match self.write(path, Verb::Remove, None)? {
                Carried::To(path) => Some(Operation::Remove { path }),
                Carried::Done => None,
            },
            Operation::Add { path, value } => {
                self.put(path, Verb::Add, Some(value))?.map(|path| Operation::Add { path, value: value.clone() })
            }
            Operation::Replace { path, value } => {
                let before = self.done.conflicts.len();
                let is_member = !self.is_in_array(path);
                let to = self.put(path, Verb::Replace, Some(value))?;
                // Somebody may have removed the member: `add` sets it either way. Elements keep `replace`.
                let is_conflict = self.done.conflicts.len() > before;
                to.map(|path| {
                    let value = value.clone();
                    if is_conflict && is_member {
                        Operation::Add { path, value }
                    } else {
                        Operation::Replace { path, value }
                    }
                })
            }
            Operation::Copy { from, path } => {
                let from = self.read(from)?;
                self.put(path, Verb::Add, None)?.map(|path| Operation::Copy { from, path })
            }
            Operation::Move { from, path } if from == path => None,
            Operation::Move { from, path } => {
                let Carried::To(from) = self.write(from, Verb::MoveAway, None)? else { return Err(Gone(from.clone())) };
                self.put(path, Verb::Add, None)?.map(|path| Operation::Move { from, path })
            }
        };
        self.done.ops.extend(carried);
        Ok(())
    }

    fn put(&mut self, path: &Pointer, verb: Verb, value: Option<&Value>) -> Result<Option<Pointer>, Gone> {
        Ok(match self.write(path, verb, value)? {
            Carried::To(path) => Some(path),
            Carried::Done => None,
        })
    }

    fn read(&self, path: &Pointer) -> Result<Pointer, Gone> {
        let mut place = path.clone();
        for other in &self.over {
            other.touch.carry(&mut place, false, true).map_err(|Taken| Gone(path.clone()))?;
        }
        Ok(place)
    }

    /// Whether the value that holds `path` is an array, as far as the head can tell.
    fn is_in_array(&self, path: &Pointer) -> bool {
        let Some(Ok(container)) = path.parent().map(|container| self.read(&container)) else { return false };
        let at_head = self.own.iter().rev().try_fold(container, |place, own| own.carry_back(place));
        at_head.is_some_and(|container| container.get(self.head).is_some_and(Value::is_array))
    }

    fn write(&mut self, path: &Pointer, verb: Verb, value: Option<&Value>) -> Result<Carried, Gone> {
        let in_array = self.is_in_array(path);
        let kind = match verb {
            Verb::Add if in_array => Kind::Insert,
            Verb::Remove | Verb::MoveAway if in_array => Kind::Take,
            Verb::Add | Verb::Replace => Kind::Set,
            Verb::Remove | Verb::MoveAway => Kind::Unset,
        };
        let is_insert = kind == Kind::Insert;
        let mut place = path.clone();
        // The place as it is before each of theirs, from where it changed on.
        let mut stages = vec![(0, place.clone())];
        let mut is_conflict = false;
        let mut removed_above: Option<Pointer> = None;
        for (index, other) in self.over.iter().enumerate() {
            let theirs = &other.touch;
            match theirs.carry(&mut place, is_insert, true) {
                Ok(true) => stages.push((index + 1, place.clone())),
                Ok(false) => {}
                Err(Taken) if verb == Verb::Remove => {
                    self.carry_others(stages, kind, Some(index));
                    return Ok(Carried::Done);
                }
                Err(Taken) => return Err(Gone(path.clone())),
            }
            if let Some(removed) = &mut removed_above {
                // What was removed stands above the place, which was carried just now.
                theirs.carry(removed, false, true).map_err(|Taken| Gone(path.clone()))?;
            }
            match theirs.kind {
                Kind::Set if theirs.path == place => {
                    let is_same = matches!((value, other.value), (Some(own), Some(theirs)) if crate::state::value::same(own, theirs));
                    is_conflict |= !is_insert && !is_same && verb != Verb::MoveAway;
                    removed_above = None;
                }
                Kind::Set | Kind::Unset if theirs.path.starts_with(&place) && theirs.path != place => {
                    is_conflict |= !is_insert && verb != Verb::MoveAway;
                }
                Kind::Set if place.starts_with(&theirs.path) => {
                    is_conflict = true;
                    removed_above = None;
                }
                Kind::Unset if place.starts_with(&theirs.path) => match verb {
                    Verb::Remove => {
                        self.carry_others(stages, kind, Some(index));
                        return Ok(Carried::Done);
                    }
                    Verb::MoveAway => return Err(Gone(path.clone())),
                    Verb::Add | Verb::Replace => {
                        is_conflict = true;
                        removed_above = (theirs.path != place).then(|| theirs.path.clone());
                    }
                },
                Kind::Insert | Kind::Take
                    if !is_insert
                        && theirs.path.tokens().len() > place.tokens().len()
                        && theirs.path.starts_with(&place) =>
                {
                    is_conflict |= verb != Verb::MoveAway;
                }
                _ => {}
            }
        }
        if let Some(removed) = removed_above {
            self.create_parents(&removed, &place, path)?;
        }
        if is_conflict && !self.done.conflicts.contains(&place) {
            self.done.conflicts.push(place.clone());
        }
        self.carry_others(stages, kind, None);
        let own = Touch { path: place.clone(), kind };
        self.created.retain_mut(|created| own.carry(&mut created.path, false, true).is_ok());
        if kind == Kind::Set {
            self.created.push(Created { path: place.clone(), is_own: true });
        }
        self.own.push(own);
        Ok(Carried::To(place))
    }

    /// What others did, as it reads after the own write whose place before each of theirs is in `stages`.
    ///
    /// `done_by` is the one that removed what the own write removes: from there on both sides have it behind them.
    fn carry_others(&mut self, stages: Vec<(usize, Pointer)>, kind: Kind, done_by: Option<usize>) {
        let mut stages = stages.into_iter().peekable();
        let mut own = Touch { path: Pointer::root(), kind };
        let mut index = 0;
        self.over.retain_mut(|other| {
            while let Some((_, place)) = stages.next_if(|(from, _)| *from <= index) {
                own.path = place;
            }
            let at = index;
            index += 1;
            match done_by {
                Some(done_by) if at > done_by => return true,
                Some(done_by) if at == done_by => return other.touch.path != own.path,
                _ => {}
            }
            own.leaves(&mut other.touch)
        });
    }

    /// Creates the objects from `removed` down to the one that holds `place`.
    fn create_parents(&mut self, removed: &Pointer, place: &Pointer, path: &Pointer) -> Result<(), Gone> {
        let depth = removed.tokens().len();
        // A step of digits may have been an index: an array cannot come back with one element of many.
        if place.tokens()[depth..].iter().any(|step| step == "-" || array_index(step).is_some()) {
            return Err(Gone(path.clone()));
        }
        for depth in depth..place.tokens().len() {
            let parent = Pointer::from_tokens(place.tokens()[..depth].iter().cloned());
            match self.created.iter().rev().find(|created| created.path == parent) {
                Some(created) if created.is_own => break,
                Some(_) => {}
                None => {
                    self.done.ops.push(Operation::Add { path: parent.clone(), value: Value::Object(Map::new()) });
                    self.created.push(Created { path: parent, is_own: false });
                }
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
    MoveAway,
}

#[cfg(test)]
mod tests;
