//! The types every runtime has.

use serde_json::{Value, json};

use super::{TypeSpec, lifecycle};
use crate::state::schema::Schema;

pub(super) fn all() -> [TypeSpec; 4] {
    [
        TypeSpec::free("shared"),
        TypeSpec { schema: compiled(task()), initial: json!({"status": "new"}), ..TypeSpec::free("task") },
        TypeSpec::free("agent"),
        TypeSpec { schema: compiled(lifecycle::schema()), ..TypeSpec::free("lifecycle") },
    ]
}

fn compiled(schema: Value) -> Option<Schema> {
    Some(Schema::compile(schema).expect("the built-in schemas compile"))
}

fn task() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Task",
        "description": "A piece of work that people and agents hand to each other.",
        "type": "object",
        "required": ["title", "status"],
        "properties": {
            "title": {"type": "string"},
            "status": {
                "enum": ["new", "ready", "running", "done", "failed", "cancelled"],
                "x-transitions": {
                    "new": ["ready", "cancelled"],
                    "ready": ["running", "cancelled"],
                    "running": ["done", "failed", "ready", "cancelled"],
                    "failed": ["ready"]
                }
            },
            "input": {"description": "What is to be worked on."},
            "result": {"description": "What came of it."},
            "progress": {"type": "number", "minimum": 0, "maximum": 1},
            "assignee": {"type": "string", "description": "Whose it is: `user:<id>` or `agent:<id>`."},
            "error": {"description": "Why it failed."},
            "labels": {}
        },
        "additionalProperties": true
    })
}
