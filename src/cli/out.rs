//! What commands print. A reader that goes away has seen what it wanted, so the command ends without a word.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Writes to standard output.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// A line on standard error; where that cannot be written there is nobody to tell.
pub(super) fn remark(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// How a command ends that has printed everything, and would end as `done`.
pub(super) fn ended(printed: io::Result<()>, done: ExitCode) -> ExitCode {
    match printed {
        Ok(()) => done,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => done,
        Err(error) => {
            remark(&format!("coagent: standard output: {error}"));
            ExitCode::FAILURE
        }
    }
}
