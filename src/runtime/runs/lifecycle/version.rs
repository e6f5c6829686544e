//! One version of a lifecycle document as its commit has it, made from the texts of its members: what did not change is
//! neither parsed nor copied, and no tree is built for a record that nothing watches.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json_text;
use crate::state::diff::diff_at;
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;

/// The members of an object by name, each as its JSON text.
type Members<'t> = BTreeMap<&'t str, &'t RawValue>;

/// A commit of the runtime's own, as [`Commit`](crate::state::document::Commit) is read.
#[derive(Serialize)]
pub(super) struct Version<'t> {
    version: u64,
    ops: Vec<Change<'t>>,
    inverse: Vec<Change<'t>>,
    actor: &'t str,
    run_id: &'t str,
    at: &'t str,
}

/// An operation in safe form.
#[derive(Serialize)]
#[serde(untagged)]
enum Change<'t> {
    Member(OfMember<'t>),
    /// Inside a member that stays.
    Within(Operation),
}

#[derive(Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum OfMember<'t> {
    Add { path: Name<'t>, value: &'t RawValue },
    Remove { path: Name<'t> },
}

/// The pointer to a member. Members of a record are named as fields are, so nothing in it is to be escaped.
struct Name<'t>(&'t str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl Serialize for Name<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'t> Version<'t> {
    /// The version that leads from one text of the body to the next; without one before it the document is new.
    pub(super) fn new(
        version: u64,
        (before, body): (Option<&'t RawValue>, &'t RawValue),
        (actor, run_id, at): (&'t str, &'t str, &'t str),
    ) -> Self {
        let (before, body) = (before.map(members).unwrap_or_default(), members(body));
        Self { version, ops: changes(&before, &body), inverse: changes(&body, &before), actor, run_id, at }
    }

    /// As the log has it.
    pub(super) fn encode(&self) -> Vec<u8> {
        json_text::encode(self)
    }
}

fn members(body: &RawValue) -> Members<'_> {
    serde_json::from_str(body.get()).expect("a record is an object")
}

/// What [`diff`](crate::state::diff::diff) says of the two bodies.
fn changes<'t>(from: &Members<'t>, to: &Members<'t>) -> Vec<Change<'t>> {
    let gone = from.keys().filter(|name| !to.contains_key(*name));
    let mut changes = Vec::with_capacity(from.len().abs_diff(to.len()));
    changes.extend(gone.map(|name| Change::Member(OfMember::Remove { path: Name(name) })));
    for (name, value) in to {
        let set = || Change::Member(OfMember::Add { path: Name(name), value });
        match from.get(name) {
            None => changes.push(set()),
            Some(before) if before.get() == value.get() => {}
            // Strings are written in one way, so they are as different as their texts.
            Some(before) if is_string(before) && is_string(value) => changes.push(set()),
            Some(before) => changes.extend(within(name, before, value).into_iter().map(Change::Within)),
        }
    }
    changes
}

fn is_string(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

fn within(name: &str, from: &RawValue, to: &RawValue) -> Vec<Operation> {
    let tree = |text: &RawValue| serde_json::from_str(text.get()).expect("raw JSON is JSON");
    diff_at(&tree(from), &tree(to), &Pointer::from_tokens([name]))
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;
    use serde_json::{Value, json};

    use crate::state::diff::diff;
    use crate::state::document::{Commit, Document};

    use super::*;

    /// The commit of a version reads as the one that the two bodies as trees come to.
    fn check(before: Option<Value>, body: &Value) {
        let texts = before.as_ref().map(|before| to_raw_value(before).expect("a value"));
        let text = to_raw_value(body).expect("a value");
        let written = Version::new(2, (texts.as_deref(), &text), ("system", "r", "2026-01-01T00:00:00Z")).encode();
        let before = before.unwrap_or_else(|| Document::absent().into_body());
        let read: Commit = serde_json::from_slice(&written).expect("it reads as a commit");
        assert_eq!((&read.ops, &read.inverse), (&diff(&before, body), &diff(body, &before)));
        assert_eq!(serde_json::to_vec(&read).expect("a commit is plain data"), written);
    }

    #[test]
    fn a_version_says_what_the_difference_of_its_bodies_is() {
        let begun =
            json!({"run_id": "r", "status": "running", "usage": {"by_model": [], "total_tokens": 0}, "steps": 0});
        let usage = json!({"by_model": [{"model": "m", "total_tokens": 3}], "total_tokens": 3});
        let over = json!({"run_id": "r", "status": "failed", "usage": usage, "steps": 0, "error": {"code": "a\"b"}});
        check(None, &begun);
        check(Some(begun.clone()), &over);
        check(Some(over), &begun);
        check(Some(begun.clone()), &begun);
    }
}
