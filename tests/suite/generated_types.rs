//! Types written from schemas: the same text for the same schema, kept under `tests/golden/types`, and compiled for real by
//! `tsc` and pydantic where `./test.sh` installed them.

use std::path::{Path, PathBuf};
use std::process::Command;

use coagent_runtime::agent::types::Types;
use coagent_runtime::state::codegen::{pydantic, typescript};
use coagent_runtime::state::schema::Schema;
use serde_json::{Value, json};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/types")
}

/// A schema with everything that is hard to write down as a type.
fn board() -> Schema {
    Schema::compile(json!({
        "title": "Board",
        "description": "Cards in columns,\n  with */ and \"quotes\" in its text.",
        "type": "object",
        "required": ["name", "columns", "key"],
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "key": {"type": "string", "x-secret": true, "description": "Of the webhook."},
            "columns": {"type": "array", "x-merge": "list:id", "items": {"$ref": "#/$defs/column"}},
            "owner": {"anyOf": [{"$ref": "#/$defs/person"}, {"type": "null"}]},
            "votes": {"type": "integer", "minimum": 0, "x-merge": "counter"},
            "ratio": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            "tags": {"type": "array", "items": {"enum": ["red", "green", null, 3, true]}, "x-merge": "set"},
            "sizes": {"type": "object", "additionalProperties": {"type": "number"}},
            "class": {"const": "board"},
            "schema": {"type": "string"},
            "with-dash": {"type": "boolean"},
            "_private": {"type": ["string", "number", "null"]},
            "1st": {},
            "nested": {"type": "object", "required": ["deep"], "properties": {"deep": {"type": "object", "properties": {"er": {"type": "boolean"}}}}},
            "special": {"allOf": [{"$ref": "#/$defs/person"}, {"type": "object", "properties": {"since": {"type": "string", "format": "date"}}, "required": ["since"]}]},
            "never": false,
            "fraction": {"enum": [0.5, 1.5]},
            "shape": {"oneOf": [{"type": "object", "properties": {"radius": {"type": "number"}}}, {"type": "array", "items": {"type": "number"}}]}
        },
        "additionalProperties": false,
        "$defs": {
            "column": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "cards": {"type": "array", "items": {"$ref": "#/$defs/card"}}}},
            "card": {"description": "A card may hold cards.", "type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "below": {"type": "array", "items": {"$ref": "#/$defs/card"}}}, "additionalProperties": true},
            "person": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
        }
    }))
    .expect("the schema compiles")
}

fn written() -> Vec<(&'static str, String)> {
    let types = Types::built_in();
    let built_in = |name| types.get(name).and_then(|known| known.schema.clone()).expect("it has a schema");
    let (task, lifecycle) = (built_in("task"), built_in("lifecycle"));
    let list = Schema::compile(
        json!({"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}}),
    );
    let list = list.expect("the schema compiles");
    vec![
        ("task.ts", typescript("task", &task)),
        ("task.py", pydantic("task", &task)),
        ("lifecycle.ts", typescript("lifecycle", &lifecycle)),
        ("lifecycle.py", pydantic("lifecycle", &lifecycle)),
        ("board.ts", typescript("board", &board())),
        ("board.py", pydantic("board", &board())),
        ("work_items.ts", typescript("work_items", &list)),
        ("work_items.py", pydantic("work_items", &list)),
    ]
}

#[test]
fn generated_types_are_those_that_are_kept() {
    for (name, text) in written() {
        let path = golden().join(name);
        if std::env::var_os("COAGENT_BLESS").is_some() {
            std::fs::create_dir_all(golden()).expect("the folder can be made");
            std::fs::write(&path, &text).expect("the file can be written");
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == text,
            "{name} differs: look, then COAGENT_BLESS=1 cargo test --test all generated_types\n{text}"
        );
        assert_eq!(
            written().iter().find(|(other, _)| *other == name).map(|(_, text)| text),
            Some(&text),
            "twice the same"
        );
    }
}

/// A rig of `tests/generated-types`, or why there is none.
fn rig(command: &Path, what: &str) -> Option<PathBuf> {
    if command.exists() {
        return Some(command.to_owned());
    }
    assert!(std::env::var_os("COAGENT_RIGS").is_none(), "./test.sh installs {what}");
    println!("skipped: {what} is missing ({}): ./test.sh installs it", command.display());
    None
}

#[test]
fn generated_typescript_compiles_and_says_what_the_schema_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/generated-types");
    let Some(tsc) = rig(&folder.join("node_modules/.bin/tsc"), "TypeScript") else { return };
    let done = Command::new(tsc).args(["--project", "."]).current_dir(&folder).output().expect("tsc starts");
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{told}");
}

#[test]
fn generated_models_load_and_accept_what_the_schema_accepts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/generated-types");
    let Some(python) = rig(&folder.join(".venv/bin/python"), "pydantic") else { return };
    let valid: Value = json!({
        "name": "b", "columns": [{"id": "a", "cards": [{"id": "c", "below": [{"id": "d"}], "free": 1}]}], "owner": null,
        "votes": 3, "ratio": 0.5, "tags": ["red", null, 3, true], "sizes": {"x": 1}, "class": "board", "schema": "s",
        "with-dash": true, "_private": null, "1st": [1], "nested": {"deep": {"er": true}},
        "special": {"name": "ann", "since": "2026-01-01"}, "shape": [1, 2]
    });
    assert_eq!(board().faults(&json!({"key": "k", "name": "b", "columns": []})), []);
    let done = Command::new(python)
        .arg(folder.join("check.py"))
        .arg(golden())
        .arg(valid.to_string())
        .output()
        .expect("python starts");
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}
