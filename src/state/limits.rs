//! The bounds on what is read and written; the numbers are the defaults of the state API.

/// The largest magnitude an integer may have, 2^53 − 1: beyond it a JavaScript client reads another number.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Bounds on JSON values and on patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of JSON text; for a document, of its compact form.
    pub max_bytes: usize,
    /// Nested objects and arrays; the root counts 1, scalars do not count.
    pub max_depth: usize,
    /// Values in one text, nested ones included: short values cost far more memory than text.
    pub max_values: usize,
    /// Bytes of one key.
    pub max_key_bytes: usize,
    /// Operations in one patch.
    pub max_ops: usize,
    /// Bytes that the `copy` operations of one patch may duplicate.
    pub max_copied_bytes: usize,
    /// Bytes that the `move` operations of one patch may carry: each is logged with its value.
    pub max_moved_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 16 << 20,
            max_depth: 64,
            max_values: 100_000,
            max_key_bytes: 1 << 10,
            max_ops: 1_000,
            max_copied_bytes: 1 << 20,
            max_moved_bytes: 16 << 20,
        }
    }
}

impl Limits {
    /// The same bounds for texts of at most `max_bytes`.
    pub fn of_bytes(max_bytes: usize) -> Self {
        Self { max_bytes, ..Self::default() }
    }

    /// No bounds: for replaying what was accepted before.
    pub(crate) const NONE: Self = Self {
        max_bytes: usize::MAX,
        max_depth: usize::MAX,
        max_values: usize::MAX,
        max_key_bytes: usize::MAX,
        max_ops: usize::MAX,
        max_copied_bytes: usize::MAX,
        max_moved_bytes: usize::MAX,
    };
}
