//! A state, or a change of it, that is larger than one event may be: clients die of more than 10 MiB (AG-UI, section 2.1).
//! It is told in several, each of which applies: containers first, then what is in them. A single string can not be divided.

use serde_json::Value;

use crate::state::patch::Operation;
use crate::state::pointer::Pointer;
use crate::state::value::size;

/// Bytes of JSON that an event of the state may take.
pub const MOST: usize = 8 << 20;

/// What an operation takes beside path and value, or a member beside its value.
const FRAME: usize = 40;

/// A snapshot of at most about `most` bytes, and what makes the whole of it, as lists of operations no larger.
pub fn of_snapshot(body: &Value, most: usize) -> (Value, Vec<Vec<Operation>>) {
    let mut later = Vec::new();
    let mut room = most;
    let begun = beginning(body, &Pointer::root(), &mut room, &mut later);
    later.reverse();
    (begun, divided(later, most))
}

/// The same operations, as lists of at most about `most` bytes.
pub fn of_delta(ops: &[Operation], most: usize) -> Vec<Vec<Operation>> {
    divided(ops.iter().rev().cloned().collect(), most)
}

/// `left` has the next operation last: what an operation leaves out comes before those after it, whose indexes count on it.
fn divided(mut left: Vec<Operation>, most: usize) -> Vec<Vec<Operation>> {
    let mut lists = Vec::new();
    let (mut list, mut room) = (Vec::new(), most);
    while let Some(mut op) = left.pop() {
        let takes = cost(&op);
        if takes > room && (!is_divisible(&op) || room < most / 2) && !list.is_empty() {
            lists.push(std::mem::take(&mut list));
            room = most;
        }
        let mut later = Vec::new();
        match &mut op {
            Operation::Add { path, value } | Operation::Replace { path, value } if takes > room => {
                room = room.saturating_sub(head(path));
                *value = beginning(value, path, &mut room, &mut later);
            }
            _ => room = room.saturating_sub(takes),
        }
        list.push(op);
        left.extend(later.into_iter().rev());
    }
    lists.push(list);
    lists
}

/// As much of a value as there is room for; what is added to it afterwards goes into `later`, in order.
fn beginning(value: &Value, path: &Pointer, room: &mut usize, later: &mut Vec<Operation>) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter_map(|(name, value)| {
                fitting(value, || path.join(name), name.len(), room, later).map(|value| (name.clone(), value))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => {
            let mut kept = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let at = || path.join(index.to_string());
                if kept.len() < index {
                    later.push(Operation::Add { path: at(), value: item.clone() });
                } else {
                    kept.extend(fitting(item, at, 0, room, later));
                }
            }
            Value::Array(kept)
        }
        whole => {
            *room = room.saturating_sub(size(whole));
            whole.clone()
        }
    }
}

/// The value if there is room for it; else it is for later, whole.
fn fitting(
    value: &Value,
    at: impl FnOnce() -> Pointer,
    name: usize,
    room: &mut usize,
    later: &mut Vec<Operation>,
) -> Option<Value> {
    match room.checked_sub(size(value) + name + FRAME) {
        Some(left) => {
            *room = left;
            Some(value.clone())
        }
        None => {
            later.push(Operation::Add { path: at(), value: value.clone() });
            None
        }
    }
}

fn is_divisible(op: &Operation) -> bool {
    matches!(op.value(), Some(Value::Object(_) | Value::Array(_)))
}

fn cost(op: &Operation) -> usize {
    head(op.path()) + op.value().map_or(0, size)
}

/// What an operation takes beside its value.
fn head(path: &Pointer) -> usize {
    FRAME + path.tokens().iter().map(|token| token.len() + 1).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::state::patch::replay;

    fn check(body: &Value, most: usize) {
        let (mut told, lists) = of_snapshot(body, most);
        assert!(size(&told) <= most + FRAME, "{told}");
        for list in lists.iter().filter(|list| !list.is_empty()) {
            let bytes: usize = list.iter().map(cost).sum();
            assert!(bytes <= most + FRAME || list.len() == 1 && !is_divisible(&list[0]), "{bytes}: {list:?}");
            replay(&mut told, list).expect("it applies");
        }
        assert_eq!(told, *body);
    }

    #[test]
    fn a_state_is_whole_after_its_pieces() {
        let row = |n: usize| json!({"n": n, "text": "x".repeat(n % 50)});
        let rows: Vec<_> = (0..100).map(row).collect();
        let long =
            json!({"a~/b": rows, "list": [[1, 2, "y".repeat(300)], [], {"deep": {"er": vec!["z"; 400]}}], "n": null});
        for most in [100, 250, 1000, 5000, 100_000] {
            check(&long, most);
            check(&json!([long, long, 1]), most);
        }
        check(&json!("s".repeat(500)), 1000);
    }

    #[test]
    fn a_change_is_the_same_in_pieces_also_where_indexes_move() {
        let before = json!({"list": [1, 2, 3], "text": "t"});
        let big = json!((0..200).collect::<Vec<_>>());
        let path = |text: &str| Pointer::parse(text).expect("a pointer");
        let ops = vec![
            Operation::Add { path: path("/list/1"), value: big.clone() },
            Operation::Remove { path: path("/list/0") },
            Operation::Replace { path: path("/list/0"), value: json!({"big": big, "s": "u".repeat(300)}) },
            Operation::Add { path: path("/list/0/big/0"), value: json!("first") },
        ];
        let mut whole = before.clone();
        replay(&mut whole, &ops).expect("it applies");
        for most in [120, 400, 10_000] {
            let mut told = before.clone();
            for list in of_delta(&ops, most) {
                replay(&mut told, &list).expect("it applies");
            }
            assert_eq!(told, whole, "{most}");
        }
    }
}
