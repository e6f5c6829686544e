//! CoAgent Runtime: hosts AI agents whose state is the application's shared state.
//!
//! The layers, lowest first; arrows point down only, which a test holds (ARCHITECTURE.md).

/// Values as JSON text, for every layer.
mod json_text;

/// AG-UI 1.0: events, messages, input, sequence rules, compaction, SSE. Pure.
pub mod agui;
/// Documents: pointers, patches, diffs, three-way merge, limits. Pure.
pub mod state;

/// Durable streams behind one trait: memory and sqlite.
pub mod store;

/// Who is calling.
pub mod access;

/// What answers runs: definitions, native agents, remote agents.
pub mod agent;

/// Threads and documents while they live, runs, and the streams readers follow.
pub mod runtime;

/// The edges: HTTP routes and pages.
pub mod server;

pub mod cli;
/// The process: its configuration, command line and logs.
pub mod config;
pub mod telemetry;
