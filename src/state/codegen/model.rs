//! A schema as declarations of types that a programming language can have; what no type says is left to the schema.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::type_name;
use crate::state::pointer::Pointer;
use crate::state::schema::{Schema, local_target};

/// Keywords that say what a value is, beside a reference.
const SHAPING: &[&str] =
    &["type", "properties", "additionalProperties", "items", "enum", "const", "allOf", "anyOf", "oneOf"];

/// A type by name.
pub(super) struct Declaration {
    pub(super) name: String,
    pub(super) doc: Option<String>,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Any,
    Never,
    Null,
    Bool,
    Integer(Bounds),
    Number(Bounds),
    Text,
    /// Scalars.
    OneOf(Vec<Value>),
    List(Box<Shape>),
    /// Members of any name.
    Map(Box<Shape>),
    Object {
        fields: Vec<Field>,
        others: Others,
    },
    /// A declaration.
    Named(String),
    Union(Vec<Shape>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) is_required: bool,
    pub(super) doc: Option<String>,
}

/// Members that have no field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// Nothing is said of them.
    Unsaid,
    Allowed,
    Refused,
}

/// What a number may be, as written in the schema: `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Bounds(pub(super) Vec<(&'static str, Value)>);

/// The declarations of a schema, the one for the whole value (called after `name`) first. None is called as in `reserved`,
/// which the generated module means something else by.
pub(super) fn declarations(name: &str, schema: &Schema, reserved: &[&str]) -> Vec<Declaration> {
    let mut reader = Reader {
        source: schema.source(),
        names: BTreeMap::new(),
        taken: reserved.iter().copied().map(str::to_owned).collect(),
        resolving: BTreeSet::new(),
        done: Vec::new(),
    };
    let root = reader.claim(&type_name(name));
    reader.names.insert(Pointer::root(), root.clone());
    reader.declare(root, &Pointer::root());
    reader.done
}

struct Reader<'s> {
    source: &'s Value,
    /// What is referred to, and the nested objects, by place.
    names: BTreeMap<Pointer, String>,
    taken: BTreeSet<String>,
    resolving: BTreeSet<Pointer>,
    done: Vec<Declaration>,
}

impl Reader<'_> {
    fn claim(&mut self, wanted: &str) -> String {
        let numbered = (2..).map(|n| format!("{wanted}{n}"));
        let free = std::iter::once(wanted.to_owned()).chain(numbered).find(|name| !self.taken.contains(name));
        let name = free.expect("there are numbers enough");
        self.taken.insert(name.clone());
        name
    }

    fn declare(&mut self, name: String, at: &Pointer) {
        let place = self.done.len();
        self.done.push(Declaration { name: name.clone(), doc: doc(at.get(self.source)), shape: Shape::Any });
        let shape = self.shape(at, &name, true);
        self.done[place].shape = shape;
    }

    fn named(&mut self, at: &Pointer, wanted: &str) -> Shape {
        if let Some(name) = self.names.get(at) {
            return Shape::Named(name.clone());
        }
        let name = self.claim(wanted);
        self.names.insert(at.clone(), name.clone());
        self.declare(name.clone(), at);
        Shape::Named(name)
    }

    /// The type of the subschema at `at`; objects other than a declaration's own become declarations called `name`.
    fn shape(&mut self, at: &Pointer, name: &str, is_own: bool) -> Shape {
        let keywords = match at.get(self.source) {
            Some(Value::Object(keywords)) => keywords.clone(),
            Some(Value::Bool(false)) => return Shape::Never,
            _ => return Shape::Any,
        };
        let mut parts = Vec::new();
        if let Some(target) = keywords.get("$ref").and_then(Value::as_str).and_then(local_target) {
            let wanted = type_name(target.last().unwrap_or(name));
            parts.push((target.clone(), wanted));
        }
        if let Some(Value::Array(all)) = keywords.get("allOf") {
            parts.extend((0..all.len()).map(|index| (at.join("allOf").join(index.to_string()), format!("{name}Part"))));
        }
        let own = self.own_shape(&keywords, at, name, is_own || !parts.is_empty());
        if parts.is_empty() {
            return own;
        }
        if let [(part, wanted)] = parts.as_slice()
            && own == Shape::Any
        {
            let is_reference = keywords.contains_key("$ref");
            return if is_reference { self.named(part, wanted) } else { self.shape(part, name, is_own) };
        }
        // Several say something of the same value: their fields together, where all are objects.
        let mut fields: Vec<Field> = Vec::new();
        let mut shapes = vec![own];
        for (part, wanted) in &parts {
            shapes.push(self.resolved(part, wanted));
        }
        let mut all_others = Others::Unsaid;
        for shape in shapes {
            match shape {
                Shape::Object { fields: more, others } => {
                    all_others = if others == Others::Unsaid { all_others } else { others };
                    for field in more {
                        match fields.iter_mut().find(|known| known.name == field.name) {
                            Some(known) => known.is_required |= field.is_required,
                            None => fields.push(field),
                        }
                    }
                }
                Shape::Any => {}
                other if fields.is_empty() => return other,
                _ => return Shape::Any,
            }
        }
        if fields.is_empty() {
            return Shape::Any;
        }
        let merged = Shape::Object { fields, others: all_others };
        if is_own { merged } else { self.declared(merged, at, name) }
    }

    /// A shape that is looked at here and now, and not by name.
    fn resolved(&mut self, at: &Pointer, name: &str) -> Shape {
        // What is being looked at already says nothing more of itself.
        if !self.resolving.insert(at.clone()) {
            return Shape::Any;
        }
        let target = match at.get(self.source) {
            Some(Value::Object(keywords)) if keywords.keys().all(|keyword| !SHAPING.contains(&keyword.as_str())) => {
                keywords.get("$ref").and_then(Value::as_str).and_then(local_target)
            }
            _ => None,
        };
        let shape = match target {
            Some(target) => self.resolved(&target, name),
            None => self.shape(at, name, true),
        };
        self.resolving.remove(at);
        shape
    }

    fn declared(&mut self, shape: Shape, at: &Pointer, name: &str) -> Shape {
        let name = self.claim(name);
        self.done.push(Declaration { name: name.clone(), doc: doc(at.get(self.source)), shape });
        Shape::Named(name)
    }

    fn own_shape(&mut self, keywords: &Map<String, Value>, at: &Pointer, name: &str, is_own: bool) -> Shape {
        if let Some(value) = keywords.get("const") {
            return literals(std::slice::from_ref(value));
        }
        if let Some(Value::Array(values)) = keywords.get("enum") {
            return literals(values);
        }
        for branches in ["anyOf", "oneOf"] {
            if let Some(Value::Array(all)) = keywords.get(branches) {
                let below = at.join(branches);
                let shapes = (0..all.len()).map(|index| {
                    self.shape(&below.join(index.to_string()), &format!("{name}Option{}", index + 1), false)
                });
                return union(shapes.collect());
            }
        }
        let types: Vec<&str> = match keywords.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ if keywords.contains_key("properties") || keywords.contains_key("additionalProperties") => vec!["object"],
            _ if keywords.contains_key("items") => vec!["array"],
            _ => return Shape::Any,
        };
        let shapes = types.iter().map(|of_type| match *of_type {
            "null" => Shape::Null,
            "boolean" => Shape::Bool,
            "integer" => Shape::Integer(bounds(keywords)),
            "number" => Shape::Number(bounds(keywords)),
            "string" => Shape::Text,
            "array" => match keywords.get("items") {
                Some(Value::Object(_) | Value::Bool(_)) => {
                    Shape::List(Box::new(self.shape(&at.join("items"), &format!("{name}Item"), false)))
                }
                _ => Shape::List(Box::new(Shape::Any)),
            },
            "object" => self.object(keywords, at, name, is_own && types.len() == 1),
            _ => Shape::Any,
        });
        union(shapes.collect())
    }

    fn object(&mut self, keywords: &Map<String, Value>, at: &Pointer, name: &str, is_own: bool) -> Shape {
        let Some(Value::Object(members)) =
            keywords.get("properties").filter(|members| members != &&Value::Object(Map::new()))
        else {
            return Shape::Map(Box::new(match keywords.get("additionalProperties") {
                Some(Value::Object(_)) => self.shape(&at.join("additionalProperties"), &format!("{name}Value"), false),
                _ => Shape::Any,
            }));
        };
        if !is_own {
            return self.named(at, name);
        }
        let required: Vec<&str> = match keywords.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let mut fields = Vec::with_capacity(members.len());
        for (member, schema) in members {
            let is_secret = schema.get("x-secret") == Some(&Value::Bool(true));
            let doc = doc(Some(schema));
            let secret = "Written only: it is never sent.".to_owned();
            fields.push(Field {
                name: member.clone(),
                shape: self.shape(&at.join("properties").join(member), &format!("{name}{}", type_name(member)), false),
                is_required: required.contains(&member.as_str()) && !is_secret,
                doc: if is_secret { Some(doc.map_or(secret.clone(), |doc| format!("{doc} {secret}"))) } else { doc },
            });
        }
        // Those that must be there first, each group by name.
        fields.sort_by_key(|field| !field.is_required);
        let others = match keywords.get("additionalProperties") {
            None => Others::Unsaid,
            Some(Value::Bool(false)) => Others::Refused,
            Some(_) => Others::Allowed,
        };
        Shape::Object { fields, others }
    }
}

fn literals(values: &[Value]) -> Shape {
    let is_plain = |value: &Value| !value.is_object() && !value.is_array();
    if values.iter().all(is_plain) { Shape::OneOf(values.to_vec()) } else { Shape::Any }
}

fn union(shapes: Vec<Shape>) -> Shape {
    let mut distinct: Vec<Shape> = Vec::with_capacity(shapes.len());
    for shape in shapes {
        match shape {
            Shape::Any => return Shape::Any,
            shape if !distinct.contains(&shape) => distinct.push(shape),
            _ => {}
        }
    }
    if distinct.len() == 1 { distinct.remove(0) } else { Shape::Union(distinct) }
}

fn bounds(keywords: &Map<String, Value>) -> Bounds {
    let known = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
    Bounds(known.into_iter().filter_map(|keyword| Some((keyword, keywords.get(keyword)?.clone()))).collect())
}

/// In one line.
fn doc(schema: Option<&Value>) -> Option<String> {
    let schema = schema?;
    let text = schema.get("description").or_else(|| schema.get("title"))?.as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty())
}
