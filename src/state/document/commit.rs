//! The record of one accepted change, as the log and the state API's history have it.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Change;
use crate::json_text;
use crate::state::patch::{self, Operation};
use crate::state::pointer::Pointer;

/// One version of a document. Optional members are absent, never null.
//
// Who writes much is named by one text, which all their commits share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Commit {
    pub version: u64,
    /// The version the writer had seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    /// In safe form, from the version before.
    pub ops: Vec<Operation>,
    /// In safe form, back to the version before.
    pub inverse: Vec<Operation>,
    #[schema(value_type = String)]
    pub actor: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub run_id: Option<Arc<str>>,
    /// Which write of its run this is, for the runtime alone: a run that goes on after a crash does not write it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The client's own number of this mutation, 1, 2, 3 … per document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutation_id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// RFC 3339, UTC.
    #[schema(value_type = String)]
    pub at: Arc<str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// Whether this version is a tombstone: the body is `{}` and the document counts as deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

impl Commit {
    /// The record of `change`; what is not known of it stays absent.
    pub fn of(change: Change, actor: impl Into<Arc<str>>, at: impl Into<Arc<str>>) -> Self {
        Self {
            version: change.version,
            base: None,
            ops: change.ops,
            inverse: change.inverse,
            actor: actor.into(),
            run_id: None,
            mark: None,
            client_id: None,
            mutation_id: None,
            reason: None,
            at: at.into(),
            conflicts: change.conflicts,
            deleted: false,
        }
    }

    /// The commit as JSON text, and where its operations stand in that: readers are told them as they are stored.
    pub fn to_json(&self) -> (Vec<u8>, Range<usize>) {
        json_text::build(|out| self.write_json(out))
    }

    /// As serde writes it, without looking at each name.
    fn write_json(&self, out: &mut Vec<u8>) -> Range<usize> {
        out.extend_from_slice(br#"{"version":"#);
        json_text::write(out, &self.version);
        if let Some(base) = &self.base {
            out.extend_from_slice(br#","base":"#);
            json_text::write(out, base);
        }
        out.extend_from_slice(br#","ops":"#);
        let start = out.len();
        patch::write_json(out, &self.ops);
        let ops = start..out.len();
        out.extend_from_slice(br#","inverse":"#);
        patch::write_json(out, &self.inverse);
        write_text(out, br#","actor":"#, Some(&*self.actor));
        write_text(out, br#","run_id":"#, self.run_id.as_deref());
        write_text(out, br#","mark":"#, self.mark.as_deref());
        write_text(out, br#","client_id":"#, self.client_id.as_deref());
        if let Some(mutation_id) = &self.mutation_id {
            out.extend_from_slice(br#","mutation_id":"#);
            json_text::write(out, mutation_id);
        }
        write_text(out, br#","reason":"#, self.reason.as_deref());
        write_text(out, br#","at":"#, Some(&*self.at));
        if !self.conflicts.is_empty() {
            out.extend_from_slice(br#","conflicts":"#);
            json_text::write(out, &self.conflicts);
        }
        if self.deleted {
            out.extend_from_slice(br#","deleted":true"#);
        }
        out.push(b'}');
        ops
    }
}

fn write_text(out: &mut Vec<u8>, name: &[u8], text: Option<&str>) {
    if let Some(text) = text {
        out.extend_from_slice(name);
        json_text::write_text(out, text);
    }
}

/// A place that two writers wrote without having seen each other's value: the later one's stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Conflict {
    pub path: Pointer,
    /// The version that wrote the lost value, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Who wrote it, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The value that stood there; null where there was none.
    pub lost: Value,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_commit_is_written_as_serde_writes_it_and_shows_where_its_operations_are() {
        let least = json!({"version": 1, "ops": [], "inverse": [], "actor": "user:u", "at": "2026-01-01T00:00:00Z"});
        let most = json!({
            "version": 7, "base": 3, "ops": [{"op": "add", "path": "/a", "value": "\"]"}],
            "inverse": [{"op": "remove", "path": "/a"}], "actor": "agent:\u{7}\\", "run_id": "r", "mark": "/hand:0",
            "client_id": "c", "mutation_id": 9, "reason": "é", "at": "2026-01-01T00:00:00Z",
            "conflicts": [{"path": "/a", "version": 4, "actor": "user:u", "lost": null}], "deleted": true,
        });
        for commit in [least, most] {
            let commit: Commit = serde_json::from_value(commit).expect("a commit");
            let (text, ops) = commit.to_json();
            assert_eq!(String::from_utf8_lossy(&text), serde_json::to_string(&commit).expect("a commit is JSON"));
            assert_eq!(text[ops], serde_json::to_vec(&commit.ops).expect("a patch is JSON"));
        }
    }
}
