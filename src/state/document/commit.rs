//! The record of one accepted change, as the log and the state API's history have it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Change;
use crate::state::patch::Operation;
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
