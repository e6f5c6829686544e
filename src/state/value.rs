//! Arithmetic on JSON values: when two are the same, how large one is, how deep.

use std::fmt::{self, Write};

use serde_json::{Number, Value};

/// Whether two values are equal as JSON (RFC 6902 §4.6): numbers by what they mean, so that `1` and `1.0` are the same.
/// A browser cannot tell them apart and posts back the one for the other.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => same_number(left, right),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

fn same_number(left: &Number, right: &Number) -> bool {
    left == right || (left.is_f64() || right.is_f64()) && left.as_f64() == right.as_f64()
}

/// The length in bytes of the value's compact JSON text.
pub fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => number_size(number),
        Value::String(text) => text_size(text),
        Value::Array(elements) => elements.iter().map(size).sum::<usize>() + elements.len().saturating_sub(1) + 2,
        Value::Object(members) => {
            let content: usize = members.iter().map(|(key, value)| text_size(key) + 1 + size(value)).sum();
            content + members.len().saturating_sub(1) + 2
        }
    }
}

/// The length in bytes of a string's JSON text, quotes and escapes included.
pub fn text_size(text: &str) -> usize {
    let escaped: usize = text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | 0x08 | 0x09 | 0x0a | 0x0c | 0x0d => 2,
            0x00..=0x1f => 6,
            _ => 1,
        })
        .sum();
    escaped + 2
}

fn number_size(number: &Number) -> usize {
    let digits = |whole: u64| whole.checked_ilog10().map_or(1, |log| log as usize + 1);
    match (number.as_u64(), number.as_i64()) {
        (Some(whole), _) => digits(whole),
        (None, Some(negative)) => 1 + digits(negative.unsigned_abs()),
        (None, None) => written_size(number),
    }
}

/// Of what is not whole.
fn written_size(number: &Number) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut count = Count(0);
    write!(count, "{number}").expect("counting cannot fail");
    count.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_the_same_by_meaning() {
        assert!(same(&json!(1), &json!(1.0)));
        assert!(same(&json!({"a": [0, -0.0]}), &json!({"a": [-0.0, 0]})));
        assert!(!same(&json!(1), &json!(1.5)));
        assert!(!same(&json!(9_007_199_254_740_991_i64), &json!(9_007_199_254_740_990_i64)));
        assert!(!same(&json!(1), &json!("1")));
        assert!(!same(&json!(0), &json!(null)));
        assert!(!same(&json!({"a": null}), &json!({"b": null})));
    }

    #[test]
    fn the_size_is_that_of_the_compact_text() {
        let values = [
            json!(null),
            json!([true, false, []]),
            json!({"": {}, "a\"\\\n\u{1}\u{7f}é": "😀/\t"}),
            json!([0, 1, 9, 10, 99, 100, u64::MAX, -1, -12, i64::MIN, 1.5, 1e300, -0.0, 1e21]),
        ];
        for value in values {
            assert_eq!(size(&value), value.to_string().len(), "{value}");
        }
    }
}
