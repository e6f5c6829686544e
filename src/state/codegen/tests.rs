use super::*;
use crate::state::schema::Schema;
use serde_json::{Value, json};

#[test]
fn names_of_types_are_words_run_together() {
    for (text, name) in [("task", "Task"), ("work_item", "WorkItem"), ("a-b c", "ABC"), ("3d", "T3d"), ("é", "T")] {
        assert_eq!(type_name(text), name);
    }
}

fn lines(text: &str, wanted: &[&str]) {
    for line in wanted {
        assert!(text.lines().any(|found| found.trim() == *line), "`{line}` in\n{text}");
    }
}

fn check(schema: Value, ts: &[&str], py: &[&str]) {
    let schema = Schema::compile(schema).unwrap();
    lines(&typescript("doc", &schema), ts);
    lines(&pydantic("doc", &schema), py);
}

#[test]
fn shapes_become_types() {
    check(
        json!({"properties": {"a": {"type": ["string", "null"]}, "b": {"enum": [1, "x", null]}, "c": {"items": {"type": "integer"}}}, "required": ["a"]}),
        &["export interface Doc {", "a: string | null;", "b?: 1 | \"x\" | null;", "c?: number[];"],
        &[
            "class Doc(BaseModel):",
            "a: str | None",
            "b: Literal[1, \"x\", None] | None = None",
            "c: list[int] | None = None",
        ],
    );
    check(
        json!({"$ref": "#/$defs/node", "$defs": {"node": {"properties": {"below": {"items": {"$ref": "#/$defs/node"}}}}}}),
        &["export type Doc = Node;", "export interface Node {", "below?: Node[];"],
        &["class Doc(RootModel):", "root: Node", "class Node(BaseModel):", "below: list[Node] | None = None"],
    );
    check(
        json!({"properties": {"key": {"type": "string", "x-secret": true}}, "required": ["key"], "additionalProperties": false}),
        &["/** Written only: it is never sent. */", "key?: string;"],
        &["key: str | None = Field(default=None, description=\"Written only: it is never sent.\")"],
    );
    check(
        json!({"properties": {"class": {"minimum": 1, "type": "integer"}, "a-b": {}, "_x": {"type": "object", "additionalProperties": {"type": "boolean"}}}}),
        &["class?: number;", "\"a-b\"?: unknown;", "_x?: Record<string, boolean>;"],
        &[
            "class_: int | None = Field(default=None, alias=\"class\", ge=1)",
            "a_b: Any = Field(default=None, alias=\"a-b\")",
            "field__x: dict[str, bool] | None = Field(default=None, alias=\"_x\")",
        ],
    );
    check(
        json!({"type": "array", "items": {"enum": ["a", "b"]}}),
        &["export type Doc = (\"a\" | \"b\")[];"],
        &["root: list[Literal[\"a\", \"b\"]]"],
    );
    check(json!({}), &["export type Doc = unknown;"], &["root: Any"]);
}

#[test]
fn no_type_takes_the_name_of_what_generated_types_are_written_with() {
    let schema =
        Schema::compile(json!({"properties": {"all": {"type": "object", "additionalProperties": {"type": "number"}}}}));
    let schema = schema.unwrap();
    lines(&typescript("record", &schema), &["export interface Record2 {", "all?: Record<string, number>;"]);
    lines(&typescript("any", &schema), &["export interface Any {"]);
    for (name, class) in
        [("base_model", "BaseModel2"), ("field", "Field2"), ("any", "Any2"), ("literal", "Literal2"), ("none", "None2")]
    {
        lines(&pydantic(name, &schema), &[&format!("class {class}(BaseModel):")]);
    }
    for (name, class) in [("record", "Record"), ("list", "List"), ("optional", "Optional")] {
        lines(&pydantic(name, &schema), &[&format!("class {class}(BaseModel):")]);
    }
}
