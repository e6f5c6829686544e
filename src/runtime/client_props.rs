//! What our own clients say of themselves with a run or a connect (`forwardedProps.coagent`, docs/copilotkit.md §4).

use serde::Deserialize;

use crate::agui::RunAgentInput;

/// What is absent, or not as it should be, is not said.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientProps {
    /// The document version that the client saw.
    pub state_version: Option<u64>,
    /// The run from which on a connect is to show the thread: what went before it is on the page.
    pub from_run: Option<String>,
}

impl ClientProps {
    pub fn of(input: &RunAgentInput) -> Self {
        #[derive(Deserialize)]
        struct Props {
            /// Other clients say nothing, which is no error to make and drop.
            #[serde(default)]
            coagent: ClientProps,
        }
        let props = input.forwarded_props.as_ref();
        props
            .and_then(|props| serde_json::from_str::<Props>(props.get()).ok())
            .map(|props| props.coagent)
            .unwrap_or_default()
    }
}
