//! From the tree of a file to a [`Definition`]: every field, its default and its check, top to bottom.

mod documents;
mod llm;
mod remote;
mod run;
mod state;
mod tools;
mod triggers;

use std::path::Path;

use serde_json::{Map, Value};

use super::fields::Place;
use super::grammar::{ATTACHED, HANDOFFS};
use super::reader::{Fields, Reader};
use super::tree::Node;
use super::{Definition, Instructions, Kind, Native, Places, Scope, TriggerKind};
pub(super) use llm::{price as model_price, settings as model_settings};
pub(super) use state::is_pointer;
pub(super) use tools::mcp::server as mcp_server;

/// What stands for the thread's id in the template of a shared document.
pub(super) const THREAD: &str = "{{thread}}";

/// Reads the whole file. `None`, and at least one problem in the reader, when nothing can be served.
pub(super) fn definition(
    reader: &mut Reader<'_>,
    root: &Node,
    id: &str,
    body: Option<Instructions>,
    source: &Path,
    hash: String,
) -> Option<Definition> {
    let fields = reader.any_fields(root, "")?;
    reader.refuse_strangers(&fields, Place::Root);
    version(reader, &fields);
    let name = reader.text(&fields, "name").map_or(id, |(name, _)| name).to_owned();
    let description = reader.text(&fields, "description").map_or("", |(text, _)| text).to_owned();
    let enabled = reader.bool_or(&fields, "enabled", true);
    let default = reader.bool_or(&fields, "default", false);
    let state = state::state(reader, &fields);
    let documents = documents::documents(reader, &fields);
    let handoffs = reader.texts(&fields, "handoffs").unwrap_or_default();
    let handoffs: Vec<String> = handoffs.into_iter().map(|(agent, _, _)| agent.to_owned()).collect();
    let tools = tools::tools(reader, &fields);
    let triggers = triggers::triggers(reader, &fields);
    let run = run::run(reader, &fields);
    hold_the_rest(reader, &fields);
    let asks_people = reader.word_or(&fields, "hitl", &[("deny", false), ("interrupt", true)], true);
    let kind = kind(reader, &fields, body)?;
    if !matches!(kind, Kind::Llm(_)) {
        for (name, _) in &tools.named {
            let path = format!("tools.{name}");
            let message = format!("`{path}` belongs to agents of kind llm, not to one of kind {}", kind.as_str());
            reader.note(root.locate(&path), &path, message);
        }
        if !handoffs.is_empty() {
            let message = format!("`handoffs` belong to agents of kind llm, not to one of kind {}", kind.as_str());
            reader.note(root.locate("handoffs"), "handoffs", message);
        }
        if state.as_ref().is_some_and(|state| !state.predict.is_empty()) {
            let message =
                format!("`state.predict` belongs to agents of kind llm, not to one of kind {}", kind.as_str());
            reader.note(root.locate("state.predict"), "state.predict", message);
        }
    }
    let is_watching = triggers.iter().any(|trigger| matches!(trigger.kind, TriggerKind::State(_)));
    if state.as_ref().is_some_and(|state| state.scope == Scope::Trigger) && !is_watching {
        let message = "the scope `trigger` is the document that fired: a trigger of type state has to name it";
        reader.note(root.locate("state.scope"), "state.scope", message);
    }
    Some(Definition {
        id: id.to_owned(),
        name,
        description,
        enabled,
        default,
        kind,
        state: state?,
        documents,
        tools,
        handoffs,
        triggers,
        asks_people,
        run,
        source: source.to_owned(),
        files: vec![source.to_owned()],
        places: Places(root.clone()),
        hash,
    })
}

/// Parts that are held against their rules whether they are served or not.
fn hold_the_rest(reader: &mut Reader<'_>, root: &Fields<'_>) {
    for (name, rule) in [("handoffs", HANDOFFS)] {
        if let Some(node) = root.get(name) {
            reader.hold(node, name, &rule);
        }
    }
}

fn version(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    if let Some(node) = fields.get("version")
        && node.to_value() != 1
    {
        reader.note(node.at, "version", format!("`version` must be 1, found {}", node.to_value()));
    }
}

fn kind(reader: &mut Reader<'_>, root: &Fields<'_>, body: Option<Instructions>) -> Option<Kind> {
    let Some(node) = root.get("agent") else {
        let message = "`agent` is missing: write for example `agent: { kind: remote, url: http://127.0.0.1:9000/ }`";
        reader.note(root.at, "agent", message);
        return None;
    };
    let agent = reader.any_fields(node, "agent")?;
    if let (Some((kind @ ("remote" | "native" | "attached"), _)), Some((key, _))) =
        (reader.text(&agent, "kind"), root.member("instructions"))
    {
        let message = format!("`instructions` belong to agents of kind llm, not to one of kind {kind}");
        reader.note(key.at, "instructions", message);
    }
    let Some((kind, at)) = reader.text(&agent, "kind") else {
        if agent.get("kind").is_none() {
            reader.note(agent.at, "agent.kind", "`agent.kind` is missing: write llm, remote or native");
        }
        return None;
    };
    match kind {
        "llm" => llm::llm(reader, root, &agent, body).map(Box::new).map(Kind::Llm),
        "remote" => remote::remote(reader, &agent).map(Kind::Remote),
        "native" => native(reader, &agent).map(Kind::Native),
        "attached" => {
            reader.hold_members(&agent, "agent", ATTACHED);
            let message = format!("kind `{kind}` is not supported by this version yet: write llm, remote or native");
            reader.note(at, "agent.kind", message);
            None
        }
        _ => {
            reader.note(at, "agent.kind", format!("unknown kind `{kind}`: write llm, remote or native"));
            None
        }
    }
}

fn native(reader: &mut Reader<'_>, agent: &Fields<'_>) -> Option<Native> {
    reader.refuse_strangers(agent, Place::NativeAgent);
    let config = agent.get("config");
    if let Some(node) = config {
        reader.any_fields(node, "agent.config")?;
    }
    if agent.get("name").is_none() {
        reader.note(agent.at, "agent.name", "`agent.name` is missing: it names the built-in agent");
    }
    let (name, _) = reader.text(agent, "name")?;
    let config = config.map_or_else(|| Value::Object(Map::new()), Node::to_value);
    Some(Native { name: name.to_owned(), config })
}
