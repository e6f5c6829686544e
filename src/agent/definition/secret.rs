//! Values that a file may only point to: `${env:NAME}` or `${file:path}`, never a literal.

use std::fmt;

/// A secret that a definition points to. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Trimmed, not empty.
    Present(String),
    /// What is named is not there; whoever needs it says so when it is needed.
    Missing {
        /// The environment variable or the file, by its bare name.
        name: String,
    },
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present(_) => f.write_str("Present(…)"),
            Self::Missing { name } => f.debug_struct("Missing").field("name", name).finish(),
        }
    }
}
