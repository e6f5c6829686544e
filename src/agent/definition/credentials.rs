//! Headers that carry credentials: as any secret, their values are never written into a file.

use super::placeholder::Unresolved;
use super::tree::{Node, Shape};

/// Headers whose values let somebody in.
const NAMES: [&str; 5] = ["authorization", "proxy-authorization", "x-api-key", "api-key", "cookie"];

/// The credentials that stand literally in a definition, as it is written.
pub(crate) fn of_definition(root: &Node) -> Vec<Unresolved> {
    let mut found = below(root.member("agent"), "agent");
    for (name, tool) in members(root.member("tools")) {
        found.extend(below(Some(tool), &format!("tools.{name}")));
    }
    found
}

/// Those of a shared file, whose entries have headers.
pub(crate) fn of_entries(root: &Node) -> Vec<Unresolved> {
    members(Some(root)).flat_map(|(name, entry)| below(Some(entry), name)).collect()
}

/// Those under `headers` of what stands at `path`.
fn below(node: Option<&Node>, path: &str) -> Vec<Unresolved> {
    let headers = members(node.and_then(|node| node.member("headers")));
    let literal = headers.filter_map(|(name, node)| match &node.shape {
        Shape::Text(text) if NAMES.contains(&name.to_ascii_lowercase().as_str()) && is_literal(text) => {
            let message = format!(
                "the header `{name}` holds a secret, which is never written into a file: write ${{env:NAME}} or \
                 ${{file:path}}, with words around it if need be"
            );
            Some(Unresolved { at: node.at, path: format!("{path}.headers.{name}"), message })
        }
        _ => None,
    });
    literal.collect()
}

/// Whether nothing of a value comes from elsewhere: a variable, a file, an argument of a call.
fn is_literal(text: &str) -> bool {
    !text.is_empty() && !["${env:", "${file:", "{{"].iter().any(|reference| text.contains(reference))
}

fn members(node: Option<&Node>) -> impl Iterator<Item = (&str, &Node)> {
    let members = match node.map(|node| &node.shape) {
        Some(Shape::Map(members)) => members.as_slice(),
        _ => &[],
    };
    members.iter().map(|(key, node)| (key.name.as_str(), node))
}
