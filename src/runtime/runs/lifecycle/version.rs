//! One version of a lifecycle document as its commit has it, made from the texts of its members: what did not change is
//! neither parsed nor copied, and no tree is built for a record that nothing watches.

use crate::json_text;
use crate::state::diff::diff_at;
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;

use super::ACTOR;
use super::body::{Body, Differing, differing};

/// About what a commit takes beside what changed.
const BYTES: usize = 160;
/// What an operation and the one that takes it back have beside the name and the values.
const BYTES_OF_CHANGE: usize = 66;

/// A commit of the runtime's own, as [`Commit`](crate::state::document::Commit) is read.
pub(super) struct Version<'t> {
    version: u64,
    differing: Vec<Differing<'t>>,
    run_id: &'t str,
    at: &'t str,
}

impl<'t> Version<'t> {
    /// The version that leads from one body to the next; without one before it the document is new.
    pub(super) fn new(
        version: u64,
        (before, body): (Option<&'t Body>, &'t Body),
        (run_id, at): (&'t str, &'t str),
    ) -> Self {
        Self { version, differing: differing(before, body), run_id, at }
    }

    /// As the log has it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { version, differing, run_id, at } = self;
        let length = |text: Option<&str>| text.map_or(0, str::len);
        let change = |of: &Differing<'t>| BYTES_OF_CHANGE + 2 * of.name.len() + length(of.before) + length(of.after);
        let changes = differing.iter().map(change).sum::<usize>();
        let mut text = Vec::with_capacity(BYTES + changes);
        text.extend_from_slice(br#"{"version":"#);
        json_text::write(&mut text, version);
        text.extend_from_slice(br#","ops":"#);
        Changes::onto(&mut text).all(differing.iter().copied());
        text.extend_from_slice(br#","inverse":"#);
        let back = |of: &Differing<'t>| Differing { name: of.name, before: of.after, after: of.before };
        Changes::onto(&mut text).all(differing.iter().map(back));
        text.extend_from_slice(br#","actor":"#);
        json_text::write(&mut text, ACTOR);
        text.extend_from_slice(br#","run_id":"#);
        json_text::write(&mut text, run_id);
        text.extend_from_slice(br#","at":"#);
        json_text::write(&mut text, at);
        text.push(b'}');
        text
    }
}

/// Writes operations in safe form: what [`diff`](crate::state::diff::diff) says of the two bodies.
struct Changes<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Changes<'o> {
    fn onto(out: &'o mut Vec<u8>) -> Self {
        Self { out, is_first: true }
    }

    fn all<'t>(mut self, differing: impl Iterator<Item = Differing<'t>> + Clone) {
        self.out.push(b'[');
        for Differing { name, after, .. } in differing.clone() {
            if after.is_none() {
                self.remove(name);
            }
        }
        for Differing { name, before, after } in differing {
            match (before, after) {
                (_, None) => {}
                (None, Some(value)) => self.add(name, value),
                // Strings are written in one way, so they are as different as their texts.
                (Some(before), Some(value)) if is_string(before) && is_string(value) => self.add(name, value),
                (Some(before), Some(value)) => {
                    within(name, before, value).iter().for_each(|change| self.change(change))
                }
            }
        }
        self.out.push(b']');
    }

    fn next(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
    }

    fn remove(&mut self, name: &str) {
        self.next();
        self.out.extend_from_slice(br#"{"op":"remove","path":"/"#);
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(br#""}"#);
    }

    fn add(&mut self, name: &str, value: &str) {
        self.next();
        self.out.extend_from_slice(br#"{"op":"add","path":"/"#);
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(br#"","value":"#);
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'}');
    }

    /// Inside a member that stays.
    fn change(&mut self, change: &Operation) {
        self.next();
        json_text::write(self.out, change);
    }
}

fn is_string(value: &str) -> bool {
    value.starts_with('"')
}

fn within(name: &str, from: &str, to: &str) -> Vec<Operation> {
    let tree = |text: &str| serde_json::from_str(text).expect("a body is JSON");
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
        let body_of = |tree: &Value| Body::read(&to_raw_value(tree).expect("a value")).expect("an object");
        let (earlier, later) = (before.as_ref().map(body_of), body_of(body));
        let written = Version::new(2, (earlier.as_ref(), &later), ("r", "2026-01-01T00:00:00Z")).encode();
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
