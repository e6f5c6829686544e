//! What holds for every tool: limits on what goes in and out, no panic that ends a run.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use serde_json::{Map, Value};

use crate::agent::context::RunContext;
use crate::agent::error::AgentError;
use crate::agent::tools::{Call, Tool, refused};

/// The longest arguments, in bytes as the model wrote them.
const ARGUMENT_BYTES: usize = 256 * 1024;
/// The longest result that the model is told whole, in bytes.
const RESULT_BYTES: usize = 72 * 1024;

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::agent::llm) struct Outcome {
    /// As the model is told.
    pub(in crate::agent::llm) text: String,
    /// Whether the tool did what it was asked to.
    pub(in crate::agent::llm) ok: bool,
}

impl From<Value> for Outcome {
    fn from(result: Value) -> Self {
        let ok = result.get("ok") != Some(&Value::Bool(false));
        let text = match result {
            Value::String(text) => text,
            result => result.to_string(),
        };
        Self { text: cut(text), ok }
    }
}

/// Runs one call. A tool that panics or takes too long has failed, and the run goes on.
pub(super) async fn call(tool: &dyn Tool, cx: &RunContext, id: &str, written: &str) -> Result<Outcome, AgentError> {
    let written = if written.trim().is_empty() { "{}" } else { written };
    if written.len() > ARGUMENT_BYTES {
        let error = format!("the arguments are longer than {ARGUMENT_BYTES} bytes: send less at once");
        return Ok(refused("too_large", &error).into());
    }
    let arguments = match serde_json::from_str::<Map<String, Value>>(written) {
        Ok(arguments) => arguments,
        Err(error) => {
            let error = format!("the arguments are not a JSON object: {error}");
            return Ok(refused("invalid_arguments", &error).into());
        }
    };
    let limit = tool.timeout();
    let working = AssertUnwindSafe(tool.call(cx, Call { id, arguments: &arguments })).catch_unwind();
    match tokio::time::timeout(limit, working).await {
        Ok(Ok(result)) => Ok(result?.into()),
        Ok(Err(_)) => Ok(refused("internal", "the tool crashed").into()),
        Err(_) => {
            let then = if tool.is_idempotent() { "" } else { ", and whether it did its work is unknown" };
            Ok(refused("timeout", &format!("the tool did not end within {limit:?}{then}")).into())
        }
    }
}

/// What is too long ends with a line that says so.
fn cut(mut text: String) -> String {
    if text.len() > RESULT_BYTES {
        let bytes = text.len();
        text.truncate(text.floor_char_boundary(RESULT_BYTES));
        text.push_str(&format!("\n[cut off: the result has {bytes} bytes, and this is its beginning]"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use serde_json::json;

    use super::*;
    use crate::agent::emissions::emissions;
    use crate::agent::native::rehearsal::user;
    use crate::agui;

    /// A tool that does what the test says.
    struct Odd(fn() -> Value);

    #[async_trait]
    impl Tool for Odd {
        fn spec(&self) -> agui::Tool {
            crate::agent::tools::spec("odd", String::new(), &json!({}))
        }

        async fn call(&self, _: &RunContext, call: Call<'_>) -> Result<Value, AgentError> {
            if call.arguments.contains_key("wait") {
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
            Ok((self.0)())
        }
    }

    async fn check(tool: fn() -> Value, arguments: &str) -> Outcome {
        let cx = RunContext::new(user("x"), emissions(1).0);
        call(&Odd(tool), &cx, "c", arguments).await.expect("the run goes on")
    }

    fn fine() -> Value {
        json!({ "ok": true })
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_a_tool_does_the_run_goes_on_and_the_model_is_told() {
        let code = |outcome: Outcome| {
            assert!(!outcome.ok, "{outcome:?}");
            serde_json::from_str::<Value>(&outcome.text).expect("JSON")["code"].as_str().map(str::to_owned)
        };
        assert_eq!(code(check(|| panic!("broken"), "{}").await).as_deref(), Some("internal"));
        assert_eq!(code(check(fine, r#"{"wait":1}"#).await).as_deref(), Some("timeout"));
        assert_eq!(code(check(fine, "[1]").await).as_deref(), Some("invalid_arguments"));
        let long = format!(r#"{{"x":"{}"}}"#, "x".repeat(ARGUMENT_BYTES));
        assert_eq!(code(check(fine, &long).await).as_deref(), Some("too_large"));
        assert_eq!(check(fine, " ").await, Outcome { text: r#"{"ok":true}"#.to_owned(), ok: true });
        let long = check(|| Value::String("é".repeat(RESULT_BYTES)), "{}").await;
        assert!(long.ok && long.text.len() < RESULT_BYTES + 100 && long.text.contains("[cut off: the result has "));
    }
}
