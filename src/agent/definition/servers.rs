//! `_shared/mcp.yaml`: MCP servers by a name of the application's own, with how to reach them (docs/agents.md §8).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::grammar::MCP_SERVER;
use super::problem::Problem;
use super::reader::Reader;
use super::schema::mcp_server;
use super::shared::{SharedFile, Unreadable};
use super::tools::McpServer;

/// The named servers of a folder of definitions.
#[derive(Debug, Default)]
pub(crate) struct NamedServers {
    by_name: BTreeMap<String, McpServer>,
    /// Whether something of the file cannot be used: what, is among the problems.
    is_broken: bool,
    /// Path and text of the file, when there is one that can be read.
    file: Option<(PathBuf, String)>,
}

impl NamedServers {
    /// Reads the file, if there is one. One bad entry spoils that name only.
    pub(crate) fn load(agents: &Path, variable: &dyn Fn(&str) -> Option<String>) -> (Self, Vec<Problem>) {
        let (file, unresolved) = match SharedFile::read(agents, "mcp", variable, |_| false) {
            Ok(Some(read)) => read,
            Ok(None) => return (Self::default(), Vec::new()),
            Err(Unreadable { problems }) => return (Self { is_broken: true, ..Self::default() }, problems),
        };
        let from = file.surroundings(variable);
        let mut reader = Reader::new(&file.path, &from);
        let mut by_name = BTreeMap::new();
        for (key, node) in reader.any_fields(&file.root, "").iter().flat_map(|root| root.members()) {
            let before = reader.problems.len();
            let below = format!("{}.", key.name);
            let is_whole =
                !unresolved.iter().any(|problem| problem.path.as_ref().is_some_and(|it| it.starts_with(&below)));
            let Some(fields) = reader.any_fields(node, &key.name) else { continue };
            reader.hold_members(&fields, &key.name, MCP_SERVER);
            if fields.get("url").is_some() == fields.get("command").is_some() {
                reader.note(fields.at, &key.name, format!("`{}` needs one of `url` and `command`", key.name));
                continue;
            }
            let server = mcp_server(&mut reader, &fields);
            if let Some(server) = server.filter(|_| is_whole && reader.problems.len() == before) {
                by_name.insert(key.name.clone(), server);
            }
        }
        let problems: Vec<Problem> = unresolved.into_iter().chain(reader.problems).collect();
        let is_broken = !problems.is_empty();
        (Self { by_name, is_broken, file: Some((file.path, file.text)) }, problems)
    }

    /// The server of that name; the error says why there is none.
    pub(crate) fn find(&self, name: &str) -> Result<&McpServer, String> {
        if let Some(server) = self.by_name.get(name) {
            return Ok(server);
        }
        let known: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
        Err(match known.as_slice() {
            _ if self.is_broken => {
                format!("`{name}` is looked for in `_shared/mcp.yaml`, which cannot be used as it is")
            }
            [] => format!("no `url` or `command` is given, and no server `{name}` in `_shared/mcp.yaml`"),
            known => format!("there is no server `{name}` in `_shared/mcp.yaml`: there are {}", known.join(", ")),
        })
    }

    /// The file that declares them, with its text.
    pub(crate) fn file(&self) -> Option<(&Path, &str)> {
        self.file.as_ref().map(|(path, text)| (path.as_path(), text.as_str()))
    }
}
