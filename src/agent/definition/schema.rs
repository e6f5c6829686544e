//! From the tree of a file to a [`Definition`]: every field, its default and its check, top to bottom.

use std::path::Path;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::fields::Place;
use super::reader::{Fields, Reader};
use super::tree::{Node, Position};
use super::{Definition, ForwardHeaders, ForwardState, Kind, Native, Remote, Scope, StateMode, StateSpec, Timeouts};

/// What stands for the thread's id in the template of a shared document.
pub(super) const THREAD: &str = "{{thread}}";

const DEFAULT_MAX_EVENT_BYTES: usize = 1024 * 1024;
const EVENT_BYTES_RANGE: (usize, usize) = (1024, 64 * 1024 * 1024);
/// Headers that belong to the request itself.
const RESERVED_HEADERS: &[&str] =
    &["accept", "connection", "content-length", "content-type", "host", "transfer-encoding", "upgrade"];

/// Reads the whole file. `None`, and at least one problem in the reader, when nothing can be served.
pub(super) fn definition(
    reader: &mut Reader<'_>,
    root: &Node,
    id: &str,
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
    let state = state(reader, &fields);
    let kind = kind(reader, &fields)?;
    Some(Definition {
        id: id.to_owned(),
        name,
        description,
        enabled,
        default,
        kind,
        state: state?,
        source: source.to_owned(),
        hash,
    })
}

fn version(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    if let Some(node) = fields.get("version")
        && node.to_value() != 1
    {
        reader.note(node.at, "version", format!("`version` must be 1, found {}", node.to_value()));
    }
}

fn kind(reader: &mut Reader<'_>, root: &Fields<'_>) -> Option<Kind> {
    let Some(node) = root.get("agent") else {
        let message = "`agent` is missing: write for example `agent: { kind: remote, url: http://127.0.0.1:9000/ }`";
        reader.note(root.at, "agent", message);
        return None;
    };
    let agent = reader.any_fields(node, "agent")?;
    let Some((kind, at)) = reader.text(&agent, "kind") else {
        if agent.get("kind").is_none() {
            reader.note(agent.at, "agent.kind", "`agent.kind` is missing: write remote or native");
        }
        return None;
    };
    match kind {
        "remote" => remote(reader, &agent).map(Kind::Remote),
        "native" => native(reader, &agent).map(Kind::Native),
        "llm" | "attached" => {
            let message = format!("kind `{kind}` is not supported by this version yet: write remote or native");
            reader.note(at, "agent.kind", message);
            None
        }
        _ => {
            reader.note(at, "agent.kind", format!("unknown kind `{kind}`: write remote or native"));
            None
        }
    }
}

fn native(reader: &mut Reader<'_>, agent: &Fields<'_>) -> Option<Native> {
    reader.refuse_strangers(agent, Place::NativeAgent);
    let config_tree = agent.get("config").cloned();
    if let Some(node) = &config_tree {
        reader.any_fields(node, "agent.config")?;
    }
    if agent.get("name").is_none() {
        reader.note(agent.at, "agent.name", "`agent.name` is missing: it names the built-in agent");
    }
    let (name, _) = reader.text(agent, "name")?;
    let config = config_tree.as_ref().map_or_else(|| Value::Object(Map::new()), Node::to_value);
    Some(Native { name: name.to_owned(), config, config_tree })
}

fn remote(reader: &mut Reader<'_>, agent: &Fields<'_>) -> Option<Remote> {
    reader.refuse_strangers(agent, Place::RemoteAgent);
    let headers = headers(reader, agent);
    let forward_headers = forward_headers(reader, agent);
    let forward_state = reader.word_or(
        agent,
        "forward_state",
        &[("full", ForwardState::Full), ("read", ForwardState::Read), ("none", ForwardState::Nothing)],
        ForwardState::Full,
    );
    let state_mode = reader.word_or(
        agent,
        "state_mode",
        &[("merge", StateMode::Merge), ("replace", StateMode::Replace), ("deltas_only", StateMode::DeltasOnly)],
        StateMode::Merge,
    );
    let timeouts = timeouts(reader, agent);
    let max_event_bytes = reader.count_or(agent, "max_event_bytes", DEFAULT_MAX_EVENT_BYTES, EVENT_BYTES_RANGE);
    let strip_raw = reader.bool_or(agent, "strip_raw", true);
    let url = url(reader, agent)?;
    Some(Remote { url, headers, forward_headers, forward_state, state_mode, timeouts, max_event_bytes, strip_raw })
}

fn url(reader: &mut Reader<'_>, agent: &Fields<'_>) -> Option<Url> {
    if agent.get("url").is_none() {
        reader.note(agent.at, "agent.url", "`agent.url` is missing: the address of an AG-UI endpoint");
    }
    let (text, at) = reader.text(agent, "url")?;
    let refusal = match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            "`agent.url` must begin with http:// or https://".to_owned()
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "`agent.url` must not contain a user name or password: put an `authorization` header under `agent.headers`"
                .to_owned()
        }
        Ok(url) => return Some(url),
        Err(error) => format!("`agent.url` is not an address: {error}"),
    };
    reader.note(at, "agent.url", refusal);
    None
}

fn headers(reader: &mut Reader<'_>, agent: &Fields<'_>) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (key, value, at) in reader.named_texts(agent, "headers") {
        let path = format!("agent.headers.{}", key.name);
        let name = key.name.to_ascii_lowercase();
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            reader.note(key.at, &path, format!("`{}` is not the name of a header", key.name));
        } else if RESERVED_HEADERS.contains(&name.as_str()) {
            reader.note(key.at, &path, format!("the header `{name}` is set by the runtime itself"));
        } else if headers.iter().any(|(earlier, _)| *earlier == name) {
            reader.note(key.at, &path, format!("the header `{name}` is given twice"));
        } else if HeaderValue::from_str(value).is_err() {
            reader.note(at, &path, format!("the value of the header `{name}` has characters that no header may have"));
        } else {
            headers.push((name, value.to_owned()));
        }
    }
    headers
}

fn forward_headers(reader: &mut Reader<'_>, agent: &Fields<'_>) -> ForwardHeaders {
    use super::tree::Shape;
    match agent.get("forward_headers").map(|node| (node, &node.shape)) {
        None | Some((_, Shape::Bool(true))) => ForwardHeaders::Usual,
        Some((_, Shape::Bool(false))) => ForwardHeaders::Nothing,
        Some((_, Shape::List(_))) => {
            let mut only = Vec::new();
            for (name, at, path) in reader.texts(agent, "forward_headers").unwrap_or_default() {
                let name = name.trim().to_ascii_lowercase();
                if name == "authorization" || name.starts_with("x-") {
                    only.push(name);
                } else {
                    let message = format!("the header `{name}` is never forwarded: only authorization and x-* are");
                    reader.note(at, &path, message);
                }
            }
            ForwardHeaders::Only(only)
        }
        Some((node, _)) => reader
            .expected("true, false or a list of header names", node, "agent.forward_headers")
            .unwrap_or(ForwardHeaders::Nothing),
    }
}

fn timeouts(reader: &mut Reader<'_>, agent: &Fields<'_>) -> Timeouts {
    let default = Timeouts::default();
    let Some(node) = agent.get("timeouts") else { return default };
    let Some(fields) = reader.any_fields(node, "agent.timeouts") else { return default };
    reader.refuse_strangers(&fields, Place::RemoteTimeouts);
    Timeouts {
        connect: reader.duration_or(&fields, "connect", default.connect),
        first_byte: reader.duration_or(&fields, "first_byte", default.first_byte),
        idle: reader.duration_or(&fields, "idle", default.idle),
    }
}

fn state(reader: &mut Reader<'_>, root: &Fields<'_>) -> Option<StateSpec> {
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
    let initial = match fields.get("initial") {
        Some(node) => {
            reader.any_fields(node, "state.initial")?;
            node.to_value()
        }
        None => initial(),
    };
    let read = pointers(reader, &fields, "read");
    let write = pointers(reader, &fields, "write");
    Some(StateSpec { scope, initial, read, write })
}

fn scope(reader: &mut Reader<'_>, text: &str, at: Position) -> Option<Scope> {
    let refusal = match (text, text.strip_prefix("shared/")) {
        ("thread", _) => return Some(Scope::Thread),
        ("agent", _) => return Some(Scope::Agent),
        ("trigger", _) => "the scope `trigger` is not supported by this version yet".to_owned(),
        (_, Some(template)) => match shared(template) {
            Ok(scope) => return Some(scope),
            Err(refusal) => refusal,
        },
        (_, None) => format!("unknown scope `{text}`: write thread, agent or shared/<id>"),
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

fn pointers(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str) -> Option<Vec<String>> {
    let mut pointers = Vec::new();
    for (text, at, path) in reader.texts(fields, name)? {
        if is_pointer(text) {
            pointers.push(text.to_owned());
        } else {
            let message =
                format!("`{text}` is not a JSON Pointer: write /name/of/member, or an empty text for everything");
            reader.note(at, &path, message);
        }
    }
    Some(pointers)
}

/// RFC 6901.
fn is_pointer(text: &str) -> bool {
    (text.is_empty() || text.starts_with('/')) && text.split('~').skip(1).all(|escaped| escaped.starts_with(['0', '1']))
}
