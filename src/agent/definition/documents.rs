//! What a definition says of documents other than its agent's own state (docs/agents.md §1, `documents`).

use super::glob;
use crate::state::pointer::Pointer;
use crate::state::schema::Schema;

/// The other documents of an agent. Who may write a place may read it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Documents {
    pub read: Vec<DocumentPlace>,
    pub write: Vec<DocumentPlace>,
}

/// Places of documents: those whose name fits a pattern, at and below a path.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentPlace {
    /// `type/id`, in which `*` stands for any characters.
    pub pattern: String,
    /// The root where the definition names none.
    pub path: Pointer,
    /// That of the type, where the pattern names one that is declared with a schema.
    pub schema: Option<Schema>,
}

impl DocumentPlace {
    /// From `type/id` or `type/id#/pointer`; `None` when the pointer is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (pattern, path) = text.split_once('#').unwrap_or((text, ""));
        Some(Self { pattern: pattern.to_owned(), path: Pointer::parse(path).ok()?, schema: None })
    }

    /// The type that all of these documents have, unless the pattern leaves it open.
    pub(in crate::agent) fn kind(&self) -> Option<&str> {
        glob::kind(&self.pattern)
    }
}

impl std::fmt::Display for DocumentPlace {
    /// As a definition writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.pattern)?;
        if self.path == Pointer::root() { Ok(()) } else { write!(f, "#{}", self.path) }
    }
}

impl Documents {
    /// The paths of the document at and below which the agent may read; none, if it may not at all.
    pub fn readable(&self, document: &str) -> Vec<Pointer> {
        let readable = fitting(&self.read, document).chain(fitting(&self.write, document));
        outermost(readable)
    }

    /// The paths of the document at and below which the agent may write; none, if it may not at all.
    pub fn writable(&self, document: &str) -> Vec<Pointer> {
        outermost(fitting(&self.write, document))
    }
}

fn fitting<'p>(places: &'p [DocumentPlace], document: &str) -> impl Iterator<Item = &'p Pointer> {
    places.iter().filter(move |place| glob::matches(&place.pattern, document)).map(|place| &place.path)
}

/// Without paths that lie below another one.
fn outermost<'p>(paths: impl Iterator<Item = &'p Pointer>) -> Vec<Pointer> {
    let mut outermost: Vec<Pointer> = Vec::new();
    for path in paths {
        if !outermost.iter().any(|above| path.starts_with(above)) {
            outermost.retain(|below| !below.starts_with(path));
            outermost.push(path.clone());
        }
    }
    outermost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_and_written_where_its_name_fits() {
        let places = |texts: &[&str]| texts.iter().map(|text| DocumentPlace::parse(text).expect(text)).collect();
        let documents = Documents {
            read: places(&["task/*", "shared/notes#/public"]),
            write: places(&["task/*#/status", "task/*#/result/text", "shared/board", "shared/board#/x"]),
        };
        for (document, readable, writable) in [
            ("task/1", vec![""], vec!["/status", "/result/text"]),
            ("shared/board", vec![""], vec![""]),
            ("shared/notes", vec!["/public"], vec![]),
            ("shared/other", vec![], vec![]),
        ] {
            let paths = |paths: Vec<Pointer>| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(paths(documents.readable(document)), readable, "{document}");
            assert_eq!(paths(documents.writable(document)), writable, "{document}");
        }
    }
}
