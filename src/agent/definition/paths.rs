//! Whether a path exists in a JSON Schema: what `coagent check` asks for every pointer and template variable.

use serde_json::Value;

/// How many references are followed on one path.
const HOPS: usize = 64;

/// Whether a value that fits `schema` can have something at these tokens. A schema that says nothing of a place, such as an
/// object without `properties`, allows anything there; one that lists properties allows those, unless
/// `additionalProperties` allows more.
pub(crate) fn exists(schema: &Value, tokens: &[&str]) -> bool {
    reaches(schema, schema, tokens, HOPS)
}

fn reaches(root: &Value, schema: &Value, tokens: &[&str], hops: usize) -> bool {
    let Value::Object(keywords) = schema else { return schema != &Value::Bool(false) };
    let Some((token, rest)) = tokens.split_first() else { return true };
    if hops == 0 {
        return true;
    }
    let below = |schema: &Value| reaches(root, schema, rest, hops - 1);
    let same = |schema: &Value| reaches(root, schema, tokens, hops - 1);
    if let Some(reference) = keywords.get("$ref").and_then(Value::as_str) {
        let local = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        if let Some(target) = local {
            return same(target);
        }
    }
    let mut said = false;
    for keyword in ["allOf", "anyOf", "oneOf"] {
        if let Some(Value::Array(branches)) = keywords.get(keyword) {
            said = true;
            if branches.iter().any(same) {
                return true;
            }
        }
    }
    if let Some(Value::Object(properties)) = keywords.get("properties") {
        said = true;
        if *token == "*" {
            return properties.values().any(below) || more(keywords, below);
        }
        if let Some(property) = properties.get(*token) {
            return below(property);
        }
    }
    if let Some(Value::Object(patterns)) = keywords.get("patternProperties") {
        // A pattern may mean the name; what cannot be said for sure is no error.
        return patterns.values().any(below);
    }
    let is_index = token.parse::<usize>().is_ok() || matches!(*token, "-" | "*");
    if let Some(items) = keywords.get("items").or_else(|| keywords.get("prefixItems")) {
        said = true;
        if is_index {
            return match items {
                Value::Array(items) => items.iter().any(below),
                items => below(items),
            };
        }
    }
    if let Some(additional) = keywords.get("additionalProperties") {
        return below(additional) && additional != &Value::Bool(false);
    }
    !said && can_have_members(keywords, is_index)
}

fn more(keywords: &serde_json::Map<String, Value>, below: impl Fn(&Value) -> bool) -> bool {
    keywords.get("additionalProperties").is_some_and(|schema| schema != &Value::Bool(false) && below(schema))
}

fn can_have_members(keywords: &serde_json::Map<String, Value>, is_index: bool) -> bool {
    let has = |name: &str| name == "object" || name == "array" && is_index;
    match keywords.get("type") {
        Some(Value::String(name)) => has(name),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(has),
        _ => !keywords.contains_key("const") && !keywords.contains_key("enum"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_exists_where_the_schema_can_have_something() {
        let schema = json!({
            "type": "object",
            "properties": {
                "trip": {"$ref": "#/$defs/trip"},
                "user": {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": false},
                "free": {"type": "object"},
                "open": {"properties": {"a": {}}, "additionalProperties": {"properties": {"b": {}}}},
                "either": {"anyOf": [{"properties": {"x": {}}}, {"properties": {"y": {}}}]},
                "anything": true
            },
            "$defs": {"trip": {"properties": {"days": {"type": "array", "items": {"properties": {"city": {"type": "string"}}}}}}}
        });
        for (path, expected) in [
            ("", true),
            ("/trip", true),
            ("/trip/days", true),
            ("/trip/days/0", true),
            ("/trip/days/-", true),
            ("/trip/days/*/city", true),
            ("/trip/days/0/town", false),
            ("/trip/days/city", false),
            ("/trip/dyas", false),
            ("/user/name", true),
            ("/user/name/first", false),
            ("/user/age", false),
            ("/usr", false),
            ("/*/name", true),
            ("/*/nothing", true),
            ("/free/whatever/it/is", true),
            ("/open/a/x", true),
            ("/open/other/b", true),
            ("/open/other/c", false),
            ("/either/x", true),
            ("/either/y", true),
            ("/either/z", false),
            ("/anything/at/all", true),
        ] {
            let tokens: Vec<&str> = path.split('/').skip(1).collect();
            assert_eq!(exists(&schema, &tokens), expected, "{path}");
        }
        assert!(exists(&json!(true), &["a"]) && !exists(&json!(false), &["a"]));
    }
}
