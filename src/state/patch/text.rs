//! Patches as JSON text. Every commit is written so, and serde looks at each name and mark on its own.

use super::Operation;
use crate::json_text;

/// Appends a patch as JSON text, as serde writes it.
pub(crate) fn write_json(out: &mut Vec<u8>, ops: &[Operation]) {
    out.push(b'[');
    for (index, op) in ops.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_operation(out, op);
    }
    out.push(b']');
}

fn write_operation(out: &mut Vec<u8>, op: &Operation) {
    let (head, from) = match op {
        Operation::Add { .. } => (&br#"{"op":"add""#[..], None),
        Operation::Remove { .. } => (&br#"{"op":"remove""#[..], None),
        Operation::Replace { .. } => (&br#"{"op":"replace""#[..], None),
        Operation::Move { from, .. } => (&br#"{"op":"move""#[..], Some(from)),
        Operation::Copy { from, .. } => (&br#"{"op":"copy""#[..], Some(from)),
        Operation::Test { .. } => (&br#"{"op":"test""#[..], None),
    };
    out.extend_from_slice(head);
    if let Some(from) = from {
        out.extend_from_slice(br#","from":"#);
        from.write_json(out);
    }
    out.extend_from_slice(br#","path":"#);
    op.path().write_json(out);
    if let Some(value) = op.value() {
        out.extend_from_slice(br#","value":"#);
        json_text::write(out, value);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_is_written_as_serde_writes_it() {
        let ops = json!([
            {"op": "add", "path": "/a b/é~1~0/\"\\/\u{1}", "value": {"x": [1, null, "\n"]}},
            {"op": "remove", "path": ""},
            {"op": "replace", "path": "/plain/0", "value": null},
            {"op": "move", "from": "/from", "path": "/to/-"},
            {"op": "copy", "from": "/~0", "path": "/"},
            {"op": "test", "path": "/t", "value": 1.5},
        ]);
        let ops: Vec<Operation> = serde_json::from_value(ops).expect("a patch");
        for ops in [&ops[..], &ops[..1], &[]] {
            let mut text = Vec::new();
            write_json(&mut text, ops);
            assert_eq!(String::from_utf8_lossy(&text), serde_json::to_string(ops).expect("a patch is JSON"));
        }
    }
}
