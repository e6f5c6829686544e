//! Documents over HTTP (docs/state-api.md §2): headers and bodies to calls of the runtime, and back.

pub(super) mod batch;
pub(super) mod document;
pub(super) mod events;
pub(super) mod history;
pub(super) mod list;
pub(super) mod mutation;
mod named;
pub(super) mod rollback;
pub(super) mod tags;
mod terms;
pub(super) mod transfer;
pub(super) mod types;
