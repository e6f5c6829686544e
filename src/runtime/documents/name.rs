//! Names of documents: `type/id` (docs/state-api.md §1).

use std::fmt;
use std::str::FromStr;

use super::super::document::DocumentError;

const TYPE_CHARACTERS: usize = 64;
const ID_CHARACTERS: usize = 256;
const TYPES: &str = "a type has 1 to 64 characters of a-z, 0-9, `_` and `-` and begins with a letter";

/// A legal name; whether its type is declared and whether the document exists is another question.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentName {
    kind: String,
    id: String,
}

impl DocumentName {
    /// A type of `^[a-z][a-z0-9_-]{0,63}$` and an id of 1 to 256 characters without control characters, which is not one that
    /// clients take out of a URL.
    pub fn new(kind: &str, id: &str) -> Result<Self, DocumentError> {
        let refused = |reason| Err(DocumentError::InvalidName { name: format!("{kind}/{id}"), reason });
        if !Self::is_kind(kind) {
            return refused(TYPES);
        }
        if id.is_empty() || id.chars().count() > ID_CHARACTERS || id.chars().any(char::is_control) {
            return refused("an id has 1 to 256 characters and no control characters");
        }
        if matches!(id, "." | "..") {
            return refused("an id is not `.` or `..`, which clients take out of a URL");
        }
        Ok(Self { kind: kind.to_owned(), id: id.to_owned() })
    }

    /// Refuses what no type can be called.
    pub fn check_kind(kind: &str) -> Result<(), DocumentError> {
        match Self::is_kind(kind) {
            true => Ok(()),
            false => Err(DocumentError::InvalidName { name: kind.to_owned(), reason: TYPES }),
        }
    }

    fn is_kind(kind: &str) -> bool {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        kind.len() <= TYPE_CHARACTERS && kind.starts_with(|c: char| c.is_ascii_lowercase()) && kind.chars().all(legal)
    }

    pub fn kind(&self) -> &str {
        &self.kind
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether a document of this name is an object, whatever its schema says.
    pub(super) fn holds_objects(&self) -> bool {
        matches!(self.kind.as_str(), "agent" | "task" | "lifecycle")
    }

    /// Whether only the runtime writes it.
    pub(super) fn is_record(&self) -> bool {
        self.kind == "lifecycle"
    }

    /// Whether it belongs to one person: an agent's state on a thread (`agent/<agent>:<thread>`), the record of a run.
    pub(in crate::runtime) fn is_owned(&self) -> bool {
        match self.kind.as_str() {
            "agent" => self.id.contains(':'),
            "lifecycle" => !self.id.starts_with("agent:"),
            _ => false,
        }
    }
}

impl fmt::Display for DocumentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

impl FromStr for DocumentName {
    type Err = DocumentError;

    fn from_str(name: &str) -> Result<Self, DocumentError> {
        let (kind, id) = name.split_once('/').ok_or_else(|| DocumentError::InvalidName {
            name: name.to_owned(),
            reason: "a document is named `type/id`",
        })?;
        Self::new(kind, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_type_and_an_id() {
        for name in
            ["shared/a", "a/b/c", "agent/planner:t 1", "x0_-/é😀", "a/...", "a/./b", &format!("t/{}", "é".repeat(256))]
        {
            assert_eq!(name.parse::<DocumentName>().expect(name).to_string(), name);
        }
        let long_type = format!("{}/x", "t".repeat(65));
        let long_id = format!("t/{}", "x".repeat(257));
        for name in [
            "",
            "shared",
            "/x",
            "shared/",
            "shared/.",
            "shared/..",
            "Shared/x",
            "0/x",
            "a.b/x",
            "é/x",
            "t/a\nb",
            "t/\u{7f}",
            &long_type,
            &long_id,
        ] {
            assert!(name.parse::<DocumentName>().is_err(), "{name}");
        }
    }
}
