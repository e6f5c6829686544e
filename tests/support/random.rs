//! Seeded randomness for generated cases: the same seed gives the same case.

use serde_json::{Map, Value, json};

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }

    pub(crate) fn pick<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        &values[self.below(values.len())]
    }

    /// Any JSON value, with names and texts that trip careless code.
    pub(crate) fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 6 } else { 10 }) {
            0 => json!(null),
            1 => json!(self.below(2) == 0),
            2 => json!(self.below(5)),
            3 => json!(self.below(100) as f64 / 8.0 - 3.0),
            4 => json!(*self.pick(&["", "x", "é😀", "line\nbreak", "\u{2028}", "-0"])),
            5 => json!(-(self.below(9) as i64)),
            6 | 7 => self.object(depth - 1),
            8 => (0..self.below(4)).map(|n| json!({"id": format!("k{n}"), "n": self.below(3)})).collect(),
            _ => (0..self.below(5)).map(|_| self.value(depth - 1)).collect(),
        }
    }

    pub(crate) fn object(&mut self, depth: usize) -> Value {
        let mut members = Map::new();
        for _ in 0..self.below(6) {
            members.insert(self.name().to_owned(), self.value(depth));
        }
        Value::Object(members)
    }

    pub(crate) fn name(&mut self) -> &'static str {
        const NAMES: [&str; 15] =
            ["a", "b", "c", "0", "1", "-", "", "a/b", "m~n", "~1", "id", "toString", "constructor", "length", "é"];
        NAMES[self.below(NAMES.len())]
    }

    /// A pointer to some place of `value`, or just beside one.
    pub(crate) fn pointer(&mut self, value: &Value) -> String {
        let mut path = String::new();
        let mut here = value;
        loop {
            let step = match here {
                Value::Object(members) if !members.is_empty() && self.below(4) > 0 => {
                    members.keys().nth(self.below(members.len())).expect("below the count").clone()
                }
                Value::Object(_) => self.name().to_owned(),
                Value::Array(_) if self.below(5) == 0 => "-".to_owned(),
                Value::Array(elements) => self.below(elements.len() + 1).to_string(),
                _ => return path,
            };
            path = format!("{path}/{}", step.replace('~', "~0").replace('/', "~1"));
            match value.pointer(&path) {
                Some(below) if self.below(3) > 0 => here = below,
                _ => return path,
            }
        }
    }
}
