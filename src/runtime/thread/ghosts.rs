//! Predictions that a client may still show: it was cut before they were taken back, and posts them as its state.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use crate::state::parts::put;
use crate::state::pointer::Pointer;

use super::super::document::{DocumentHandle, DocumentRef};

/// As many values are remembered for each place.
const REMEMBERED: usize = 2048;

/// What a run has predicted, by place.
#[derive(Debug, Default)]
pub(super) struct Ghosts(Vec<(Pointer, HashSet<u64>)>);

impl Ghosts {
    pub(super) fn remember(&mut self, values: &[(Pointer, Value)]) {
        for (path, value) in values {
            let at = self.0.iter().position(|(known, _)| known == path).unwrap_or_else(|| {
                self.0.push((path.clone(), HashSet::new()));
                self.0.len() - 1
            });
            let seen = &mut self.0[at].1;
            if seen.len() < REMEMBERED {
                seen.insert(hash(value));
            }
        }
    }

    pub(super) fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts what stands there now in place of what was only predicted: nobody edited that.
    pub(super) async fn laid(&self, posted: Value, document: &DocumentHandle) -> Value {
        let is_ghost = |(path, seen): &&(Pointer, HashSet<u64>)| {
            path.get(&posted).is_some_and(|value| seen.contains(&hash(value)))
        };
        let found: Vec<&Pointer> = self.0.iter().filter(is_ghost).map(|(path, _)| path).collect();
        if found.is_empty() {
            return posted;
        }
        // Without the document nothing can be said; the run is about to say so itself.
        let Ok(now) = document.body(None).await else { return posted };
        let mut posted = posted;
        for path in found {
            replace(&mut posted, path, &now.value);
        }
        posted
    }
}

/// As it stands in `now`; objects that were made only to hold the place go with it.
fn replace(posted: &mut Value, path: &Pointer, now: &Value) {
    put(posted, path, path.get(now).cloned());
    let mut above = path.parent();
    while let Some(parent) = above.filter(|parent| *parent != Pointer::root()) {
        let is_empty = parent.get(posted).and_then(Value::as_object).is_some_and(serde_json::Map::is_empty);
        if !is_empty || parent.get(now).is_some() {
            return;
        }
        put(posted, &parent, None);
        above = parent.parent();
    }
}

fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

/// What the last run of a thread predicted, and on which document.
pub(super) type LastGhosts = Option<(DocumentRef, Ghosts)>;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_only_predicted_becomes_what_is_there() {
        let path = Pointer::parse("/trip/plan").expect("a pointer");
        for (posted, now, expected) in [
            (json!({ "trip": { "plan": ["a"] }, "x": 1 }), json!({}), json!({ "x": 1 })),
            (json!({ "trip": { "plan": ["a"], "y": 2 } }), json!({}), json!({ "trip": { "y": 2 } })),
            (json!({ "trip": { "plan": ["a"] } }), json!({ "trip": {} }), json!({ "trip": {} })),
            (json!({ "trip": { "plan": ["a"] } }), json!({ "trip": { "plan": 3 } }), json!({ "trip": { "plan": 3 } })),
        ] {
            let mut value = posted;
            replace(&mut value, &path, &now);
            assert_eq!(value, expected);
        }
    }
}
