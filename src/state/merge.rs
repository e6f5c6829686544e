//! Three-way merges of whole states by evidence: what a post says differently from everything its author may have seen
//! is an edit, anything else is not.

mod list;
mod past;
pub(crate) mod rules;

use serde_json::{Map, Value};

use crate::state::diff::{self, KEY_MEMBERS};
use crate::state::later::Later;
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;
use crate::state::schema::{Rule, Schema};
use crate::state::value::same;
use past::Node;

/// What is known of the version L that the author of a post saw at least.
#[derive(Debug, Clone, Copy)]
pub enum Past<'a> {
    /// Nothing: the post may only fill in members that are absent.
    Unknown,
    /// The commits in (L, head], oldest first.
    Since(&'a [Later<'a>]),
    /// The commits in (L, head], oldest first, where L is the version the author saw: nothing between counts as seen.
    Exact(&'a [Later<'a>]),
}

/// What a post changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edits {
    /// In safe form, to be applied to the head.
    pub ops: Vec<Operation>,
    /// Places at the head that the post edits though they changed in (L, head]: the post, being later, wins there. Places
    /// of elements that are gone name the array.
    pub conflicts: Vec<Pointer>,
}

/// The edits that a posted whole state holds.
///
/// - A posted value that equals any value its place held in [L, head] is not an edit.
/// - A member or element absent from the post is a deletion only if it was there in every version of [L, head].
/// - Elements of arrays are recognised by key, else by the version of [L, head] that needs the fewest edits to become the
///   posted one; what others inserted survives, and what others deleted stays deleted.
/// - A root that is not an object counts as one value.
///
/// Nothing of the head is copied. An inverse that does not apply counts as no evidence.
///
/// `schema` says where places have merge rules: a value that is an edit there is brought together with the head's.
pub fn posted_edits(head: &Value, posted: &Value, past: Past<'_>, schema: Option<&Schema>) -> Edits {
    let is_exact = matches!(past, Past::Exact(_));
    if same(head, posted) && !is_exact {
        return Edits::default();
    }
    let versions = match past {
        Past::Unknown => None,
        Past::Since(since) => past::versions(head, since),
        Past::Exact(since) => past::versions(head, since).map(|mut versions| versions.pop().into_iter().collect()),
    };
    match versions {
        Some(versions) => merge_root(head, versions, posted, Merge::new(schema, is_exact)),
        None => {
            let mut edits = Edits::default();
            fill_in(head, posted, &Pointer::root(), &mut edits.ops);
            edits
        }
    }
}

/// The edits that lead to `theirs` from the version before `since`, which the author saw, made on the head.
///
/// `None` if an inverse does not apply.
pub fn three_way(head: &Value, theirs: &Value, since: &[Later<'_>], schema: Option<&Schema>) -> Option<Edits> {
    let base = past::versions(head, since)?.pop();
    Some(merge_root(head, base.into_iter().collect(), theirs, Merge::new(schema, true)))
}

/// What takes a change back, and the places of it that stay.
pub(crate) struct Kept {
    /// In safe form, to be applied to the head.
    pub(crate) edits: Vec<Operation>,
    pub(crate) kept: Vec<Pointer>,
}

/// Takes the change from `before` to `after` back on a `head` that went on from `after`, but for what was written since.
pub(crate) fn take_back(after: &Value, head: &Value, before: &Value, schema: Option<&Schema>) -> Kept {
    let merge = Merge { yields: true, ..Merge::new(schema, true) };
    let Edits { ops, conflicts } = merge_root(head, vec![Node::Value(head).become_older(after)], before, merge);
    Kept { edits: ops, kept: conflicts }
}

fn merge_root(head: &Value, versions: Vec<Node<'_>>, posted: &Value, mut merge: Merge<'_>) -> Edits {
    let history = History::new(Some(head), versions.into_iter().map(Some));
    if head.is_object() && posted.is_object() {
        merge.place(&history, posted, &Pointer::root(), Slot::Member);
    } else if !history.held(posted) {
        merge.set(&history, posted, &Pointer::root(), Slot::Member);
    }
    merge.edits
}

fn fill_in(head: &Value, posted: &Value, at: &Pointer, ops: &mut Vec<Operation>) {
    let (Value::Object(head), Value::Object(posted)) = (head, posted) else { return };
    for (key, posted) in posted {
        match head.get(key) {
            Some(head) => fill_in(head, posted, &at.join(key), ops),
            None => ops.push(Operation::Add { path: at.join(key), value: posted.clone() }),
        }
    }
}

/// What one place held in [L, head]; `None` where there was nothing.
struct History<'a> {
    head: Option<&'a Value>,
    /// Before the head, newest first; empty when nobody touched the place.
    older: Vec<Option<Node<'a>>>,
}

impl<'a> History<'a> {
    fn new(head: Option<&'a Value>, older: impl IntoIterator<Item = Option<Node<'a>>>) -> Self {
        let mut last = head.map(Node::Value);
        let mut kept = Vec::new();
        for node in older {
            let repeats = match (&last, &node) {
                (Some(last), Some(node)) => last.is(node),
                (None, None) => true,
                _ => false,
            };
            if !repeats {
                last.clone_from(&node);
                kept.push(node);
            }
        }
        Self { head, older: kept }
    }

    fn is_touched(&self) -> bool {
        !self.older.is_empty()
    }

    fn is_in_every_version(&self) -> bool {
        self.head.is_some() && self.older.iter().all(Option::is_some)
    }

    fn held(&self, value: &Value) -> bool {
        self.head.is_some_and(|head| same(head, value)) || self.older.iter().flatten().any(|node| node.same(value))
    }

    fn any(&self, is: impl Fn(&Node<'a>) -> bool) -> bool {
        self.head.is_some_and(|head| is(&Node::Value(head))) || self.older.iter().flatten().any(is)
    }

    fn member(&self, key: &str) -> Self {
        let head = self.head.and_then(|head| head.as_object()?.get(key));
        Self::new(head, self.older.iter().map(|node| node.as_ref()?.get(key)))
    }
}

/// How a place is written: members by `add`, elements by `replace`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Member,
    Element,
}

#[derive(Default)]
struct Merge<'s> {
    edits: Edits,
    /// A schema that has merge rules.
    schema: Option<&'s Schema>,
    /// Whether the oldest version is the one the author saw.
    is_exact: bool,
    /// Whether what others wrote stays: places that both wrote are listed as conflicts and left alone.
    yields: bool,
}

impl<'s> Merge<'s> {
    fn new(schema: Option<&'s Schema>, is_exact: bool) -> Self {
        let schema = schema.filter(|schema| schema.has_rules() || schema.has_cas());
        Self { edits: Edits::default(), schema, is_exact, yields: false }
    }

    fn place(&mut self, history: &History<'_>, posted: &Value, at: &Pointer, slot: Slot) {
        if history.is_touched() && self.by_rule(history, posted, at, slot) {
            return;
        }
        match (history.head, posted) {
            (Some(head), _) if !history.is_touched() => {
                self.edits.ops.extend(diff::fine(head, posted, at, slot == Slot::Element));
            }
            (None, _) if !history.is_touched() => self.set(history, posted, at, slot),
            (_, Value::Object(posted)) if history.any(Node::is_object) => self.members(history, posted, at, slot),
            _ if history.held(posted) => {}
            (Some(Value::Array(head)), Value::Array(posted)) => list::merge(self, head, history, posted, at),
            _ => self.set(history, posted, at, slot),
        }
    }

    fn members(&mut self, history: &History<'_>, posted: &Map<String, Value>, at: &Pointer, slot: Slot) {
        let start = self.edits.ops.len();
        if let Some(Value::Object(head)) = history.head {
            for key in head.keys().filter(|key| !posted.contains_key(*key)) {
                let member = history.member(key);
                if member.is_in_every_version() {
                    if !self.leaves(&member) {
                        self.edits.ops.push(Operation::Remove { path: at.join(key) });
                    }
                    self.note_conflict(&member, &at.join(key));
                }
            }
        }
        for (key, posted) in posted {
            let head = history.head.and_then(|head| head.as_object()?.get(key));
            let may_differ = self.schema.is_some() && self.is_exact;
            if may_differ || !head.is_some_and(|head| same(head, posted)) {
                self.place(&history.member(key), posted, &at.join(key), Slot::Member);
            }
        }
        // Somebody took the object away, and the post edits something in it: it comes back with that and no more.
        if !matches!(history.head, Some(Value::Object(_))) && self.edits.ops.len() > start {
            if self.yields {
                self.edits.ops.truncate(start);
                self.edits.conflicts.push(at.clone());
                return;
            }
            self.edits.ops.insert(start, write(at, Value::Object(Map::new()), slot));
            self.edits.conflicts.push(at.clone());
        }
    }

    /// Whether the place has a merge rule that says what the post comes to.
    fn by_rule(&mut self, history: &History<'_>, posted: &Value, at: &Pointer, slot: Slot) -> bool {
        let Some(rule) = self.schema.and_then(|schema| schema.rule_at(at)) else { return false };
        let base = history.older.last().and_then(Option::as_ref);
        let is_edit = if self.is_exact { !base.is_some_and(|base| base.same(posted)) } else { !history.held(posted) };
        if *rule == Rule::Cas && is_edit {
            // That both wrote the same does not make it one claim.
            self.edits.conflicts.push(at.clone());
        }
        // Lists by the usual keys are merged with what is known of their elements' ways.
        let is_usual = matches!(rule, Rule::List(key) if KEY_MEMBERS.contains(&key.as_str()));
        let Some(head) = history.head.filter(|_| is_edit && !is_usual) else { return false };
        let base = base.map(Node::to_value);
        let Some(settled) = rules::settle(rule, base.as_ref(), Some(head), posted) else { return false };
        self.edits.ops.extend(diff::fine(head, &settled.value, at, slot == Slot::Element));
        let below = |path: Pointer| Pointer::from_tokens(at.tokens().iter().chain(path.tokens()).cloned());
        self.edits.conflicts.extend(settled.conflicts.into_iter().map(below));
        true
    }

    fn set(&mut self, history: &History<'_>, posted: &Value, at: &Pointer, slot: Slot) {
        if !self.leaves(history) {
            self.edits.ops.push(write(at, posted.clone(), slot));
        }
        self.note_conflict(history, at);
    }

    fn leaves(&self, history: &History<'_>) -> bool {
        self.yields && history.is_touched()
    }

    fn note_conflict(&mut self, history: &History<'_>, at: &Pointer) {
        if history.is_touched() {
            self.edits.conflicts.push(at.clone());
        }
    }
}

fn write(at: &Pointer, value: Value, slot: Slot) -> Operation {
    let path = at.clone();
    match slot {
        Slot::Member => Operation::Add { path, value },
        Slot::Element => Operation::Replace { path, value },
    }
}

#[cfg(test)]
mod tests;
