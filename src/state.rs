//! Documents as plain values: pointers, strict JSON, patches, differences and merges. Pure: no IO, no clock, no randomness, no other layer.

pub mod codegen;
pub mod diff;
pub mod document;
pub mod history;
pub mod intent;
pub mod json;
pub mod later;
pub mod limits;
pub mod merge;
pub mod merge_patch;
pub mod parts;
pub mod patch;
pub mod pieces;
pub mod pointer;
pub mod schema;
pub mod text;
pub mod touch;
pub mod value;
pub mod watch;

#[cfg(test)]
mod random;
