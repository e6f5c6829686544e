//! TypeScript interfaces and type aliases.

use std::fmt::Write;

use serde_json::Value;

use super::model::{Declaration, Others, Shape, declarations};
use crate::state::schema::Schema;

/// What generated types are written with.
const RESERVED: &[&str] = &["Record"];

/// A module with the types of documents of type `name`; the one for the whole document is exported first.
pub fn typescript(name: &str, schema: &Schema) -> String {
    let mut text = format!("// Written from the schema of `{name}` documents: change the schema, not this file.\n");
    for declaration in declarations(name, schema, RESERVED) {
        text.push('\n');
        declare(&declaration, &mut text);
    }
    text
}

fn declare(Declaration { name, doc, shape }: &Declaration, text: &mut String) {
    comment(doc.as_deref(), "", text);
    let Shape::Object { fields, others } = shape else {
        writeln!(text, "export type {name} = {};", of(shape)).expect("text takes everything");
        return;
    };
    writeln!(text, "export interface {name} {{").expect("text takes everything");
    for field in fields {
        comment(field.doc.as_deref(), "  ", text);
        let mark = if field.is_required { "" } else { "?" };
        writeln!(text, "  {}{mark}: {};", key(&field.name), of(&field.shape)).expect("text takes everything");
    }
    if *others == Others::Allowed {
        text.push_str("  [name: string]: unknown;\n");
    }
    text.push_str("}\n");
}

fn comment(doc: Option<&str>, indent: &str, text: &mut String) {
    if let Some(doc) = doc {
        writeln!(text, "{indent}/** {} */", doc.replace("*/", "*\u{200b}/")).expect("text takes everything");
    }
}

fn of(shape: &Shape) -> String {
    match shape {
        Shape::Any | Shape::Object { .. } => "unknown".to_owned(),
        Shape::Never => "never".to_owned(),
        Shape::Null => "null".to_owned(),
        Shape::Bool => "boolean".to_owned(),
        Shape::Integer(_) | Shape::Number(_) => "number".to_owned(),
        Shape::Text => "string".to_owned(),
        Shape::OneOf(values) => joined(values.iter().map(Value::to_string)),
        Shape::List(element) => match element.as_ref() {
            Shape::Union(_) => format!("({})[]", of(element)),
            Shape::OneOf(values) if values.len() > 1 => format!("({})[]", of(element)),
            element => format!("{}[]", of(element)),
        },
        Shape::Map(value) => format!("Record<string, {}>", of(value)),
        Shape::Named(name) => name.clone(),
        Shape::Union(shapes) => joined(shapes.iter().map(of)),
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { "never".to_owned() } else { parts.join(" | ") }
}

fn key(name: &str) -> String {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$';
    let is_plain = name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit());
    if is_plain { name.to_owned() } else { Value::from(name).to_string() }
}
