//! Whether a change comes to nothing: one that writes a place and then writes back what stood there.

use serde_json::Value;

use crate::state::patch::{self, Applied, Operation};
use crate::state::pointer::Pointer;
use crate::state::value::same;

/// Whether `body` is, after `applied`, what it was before. Where it is, it is left as it was.
///
/// Each effect alone changes something, so that only what touches a place twice, and leaves the size as it was, is
/// compared; and only at the places it touches.
pub(super) fn cancels_out(body: &mut Value, applied: &Applied) -> bool {
    let Applied { effects, inverse, growth } = applied;
    if effects.len() < 2 || *growth != 0 {
        return false;
    }
    let places = touched(effects, body);
    if places.len() == effects.len() {
        return false;
    }
    let held = |body: &Value| places.iter().map(|place| place.get(body).cloned()).collect::<Vec<_>>();
    let after = held(body);
    patch::replay(body, inverse).expect("an inverse applies to the value it was made on");
    let is_same = places.iter().zip(&after).all(|(place, after)| match (place.get(body), after) {
        (Some(before), Some(after)) => same(before, after),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    });
    if !is_same {
        patch::replay(body, effects).expect("what was done once to this value can be done again");
    }
    is_same
}

/// The places outside of which nothing was written. What is written in a list touches all of it, because it may move the
/// others.
fn touched(effects: &[Operation], after: &Value) -> Vec<Pointer> {
    let mut places: Vec<Pointer> = effects.iter().flat_map(Operation::writes).map(|path| outer(path, after)).collect();
    places.sort_unstable();
    // A place comes right before those within it.
    places.dedup_by(|place, before| place.starts_with(before));
    places
}

fn outer(path: &Pointer, after: &Value) -> Pointer {
    let list = path.parent().filter(|parent| parent.get(after).is_some_and(Value::is_array));
    list.unwrap_or_else(|| path.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::state::limits::Limits;

    #[test]
    fn only_what_leaves_everything_as_it_was_comes_to_nothing() {
        let before = json!({"a": 1, "s": "x", "l": [{"n": 1}, {"n": 2}], "o": {"p": {"q": 1}}});
        for (ops, comes_to_nothing) in [
            (json!([{"op": "replace", "path": "/a", "value": 2}, {"op": "replace", "path": "/a", "value": 1}]), true),
            (json!([{"op": "add", "path": "/b", "value": [1]}, {"op": "remove", "path": "/b"}]), true),
            (json!([{"op": "remove", "path": "/s"}, {"op": "add", "path": "/s", "value": "x"}]), true),
            (
                json!([{"op": "move", "from": "/l/0", "path": "/l/1"}, {"op": "move", "from": "/l/0", "path": "/l/1"}]),
                true,
            ),
            (json!([{"op": "remove", "path": "/o"}, {"op": "add", "path": "/o", "value": {"p": {"q": 1}}}]), true),
            (
                json!([{"op": "replace", "path": "/o/p/q", "value": 2}, {"op": "add", "path": "/o", "value": {"p": {"q": 1}}}]),
                true,
            ),
            (json!([{"op": "move", "from": "/l/0", "path": "/l/1"}]), false),
            (json!([{"op": "replace", "path": "/a", "value": 2}, {"op": "replace", "path": "/a", "value": 3}]), false),
            (
                json!([{"op": "replace", "path": "/a", "value": 2}, {"op": "replace", "path": "/s", "value": "y"}]),
                false,
            ),
            (
                json!([{"op": "replace", "path": "/l/0/n", "value": 3}, {"op": "move", "from": "/l/0", "path": "/l/1"},
                {"op": "replace", "path": "/l/1/n", "value": 1}]),
                false,
            ),
        ] {
            let operations = patch::read(ops.clone(), &Limits::NONE).expect("a patch");
            let mut body = before.clone();
            let applied = patch::apply(&mut body, &operations, &Limits::NONE).expect("it applies");
            let after = body.clone();
            assert!(cancels_out(&mut body, &applied) == comes_to_nothing, "{ops}");
            assert!(body == if comes_to_nothing { before.clone() } else { after }, "{ops}");
        }
    }
}
