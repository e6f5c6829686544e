//! Seeded random values, operations and a strict validator for the property tests of this layer.

use serde_json::{Map, Value, json};

use crate::state::limits::Limits;
use crate::state::patch::{self, Operation};
use crate::state::pointer::{Pointer, array_index};

/// xorshift64*; the same seed gives the same sequence.
pub(crate) struct Random(u64);

const KEYS: [&str; 10] = ["a", "b", "c", "0", "1", "", "a/b", "m~n", "id", "toString"];

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound.max(1)
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn scalar(&mut self) -> Value {
        match self.below(6) {
            0 => json!(null),
            1 => json!(self.one_in(2)),
            2 => json!(self.below(4) as f64 / 2.0),
            3 => json!(["x", "y", "é\n"][self.below(3)]),
            _ => json!(self.below(4)),
        }
    }

    pub(crate) fn value(&mut self, depth: usize) -> Value {
        match self.below(4) {
            0 if depth > 0 => self.object(depth - 1),
            1 if depth > 0 => self.array(depth - 1),
            _ => self.scalar(),
        }
    }

    pub(crate) fn object(&mut self, depth: usize) -> Value {
        let mut members = Map::new();
        for _ in 0..self.below(6) {
            members.insert(KEYS[self.below(KEYS.len())].to_owned(), self.value(depth));
        }
        Value::Object(members)
    }

    pub(crate) fn array(&mut self, depth: usize) -> Value {
        if self.one_in(3) {
            return self.keyed_array(depth);
        }
        (0..self.below(6)).map(|_| self.value(depth)).collect()
    }

    /// Objects with distinct `id`s.
    pub(crate) fn keyed_array(&mut self, depth: usize) -> Value {
        let mut ids: Vec<usize> = (0..8).collect();
        (0..self.below(6))
            .map(|_| {
                let id = ids.swap_remove(self.below(ids.len()));
                let mut element = self.object(depth.min(1));
                element["id"] = json!(format!("k{id}"));
                element
            })
            .collect()
    }

    /// A place in `value` or, sometimes, just beside one.
    pub(crate) fn path(&mut self, value: &Value) -> Pointer {
        let mut path = Pointer::root();
        let mut here = value;
        loop {
            let step = match here {
                Value::Object(members) if !members.is_empty() && !self.one_in(4) => {
                    members.keys().nth(self.below(members.len())).cloned()
                }
                Value::Object(_) => Some(KEYS[self.below(KEYS.len())].to_owned()),
                Value::Array(_) if self.one_in(6) => Some("-".to_owned()),
                Value::Array(elements) => Some(self.below(elements.len() + 1).to_string()),
                _ => None,
            };
            let Some(step) = step else { return path };
            path = path.join(step);
            match path.get(value) {
                Some(below) if !self.one_in(3) => here = below,
                _ => return path,
            }
        }
    }

    pub(crate) fn operation(&mut self, doc: &Value) -> Operation {
        let path = self.path(doc);
        match self.below(8) {
            0 | 1 => Operation::Remove { path },
            2 => Operation::Replace { path, value: self.value(2) },
            3 => Operation::Move { from: self.path(doc), path },
            4 => Operation::Copy { from: self.path(doc), path },
            5 if path.get(doc).is_some() => {
                let value = path.get(doc).cloned().unwrap();
                Operation::Test { path, value }
            }
            _ => Operation::Add { path, value: self.value(2) },
        }
    }

    /// `value` after a few operations that apply to it.
    pub(crate) fn edited(&mut self, value: &Value) -> Value {
        let mut edited = value.clone();
        for _ in 0..=self.below(4) {
            let op = self.operation(&edited);
            if patch::apply(&mut edited, &[op], &Limits::default()).is_err() {
                continue;
            }
        }
        edited
    }
}

/// Applies operations as fast-json-patch 3.1.1 does with validation on, and panics where it would throw.
pub(crate) fn fast_json_patch(mut doc: Value, ops: &[Operation]) -> Value {
    for op in ops {
        let path = op.path();
        assert!(!path.reaches_prototype(), "banned: {op:?}");
        let Some((last, parents)) = path.tokens().split_last() else {
            let Operation::Add { value, .. } = op else { panic!("unsafe at the root: {op:?}") };
            doc = value.clone();
            continue;
        };
        let parent = parents.iter().try_fold(&mut doc, |value, token| match value {
            Value::Object(members) => members.get_mut(token),
            Value::Array(elements) => elements.get_mut(array_index(token)?),
            _ => None,
        });
        match (parent.unwrap_or_else(|| panic!("no parent: {op:?}")), op) {
            (Value::Object(members), Operation::Add { value, .. }) => {
                members.insert(last.clone(), value.clone());
            }
            (Value::Object(members), Operation::Remove { .. }) => {
                members.remove(last).unwrap_or_else(|| panic!("missing member: {op:?}"));
            }
            (Value::Array(elements), Operation::Add { value, .. }) => {
                elements.insert(array_index(last).expect("an index"), value.clone());
            }
            (Value::Array(elements), Operation::Remove { .. }) => {
                elements.remove(array_index(last).expect("an index"));
            }
            (Value::Array(elements), Operation::Replace { value, .. }) => {
                elements[array_index(last).expect("an index")] = value.clone();
            }
            _ => panic!("not in safe form: {op:?}"),
        }
    }
    doc
}
