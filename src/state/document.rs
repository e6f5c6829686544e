//! stand-in
use serde::{Deserialize, Serialize};
use super::patch::Operation;
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Commit { pub version: u64, #[serde(skip_serializing_if="Option::is_none", default)] pub base: Option<u64>, pub ops: Vec<Operation>, pub inverse: Vec<Operation>, pub actor: String,
 #[serde(skip_serializing_if="Option::is_none", default)] pub run_id: Option<String>, #[serde(skip_serializing_if="Option::is_none", default)] pub mutation_id: Option<String>, #[serde(skip_serializing_if="Option::is_none", default)] pub reason: Option<String>, pub at: String, #[serde(skip_serializing_if="Vec::is_empty", default)] pub conflicts: Vec<serde_json::Value> }
