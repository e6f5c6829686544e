//! Applying a patch to an activity's content, all of it or nothing, as the clients do with fast-json-patch.

use serde_json::Value;

use crate::agui::patch::{PatchOp, PatchOperation};

/// The content after all operations, or `None` if one of them does not apply.
pub(crate) fn apply(content: &Value, operations: &[PatchOperation]) -> Option<Value> {
    let mut content = content.clone();
    operations.iter().try_for_each(|operation| apply_one(&mut content, operation))?;
    Some(content)
}

fn apply_one(content: &mut Value, operation: &PatchOperation) -> Option<()> {
    let path = &operation.path;
    let value = || serde_json::from_str::<Value>(operation.value.as_ref()?.get()).ok();
    match operation.op {
        PatchOp::Add => add(content, path, value()?),
        PatchOp::Replace => {
            *content.pointer_mut(path)? = value()?;
            Some(())
        }
        PatchOp::Remove => remove(content, path).map(drop),
        PatchOp::Test => (*content.pointer(path)? == value()?).then_some(()),
        PatchOp::Copy => {
            let copied = content.pointer(operation.from.as_ref()?)?.clone();
            add(content, path, copied)
        }
        PatchOp::Move => {
            let from = operation.from.as_ref()?;
            if path.strip_prefix(from.as_str()).is_some_and(|rest| rest.starts_with('/')) {
                return None;
            }
            let moved = remove(content, from)?;
            add(content, path, moved)
        }
    }
}

fn add(content: &mut Value, path: &str, value: Value) -> Option<()> {
    let Some((parent, key)) = path.rsplit_once('/') else {
        *content = value;
        return Some(());
    };
    match content.pointer_mut(parent)? {
        Value::Object(members) => {
            members.insert(unescape(key), value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let index = index(key)?;
            if index > items.len() {
                return None;
            }
            items.insert(index, value);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    }
    Some(())
}

fn remove(content: &mut Value, path: &str) -> Option<Value> {
    let Some((parent, key)) = path.rsplit_once('/') else { return Some(content.take()) };
    match content.pointer_mut(parent)? {
        Value::Object(members) => members.remove(&unescape(key)),
        Value::Array(items) => {
            let index = index(key)?;
            (index < items.len()).then(|| items.remove(index))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn unescape(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

/// An array index without sign or leading zero.
fn index(key: &str) -> Option<usize> {
    let plain = key == "0" || (!key.starts_with('0') && key.bytes().all(|byte| byte.is_ascii_digit()));
    if plain { key.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str, patch: &str, expected: Option<&str>) {
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let operations: Vec<PatchOperation> = serde_json::from_str(patch).unwrap();
        assert_eq!(apply(&value(content), &operations), expected.map(value), "{patch} on {content}");
    }

    #[test]
    fn the_six_operations_do_what_rfc_6902_says() {
        check(
            r#"{"a":[1]}"#,
            r#"[{"op":"add","path":"/a/-","value":2},{"op":"add","path":"/a/0","value":0}]"#,
            Some(r#"{"a":[0,1,2]}"#),
        );
        check(r#"{"a":1}"#, r#"[{"op":"add","path":"/b~1c","value":null}]"#, Some(r#"{"a":1,"b/c":null}"#));
        check(r#"{"a":1}"#, r#"[{"op":"replace","path":"","value":{"z":1}}]"#, Some(r#"{"z":1}"#));
        check(
            r#"{"a":1,"b":2}"#,
            r#"[{"op":"move","from":"/a","path":"/c"},{"op":"copy","from":"/c","path":"/b"}]"#,
            Some(r#"{"b":1,"c":1}"#),
        );
        check(
            r#"{"a":{"b":1}}"#,
            r#"[{"op":"test","path":"/a","value":{"b":1}},{"op":"remove","path":"/a/b"}]"#,
            Some(r#"{"a":{}}"#),
        );
    }

    #[test]
    fn what_does_not_apply_changes_nothing() {
        for patch in [
            r#"[{"op":"replace","path":"/a","value":2},{"op":"replace","path":"/x","value":2}]"#,
            r#"[{"op":"remove","path":"/x"}]"#,
            r#"[{"op":"add","path":"/l/2","value":2}]"#,
            r#"[{"op":"add","path":"/l/01","value":2}]"#,
            r#"[{"op":"test","path":"/a","value":2}]"#,
            r#"[{"op":"move","from":"/l","path":"/l/0"}]"#,
            r#"[{"op":"add","path":"/a/b","value":2}]"#,
        ] {
            check(r#"{"a":1,"l":[1]}"#, patch, None);
        }
    }
}
