//! From a schema's text to its places: references resolved, annotations read, and what cannot be kept refused.

use std::collections::BTreeMap;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::{Annotations, Compiled, Place, PlaceId, Reach, Rule, SchemaError, options};
use crate::state::json;
use crate::state::limits::Limits;
use crate::state::pointer::Pointer;

const MAX_BYTES: usize = 256 << 10;
const MAX_PLACES: usize = 4_096;

/// Keywords that are judged at the place they are written for, or below it, each value for itself.
const LOCAL: &[&str] = &[
    "$ref",
    "$defs",
    "definitions",
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "contentEncoding",
    "contentMediaType",
    "type",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "allOf",
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "required",
    "dependentRequired",
    "minProperties",
    "maxProperties",
    "items",
    "minItems",
    "maxItems",
];
/// Keywords that look at a container and not at what is in its members.
const SHALLOW: &[&str] =
    &["type", "required", "dependentRequired", "minProperties", "maxProperties", "minItems", "maxItems"];
/// References that cannot be followed before the value is known, or that lead out of the schema.
const REFUSED: &[&str] = &["$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor", "$recursiveAnchor"];
const OURS: &[&str] = &["x-merge", "x-access", "x-secret", "x-transitions"];

pub(super) fn compile(source: Value) -> Result<Compiled, SchemaError> {
    let limits = Limits::of_bytes(MAX_BYTES);
    json::check(&source, &limits).map_err(|error| refused(&Pointer::root(), error.to_string()))?;
    let mut compiler = Compiler { source: &source, places: Vec::new(), known: BTreeMap::new() };
    compiler.place(&Pointer::root())?;
    let mut places = compiler.places;
    let of_library = |error: jsonschema::ValidationError<'_>| {
        let path = Pointer::parse(error.instance_path().as_str()).unwrap_or_default();
        refused(&path, error.to_string())
    };
    options().build(&source).map_err(of_library)?;
    let validators = options().build_map(&source).map_err(of_library)?;
    if let Some(place) = places.iter().find(|place| !validators.contains_key(&place.fragment)) {
        return Err(refused(&Pointer::parse(&place.fragment[1..]).unwrap_or_default(), "it cannot be compiled".into()));
    }
    for place in &mut places {
        let at = Pointer::parse(&place.fragment[1..]).unwrap_or_default();
        place.shallow = shallow(at.get(&source), &at)?;
    }
    spread(&mut places);
    let whole = places.iter().filter(|place| place.is_whole);
    let whole = whole.map(|place| Pointer::parse(&place.fragment[1..]).unwrap_or_default()).collect();
    Ok(Compiled { validators, places, whole, source })
}

fn refused(path: &Pointer, message: String) -> SchemaError {
    SchemaError { path: path.clone(), message }
}

/// What is said anywhere below is known above.
fn spread(places: &mut [Place]) {
    loop {
        let mut grew = false;
        for id in 0..places.len() {
            let place = &places[id];
            let below = place.members.values().chain(place.patterns.iter().map(|(_, id)| id));
            let below = below.chain(&place.other_members).chain(&place.elements).chain(&place.and).chain(&place.or);
            let reach = below.map(|&id| places[id].reach).fold(place.reach, |reach, other| Reach {
                rules: reach.rules || other.rules,
                cas: reach.cas || other.cas,
                transitions: reach.transitions || other.transitions,
            });
            grew |= places[id].reach != reach;
            places[id].reach = reach;
        }
        if !grew {
            return;
        }
    }
}

struct Compiler<'s> {
    source: &'s Value,
    places: Vec<Place>,
    /// By the text of their pointers: a schema may refer to itself.
    known: BTreeMap<Pointer, PlaceId>,
}

impl<'s> Compiler<'s> {
    fn place(&mut self, at: &Pointer) -> Result<PlaceId, SchemaError> {
        if let Some(&id) = self.known.get(at) {
            return Ok(id);
        }
        if self.places.len() == MAX_PLACES {
            return Err(refused(at, format!("it has more than {MAX_PLACES} subschemas")));
        }
        let id = self.places.len();
        self.known.insert(at.clone(), id);
        self.places.push(Place { fragment: format!("#{at}"), ..Place::default() });
        let found = at.get(self.source).ok_or_else(|| refused(at, "there is nothing here to refer to".into()))?;
        let keywords = match found {
            Value::Object(keywords) => keywords,
            Value::Bool(_) => return Ok(id),
            _ => return Err(refused(at, "a schema is an object or a boolean".into())),
        };
        if let Some(keyword) = REFUSED.iter().find(|keyword| keywords.contains_key(**keyword)) {
            return Err(refused(&at.join(*keyword), "write references as `$ref: \"#/…\"`".into()));
        }
        if !at.is_root() && keywords.contains_key("$id") {
            return Err(refused(&at.join("$id"), "only the root may have an `$id`".into()));
        }
        let mut place = Place { fragment: format!("#{at}"), ..Place::default() };
        self.references(keywords, at, &mut place)?;
        self.members(keywords, at, &mut place)?;
        self.elements(keywords, at, &mut place)?;
        place.is_whole = keywords.iter().any(|(keyword, value)| is_whole(keyword, value));
        place.says = annotations(keywords, at)?;
        place.reach = Reach {
            rules: place.says.rule.as_ref().is_some_and(|rule| !matches!(rule, Rule::Lww | Rule::Cas)),
            cas: place.says.rule == Some(Rule::Cas),
            transitions: place.says.transitions.is_some(),
        };
        self.places[id] = place;
        Ok(id)
    }

    fn references(
        &mut self,
        keywords: &Map<String, Value>,
        at: &Pointer,
        place: &mut Place,
    ) -> Result<(), SchemaError> {
        if let Some(reference) = keywords.get("$ref") {
            let to = reference.as_str().and_then(local_target);
            let to = to.ok_or_else(|| {
                refused(&at.join("$ref"), format!("{reference} leads out of the schema: only `#/…` is followed"))
            })?;
            place.and.push(self.place(&to)?);
        }
        for (keyword, value) in keywords {
            let below = at.join(keyword);
            match (keyword.as_str(), value) {
                ("allOf" | "anyOf" | "oneOf", Value::Array(branches)) => {
                    for index in 0..branches.len() {
                        let id = self.place(&below.join(index.to_string()))?;
                        if keyword == "allOf" { place.and.push(id) } else { place.or.push(id) }
                    }
                }
                ("if" | "then" | "else" | "not", _) => place.or.push(self.place(&below)?),
                ("dependentSchemas" | "dependencies", Value::Object(schemas)) => {
                    for (key, _) in schemas.iter().filter(|(_, schema)| !schema.is_array()) {
                        place.or.push(self.place(&below.join(key))?);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn members(&mut self, keywords: &Map<String, Value>, at: &Pointer, place: &mut Place) -> Result<(), SchemaError> {
        if let Some(Value::Object(members)) = keywords.get("properties") {
            for name in members.keys() {
                let id = self.place(&at.join("properties").join(name))?;
                place.members.insert(name.clone(), id);
            }
        }
        if let Some(Value::Object(patterns)) = keywords.get("patternProperties") {
            for pattern in patterns.keys() {
                let below = at.join("patternProperties").join(pattern);
                let matches = small(json!({"pattern": pattern}), &below)?;
                place.patterns.push((matches, self.place(&below)?));
            }
        }
        for keyword in ["additionalProperties", "unevaluatedProperties"] {
            match keywords.get(keyword) {
                Some(Value::Bool(false)) => place.refuses_other_members |= keyword == "additionalProperties",
                Some(_) => place.other_members = Some(self.place(&at.join(keyword))?),
                None => {}
            }
        }
        if let Some(names) = keywords.get("propertyNames") {
            self.place(&at.join("propertyNames"))?;
            // Names are looked at one by one; a reference in here is followed from the whole schema.
            let mut rooted = json!({"allOf": [names]});
            for definitions in ["$defs", "definitions"] {
                if let Some(found) = self.source.get(definitions) {
                    rooted[definitions] = found.clone();
                }
            }
            place.member_names = Some(small(rooted, &at.join("propertyNames"))?);
        }
        Ok(())
    }

    /// Elements move, so that what is said of one position counts for all.
    fn elements(&mut self, keywords: &Map<String, Value>, at: &Pointer, place: &mut Place) -> Result<(), SchemaError> {
        for keyword in ["items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"] {
            let below = at.join(keyword);
            match keywords.get(keyword) {
                Some(Value::Array(items)) => {
                    for index in 0..items.len() {
                        place.elements.push(self.place(&below.join(index.to_string()))?);
                    }
                }
                Some(_) => place.elements.push(self.place(&below)?),
                None => {}
            }
        }
        Ok(())
    }
}

fn small(schema: Value, at: &Pointer) -> Result<Validator, SchemaError> {
    options().build(&schema).map_err(|error| refused(at, error.to_string()))
}

/// A validator for a container without what is in it; none where nothing is said of such.
fn shallow(schema: Option<&Value>, at: &Pointer) -> Result<Option<Validator>, SchemaError> {
    let Some(Value::Object(keywords)) = schema else { return Ok(None) };
    let kept = keywords.iter().filter(|(keyword, _)| SHALLOW.contains(&keyword.as_str()));
    let kept: Map<String, Value> = kept.map(|(keyword, value)| (keyword.clone(), value.clone())).collect();
    if kept.is_empty() { Ok(None) } else { small(Value::Object(kept), at).map(Some) }
}

/// Keywords with a value that says nothing are local whatever they are.
fn is_whole(keyword: &str, value: &Value) -> bool {
    let is_annotation = keyword.starts_with("x-");
    let is_plain = match (keyword, value) {
        ("items", value) => !value.is_array(),
        // Of plain values: nothing below is looked at.
        ("enum", Value::Array(values)) => values.iter().all(|value| !value.is_object() && !value.is_array()),
        ("const", value) => !value.is_object() && !value.is_array(),
        ("uniqueItems", value) => value == &Value::Bool(false),
        _ => LOCAL.contains(&keyword),
    };
    !is_annotation && !is_plain && is_known(keyword)
}

/// Keywords that no draft knows are not looked at.
fn is_known(keyword: &str) -> bool {
    const OTHERS: &[&str] = &[
        "anyOf",
        "oneOf",
        "not",
        "if",
        "then",
        "else",
        "dependentSchemas",
        "dependencies",
        "prefixItems",
        "additionalItems",
        "contains",
        "minContains",
        "maxContains",
        "uniqueItems",
        "unevaluatedProperties",
        "unevaluatedItems",
        "enum",
        "const",
        "items",
        "contentSchema",
    ];
    OTHERS.contains(&keyword)
}

pub(crate) fn local_target(reference: &str) -> Option<Pointer> {
    let fragment = reference.strip_prefix('#')?;
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            (digit()? << 4 | digit()?) as u8
        } else {
            byte
        });
    }
    Pointer::parse(std::str::from_utf8(&bytes).ok()?).ok()
}

fn annotations(keywords: &Map<String, Value>, at: &Pointer) -> Result<Annotations, SchemaError> {
    let mut says = Annotations::default();
    if let Some(rule) = keywords.get("x-merge") {
        says.rule = Some(rule.as_str().and_then(rule_named).ok_or_else(|| {
            let rules = "lww, cas, counter, max, min, set, append, list:<key>, text";
            refused(&at.join("x-merge"), format!("{rule} is no merge rule: {rules}"))
        })?);
    }
    if let Some(access) = keywords.get("x-access") {
        let at = at.join("x-access");
        let Value::Object(access) = access else {
            return Err(refused(&at, "it is an object: {read: [...], write: [...]}".into()));
        };
        for (verb, names) in access {
            let list = serde_json::from_value::<Vec<String>>(names.clone()).ok();
            let list = list.filter(|names| names.iter().all(|name| is_principal(name))).ok_or_else(|| {
                let kinds = "`user:<id>`, `agent:<id>`, `service:<id>`, `role:<name>` or `any`";
                refused(&at.join(verb), format!("it is a list of {kinds}"))
            })?;
            match verb.as_str() {
                "read" => says.read = Some(list),
                "write" => says.write = Some(list),
                _ => return Err(refused(&at.join(verb), "only `read` and `write` are known".into())),
            }
        }
    }
    match keywords.get("x-secret") {
        None => {}
        Some(Value::Bool(is_secret)) => says.is_secret = *is_secret,
        Some(_) => return Err(refused(&at.join("x-secret"), "it is true or false".into())),
    }
    if let Some(transitions) = keywords.get("x-transitions") {
        let transitions = serde_json::from_value(transitions.clone());
        says.transitions = Some(transitions.map_err(|_| {
            let shape = "it maps each state to the states that may follow: {\"idle\": [\"running\"]}";
            refused(&at.join("x-transitions"), shape.into())
        })?);
    }
    if let Some(unknown) = keywords.keys().find(|key| key.starts_with("x-") && is_likely_ours(key)) {
        return Err(refused(&at.join(unknown), format!("unknown: {} are known", OURS.join(", "))));
    }
    Ok(says)
}

/// A misspelt `x-access` must not leave a place open.
fn is_likely_ours(keyword: &str) -> bool {
    let letters: String = keyword.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let ours = ["xmerge", "xaccess", "xsecret", "xsecrets", "xtransitions", "xtransition", "xread", "xwrite"];
    ours.contains(&letters.as_str()) && !OURS.contains(&keyword)
}

fn is_principal(name: &str) -> bool {
    let kinds = ["user:", "agent:", "service:", "role:"];
    name == "any" || kinds.iter().any(|kind| name.strip_prefix(kind).is_some_and(|rest| !rest.is_empty()))
}

fn rule_named(name: &str) -> Option<Rule> {
    Some(match name {
        "lww" => Rule::Lww,
        "cas" => Rule::Cas,
        "counter" => Rule::Counter,
        "max" => Rule::Max,
        "min" => Rule::Min,
        "set" => Rule::Set,
        "append" => Rule::Append,
        "text" => Rule::Text,
        _ => Rule::List(name.strip_prefix("list:").filter(|key| !key.is_empty())?.to_owned()),
    })
}
