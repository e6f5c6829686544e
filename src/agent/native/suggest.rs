//! What the built-in agents answer a page that asks what its user could say next.

use serde_json::{Value, json};

use super::voice::Voice;
use crate::agent::error::AgentError;

/// The tool that CopilotKit's suggestion requests bring, and nothing else.
const SUGGEST: &str = "copilotkitSuggest";

/// A button's words, and what the user says by pressing it.
pub(super) type Offer = (&'static str, &'static str);

/// Whether this run asks for suggestions instead of an answer.
pub(super) fn is_asked(voice: &Voice<'_>) -> bool {
    matches!(voice.cx.input().tools.as_slice(), [tool] if tool.name == SUGGEST)
}

pub(super) async fn suggest(voice: &mut Voice<'_>, offers: &[Offer]) -> Result<(), AgentError> {
    let suggestions: Vec<Value> =
        offers.iter().map(|(title, message)| json!({ "title": title, "message": message })).collect();
    voice.call(SUGGEST, &json!({ "suggestions": suggestions })).await.map(drop)
}
