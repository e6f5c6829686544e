//! pydantic v2 models.

use std::fmt::Write;

use serde_json::Value;

use super::model::{Bounds, Declaration, Field, Others, Shape, declarations};
use crate::state::schema::Schema;

/// Names that mean something to Python or to a model: a field gets another, and an alias.
const TAKEN: &[&str] = &[
    "False",
    "None",
    "True",
    "and",
    "as",
    "assert",
    "async",
    "await",
    "break",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "else",
    "except",
    "finally",
    "for",
    "from",
    "global",
    "if",
    "import",
    "in",
    "is",
    "lambda",
    "nonlocal",
    "not",
    "or",
    "pass",
    "raise",
    "return",
    "try",
    "while",
    "with",
    "yield",
    "construct",
    "copy",
    "dict",
    "fields",
    "from_orm",
    "json",
    "parse_file",
    "parse_obj",
    "parse_raw",
    "schema",
    "schema_json",
    "update_forward_refs",
    "validate",
    "bool",
    "float",
    "int",
    "list",
    "str",
    "Any",
    "Literal",
    "BaseModel",
    "ConfigDict",
    "Field",
    "RootModel",
];

/// What the generated module imports, and the words of Python that look like names of types.
const RESERVED: &[&str] = &["Any", "BaseModel", "ConfigDict", "False", "Field", "Literal", "None", "RootModel", "True"];

/// A module with the models of documents of type `name`; the one for the whole document comes first.
///
/// Members a document lacks read as `None`: dump with `exclude_unset=True` and `by_alias=True` to write one back.
pub fn pydantic(name: &str, schema: &Schema) -> String {
    let declarations = declarations(name, schema, RESERVED);
    let mut text =
        format!("\"\"\"Written from the schema of `{name}` documents: change the schema, not this file.\n\n");
    text.push_str("Members a document lacks read as None: write one back with\n");
    text.push_str("`model_dump(mode=\"json\", by_alias=True, exclude_unset=True)`.\n\"\"\"\n\n");
    text.push_str("from __future__ import annotations\n\nfrom typing import Any, Literal\n\n");
    text.push_str("from pydantic import BaseModel, ConfigDict, Field, RootModel\n\n");
    let names: Vec<String> = declarations.iter().map(|declaration| format!("\"{}\"", declaration.name)).collect();
    writeln!(text, "__all__ = [{}]", names.join(", ")).expect("text takes everything");
    for declaration in &declarations {
        text.push_str("\n\n");
        declare(declaration, &mut text);
    }
    text
}

fn declare(Declaration { name, doc, shape }: &Declaration, text: &mut String) {
    let Shape::Object { fields, others } = shape else {
        writeln!(text, "class {name}(RootModel):").expect("text takes everything");
        document(doc.as_deref(), text);
        writeln!(text, "    root: {}", of(shape)).expect("text takes everything");
        return;
    };
    writeln!(text, "class {name}(BaseModel):").expect("text takes everything");
    document(doc.as_deref(), text);
    let extra = if *others == Others::Refused { "forbid" } else { "allow" };
    writeln!(
        text,
        "    model_config = ConfigDict(extra=\"{extra}\", populate_by_name=True, protected_namespaces=())\n"
    )
    .expect("text takes everything");
    let mut used: Vec<String> = Vec::new();
    for field in fields {
        let mut python = python_name(&field.name);
        while used.contains(&python) {
            python.push('_');
        }
        used.push(python.clone());
        declare_field(field, &python, text);
    }
}

fn declare_field(field: &Field, python: &str, text: &mut String) {
    let mut options = Vec::new();
    if !field.is_required {
        options.push("default=None".to_owned());
    }
    if python != field.name {
        options.push(format!("alias={}", quoted(&field.name)));
    }
    if let Shape::Integer(Bounds(bounds)) | Shape::Number(Bounds(bounds)) = &field.shape {
        options.extend(bounds.iter().filter_map(|(keyword, bound)| {
            let name = match *keyword {
                "minimum" => "ge",
                "maximum" => "le",
                "exclusiveMinimum" => "gt",
                _ => "lt",
            };
            bound.is_number().then(|| format!("{name}={bound}"))
        }));
    }
    if let Some(doc) = &field.doc {
        options.push(format!("description={}", quoted(doc)));
    }
    let mut shape = of(&field.shape);
    if !field.is_required && !shape.split(" | ").any(|part| part == "None" || part == "Any") {
        shape.push_str(" | None");
    }
    let value = match options.as_slice() {
        [] => String::new(),
        [only] if only == "default=None" => " = None".to_owned(),
        options => format!(" = Field({})", options.join(", ")),
    };
    writeln!(text, "    {python}: {shape}{value}").expect("text takes everything");
}

fn document(doc: Option<&str>, text: &mut String) {
    if let Some(doc) = doc {
        writeln!(text, "    {}\n", quoted(doc)).expect("text takes everything");
    }
}

fn of(shape: &Shape) -> String {
    match shape {
        Shape::Any | Shape::Never | Shape::Object { .. } => "Any".to_owned(),
        Shape::Null => "None".to_owned(),
        Shape::Bool => "bool".to_owned(),
        Shape::Integer(_) => "int".to_owned(),
        Shape::Number(_) => "float".to_owned(),
        Shape::Text => "str".to_owned(),
        Shape::OneOf(values) => one_of(values),
        Shape::List(element) => format!("list[{}]", of(element)),
        Shape::Map(value) => format!("dict[str, {}]", of(value)),
        Shape::Named(name) => name.clone(),
        Shape::Union(shapes) => {
            let mut parts: Vec<String> = Vec::new();
            for part in shapes.iter().map(of) {
                if !parts.contains(&part) {
                    parts.push(part);
                }
            }
            if parts.is_empty() { "Any".to_owned() } else { parts.join(" | ") }
        }
    }
}

/// `Literal` has no fractions.
fn one_of(values: &[Value]) -> String {
    let literal = |value: &Value| match value {
        Value::Null => Some("None".to_owned()),
        Value::Bool(is_true) => Some(if *is_true { "True" } else { "False" }.to_owned()),
        Value::String(text) => Some(quoted(text)),
        Value::Number(number) => number.as_i64().map(|number| number.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    };
    match values.iter().map(literal).collect::<Option<Vec<_>>>() {
        Some(literals) if literals.is_empty() => "Any".to_owned(),
        Some(literals) => format!("Literal[{}]", literals.join(", ")),
        None => "Any".to_owned(),
    }
}

/// As JSON writes it, which Python reads the same way but for what JSON leaves unescaped beyond ASCII.
fn quoted(text: &str) -> String {
    Value::from(text)
        .to_string()
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
        .replace('\u{7f}', "\\u007f")
}

fn python_name(name: &str) -> String {
    let mut python: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if python.is_empty() || python.starts_with(|first: char| first.is_ascii_digit() || first == '_') {
        python.insert_str(0, "field_");
    }
    if TAKEN.contains(&python.as_str()) || python.starts_with("model_") {
        python.push('_');
    }
    python
}
