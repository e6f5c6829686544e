//! A run told to a terminal: what is said on standard output, what is done on standard error.

use serde_json::Value;

use super::client::Failure;
use super::out;

/// A result is shown up to here.
const RESULT_CHARACTERS: usize = 200;

/// What was told so far.
#[derive(Debug)]
pub(super) struct Told {
    is_quiet: bool,
    /// Whether the last line on standard output is still open.
    is_open: bool,
    /// The call whose arguments are coming, and what came of them.
    call: Option<(String, String)>,
}

impl Told {
    pub(super) fn new(is_quiet: bool) -> Self {
        Self { is_quiet, is_open: false, call: None }
    }

    /// Something beside what the agent says.
    pub(super) fn aside(&mut self, line: &str) {
        if !self.is_quiet {
            self.end();
            out::remark(line);
        }
    }

    /// Closes what is open. Nothing but a line break can be missing, and what is said next tells whether anybody reads.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.is_open) {
            let _ = out::print("\n");
        }
    }

    pub(super) fn event(&mut self, event: &Value) -> Result<(), Failure> {
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        match text("type") {
            "TEXT_MESSAGE_CONTENT" => {
                out::print(text("delta"))?;
                self.is_open = true;
            }
            "TEXT_MESSAGE_END" => self.end(),
            "TOOL_CALL_START" => self.call = Some((text("toolCallName").to_owned(), String::new())),
            "TOOL_CALL_ARGS" => {
                if let Some((_, arguments)) = &mut self.call {
                    arguments.push_str(text("delta"));
                }
            }
            "TOOL_CALL_END" => {
                if let Some((name, arguments)) = self.call.take() {
                    self.aside(&format!("→ {name} {arguments}"));
                }
            }
            "TOOL_CALL_RESULT" => self.aside(&format!("← {}", shortened(text("content")))),
            "STEP_STARTED" => self.aside(&format!("· {}", text("stepName"))),
            "RUN_ERROR" => self.aside(&format!("! {}: {}", text("code"), text("message"))),
            _ => {}
        }
        Ok(())
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(RESULT_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
