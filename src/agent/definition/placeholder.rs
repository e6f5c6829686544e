//! `${env:NAME}`, `${env:NAME:-default}` and `${file:path}` in the texts of a parsed file.
//!
//! They are resolved after parsing, so that what a variable holds can never become structure.

use std::path::{Path, PathBuf};

use super::secret::Secret;
use super::tree::{Node, Position, Shape};

/// The most bytes that `${file:…}` reads.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Where placeholders find their values.
pub(crate) struct Surroundings<'a> {
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    /// `${file:…}` is relative to this folder.
    pub(crate) folder: PathBuf,
}

/// A placeholder that could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unresolved {
    pub(crate) at: Position,
    /// Dotted, as in a problem.
    pub(crate) path: String,
    pub(crate) message: String,
}

/// Resolves every text below `node` in place; what cannot be resolved is left as written and told. Secrets are left as
/// written too: they are read by [`secret`].
pub(crate) fn resolve(node: &mut Node, from: &Surroundings<'_>) -> Vec<Unresolved> {
    resolve_beside(node, from, is_secret)
}

/// As [`resolve`], for a file whose secrets are at the dotted paths that `is_secret` says.
pub(crate) fn resolve_beside(node: &mut Node, from: &Surroundings<'_>, is_secret: fn(&str) -> bool) -> Vec<Unresolved> {
    let mut unresolved = Vec::new();
    visit(node, from, "", is_secret, &mut unresolved);
    unresolved
}

/// Whether the field at this dotted path holds a secret.
fn is_secret(path: &str) -> bool {
    matches!(path, "agent.api_key" | "agent.token")
        || path.starts_with("triggers[") && path.ends_with("].verify.hmac_sha256")
}

/// Reads the one placeholder that a secret field consists of; the error says what is accepted.
pub(crate) fn secret(text: &str, from: &Surroundings<'_>) -> Result<Secret, String> {
    const ACCEPTED: &str = "a secret is never written into a definition: write ${env:NAME} or ${file:path}";
    let inner = text.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).ok_or(ACCEPTED)?;
    let (name, value) = if let Some(variable) = inner.strip_prefix("env:") {
        if !is_variable(variable) {
            return Err(ACCEPTED.to_owned());
        }
        (variable, (from.variable)(variable))
    } else if let Some(path) = inner.strip_prefix("file:").filter(|path| !path.contains('}')) {
        let exists = from.folder.join(path).exists();
        (path, if exists { Some(read_file(path, &from.folder)?) } else { None })
    } else {
        return Err(ACCEPTED.to_owned());
    };
    // A line break at the end of a key is a slip that no header survives.
    let value = value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    Ok(value.map_or_else(|| Secret::Missing { name: name.to_owned() }, Secret::Present))
}

fn visit(
    node: &mut Node,
    from: &Surroundings<'_>,
    path: &str,
    is_secret: fn(&str) -> bool,
    unresolved: &mut Vec<Unresolved>,
) {
    match &mut node.shape {
        Shape::Text(_) if is_secret(path) => {}
        Shape::Text(text) => match expand(text, from) {
            Ok(expanded) => *text = expanded,
            Err(message) => unresolved.push(Unresolved { at: node.at, path: path.to_owned(), message }),
        },
        Shape::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                visit(item, from, &format!("{path}[{index}]"), is_secret, unresolved);
            }
        }
        Shape::Map(members) => {
            for (key, value) in members {
                let below = if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
                visit(value, from, &below, is_secret, unresolved);
            }
        }
        Shape::Null | Shape::Bool(_) | Shape::Number(_) => {}
    }
}

pub(crate) fn expand(text: &str, from: &Surroundings<'_>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, placeholder) = rest.split_at(start);
        expanded.push_str(before);
        let is_ours = placeholder.starts_with("${env:") || placeholder.starts_with("${file:");
        if !is_ours {
            expanded.push_str("${");
            rest = &placeholder[2..];
            continue;
        }
        let end = placeholder.find('}').ok_or_else(|| format!("`{placeholder}` is not closed by `}}`"))?;
        let inner = &placeholder[2..end];
        expanded.push_str(&match inner.strip_prefix("env:") {
            Some(variable) => read_variable(variable, from)?,
            None => read_file(inner.trim_start_matches("file:"), &from.folder)?,
        });
        rest = &placeholder[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn read_variable(inner: &str, from: &Surroundings<'_>) -> Result<String, String> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    if !is_variable(name) {
        return Err(format!("`{name}` is not the name of an environment variable"));
    }
    match ((from.variable)(name), default) {
        // As in a shell, `:-` also stands in for an empty value.
        (Some(value), default) if !value.is_empty() || default.is_none() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (_, None) => Err(format!(
            "the environment variable `{name}` is not set: set it, or write a default as ${{env:{name}:-…}}"
        )),
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The content of a file without the line break at its end.
fn read_file(path: &str, folder: &Path) -> Result<String, String> {
    let file = folder.join(path);
    let unreadable = |reason: &dyn std::fmt::Display| format!("cannot read `{}`: {reason}", file.display());
    let metadata = std::fs::metadata(&file).map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err(unreadable(&"it is not a file"));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(unreadable(&"it is larger than 64 KiB"));
    }
    let content = std::fs::read_to_string(&file).map_err(|error| unreadable(&error))?;
    let content = content.strip_suffix('\n').unwrap_or(&content);
    Ok(content.strip_suffix('\r').unwrap_or(content).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("secret"), "s3cret\n").expect("a file");
        std::fs::write(folder.path().join("large"), "x".repeat(64 * 1024 + 1)).expect("a file");
        let variable = |name: &str| match name {
            "HOST" => Some("example.test".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICK" => Some("a: ${env:HOST} }".to_owned()),
            _ => None,
        };
        let from = Surroundings { variable: &variable, folder: folder.path().to_owned() };
        match (expand(text, &from), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{text}: {found}"),
            (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn variables_and_files_stand_in_for_their_placeholders() {
        check("plain $5 {x} ${other}", Ok("plain $5 {x} ${other}"));
        check("https://${env:HOST}/a?${env:HOST}", Ok("https://example.test/a?example.test"));
        check("${env:NONE:-http://x:1}", Ok("http://x:1"));
        check("${env:NONE:-}", Ok(""));
        check("[${env:EMPTY}][${env:EMPTY:-or}]", Ok("[][or]"));
        check("Bearer ${file:secret}", Ok("Bearer s3cret"));
    }

    #[test]
    fn what_a_variable_holds_is_never_expanded_again() {
        check("${env:TRICK}", Ok("a: ${env:HOST} }"));
    }

    #[test]
    fn a_secret_is_one_placeholder_and_may_be_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("key"), " s3cret\r\n").expect("a file");
        let variable = |name: &str| match name {
            "KEY" => Some("k3y\n".to_owned()),
            "EMPTY" => Some(" ".to_owned()),
            _ => None,
        };
        let from = Surroundings { variable: &variable, folder: folder.path().to_owned() };
        let missing = |name: &str| Secret::Missing { name: name.to_owned() };
        for (text, expected) in [
            ("${env:KEY}", Secret::Present("k3y".to_owned())),
            ("${file:key}", Secret::Present("s3cret".to_owned())),
            ("${env:NONE}", missing("NONE")),
            ("${env:EMPTY}", missing("EMPTY")),
            ("${file:nowhere}", missing("nowhere")),
        ] {
            assert_eq!(secret(text, &from), Ok(expected), "{text}");
        }
        for text in ["sk-123", "", "${env:KEY:-sk-123}", "Bearer ${env:KEY}", "${env:KEY}${env:KEY}", "${other}"] {
            let refusal = secret(text, &from).expect_err(text);
            assert!(refusal.contains("never written into a definition"), "{text}: {refusal}");
        }
        assert!(!format!("{:?}", secret("${env:KEY}", &from)).contains("k3y"), "secrets are not printed");
    }

    #[test]
    fn a_missing_variable_or_file_is_named() {
        check("${env:NONE}", Err("`NONE` is not set"));
        check("${env:}", Err("not the name of an environment variable"));
        check("${env:a-b}", Err("`a-b` is not the name"));
        check("${file:nowhere}", Err("nowhere"));
        check("${file:large}", Err("larger than 64 KiB"));
        check("${file:.}", Err("not a file"));
        check("${env:HOST", Err("is not closed"));
    }
}
