//! JSON text in memory: how values become what is stored and sent.
//!
//! serde_json writes a mark at a time. Into a bare vector each of them is a call that copies one byte; here it is a push.

use std::cell::Cell;
use std::io;

use serde::Serialize;

/// A longer scratch is not kept for the next value.
const KEPT_BYTES: usize = 64 << 10;

thread_local! {
    /// Where a value is written before it is known how long it is.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Appends a value.
///
/// # Panics
///
/// Panics on a map whose keys are no texts: plain data has none.
pub(crate) fn write(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(Marks(out), value).expect("keys are texts, and memory takes every write");
}

/// The text of a value, in a vector of just that length.
///
/// # Panics
///
/// As [`write`].
pub(crate) fn encode(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    build(|out| write(out, value)).0
}

/// What `write` appends to nothing, in a vector of just its length, and what it answers.
pub(crate) fn build<T>(write: impl FnOnce(&mut Vec<u8>) -> T) -> (Vec<u8>, T) {
    let mut scratch = SCRATCH.take();
    scratch.clear();
    let answer = write(&mut scratch);
    let text = scratch.as_slice().to_vec();
    if scratch.capacity() <= KEPT_BYTES {
        SCRATCH.set(scratch);
    }
    (text, answer)
}

/// Appends a text. As [`write`], and faster where nothing has to be escaped, as in most.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    if has_escapes(text) {
        return write(out, text);
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Looks at all of it, because many bytes at a time are compared faster than one after the other.
fn has_escapes(text: &str) -> bool {
    text.bytes().fold(false, |found, byte| found | (byte < b' ') | (byte == b'"') | (byte == b'\\'))
}

/// A vector that is mostly written one byte at a time.
struct Marks<'o>(&'o mut Vec<u8>);

impl io::Write for Marks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline(always)]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match bytes {
            [mark] => self.0.push(*mark),
            bytes => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde::Serializer;
    use serde_json::{Value, json};

    use super::*;

    /// Encodes another value while it is encoded itself.
    struct Nested(Value);

    impl Serialize for Nested {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let inner = String::from_utf8(encode(&self.0)).expect("JSON is text");
            serializer.serialize_str(&inner)
        }
    }

    #[test]
    fn values_are_written_as_serde_json_writes_them() {
        let value = json!({"a": [1, -2.5, null, true, "x\"\\\n\u{1}ü"], "": {}, "long": "y".repeat(100_000)});
        assert_eq!(encode(&value), serde_json::to_vec(&value).expect("a value is JSON"));
        for text in ["12", "3", "456"] {
            assert_eq!(encode(text), format!("\"{text}\"").into_bytes(), "nothing is left of the one before");
        }
        let mut out = b"before ".to_vec();
        write(&mut out, "said");
        assert_eq!(out, b"before \"said\"");
        let long = "x".repeat(100);
        for text in ["", "plain ü\u{7f}", "\"", "\\", "a\nb", "\u{1f}", "\0", &long, &format!("{long}\t{long}")] {
            let mut out = Vec::new();
            write_text(&mut out, text);
            assert_eq!(out, serde_json::to_vec(text).expect("a text is JSON"));
        }
    }

    #[test]
    fn a_value_may_be_encoded_while_another_one_is() {
        assert_eq!(encode(&[Nested(json!({"a": 1}))]), br#"["{\"a\":1}"]"#);
    }
}
