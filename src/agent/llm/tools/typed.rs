//! Which values go where, told to a model as JSON Schema: made from the schemas of the documents it may write.
//!
//! Only what every provider takes: objects, `anyOf` below the root, `enum`, no `$ref`.

use serde_json::{Map, Value, json};

use crate::agent::definition::Definition;
use crate::state::pointer::Pointer;
use crate::state::schema::{Reader, Schema, View, local_target};

/// More places than this are not listed one by one.
const PLACES: usize = 24;
/// Nor is what takes more bytes of JSON than this.
const BYTES: usize = 12 * 1024;
/// How deep places are looked for.
const DEPTH: usize = 4;
/// How deep a place's own schema is told.
const SCHEMA_DEPTH: usize = 8;
/// Stands for the index of an element.
const INDEX: &str = "<index>";

/// The places that an agent may write, where their documents say what belongs there. Empty: any value may go anywhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Typed {
    places: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq)]
struct Place {
    /// With [`INDEX`] for elements.
    tokens: Vec<String>,
    schema: Value,
}

impl Typed {
    /// Of an agent's state and of the other documents that it may write.
    pub(super) fn of(definition: &Definition) -> Self {
        let own = definition.state.schema.as_ref().and_then(|form| form.schema.as_ref());
        let own_write: Option<Vec<Pointer>> = definition.state.write.as_ref().map(|paths| {
            paths.iter().map(|path| Pointer::parse(path).expect("a definition's pointers are checked")).collect()
        });
        let mut typed = Self::default();
        let is_own_closed = own_write.as_ref().is_some_and(Vec::is_empty);
        // Where one document says nothing, anything may go anywhere.
        if own.is_none() && !is_own_closed && definition.documents.write.is_empty() {
            return typed;
        }
        if let Some(schema) = own.filter(|_| !is_own_closed) {
            typed.collect(definition, schema, own_write.as_deref(), false);
        }
        for place in &definition.documents.write {
            let Some(schema) = &place.schema else { return Self::default() };
            let is_whole = place.path == Pointer::root();
            typed.collect(definition, schema, Some(std::slice::from_ref(&place.path)), is_whole);
        }
        let bytes: usize = typed.places.iter().map(|place| place.schema.to_string().len()).sum();
        if typed.places.len() > PLACES || bytes > BYTES { Self::default() } else { typed }
    }

    /// `is_whole`: whether the document itself is a place.
    fn collect(&mut self, definition: &Definition, schema: &Schema, write: Option<&[Pointer]>, is_whole: bool) {
        let actor = format!("agent:{}", definition.id);
        let view = schema.view(&Reader { names: &[&actor], secrets: false });
        let walk = Walk { root: schema.source(), view: &view, write };
        if is_whole {
            self.add(Place { tokens: Vec::new(), schema: walk.told(schema.source(), &mut Vec::new(), SCHEMA_DEPTH) });
        }
        walk.below(schema.source(), &mut Vec::new(), DEPTH, self);
    }

    fn add(&mut self, place: Place) {
        if self.places.len() <= PLACES && !self.places.contains(&place) {
            self.places.push(place);
        }
    }

    /// The arguments `path` and `value` of a tool that sets one value.
    pub(super) fn path_and_value(&self) -> (Value, Value) {
        let plain = json!({ "type": "string", "description": "JSON Pointer such as /trip/title" });
        if self.places.is_empty() {
            return (plain, json!({ "description": "any JSON value" }));
        }
        let paths: Vec<String> = self.paths();
        let path = if self.places.iter().all(Place::is_fixed) {
            json!({ "type": "string", "enum": paths })
        } else {
            let description = format!(
                "JSON Pointer, one of {} (an index from 0, or `-` to append)",
                paths.iter().map(|path| if path.is_empty() { "\"\"" } else { path }).collect::<Vec<_>>().join(", ")
            );
            json!({ "type": "string", "description": description })
        };
        let mut schemas: Vec<&Value> = Vec::new();
        for place in &self.places {
            if !schemas.contains(&&place.schema) {
                schemas.push(&place.schema);
            }
        }
        let value = if let [schema] = schemas.as_slice() { (*schema).clone() } else { json!({ "anyOf": schemas }) };
        (path, value)
    }

    /// One operation of RFC 6902.
    pub(super) fn operation(&self) -> Value {
        let path = json!({ "type": "string", "description": "JSON Pointer such as /trip/days/0" });
        let from = json!({ "type": "string", "description": "for move and copy" });
        if self.places.is_empty() {
            return json!({
                "type": "object",
                "properties": {
                    "op": { "type": "string", "enum": ["add", "remove", "replace", "move", "copy", "test"] },
                    "path": path,
                    "value": { "description": "for add, replace and test: any JSON value" },
                    "from": from,
                },
                "required": ["op", "path"],
            });
        }
        let op = |words: &[&str]| json!({ "type": "string", "enum": words });
        let mut variants: Vec<Value> = self.places.iter().map(|place| {
            json!({
                "type": "object",
                "properties": { "op": op(&["add", "replace", "test"]), "path": place.path(), "value": place.schema },
                "required": ["op", "path", "value"],
            })
        }).collect();
        variants.push(json!({
            "type": "object",
            "properties": { "op": op(&["remove"]), "path": path },
            "required": ["op", "path"],
        }));
        variants.push(json!({
            "type": "object",
            "properties": { "op": op(&["move", "copy"]), "from": from, "path": path },
            "required": ["op", "from", "path"],
        }));
        json!({ "anyOf": variants })
    }

    fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = Vec::new();
        for path in self.places.iter().map(Place::text) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }
}

impl Place {
    fn is_fixed(&self) -> bool {
        self.tokens.iter().all(|token| token != INDEX)
    }

    fn text(&self) -> String {
        self.tokens.iter().fold(String::new(), |path, token| match token.as_str() {
            INDEX => format!("{path}/{INDEX}"),
            name => format!("{path}{}", Pointer::root().join(name)),
        })
    }

    fn path(&self) -> Value {
        if self.is_fixed() {
            return json!({ "type": "string", "enum": [self.text()] });
        }
        let description = format!("{} (an index from 0, or `-` to append)", self.text());
        json!({ "type": "string", "description": description })
    }
}

struct Walk<'w> {
    root: &'w Value,
    view: &'w View,
    /// `None` is everything.
    write: Option<&'w [Pointer]>,
}

impl Walk<'_> {
    fn below(&self, schema: &Value, at: &mut Vec<String>, depth: usize, found: &mut Typed) {
        let Some(schema) = self.resolved(schema) else { return };
        if depth == 0 {
            return;
        }
        let members = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let elements = schema.get("items").filter(|items| items.is_object());
        let steps = members.map(|(name, schema)| (name.as_str(), schema)).chain(elements.map(|items| (INDEX, items)));
        for (token, schema) in steps {
            at.push(token.to_owned());
            let path = pointer(at);
            if self.may_write(&path) && self.view.may_read(&path) && self.view.may_write(&path) {
                found.add(Place { tokens: at.clone(), schema: self.told(schema, at, SCHEMA_DEPTH) });
            }
            self.below(schema, at, depth - 1, found);
            at.pop();
        }
    }

    fn may_write(&self, path: &Pointer) -> bool {
        self.write.is_none_or(|write| write.iter().any(|allowed| path.starts_with(allowed)))
    }

    /// What a local reference leads to; `None` when it goes in circles.
    fn resolved<'s>(&'s self, mut schema: &'s Value) -> Option<&'s Value> {
        for _ in 0..SCHEMA_DEPTH {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return Some(schema) };
            schema = local_target(reference)?.get(self.root)?;
        }
        None
    }

    /// A schema as a model is told it: references in place, nothing that is hidden from it, no annotations of ours.
    fn told(&self, schema: &Value, at: &mut Vec<String>, depth: usize) -> Value {
        /// Keywords that hold no subschema and mean something to a model.
        const KEPT: [&str; 17] = [
            "type",
            "enum",
            "const",
            "description",
            "format",
            "pattern",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "uniqueItems",
            "examples",
        ];
        let anything = || Value::Object(Map::new());
        let Some(Value::Object(keywords)) = self.resolved(schema).filter(|_| depth > 0) else { return anything() };
        let mut told = Map::new();
        for (keyword, value) in keywords {
            match (keyword.as_str(), value) {
                ("properties", Value::Object(members)) => {
                    let mut shown = Map::new();
                    for (name, schema) in members {
                        at.push(name.clone());
                        if self.view.may_read(&pointer(at)) {
                            shown.insert(name.clone(), self.told(schema, at, depth - 1));
                        }
                        at.pop();
                    }
                    told.insert(keyword.clone(), Value::Object(shown));
                }
                ("items", Value::Object(_)) => {
                    at.push(INDEX.to_owned());
                    told.insert(keyword.clone(), self.told(value, at, depth - 1));
                    at.pop();
                }
                ("additionalProperties", Value::Bool(_)) => drop(told.insert(keyword.clone(), value.clone())),
                ("additionalProperties", Value::Object(_)) => {
                    at.push("-".to_owned());
                    told.insert(keyword.clone(), self.told(value, at, depth - 1));
                    at.pop();
                }
                ("anyOf" | "oneOf" | "allOf", Value::Array(branches)) => {
                    let branches = branches.iter().map(|branch| self.told(branch, at, depth - 1)).collect();
                    told.insert(keyword.clone(), Value::Array(branches));
                }
                ("required", Value::Array(names)) => {
                    let shown = names.iter().filter(|name| {
                        at.push(name.as_str().unwrap_or_default().to_owned());
                        let is_shown = self.view.may_read(&pointer(at));
                        at.pop();
                        is_shown
                    });
                    let shown: Vec<Value> = shown.cloned().collect();
                    told.insert(keyword.clone(), Value::Array(shown));
                }
                (kept, value) if KEPT.contains(&kept) => drop(told.insert(keyword.clone(), value.clone())),
                _ => {}
            }
        }
        Value::Object(told)
    }
}

/// A place as the schema's view knows it: any element is like another.
fn pointer(tokens: &[String]) -> Pointer {
    tokens.iter().fold(Pointer::root(), |path, token| path.join(if token == INDEX { "-" } else { token.as_str() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::folder::Folder;

    fn typed(definition: &str) -> Typed {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("_types")).expect("a folder");
        let note = "schema: { type: object, properties: { text: { type: string }, stars: { $ref: '#/$defs/stars' } }, \
                    $defs: { stars: { type: integer, minimum: 1 } } }";
        std::fs::write(folder.path().join("_types/note.yaml"), note).expect("a file");
        let head = "agent: { kind: llm, model: scripted/echo }\n";
        std::fs::write(folder.path().join("a.yaml"), format!("{head}{definition}")).expect("a file");
        let mut loaded = Folder::load(folder.path());
        assert_eq!(loaded.problems, []);
        Typed::of(&loaded.definitions.pop().expect("a definition"))
    }

    #[test]
    fn a_model_is_told_which_value_goes_where() {
        let own = "state: { schema: { type: object, properties: { title: { type: string, x-merge: lww }, secret: { \
                   type: string, x-secret: true }, theirs: { type: string, x-access: { write: ['user:ann'] } } } } }";
        let (path, value) = typed(own).path_and_value();
        assert_eq!(path, json!({ "type": "string", "enum": ["/title"] }));
        assert_eq!(value, json!({ "type": "string" }));
        let variants = typed(own).operation()["anyOf"].clone();
        assert_eq!(variants.as_array().map(Vec::len), Some(3), "set, remove, move");
        assert_eq!(variants[0]["properties"]["path"], json!({ "type": "string", "enum": ["/title"] }));
    }

    #[test]
    fn places_of_lists_and_of_other_documents_are_told_too() {
        let list =
            "state: { schema: { properties: { days: { type: array, items: { type: string } } } }, write: [/days] }";
        let (path, value) = typed(list).path_and_value();
        let description = path["description"].as_str().expect("no list of fixed paths");
        assert!(description.contains("/days, /days/<index>"), "{description}");
        assert_eq!(value["anyOf"], json!([{ "type": "array", "items": { "type": "string" } }, { "type": "string" }]));
        let others = "state: { write: [] }\ndocuments: { write: ['note/*#/stars'] }";
        let (path, value) = typed(others).path_and_value();
        assert_eq!((path["enum"].clone(), value), (json!(["/stars"]), json!({ "type": "integer", "minimum": 1 })));
        let whole = "state: { write: [] }\ndocuments: { write: ['note/*'] }";
        assert_eq!(typed(whole).path_and_value().0["enum"], json!(["", "/stars", "/text"]));
    }

    #[test]
    fn where_a_document_says_nothing_anything_goes() {
        for definition in ["", "state: { schema: { properties: { a: {} } } }\ndocuments: { write: ['shared/x'] }"] {
            assert_eq!(typed(definition), Typed::default(), "{definition}");
        }
        let names: String = (0..40).map(|n| format!("m{n}: {{ type: string }}, ")).collect();
        assert_eq!(typed(&format!("state: {{ schema: {{ properties: {{ {names} }} }} }}")), Typed::default());
    }
}
