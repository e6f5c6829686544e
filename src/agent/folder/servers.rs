//! What the MCP servers that a definition names stand for.

use crate::agent::definition::{Definition, McpChoice, NamedServers, NamedTool, Problem};

/// Puts the servers of `_shared/mcp.yaml` in place of their names; a name that stands for nothing is a problem of the
/// definition.
pub(super) fn resolve(definition: &mut Definition, servers: &NamedServers) -> Vec<Problem> {
    let mut unknown = Vec::new();
    let mut names_any = false;
    for (name, tool) in &mut definition.tools.named {
        let NamedTool::Mcp(mcp) = tool else { continue };
        let McpChoice::Named(server) = &mcp.server else { continue };
        names_any = true;
        match servers.find(server) {
            Ok(server) => mcp.server = McpChoice::Here(server.clone()),
            Err(message) => unknown.push((format!("tools.{name}"), message)),
        }
    }
    if let Some((file, text)) = servers.file().filter(|_| names_any) {
        definition.is_made_of(file.to_owned(), text);
    }
    unknown.into_iter().map(|(path, message)| definition.problem(&path, message)).collect()
}
