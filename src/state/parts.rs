//! Parts of a value: taken out at some paths, set or removed at one.

use serde_json::{Map, Value};

use crate::state::pointer::Pointer;

/// The parts of `whole` at these paths, each in its place; a path that leads nowhere adds nothing.
pub fn only(whole: &Value, paths: &[Pointer]) -> Value {
    let mut part = Value::Object(Map::new());
    for path in paths {
        if let Some(value) = path.get(whole) {
            put(&mut part, path, Some(value.clone()));
        }
    }
    part
}

/// Sets or removes the member at `at`; missing parents are made, parents that are no objects win.
pub fn put(document: &mut Value, at: &Pointer, value: Option<Value>) {
    let Some((last, parents)) = at.tokens().split_last() else {
        if let Some(value) = value {
            *document = value;
        }
        return;
    };
    let mut here = document;
    for parent in parents {
        let Value::Object(members) = here else { return };
        if value.is_none() && !members.contains_key(parent) {
            return;
        }
        here = members.entry(parent.as_str()).or_insert_with(|| Value::Object(Map::new()));
    }
    if let Value::Object(members) = here {
        match value {
            Some(value) => members.insert(last.clone(), value),
            None => members.remove(last),
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_named_is_taken() {
        let whole = json!({"a": {"b": 1, "c": 2}, "d": [1], "e": null});
        let check = |paths: &[&str], expected: Value| {
            let paths: Vec<_> = paths.iter().map(|path| Pointer::parse(path).expect("a pointer")).collect();
            assert_eq!(only(&whole, &paths), expected, "{paths:?}");
        };
        check(&["/a/b", "/e", "/gone"], json!({"a": {"b": 1}, "e": null}));
        check(&["/a", "/a/b"], json!({"a": {"b": 1, "c": 2}}));
        check(&["", "/a"], whole.clone());
        check(&[], json!({}));
    }
}
