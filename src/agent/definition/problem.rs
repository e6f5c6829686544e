//! What is wrong with a definition, and where. It prints as compilers do, so that editors can jump to it.

use std::fmt;
use std::path::PathBuf;

use super::tree::{Position, Unreadable};

/// One reason why a definition is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The agent that is disabled by it; absent when the file names no agent.
    pub agent: Option<String>,
    pub file: PathBuf,
    /// From 1; absent when the whole file is meant.
    pub line: Option<u32>,
    /// From 1, in characters.
    pub column: Option<u32>,
    /// The field, dotted: `agent.timeouts.idle`, `state.read[0]`.
    pub path: Option<String>,
    /// Lower case, one sentence, saying what would be accepted.
    pub message: String,
}

impl Problem {
    /// A problem with the file as a whole.
    pub fn of_file(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self { agent: None, file: file.into(), line: None, column: None, path: None, message: message.into() }
    }

    /// A file that cannot be read, or is not in its language.
    pub(crate) fn unreadable(file: impl Into<PathBuf>, why: Unreadable) -> Self {
        let problem = Self::of_file(file, why.message);
        match why.at {
            Some(at) => problem.at(at),
            None => problem,
        }
    }

    /// The same problem, held against this agent.
    pub fn of_agent(self, id: &str) -> Self {
        Self { agent: Some(id.to_owned()), ..self }
    }

    /// The same problem, at this place of the file.
    pub(crate) fn at(self, at: Position) -> Self {
        Self { line: Some(at.line), column: Some(at.column), ..self }
    }

    /// `file:line:column`. What is wrong as a whole is shown where it begins, so that there is one form to read.
    pub fn place(&self) -> String {
        format!("{}:{}:{}", self.file.display(), self.line.unwrap_or(1), self.column.unwrap_or(1))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.message)
    }
}
