//! `type: mcp`: a server of the Model Context Protocol, here or by the name it has in `_shared/mcp.yaml`.

use super::super::super::reader::{Fields, Reader};
use super::super::super::tools::{McpChoice, McpReach, McpServer, McpTool, TOOL_TIMEOUT};
use super::super::remote;

pub(super) fn mcp(reader: &mut Reader<'_>, key: &str, tool: &Fields<'_>) -> Option<McpTool> {
    let said = ["url", "command", "server"].iter().filter(|name| tool.get(name).is_some()).count();
    let path = tool.path_of("type");
    let path = path.trim_end_matches(".type");
    if said > 1 {
        reader.note(tool.at, path, format!("`{path}` needs one of `url`, `command` and `server`"));
        return None;
    }
    let server = match reader.text(tool, "server") {
        Some((name, _)) => McpChoice::Named(name.to_owned()),
        // A tool that says nothing else means the shared server of its own name.
        None if said == 0 => McpChoice::Named(key.to_owned()),
        None => McpChoice::Here(server(reader, tool)?),
    };
    let allow = reader.texts(tool, "allow");
    Some(McpTool {
        server,
        allow: allow.map(|names| names.into_iter().map(|(name, _, _)| name.to_owned()).collect()),
        timeout: reader.duration_or(tool, "timeout", TOOL_TIMEOUT),
        idempotent: reader.bool(tool, "idempotent"),
    })
}

/// A server as its fields say: either `url` or `command`.
pub(in super::super::super) fn server(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<McpServer> {
    let folder = reader.neighbour(".");
    if fields.get("url").is_some() {
        let url = remote::url(reader, fields, "url")?;
        let headers = remote::headers(reader, fields);
        return Some(McpServer { reach: McpReach::Url { url, headers }, folder });
    }
    let command = reader.texts(fields, "command")?;
    let command: Vec<String> = command.into_iter().map(|(text, _, _)| text.to_owned()).collect();
    if command.is_empty() {
        reader.note(fields.at, &fields.path_of("command"), "the command is empty: write [program, argument, …]");
        return None;
    }
    let env = reader.named_texts(fields, "env");
    let env = env.into_iter().map(|(key, value, _)| (key.name.clone(), value.to_owned())).collect();
    Some(McpServer { reach: McpReach::Command { command, env }, folder })
}
