//! `state`: the document an agent works on.

use serde_json::{Map, Value};

use super::super::fields::Place;
use super::super::grammar::PREDICT;
use super::super::reader::{Fields, Reader};
use super::super::source::read_tree;
use super::super::tree::{Node, Position, Shape, Unreadable};
use super::super::{Predict, SchemaForm, Scope, StateSchema, StateSpec};
use super::THREAD;
use crate::state::pointer::Pointer;
use crate::state::schema::{Schema, SchemaError};

pub(super) fn state(reader: &mut Reader<'_>, root: &Fields<'_>) -> Option<StateSpec> {
    let initial = || Value::Object(Map::new());
    let Some(node) = root.get("state") else {
        return Some(StateSpec { initial: initial(), ..StateSpec::default() });
    };
    let fields = reader.any_fields(node, "state")?;
    reader.refuse_strangers(&fields, Place::State);
    let scope = match reader.text(&fields, "scope") {
        Some((text, at)) => scope(reader, text, at)?,
        None => Scope::default(),
    };
    let schema = schema(reader, &fields);
    let initial = match fields.get("initial") {
        Some(node) => {
            reader.any_fields(node, "state.initial")?;
            node.to_value()
        }
        None => initial(),
    };
    let read = pointers(reader, &fields, "read");
    let write = pointers(reader, &fields, "write");
    let predict = predict(reader, &fields);
    Some(StateSpec { scope, schema, initial, read, write, predict })
}

fn predict(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<Predict> {
    let Some(node) = fields.get("predict") else { return Vec::new() };
    reader.hold(node, "state.predict", &PREDICT);
    let Shape::List(items) = &node.shape else { return Vec::new() };
    let mut predicted = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("state.predict[{index}]");
        let Shape::Map(_) = item.shape else { continue };
        let Some(said) = reader.any_fields(item, &path) else { continue };
        // What is missing or no text was noted above.
        let text = |name| said.get(name).and_then(|node| node.to_value().as_str().map(str::to_owned));
        let (Some(tool), Some(argument), Some(pointer)) = (text("tool"), text("argument"), text("path")) else {
            continue;
        };
        let Ok(pointer) = Pointer::parse(&pointer) else { continue };
        if pointer == Pointer::root() {
            let message = "the whole state cannot be predicted: write the path of a member";
            reader.note(item.at, &format!("{path}.path"), message);
        }
        predicted.push(Predict { tool, argument, path: pointer });
    }
    predicted
}

/// What describes the state: a schema in place or in a file is compiled now, a declared type when all are known.
fn schema(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<StateSchema> {
    let node = fields.get("schema")?;
    let text = match &node.shape {
        Shape::Text(text) => text.as_str(),
        Shape::Map(_) | Shape::Bool(_) => {
            let schema = compile(reader, node, node.to_value(), "");
            return schema.map(|schema| StateSchema { form: SchemaForm::Inline, schema: Some(schema) });
        }
        _ => return reader.expected("a JSON Schema, the name of a file or a type", node, "state.schema"),
    };
    if let Some(name) = text.strip_prefix("rust:") {
        let value = match crate::agent::native::state_schema(name) {
            Ok(value) => value,
            Err(message) => {
                reader.note(node.at, "state.schema", message);
                return None;
            }
        };
        let schema = compile(reader, node, value, &format!("`{text}`: "))?;
        return Some(StateSchema { form: SchemaForm::Rust(name.to_owned()), schema: Some(schema) });
    }
    if !text.contains(['.', '/']) {
        return Some(StateSchema { form: SchemaForm::Declared(text.to_owned()), schema: None });
    }
    let schema = in_file(reader, node, text)?;
    Some(StateSchema { form: SchemaForm::File(text.to_owned()), schema: Some(schema) })
}

/// The schema in a file beside the definition; what is wrong in it is told at its place there.
fn in_file(reader: &mut Reader<'_>, node: &Node, name: &str) -> Option<Schema> {
    let file = reader.neighbour(name);
    let root = match read_tree(&file) {
        Ok(root) => root,
        Err(Unreadable { at: Some(at), message }) => {
            reader.note_in(&file, at, "state.schema", message);
            return None;
        }
        Err(Unreadable { at: None, message }) => {
            reader.note(node.at, "state.schema", format!("`{name}`: {message}"));
            return None;
        }
    };
    match Schema::compile(root.to_value()) {
        Ok(schema) => Some(schema),
        Err(error) => {
            let (wrong, _) = root.below(&error.path);
            reader.note_in(&file, wrong.at, "state.schema", unusable(&error));
            None
        }
    }
}

/// A schema that stands in the definition, or that `name` stands for.
fn compile(reader: &mut Reader<'_>, node: &Node, value: Value, name: &str) -> Option<Schema> {
    match Schema::compile(value) {
        Ok(schema) => Some(schema),
        Err(error) => {
            let (wrong, _) = node.below(&error.path);
            reader.note(wrong.at, "state.schema", format!("{name}{}", unusable(&error)));
            None
        }
    }
}

fn unusable(error: &SchemaError) -> String {
    let place = error.path.to_string();
    let inside = if place.is_empty() { String::new() } else { format!(" (at {place})") };
    format!("not a JSON Schema that can be used: {}{inside}", error.message)
}

fn scope(reader: &mut Reader<'_>, text: &str, at: Position) -> Option<Scope> {
    let refusal = match (text, text.strip_prefix("shared/")) {
        ("thread", _) => return Some(Scope::Thread),
        ("agent", _) => return Some(Scope::Agent),
        ("trigger", _) => return Some(Scope::Trigger),
        (_, Some(template)) => match shared(template) {
            Ok(scope) => return Some(scope),
            Err(refusal) => refusal,
        },
        (_, None) => format!("unknown scope `{text}`: write thread, agent, trigger or shared/<id>"),
    };
    reader.note(at, "state.scope", refusal);
    None
}

/// Document ids have 1 to 256 characters, none of them a control character; only the thread stands in braces.
fn shared(template: &str) -> Result<Scope, String> {
    let mut normal = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or("`{{` is not closed by `}}`")?;
        if name.trim() != "thread" {
            return Err(format!("unknown placeholder `{}`: a shared id knows {THREAD} only", name.trim()));
        }
        normal.push_str(before);
        normal.push_str(THREAD);
        rest = after;
    }
    normal.push_str(rest);
    let length = normal.replace(THREAD, "").chars().count();
    if normal.is_empty() || length > 256 || normal.chars().any(char::is_control) {
        return Err("the id after `shared/` must have 1 to 256 characters and no control characters".to_owned());
    }
    Ok(Scope::Shared(normal))
}

/// The JSON Pointer in a field.
pub(super) fn pointer(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str) -> Option<String> {
    let (text, at) = reader.text(fields, name)?;
    checked_pointer(reader, text, at, &fields.path_of(name))
}

fn pointers(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str) -> Option<Vec<String>> {
    let texts = reader.texts(fields, name)?;
    Some(texts.into_iter().filter_map(|(text, at, path)| checked_pointer(reader, text, at, &path)).collect())
}

fn checked_pointer(reader: &mut Reader<'_>, text: &str, at: Position, path: &str) -> Option<String> {
    if is_pointer(text) {
        return Some(text.to_owned());
    }
    let message = format!("`{text}` is not a JSON Pointer: write /name/of/member, or an empty text for everything");
    reader.note(at, path, message);
    None
}

/// RFC 6901.
pub(in super::super) fn is_pointer(text: &str) -> bool {
    (text.is_empty() || text.starts_with('/')) && text.split('~').skip(1).all(|escaped| escaped.starts_with(['0', '1']))
}
