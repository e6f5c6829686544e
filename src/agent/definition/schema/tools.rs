//! `tools`: the built-in ones, and those that the file names.

mod http;
pub(in super::super) mod mcp;

use super::super::fields::Place;
use super::super::grammar::{AGENT_TOOL, HTTP_TOOL, MCP_TOOL};
use super::super::reader::{Fields, Reader};
use super::super::tools::{AGENT_TIMEOUT, AgentTool, ClientTools, NamedTool, StateTools, Tools};

/// The key under which the built-in tools are configured.
const STATE: &str = "state";
/// Names of tools that agents have without naming them.
const BUILT_IN: [&str; 3] = ["state_read", "state_patch", "state_set"];

#[derive(Clone, Copy, PartialEq)]
enum Type {
    Mcp,
    Http,
    Agent,
    Client,
}

pub(super) fn tools(reader: &mut Reader<'_>, root: &Fields<'_>) -> Tools {
    let mut tools = Tools::default();
    let Some(fields) = root.get("tools").and_then(|node| reader.any_fields(node, "tools")) else { return tools };
    let mut client = None;
    for (key, node) in fields.members() {
        if key.name == STATE {
            tools.state = state(reader, &fields);
            continue;
        }
        let path = fields.path_of(&key.name);
        let Some(tool) = reader.any_fields(node, &path) else { continue };
        if tool.get("type").is_none() {
            let message = format!("`{path}.type` is missing: write mcp, http, agent or client");
            reader.note(tool.at, &path, message);
            continue;
        }
        let types = [("mcp", Type::Mcp), ("http", Type::Http), ("agent", Type::Agent), ("client", Type::Client)];
        let Some(kind) = reader.word(&tool, "type", &types) else { continue };
        if kind != Type::Client
            && let Some(refusal) = not_a_name(&key.name)
        {
            reader.note(key.at, &path, refusal);
        }
        match kind {
            Type::Client if client.is_some() => {
                reader.note(key.at, &path, "the tools of the client are given twice: keep one of them");
            }
            Type::Client => {
                reader.refuse_strangers(&tool, Place::ClientTools);
                let allow = reader.texts(&tool, "allow");
                let names = |texts: Vec<(&str, _, _)>| texts.into_iter().map(|(name, _, _)| name.to_owned()).collect();
                client = Some(allow.map_or_else(ClientTools::default, |texts| ClientTools { allow: names(texts) }));
            }
            Type::Http => {
                reader.hold_members(&tool, &path, HTTP_TOOL);
                let http = http::http(reader, &tool).map(|http| NamedTool::Http(Box::new(http)));
                tools.named.extend(http.map(|tool| (key.name.clone(), tool)));
            }
            Type::Mcp => {
                reader.hold_members(&tool, &path, MCP_TOOL);
                let mcp = mcp::mcp(reader, &key.name, &tool).map(|mcp| NamedTool::Mcp(Box::new(mcp)));
                tools.named.extend(mcp.map(|tool| (key.name.clone(), tool)));
            }
            Type::Agent => {
                reader.hold_members(&tool, &path, AGENT_TOOL);
                let agent = agent(reader, &tool).map(|agent| NamedTool::Agent(Box::new(agent)));
                tools.named.extend(agent.map(|tool| (key.name.clone(), tool)));
            }
        }
    }
    Tools { client: client.unwrap_or_default(), ..tools }
}

fn agent(reader: &mut Reader<'_>, tool: &Fields<'_>) -> Option<AgentTool> {
    let (agent, _) = reader.text(tool, "agent")?;
    let agent = agent.to_owned();
    if let Some(("shared", at)) = reader.text(tool, "state") {
        let path = tool.path_of("state");
        reader.note(at, &path, format!("`{path}: shared` is not supported by this version yet: write isolated"));
    }
    let description = reader.text(tool, "description").map_or("", |(text, _)| text).to_owned();
    let input = reader.object(tool, "input");
    let timeout = reader.duration_or(tool, "timeout", AGENT_TIMEOUT);
    Some(AgentTool { description, agent, input, timeout })
}

/// Why providers would not take a tool of this name.
fn not_a_name(name: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
        return Some(format!("`{name}` cannot be the name of a tool: use at most 64 of letters, digits, `_` and `-`"));
    }
    let is_taken = BUILT_IN.contains(&name) || name.starts_with("handoff_to_");
    is_taken.then(|| format!("`{name}` is the name of a built-in tool: choose another one"))
}

fn state(reader: &mut Reader<'_>, tools: &Fields<'_>) -> StateTools {
    let Some(fields) = reader.below(tools, STATE, Place::StateTools) else { return StateTools::default() };
    StateTools { read: reader.bool_or(&fields, "read", true), patch: reader.bool_or(&fields, "patch", true) }
}
