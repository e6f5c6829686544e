//! `documents`: what an agent reads and writes beside its own state.

use super::super::documents::{DocumentPlace, Documents};
use super::super::grammar::DOCUMENTS;
use super::super::reader::{Fields, Reader};

pub(super) fn documents(reader: &mut Reader<'_>, root: &Fields<'_>) -> Documents {
    let Some(node) = root.get("documents") else { return Documents::default() };
    reader.hold(node, "documents", &DOCUMENTS);
    let Some(fields) = reader.any_fields(node, "documents") else { return Documents::default() };
    let mut places = |name| {
        let texts = reader.texts(&fields, name).unwrap_or_default();
        // What is no place was noted above.
        texts.into_iter().filter_map(|(text, _, _)| DocumentPlace::parse(text)).collect()
    };
    Documents { read: places("read"), write: places("write") }
}
