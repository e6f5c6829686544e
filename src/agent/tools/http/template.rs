//! Addresses, headers and bodies as templates over the arguments. What an argument holds never becomes part of how an
//! address is built: in addresses it is percent-encoded.

use std::fmt::Write as _;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value as Templated};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::agent::definition::{HttpTool, paths};
use crate::agent::filling;
use crate::agent::variables::variables;

const FUEL: u64 = 50_000;
/// The longest text that a template may come to, in bytes.
const RENDERED_BYTES: usize = 256 * 1024;

pub(super) struct Templates {
    /// Percent-encodes what is put in.
    addresses: Environment<'static>,
    texts: Environment<'static>,
    url: String,
    headers: Vec<(String, String)>,
    body: Body,
}

enum Body {
    Nothing,
    /// The arguments themselves, as JSON.
    Arguments,
    Text(String),
    /// Its texts are templates; one that is nothing but `{{ … }}` stands for the value itself.
    Json(Value),
}

type Field = &'static str;

impl Templates {
    /// Checks everything that can be known without arguments.
    pub(super) fn compile(definition: &HttpTool, input: &Value) -> Result<Self, (Field, String)> {
        let mut addresses = environment();
        addresses.set_formatter(|out, _, value| {
            let mut encoded = String::new();
            percent_encode(&value.to_string(), &mut encoded);
            out.write_str(&encoded).map_err(minijinja::Error::from)
        });
        let body = match &definition.body {
            Some(Value::String(text)) => Body::Text(text.clone()),
            Some(value) => Body::Json(value.clone()),
            None if matches!(definition.method, Method::POST | Method::PUT | Method::PATCH) => Body::Arguments,
            None => Body::Nothing,
        };
        let templates = Self {
            addresses,
            texts: environment(),
            url: definition.url.clone(),
            headers: definition.headers.clone(),
            body,
        };
        templates.check("url", &templates.url, input)?;
        for (_, value) in &templates.headers {
            templates.check("headers", value, input)?;
        }
        match &templates.body {
            Body::Text(text) => templates.check("body", text, input)?,
            Body::Json(value) => templates.check_all(value, input)?,
            Body::Nothing | Body::Arguments => {}
        }
        if !["http://", "https://"].iter().any(|scheme| templates.url.starts_with(scheme)) {
            return Err(("url", "the address must begin with http:// or https://".to_owned()));
        }
        Ok(templates)
    }

    /// The host as it is written, for people.
    pub(super) fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    pub(super) fn url(&self, arguments: &Map<String, Value>) -> Result<String, String> {
        let url = render(&self.addresses, &self.url, arguments)?;
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let steps_out = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        if path.split(['/', '\\']).any(steps_out) {
            return Err("an argument leads out of its place in the address".to_owned());
        }
        Ok(url)
    }

    pub(super) fn headers(&self, arguments: &Map<String, Value>) -> Result<Vec<(String, String)>, String> {
        let filled = |(name, value): &'_ (String, String)| {
            render(&self.texts, value, arguments).map(|value| (name.clone(), value))
        };
        self.headers.iter().map(filled).collect()
    }

    /// The body and its content type.
    pub(super) fn body(&self, arguments: &Map<String, Value>) -> Result<Option<(String, &'static str)>, String> {
        const JSON: &str = "application/json";
        Ok(match &self.body {
            Body::Nothing => None,
            Body::Arguments => Some((json!(arguments).to_string(), JSON)),
            Body::Text(text) => Some((render(&self.texts, text, arguments)?, "text/plain; charset=utf-8")),
            Body::Json(value) => Some((self.filled(value, arguments)?.to_string(), JSON)),
        })
    }

    fn filled(&self, value: &Value, arguments: &Map<String, Value>) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => match expression(text) {
                Some(expression) => {
                    let compiled = self.texts.compile_expression(expression).map_err(|error| told(&error))?;
                    let value = compiled.eval(known(arguments)).map_err(|error| told(&error))?;
                    if value.is_undefined() {
                        return Err(format!("`{expression}` is not among the arguments"));
                    }
                    serde_json::to_value(&value).map_err(|error| error.to_string())?
                }
                None => Value::String(render(&self.texts, text, arguments)?),
            },
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.filled(item, arguments)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let filled = members.iter().map(|(name, value)| Ok((name.clone(), self.filled(value, arguments)?)));
                Value::Object(filled.collect::<Result<_, String>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    fn check_all(&self, value: &Value, input: &Value) -> Result<(), (Field, String)> {
        match value {
            Value::String(text) => self.check("body", text, input),
            Value::Array(items) => items.iter().try_for_each(|item| self.check_all(item, input)),
            Value::Object(members) => members.values().try_for_each(|value| self.check_all(value, input)),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    fn check(&self, field: Field, text: &str, input: &Value) -> Result<(), (Field, String)> {
        for variable in variables(&self.texts, text).map_err(|error| (field, told(&error)))? {
            let names: Vec<&str> = variable.iter().map(String::as_str).collect();
            let shown = names.join(".");
            match names.as_slice() {
                ["args", below @ ..] if below.is_empty() || knows(input, below) => {}
                ["args", ..] => return Err((field, format!("`{shown}` does not exist in `input`"))),
                _ => return Err((field, format!("unknown variable `{shown}`: templates of tools see args"))),
            }
        }
        match filling::faults(text, &["args"]).map_err(|error| (field, told(&error)))?.first() {
            Some(fault) => Err((field, format!("the template cannot be filled in: {}", fault.message))),
            None => Ok(()),
        }
    }
}

/// Whether the schema can have something there; one that lists no properties says nothing.
fn knows(input: &Value, below: &[&str]) -> bool {
    let is_open = input["properties"].as_object().is_none_or(Map::is_empty);
    is_open || paths::exists(input, below)
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}

/// What stands between `{{` and `}}` when nothing else is there.
fn expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}")).then(|| inner.trim())
}

fn known(arguments: &Map<String, Value>) -> Templated {
    minijinja::context! { args => Serde(arguments) }
}

fn render(environment: &Environment<'_>, template: &str, arguments: &Map<String, Value>) -> Result<String, String> {
    let text = environment.render_str(template, known(arguments)).map_err(|error| told(&error))?;
    if text.len() > RENDERED_BYTES {
        return Err(format!("what the arguments come to is longer than {RENDERED_BYTES} bytes"));
    }
    Ok(text)
}

fn told(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("the template cannot be filled in: {}: {detail}", error.kind()),
        None => format!("the template cannot be filled in: {}", error.kind()),
    }
}

/// Everything but unreserved characters (RFC 3986 §2.3).
fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("strings take every write");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::definition::HttpTool;

    fn templates(url: &str, body: Option<Value>) -> Templates {
        let definition = HttpTool { body, ..HttpTool::new(Method::POST, url) };
        Templates::compile(&definition, &json!({})).unwrap_or_else(|(field, message)| panic!("{field}: {message}"))
    }

    fn arguments(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn what_an_argument_holds_is_never_part_of_how_an_address_is_built() {
        let templates = templates("https://api.example/{{ args.a }}/x?q={{ args.b }}", None);
        for (a, b, expected) in [
            (json!("EUR"), json!("a b&c=d"), Ok("https://api.example/EUR/x?q=a%20b%26c%3Dd")),
            (json!("é/../?#"), json!(7), Ok("https://api.example/%C3%A9%2F..%2F%3F%23/x?q=7")),
            (json!(".."), json!(""), Err("leads out of its place")),
            (json!("%2e%2e"), json!(""), Ok("https://api.example/%252e%252e/x?q=")),
        ] {
            let url = templates.url(&arguments(json!({ "a": a, "b": b })));
            match (url, expected) {
                (Ok(url), Ok(expected)) => assert_eq!(url, expected),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
                (url, expected) => panic!("{url:?}, expected {expected:?}"),
            }
        }
        assert!(templates.url(&arguments(json!({ "a": 1 }))).is_err(), "what is missing is not left out");
    }

    #[test]
    fn a_body_is_made_of_values_and_of_texts() {
        let body = json!({ "n": "{{ args.n }}", "text": "n is {{ args.n }}", "list": ["{{ args.list }}", 1, null] });
        let filled = templates("http://x/", Some(body)).body(&arguments(json!({ "n": 2, "list": [{ "a": "\"" }] })));
        let (text, kind) = filled.expect("it can be filled in").expect("a body");
        let expected = json!({ "n": 2, "text": "n is 2", "list": [[{ "a": "\"" }], 1, null] });
        assert_eq!((serde_json::from_str::<Value>(&text).expect("JSON"), kind), (expected, "application/json"));
        let (text, _) = templates("http://x/", None).body(&arguments(json!({ "a": 1 }))).expect("it can").expect("one");
        assert_eq!(text, r#"{"a":1}"#, "without a body the arguments are it");
    }

    #[test]
    fn a_template_that_cannot_work_is_refused_before_it_is_used() {
        let input = json!({ "properties": { "ccy": { "type": "string" } } });
        for (url, expected) in [
            ("https://x/{{ args.ccy }}", ""),
            ("https://x/{{ args.cyc }}", "`args.cyc` does not exist in `input`"),
            ("https://x/{{ args['ccy'] }}", ""),
            ("https://x/{{ args['cyc'] }}", "`args.cyc` does not exist in `input`"),
            ("https://x/{{ ccy }}", "unknown variable `ccy`"),
            ("https://x/{{ args.ccy | frob }}", "unknown filter `frob`"),
            ("https://x/{{ args.ccy", "the template cannot be filled in"),
            ("ftp://x/", "must begin with http:// or https://"),
            ("{{ args.ccy }}", "must begin with http:// or https://"),
        ] {
            let compiled = Templates::compile(&HttpTool::new(Method::GET, url), &input);
            match compiled {
                Ok(_) => assert_eq!(expected, "", "{url}"),
                Err((_, message)) => assert!(!expected.is_empty() && message.contains(expected), "{url}: {message}"),
            }
        }
    }
}
