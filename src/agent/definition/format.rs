//! The format of definitions as a JSON Schema, for editors: `coagent schema agent` (docs/agents.md §1).
//!
//! These types are never filled; a test holds them against what the reader accepts.

mod kinds;
mod llm;
mod run;
mod scalars;
mod state;
mod tools;
mod triggers;

use schemars::JsonSchema;

use kinds::{Attached, Native, Remote};
use llm::Llm;
use run::Run;
use scalars::Id;
use state::{Documents, State};
use tools::Tools;
use triggers::Trigger;

/// The schema as JSON, pretty, with a line break at its end.
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(AgentFile);
    schema.insert("$id".to_owned(), "urn:coagent:schema:agent".into());
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain data");
    text.push('\n');
    text
}

/// One agent of CoAgent Runtime.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct AgentFile {
    version: Option<Version>,
    /// What people see.
    name: Option<String>,
    /// What it does, for people and for agents that route to it.
    description: Option<String>,
    /// `false`: listed, never run.
    enabled: Option<bool>,
    /// Answers for `default` when no agent is called that.
    default: Option<bool>,
    agent: Agent,
    state: Option<State>,
    documents: Option<Documents>,
    tools: Option<Tools>,
    handoffs: Option<Vec<Id>>,
    triggers: Option<Vec<Trigger>>,
    run: Option<Run>,
    /// May a run stop and wait for a person?
    hitl: Option<Hitl>,
    /// The template of the system prompt (`kind: llm`); in Markdown files it stands below the front matter.
    instructions: Option<String>,
}

#[derive(JsonSchema)]
struct Version(#[schemars(range(min = 1, max = 1))] u8);

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Hitl {
    Deny,
    Interrupt,
}

/// Who does the work.
#[derive(JsonSchema)]
#[schemars(tag = "kind", rename_all = "snake_case")]
enum Agent {
    Llm(Box<Llm>),
    Remote(Remote),
    Native(Native),
    Attached(Attached),
}
