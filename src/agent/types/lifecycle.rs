//! What the lifecycle documents of runs and agents hold (docs/agents.md §6), for those who read and generate types: only the
//! runtime writes them.

use serde_json::{Value, json};

pub(super) fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Lifecycle",
        "description": "Where a run (`lifecycle/<run_id>`) or an agent (`lifecycle/agent:<id>`) stands; written by the runtime alone.",
        "anyOf": [{"$ref": "#/$defs/run_lifecycle"}, {"$ref": "#/$defs/agent_lifecycle"}],
        "$defs": {
            "run_lifecycle": run(),
            "agent_lifecycle": agent(),
            "cause": cause(),
            "run_status": run_status(),
            "run_usage": run_usage(),
            "model_usage": model_usage()
        }
    })
}

fn run() -> Value {
    json!({
        "type": "object",
        "required": ["run_id", "agent", "thread_id", "status", "cause", "attempt", "steps", "usage"],
        "properties": {
            "run_id": {"type": "string"},
            "agent": {"type": "string"},
            "thread_id": {"type": "string"},
            "status": {"$ref": "#/$defs/run_status"},
            "cause": {"$ref": "#/$defs/cause"},
            "queued_at": {"type": "string", "description": "RFC 3339; of runs that waited."},
            "started_at": {"type": "string", "description": "Of the latest attempt; absent while it never started."},
            "finished_at": {"type": "string"},
            "attempt": {"type": "integer", "minimum": 1},
            "steps": {"type": "integer", "minimum": 0},
            "usage": {"$ref": "#/$defs/run_usage"},
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {"code": {"type": "string"}, "message": {"type": "string"}}
            },
            "pending_tool_calls": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Calls that the browser is to answer."
            }
        }
    })
}

fn agent() -> Value {
    json!({
        "type": "object",
        "required": ["agent", "status", "paused", "live", "queued", "today"],
        "properties": {
            "agent": {"type": "string"},
            "status": {"enum": ["ready", "paused", "disabled", "invalid", "absent"]},
            "paused": {"type": "boolean"},
            "live": {"type": "integer", "minimum": 0, "description": "How many runs are at work."},
            "queued": {"type": "integer", "minimum": 0, "description": "How many runs wait."},
            "last_run": {
                "type": "object",
                "required": ["run_id", "status"],
                "properties": {"run_id": {"type": "string"}, "status": {"$ref": "#/$defs/run_status"}, "finished_at": {"type": "string"}}
            },
            "today": {
                "type": "object",
                "required": ["day", "runs", "usage"],
                "properties": {
                    "day": {"type": "string", "description": "In UTC, as 2026-01-31."},
                    "runs": {"type": "integer", "minimum": 0, "description": "That are over."},
                    "usage": {"$ref": "#/$defs/run_usage"}
                }
            }
        }
    })
}

fn run_status() -> Value {
    json!({"enum": [
        "queued", "running", "waiting", "succeeded", "failed", "cancelled", "budget_exceeded", "superseded", "dead"
    ]})
}

fn cause() -> Value {
    json!({
        "type": "object",
        "required": ["type", "chain", "depth"],
        "properties": {
            "type": {"enum": ["user", "api", "state", "cron", "interval", "webhook", "agent", "start"]},
            "agent": {"type": "string"},
            "doc": {"type": "string"},
            "name": {"type": "string"},
            "run_id": {"type": "string"},
            "chain": {"type": "array", "items": {"type": "string"}},
            "depth": {"type": "integer", "minimum": 0}
        }
    })
}

fn run_usage() -> Value {
    json!({
        "type": "object",
        "required": ["input_tokens", "output_tokens", "total_tokens", "by_model"],
        "properties": {
            "input_tokens": count(),
            "output_tokens": count(),
            "total_tokens": count(),
            "cost_usd": {"type": "number", "description": "Absent when no price is known for any of it."},
            "by_model": {"type": "array", "items": {"$ref": "#/$defs/model_usage"}}
        }
    })
}

fn model_usage() -> Value {
    json!({
        "type": "object",
        "required": ["model", "input_tokens", "output_tokens", "total_tokens"],
        "properties": {
            "model": {"type": "string", "description": "`provider/model`, as far as it is known."},
            "input_tokens": count(),
            "output_tokens": count(),
            "total_tokens": count(),
            "cost_usd": {"type": "number"}
        }
    })
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}
