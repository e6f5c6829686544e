//! `tools`: the built-in ones, and those that the file names.

use super::super::fields::Place;
use super::super::grammar::{AGENT_TOOL, HTTP_TOOL, MCP_TOOL};
use super::super::reader::{Fields, Reader};
use super::super::tools::{ClientTools, StateTools, Tools};

/// The key under which the built-in tools are configured.
const STATE: &str = "state";

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
        match reader.word(&tool, "type", &types) {
            Some(Type::Client) if client.is_some() => {
                reader.note(key.at, &path, "the tools of the client are given twice: keep one of them");
            }
            Some(Type::Client) => {
                reader.refuse_strangers(&tool, Place::ClientTools);
                let allow = reader.texts(&tool, "allow");
                let names = |texts: Vec<(&str, _, _)>| texts.into_iter().map(|(name, _, _)| name.to_owned()).collect();
                client = Some(allow.map_or_else(ClientTools::default, |texts| ClientTools { allow: names(texts) }));
            }
            Some(kind @ (Type::Mcp | Type::Http | Type::Agent)) => {
                let rules = match kind {
                    Type::Mcp => MCP_TOOL,
                    Type::Http => HTTP_TOOL,
                    Type::Agent | Type::Client => AGENT_TOOL,
                };
                reader.hold_members(&tool, &path, rules);
                if kind == Type::Mcp && tool.get("url").is_some() == tool.get("command").is_some() {
                    reader.note(tool.at, &path, format!("`{path}` needs either `url` or `command`"));
                }
                let (word, at) = reader.text(&tool, "type").expect("it was read as a word");
                let message = format!("tools of type `{word}` are not supported by this version yet");
                reader.note(at, &path, message);
            }
            None => {}
        }
    }
    Tools { client: client.unwrap_or_default(), ..tools }
}

fn state(reader: &mut Reader<'_>, tools: &Fields<'_>) -> StateTools {
    let Some(fields) = reader.below(tools, STATE, Place::StateTools) else { return StateTools::default() };
    StateTools { read: reader.bool_or(&fields, "read", true), patch: reader.bool_or(&fields, "patch", true) }
}
