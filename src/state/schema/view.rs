//! What one reader may see and write: values, operations, commits and blame without the places hidden from them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{PlaceId, Schema};
use crate::state::diff::{matches, matches_by};
use crate::state::document::{Commit, Conflict};
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;
use crate::state::value::same;

/// Who looks: the names that `x-access` lists may hold of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reader<'r> {
    /// `user:<id>`, `agent:<id>`, `service:<id>`, and `role:<name>` for each role. `any` goes without saying.
    pub names: &'r [&'r str],
    /// Whether `x-secret` places are shown (`?secrets=true` with the right `admin`).
    pub secrets: bool,
}

/// A schema as one reader meets it. Readers with equal views see the same and can share what is encoded for one of them.
///
/// Nothing said means everybody. To read a place, every `x-access` at or above it that speaks of reading must allow it: what
/// is below a hidden place is hidden. To write, the nearest that speaks of writing decides. A place below an `x-secret`
/// one is secret too. Where several subschemas speak of a place (`allOf`, `anyOf` …), all must allow.
#[derive(Clone)]
pub struct View {
    schema: Schema,
    says: Vec<Says>,
    shows_secrets: bool,
}

/// What one subschema says to this reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Says {
    read: Option<bool>,
    write: Option<bool>,
    is_secret: bool,
    /// Whether this place or one below it is hidden from the reader.
    hides: bool,
    /// Whether this place or one below it may not be written by the reader.
    bars: bool,
}

/// A place on the way down, and what the reader may do there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sight {
    places: Vec<PlaceId>,
    allows_read: bool,
    allows_write: bool,
    is_secret: bool,
}

impl Schema {
    /// The schema as `reader` meets it.
    pub fn view(&self, reader: &Reader<'_>) -> View {
        let allows = |names: &Option<Vec<String>>| {
            let names = names.as_ref()?;
            Some(names.iter().any(|name| name == "any" || reader.names.contains(&name.as_str())))
        };
        let own = self.0.places.iter().map(|place| {
            let (read, write) = (allows(&place.says.read), allows(&place.says.write));
            let is_secret = place.says.is_secret && !reader.secrets;
            Says { read, write, is_secret, hides: is_secret || read == Some(false), bars: write == Some(false) }
        });
        let mut says: Vec<Says> = own.collect();
        self.spread(&mut says);
        View { schema: self.clone(), says, shows_secrets: reader.secrets }
    }

    /// The schema as the runtime itself meets it: nothing is hidden, nothing barred.
    pub fn unrestricted(&self) -> View {
        let open = Says { read: None, write: None, is_secret: false, hides: false, bars: false };
        View { schema: self.clone(), says: vec![open; self.0.places.len()], shows_secrets: true }
    }

    fn spread(&self, says: &mut [Says]) {
        loop {
            let mut grew = false;
            for (id, place) in self.0.places.iter().enumerate() {
                let below = place.members.values().chain(place.patterns.iter().map(|(_, id)| id));
                let below = below.chain(&place.other_members).chain(&place.elements).chain(&place.and).chain(&place.or);
                let (hides, bars) = below.fold((says[id].hides, says[id].bars), |(hides, bars), &below| {
                    (hides || says[below].hides, bars || says[below].bars)
                });
                grew |= (hides, bars) != (says[id].hides, says[id].bars);
                (says[id].hides, says[id].bars) = (hides, bars);
            }
            if !grew {
                return;
            }
        }
    }
}

impl View {
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Whether nothing is hidden: what is encoded for everybody will do.
    pub fn sees_all(&self) -> bool {
        !self.says[0].hides
    }

    /// Whether there are places that this reader, as a writer, may not write.
    pub fn bars_any(&self) -> bool {
        self.says[0].bars
    }

    /// Whether the reader may see what is at `path`, if anything is.
    pub fn may_read(&self, path: &Pointer) -> bool {
        self.sight(path).may_read()
    }

    pub fn may_write(&self, path: &Pointer) -> bool {
        self.sight(path).allows_write
    }

    /// A document as the reader sees it; `None` if all of it is hidden.
    pub fn value<'v>(&self, value: &'v Value) -> Option<Cow<'v, Value>> {
        self.value_at(&Pointer::root(), value)
    }

    /// What stands at `path` as the reader sees it.
    pub fn value_at<'v>(&self, path: &Pointer, value: &'v Value) -> Option<Cow<'v, Value>> {
        let sight = self.sight(path);
        sight.may_read().then(|| self.shown(&sight, value))
    }

    /// A delta as the reader may be told it. It leads from what they saw to what they see; none may be left of it.
    pub fn ops<'o>(&self, ops: &'o [Operation]) -> Cow<'o, [Operation]> {
        if self.sees_all() {
            return Cow::Borrowed(ops);
        }
        Cow::Owned(ops.iter().filter_map(|op| self.op(op)).collect())
    }

    fn op(&self, op: &Operation) -> Option<Operation> {
        let sight = self.sight(op.path());
        if !sight.may_read() {
            return None;
        }
        let mut op = op.clone();
        match &mut op {
            Operation::Add { value, .. } | Operation::Replace { value, .. } | Operation::Test { value, .. } => {
                if let Cow::Owned(shown) = self.shown(&sight, value) {
                    *value = shown;
                }
            }
            Operation::Move { from, .. } | Operation::Copy { from, .. } => {
                if !self.may_read(from) {
                    return None;
                }
            }
            Operation::Remove { .. } => {}
        }
        Some(op)
    }

    /// A commit as the reader may be told it.
    pub fn commit<'c>(&self, commit: &'c Commit) -> Cow<'c, Commit> {
        if self.sees_all() {
            return Cow::Borrowed(commit);
        }
        let mut shown = commit.clone();
        shown.ops = self.ops(&commit.ops).into_owned();
        shown.inverse = self.ops(&commit.inverse).into_owned();
        shown.conflicts = self.conflicts(&commit.conflicts).into_owned();
        Cow::Owned(shown)
    }

    pub fn conflicts<'c>(&self, conflicts: &'c [Conflict]) -> Cow<'c, [Conflict]> {
        if self.sees_all() {
            return Cow::Borrowed(conflicts);
        }
        let shown = conflicts.iter().filter_map(|conflict| {
            let lost = self.value_at(&conflict.path, &conflict.lost)?.into_owned();
            Some(Conflict { lost, ..conflict.clone() })
        });
        Cow::Owned(shown.collect())
    }

    /// Entries by place, without those of hidden places: for blame.
    pub fn entries<T>(&self, mut entries: BTreeMap<Pointer, T>) -> BTreeMap<Pointer, T> {
        if !self.sees_all() {
            entries.retain(|path, _| self.may_read(path));
        }
        entries
    }

    /// `new` with what is hidden from its writer in `old`, where `new` says nothing of it: who cannot see a place does not
    /// delete it. Elements of lists are recognised by key, else by what the writer could see of them.
    pub(crate) fn keeping(&self, path: &Pointer, old: &Value, new: Value) -> Value {
        self.kept(&self.sight(path), old, new)
    }

    fn kept(&self, sight: &Sight, old: &Value, new: Value) -> Value {
        if !self.hides(sight) || !sight.may_read() {
            return new;
        }
        match (old, new) {
            (Value::Object(old), Value::Object(mut new)) => {
                for (name, old) in old {
                    let sight = self.member(sight, name);
                    if !new.contains_key(name) {
                        if !sight.may_read() {
                            new.insert(name.clone(), old.clone());
                        }
                    } else if let Some(own) = new.get_mut(name) {
                        *own = self.kept(&sight, old, own.take());
                    }
                }
                Value::Object(new)
            }
            (Value::Array(old), Value::Array(mut new)) => {
                let key = self.schema.key_of(&sight.places);
                let sight = self.element(sight);
                if !sight.may_read() {
                    return Value::Array(if new.is_empty() { old.clone() } else { new });
                }
                if self.hides(&sight) {
                    let shown: Vec<Value> = old.iter().map(|old| self.shown(&sight, old).into_owned()).collect();
                    let same = key.map_or_else(|| matches(&shown, &new), |key| matches_by(key, &shown, &new));
                    for (i, j) in same {
                        new[j] = self.kept(&sight, &old[i], new[j].take());
                    }
                }
                Value::Array(new)
            }
            (_, new) => new,
        }
    }

    /// The first place at or below `path` that the writer may not write and where `old` and `new` differ.
    pub(crate) fn barred(&self, path: &Pointer, old: Option<&Value>, new: Option<&Value>) -> Option<Pointer> {
        self.barred_below(&self.sight(path), path, old, new)
    }

    fn barred_below(&self, sight: &Sight, at: &Pointer, old: Option<&Value>, new: Option<&Value>) -> Option<Pointer> {
        let is_same = || match (old, new) {
            (Some(old), Some(new)) => same(old, new),
            (None, None) => true,
            _ => false,
        };
        if !sight.allows_write && !is_same() {
            return Some(at.clone());
        }
        if !sight.places.iter().any(|&id| self.says[id].bars) {
            return None;
        }
        let (old_members, new_members) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
        let added = |name: &&String| !old_members.is_some_and(|old| old.contains_key(*name));
        let names = old_members.into_iter().flat_map(Map::keys);
        let mut names = names.chain(new_members.into_iter().flat_map(Map::keys).filter(added));
        let in_member = names.find_map(|name| {
            let (old, new) = (old_members.and_then(|old| old.get(name)), new_members.and_then(|new| new.get(name)));
            self.barred_below(&self.member(sight, name), &at.join(name), old, new)
        });
        in_member.or_else(|| {
            let (old, new) = (elements_of(old), elements_of(new));
            let sight = self.element(sight);
            let pairs = matches(old, new);
            let step = |index: usize| at.join(index.to_string());
            let changed =
                pairs.iter().find_map(|&(i, j)| self.barred_below(&sight, &step(j), Some(&old[i]), Some(&new[j])));
            changed
                .or_else(|| {
                    let gone = (0..old.len()).filter(|i| !pairs.iter().any(|pair| pair.0 == *i));
                    gone.into_iter().find_map(|i| self.barred_below(&sight, &step(i), Some(&old[i]), None))
                })
                .or_else(|| {
                    let added = (0..new.len()).filter(|j| !pairs.iter().any(|pair| pair.1 == *j));
                    added.into_iter().find_map(|j| self.barred_below(&sight, &step(j), None, Some(&new[j])))
                })
        })
    }

    pub(crate) fn sight(&self, path: &Pointer) -> Sight {
        let root = Sight { places: Vec::new(), allows_read: true, allows_write: true, is_secret: false };
        let root = self.enter(&root, self.schema.root());
        path.tokens().iter().fold(root, |sight, token| self.member(&sight, token))
    }

    /// Whether something at or below is hidden.
    pub(crate) fn hides(&self, sight: &Sight) -> bool {
        sight.places.iter().any(|&id| self.says[id].hides)
    }

    /// Whether something at or below may not be written.
    pub(crate) fn bars(&self, sight: &Sight) -> bool {
        sight.places.iter().any(|&id| self.says[id].bars)
    }

    pub(crate) fn shown<'v>(&self, sight: &Sight, value: &'v Value) -> Cow<'v, Value> {
        if !self.hides(sight) {
            return Cow::Borrowed(value);
        }
        match value {
            Value::Object(members) => {
                let shown = members.iter().filter_map(|(name, value)| {
                    let sight = self.member(sight, name);
                    sight.may_read().then(|| (name.clone(), self.shown(&sight, value).into_owned()))
                });
                Cow::Owned(Value::Object(shown.collect::<Map<_, _>>()))
            }
            Value::Array(elements) => {
                let sight = self.element(sight);
                if !sight.may_read() {
                    return Cow::Owned(Value::Array(Vec::new()));
                }
                let shown = elements.iter().map(|value| self.shown(&sight, value).into_owned());
                Cow::Owned(Value::Array(shown.collect()))
            }
            _ => Cow::Borrowed(value),
        }
    }

    fn member(&self, sight: &Sight, name: &str) -> Sight {
        self.enter(sight, self.schema.step(&sight.places, name, true))
    }

    fn element(&self, sight: &Sight) -> Sight {
        self.member(sight, "-")
    }

    fn enter(&self, above: &Sight, places: Vec<PlaceId>) -> Sight {
        let all = |verb: fn(&Says) -> Option<bool>, inherited: bool| {
            places.iter().filter_map(|&id| verb(&self.says[id])).reduce(|all, one| all && one).unwrap_or(inherited)
        };
        Sight {
            allows_read: above.allows_read && all(|says| says.read, true),
            allows_write: all(|says| says.write, above.allows_write),
            is_secret: above.is_secret || places.iter().any(|&id| self.says[id].is_secret),
            places,
        }
    }
}

fn elements_of(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl Sight {
    pub(crate) fn may_read(&self) -> bool {
        self.allows_read && !self.is_secret
    }

    /// Whether the same subschemas speak of both places, and the reader may do the same there.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self == other
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("sees_all", &self.sees_all()).field("shows_secrets", &self.shows_secrets).finish()
    }
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        self.schema == other.schema && self.says == other.says
    }
}
