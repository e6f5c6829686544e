//! The parts of the format that are said as rules: what may stand where, for everything that is more than one word long.
//!
//! A definition is held against them whether this version serves the part or not, so that a file is right once and for all.

use std::time::Duration;

use super::reader::{Fields, Reader};
use super::tree::{Node, Shape};
use super::{is_id, span};
use crate::agent::{filling, variables};

/// What a value has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    Any,
    Text,
    Bool,
    /// A number from 0.
    Amount,
    /// A whole number in this range.
    Count(usize, usize),
    Duration,
    /// A duration that a timer can keep to.
    Interval,
    /// As a duration, or 0.
    DurationOrZero,
    /// A JSON Pointer, in which `*` may stand for any one member.
    Pointer,
    /// The id of an agent.
    Agent,
    Cron,
    /// An expression of minijinja over a change of a document.
    Condition,
    /// An expression of minijinja over a delivery.
    OfDelivery,
    /// Who writes: `user`, `agent`, `service`, or one of them with `:` and a name.
    Actor,
    /// `type/id` with `*` for any characters.
    DocumentPattern,
    /// The same, and `#` with a JSON Pointer behind it if less than the whole is meant.
    DocumentPlace,
    Secret,
    Word(&'static [&'static str]),
    /// A mapping with any content.
    Object,
    List(&'static Rule),
    /// A mapping of free names.
    Names(&'static Rule),
    Fields(&'static [Field]),
}

/// A field and whether it has to be there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) rule: Rule,
    pub(crate) required: bool,
}

const fn may(name: &'static str, rule: Rule) -> Field {
    Field { name, rule, required: false }
}

const fn must(name: &'static str, rule: Rule) -> Field {
    Field { name, rule, required: true }
}

/// The shortest time between two firings: whoever needs less watches a document.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);
const MANY: usize = 1_000_000_000;

pub(crate) const DOCUMENTS: Rule =
    Rule::Fields(&[may("read", Rule::List(&Rule::DocumentPlace)), may("write", Rule::List(&Rule::DocumentPlace))]);

pub(crate) const HANDOFFS: Rule = Rule::List(&Rule::Agent);

pub(crate) const PREDICT: Rule =
    Rule::List(&Rule::Fields(&[must("tool", Rule::Text), must("argument", Rule::Text), must("path", Rule::Pointer)]));

pub(crate) const RUN: Rule = Rule::Fields(&[
    may(
        "concurrency",
        Rule::Fields(&[
            may("per_thread", Rule::Count(1, 1)),
            may("per_agent", Rule::Count(1, MANY)),
            may("on_conflict", Rule::Word(&["reject", "enqueue", "supersede", "coalesce"])),
            may("queue_max", Rule::Count(0, MANY)),
        ]),
    ),
    may(
        "budget",
        Rule::Fields(&[
            may("steps", Rule::Count(1, MANY)),
            may("tool_calls", Rule::Count(0, MANY)),
            may("tokens", Rule::Count(1, usize::MAX)),
            may("cost_usd", Rule::Amount),
            may("wall", Rule::Duration),
            may("no_progress", Rule::Duration),
        ]),
    ),
    may("daily", Rule::Fields(&[may("runs", Rule::Count(0, MANY)), may("cost_usd", Rule::Amount)])),
    may("chain", Rule::Fields(&[may("max_depth", Rule::Count(0, 1000)), may("max_runs", Rule::Count(1, 100_000))])),
    may(
        "retry",
        Rule::Fields(&[may("attempts", Rule::Count(1, 100)), may("base", Rule::Duration), may("max", Rule::Duration)]),
    ),
    may("durable", Rule::Word(&["steps", "off"])),
    may("dead_letter", Rule::Word(&["keep", "drop"])),
]);

/// An entry of `_shared/mcp.yaml`.
pub(crate) const MCP_SERVER: &[Field] = &[
    may("url", Rule::Text),
    may("headers", Rule::Names(&Rule::Text)),
    may("command", Rule::List(&Rule::Text)),
    may("env", Rule::Names(&Rule::Text)),
];

pub(crate) const MCP_TOOL: &[Field] = &[
    must("type", Rule::Text),
    may("server", Rule::Text),
    may("url", Rule::Text),
    may("headers", Rule::Names(&Rule::Text)),
    may("command", Rule::List(&Rule::Text)),
    may("env", Rule::Names(&Rule::Text)),
    may("allow", Rule::List(&Rule::Text)),
    may("timeout", Rule::Duration),
    may("idempotent", Rule::Bool),
];

pub(crate) const HTTP_TOOL: &[Field] = &[
    must("type", Rule::Text),
    may("description", Rule::Text),
    may("method", Rule::Word(&["GET", "POST", "PUT", "PATCH", "DELETE"])),
    must("url", Rule::Text),
    may("headers", Rule::Names(&Rule::Text)),
    may("input", Rule::Object),
    may("body", Rule::Any),
    may("output_pointer", Rule::Pointer),
    may("timeout", Rule::Duration),
    may("idempotent", Rule::Bool),
    may("allow_private", Rule::Any),
];

pub(crate) const AGENT_TOOL: &[Field] = &[
    must("type", Rule::Text),
    may("description", Rule::Text),
    must("agent", Rule::Agent),
    may("input", Rule::Object),
    may("state", Rule::Word(&["isolated", "shared"])),
    may("timeout", Rule::Duration),
];

/// Fields of every trigger that starts a run by itself.
macro_rules! trigger {
    ($($field:expr),* $(,)?) => {
        &[
            must("type", Rule::Text),
            may("prompt", Rule::Text),
            may("thread", Rule::Text),
            may("visible", Rule::Bool),
            $($field),*
        ]
    };
}

pub(crate) const STATE_TRIGGER: &[Field] = trigger![
    must("doc", Rule::DocumentPattern),
    may("path", Rule::Pointer),
    may("when", Rule::Condition),
    may("debounce", Rule::Duration),
    may("from", Rule::List(&Rule::Actor)),
];

pub(crate) const CRON_TRIGGER: &[Field] = trigger![
    must("expr", Rule::Cron),
    may("tz", Rule::Text),
    may("overlap", Rule::Word(&["skip", "queue", "allow"])),
    may("catchup", Rule::DurationOrZero),
];

pub(crate) const INTERVAL_TRIGGER: &[Field] = trigger![
    must("every", Rule::Interval),
    may("overlap", Rule::Word(&["skip", "queue", "allow"])),
    may("catchup", Rule::DurationOrZero),
];

pub(crate) const WEBHOOK_TRIGGER: &[Field] = trigger![
    must("name", Rule::Agent),
    may("verify", Rule::Fields(&[must("hmac_sha256", Rule::Secret), must("header", Rule::Text)])),
    may("idempotency", Rule::Text),
    may("map", Rule::Names(&Rule::OfDelivery)),
];

pub(crate) const AGENT_TRIGGER: &[Field] =
    trigger![must("agent", Rule::Agent), may("outcome", Rule::Word(&["success", "failure", "any"])),];

pub(crate) const START_TRIGGER: &[Field] = trigger![];

pub(crate) const ATTACHED: &[Field] = &[
    must("kind", Rule::Text),
    may("token", Rule::Secret),
    may("max_inflight", Rule::Count(1, 100_000)),
    may("lease", Rule::Duration),
    may("absent", Rule::Word(&["queue", "fail"])),
];

impl Reader<'_> {
    /// Notes whatever in a value is not what its rule says.
    pub(crate) fn hold(&mut self, node: &Node, path: &str, rule: &Rule) {
        match (rule, &node.shape) {
            (Rule::Any, _)
            | (Rule::Bool, Shape::Bool(_))
            | (Rule::Text, Shape::Text(_))
            | (Rule::Object, Shape::Map(_)) => {}
            (Rule::Secret, Shape::Text(text)) => self.hold_secret(text, node, path),
            (Rule::Amount, Shape::Number(number)) if number.as_f64().is_some_and(|amount| amount >= 0.0) => {}
            (Rule::Count(least, most), Shape::Number(number))
                if number.as_u64().is_some_and(|count| (*least as u64..=*most as u64).contains(&count)) => {}
            (Rule::DurationOrZero, Shape::Number(number)) if number.as_u64() == Some(0) => {}
            (Rule::Duration | Rule::DurationOrZero | Rule::Interval, Shape::Text(text)) => match span::parse(text) {
                Ok(span) if span.is_zero() && matches!(rule, Rule::Duration) => {
                    self.note(node.at, path, format!("`{path}` must be longer than nothing"));
                }
                Ok(span) if span < LEAST_INTERVAL && matches!(rule, Rule::Interval) => {
                    self.note(node.at, path, format!("`{path}` must be 1s or longer, found {text}"));
                }
                Ok(_) => {}
                Err(message) => self.note(node.at, path, message),
            },
            (Rule::Word(words), Shape::Text(text)) => {
                if !words.contains(&text.as_str()) {
                    self.note(node.at, path, format!("`{path}` cannot be `{text}`: write {}", words.join(", ")));
                }
            }
            (Rule::List(rule), Shape::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.hold(item, &format!("{path}[{index}]"), rule);
                }
            }
            (Rule::Names(rule), Shape::Map(members)) => {
                for (key, node) in members {
                    self.hold(node, &format!("{path}.{}", key.name), rule);
                }
            }
            (Rule::Fields(fields), Shape::Map(_)) => self.hold_fields(node, path, fields),
            (_, Shape::Text(text)) if rule.grammar().is_some() => {
                let (fits, expected) = rule.grammar().expect("the guard looked");
                if let Err(why) = fits(text) {
                    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
                    self.note(node.at, path, format!("`{text}` is not {expected}{why}"));
                }
            }
            _ => {
                let (expected, path) = (rule.name(), path);
                self.expected(&expected, node, path).unwrap_or(())
            }
        }
    }

    /// Notes fields that are unknown, missing, or not as they should be.
    pub(crate) fn hold_fields(&mut self, node: &Node, path: &str, rules: &[Field]) {
        let Some(fields) = self.any_fields(node, path) else { return };
        self.hold_members(&fields, path, rules);
    }

    pub(crate) fn hold_members(&mut self, fields: &Fields<'_>, path: &str, rules: &[Field]) {
        for (key, node) in fields.members() {
            let path = fields.path_of(&key.name);
            match rules.iter().find(|field| field.name == key.name) {
                Some(field) if node.shape != Shape::Null => self.hold(node, &path, &field.rule),
                Some(_) => {}
                None => {
                    let accepted: Vec<&str> = rules.iter().map(|field| field.name).collect();
                    let message = format!("unknown field `{path}`: accepted here are {}", accepted.join(", "));
                    self.note(key.at, &path, message);
                }
            }
        }
        for field in rules.iter().filter(|field| field.required && fields.get(field.name).is_none()) {
            let path = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
            self.note(fields.at, &path, format!("`{path}` is missing: it is {}", field.rule.name()));
        }
    }
}

/// A check of a text, and what it checks for.
type Grammar = (fn(&str) -> Result<(), String>, &'static str);

impl Rule {
    fn grammar(&self) -> Option<Grammar> {
        Some(match self {
            Self::Pointer => (|text| yes(super::schema::is_pointer(text)), "a JSON Pointer: write /name/of/member"),
            Self::Agent => (|text| yes(is_id(text)), "an id: use at most 64 of a-z, 0-9, `_` and `-`"),
            Self::Cron => (cron, "a cron expression such as \"0 8 * * 1-5\""),
            Self::Condition => (condition, "an expression such as \"new == 'ready'\""),
            Self::OfDelivery => (of_delivery, "an expression such as \"body.issue\""),
            Self::Actor => (|text| yes(is_actor(text)), "a writer: write user, agent or service, or agent:<id>"),
            Self::DocumentPattern => {
                (|text| yes(is_document(text)), "a document: write type/id, with `*` for any characters")
            }
            Self::DocumentPlace => {
                (document_place, "a place of documents: write type/id or type/id#/pointer, with `*` for any characters")
            }
            _ => return None,
        })
    }

    /// What it asks for, for messages.
    fn name(&self) -> String {
        match self {
            Self::Any => "a value".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Amount => "a number from 0".to_owned(),
            Self::Count(least, most) if *most >= MANY => format!("a whole number from {least}"),
            Self::Count(least, most) => format!("a whole number from {least} to {most}"),
            Self::Duration | Self::DurationOrZero | Self::Interval => "a duration such as 500ms, 5s or 10m".to_owned(),
            Self::Secret => "a secret, as ${env:NAME} or ${file:path}".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Object | Self::Names(_) | Self::Fields(_) => "a mapping".to_owned(),
            Self::List(Self::Text | Self::Agent | Self::Actor | Self::DocumentPattern | Self::DocumentPlace) => {
                "a list of texts".to_owned()
            }
            Self::List(_) => "a list".to_owned(),
            Self::Pointer => "a JSON Pointer".to_owned(),
            Self::Agent => "an id".to_owned(),
            Self::Cron
            | Self::Condition
            | Self::OfDelivery
            | Self::Actor
            | Self::DocumentPattern
            | Self::DocumentPlace => "a text".to_owned(),
        }
    }
}

fn yes(fits: bool) -> Result<(), String> {
    if fits { Ok(()) } else { Err(String::new()) }
}

fn cron(text: &str) -> Result<(), String> {
    super::schedule::Cron::parse(text).map(drop)
}

fn condition(text: &str) -> Result<(), String> {
    expression(text, &["old", "new", "state", "doc", "actor"])
}

fn of_delivery(text: &str) -> Result<(), String> {
    expression(text, &["body", "headers"])
}

/// What it does not see would be nothing, whatever happens.
fn expression(text: &str, sees: &[&str]) -> Result<(), String> {
    let environment = minijinja::Environment::new();
    let compiled = environment.compile_expression(text).map_err(|error| error.to_string())?;
    let known = |name: &str| sees.contains(&name) || variables::is_built_in(name);
    match compiled.undeclared_variables(false).into_iter().filter(|name| !known(name)).min() {
        Some(name) => Err(format!("unknown variable `{name}`: it sees {}", sees.join(", "))),
        None => {
            let faults = filling::faults(&format!("{{{{ ({text}) }}}}"), sees).unwrap_or_default();
            faults.into_iter().next().map_or(Ok(()), |fault| Err(fault.message))
        }
    }
}

fn is_actor(text: &str) -> bool {
    let (kind, name) = text.split_once(':').map_or((text, None), |(kind, name)| (kind, Some(name)));
    matches!(kind, "user" | "agent" | "service") && name != Some("")
}

fn is_document(text: &str) -> bool {
    text.split_once('/').is_some_and(|(kind, id)| !kind.is_empty() && !id.is_empty())
        && !text.contains(char::is_control)
}

fn document_place(text: &str) -> Result<(), String> {
    let (document, path) = text.split_once('#').unwrap_or((text, ""));
    yes(is_document(document) && super::schema::is_pointer(path))
}
