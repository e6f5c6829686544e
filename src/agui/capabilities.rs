//! What an agent says it can do (section 1.7). Everything is optional: what is left out is unknown, not unsupported.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

macro_rules! group {
    ($(#[$meta:meta])* pub struct $name:ident { $( $(#[$field_meta:meta])* $field:ident : $type:ty ),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            $( $(#[$field_meta])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>, )*
        }
    };
}

group! {
    /// All that an agent says about itself.
    pub struct AgentCapabilities {
        identity: Identity,
        transport: Transport,
        tools: ToolCapabilities,
        output: Output,
        state: StateCapabilities,
        multi_agent: MultiAgent,
        reasoning: ReasoningCapabilities,
        multimodal: Multimodal,
        execution: Execution,
        human_in_the_loop: HumanInTheLoop,
        /// The application's own.
        custom: Map<String, Value>,
    }
}

group! {
    /// Who it is.
    pub struct Identity {
        name: String,
        #[serde(rename = "type")]
        kind: String,
        description: String,
        version: String,
        provider: String,
        documentation_url: String,
        metadata: Map<String, Value>,
    }
}

group! {
    /// How it can be reached.
    pub struct Transport {
        streaming: bool,
        websocket: bool,
        http_binary: bool,
        push_notifications: bool,
        resumable: bool,
    }
}

group! {
    /// What it does with tools.
    pub struct ToolCapabilities {
        supported: bool,
        items: Vec<ToolItem>,
        parallel_calls: bool,
        client_provided: bool,
    }
}

/// A tool that the agent has of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolItem {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

group! {
    /// What it can answer with.
    pub struct Output {
        structured_output: bool,
        supported_mime_types: Vec<String>,
    }
}

group! {
    /// What it does with shared state.
    pub struct StateCapabilities {
        snapshots: bool,
        deltas: bool,
        memory: bool,
        persistent_state: bool,
    }
}

group! {
    /// Which agents it works with.
    pub struct MultiAgent {
        supported: bool,
        delegation: bool,
        handoffs: bool,
        subagents: Vec<Subagent>,
    }
}

/// An agent that the agent may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subagent {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

group! {
    /// Whether its reasoning can be seen.
    pub struct ReasoningCapabilities {
        supported: bool,
        streaming: bool,
        encrypted: bool,
    }
}

group! {
    /// Which media it takes and makes.
    pub struct Multimodal {
        input: MultimodalInput,
        output: MultimodalOutput,
    }
}

group! {
    /// Media it takes.
    pub struct MultimodalInput {
        image: bool,
        audio: bool,
        video: bool,
        pdf: bool,
        file: bool,
    }
}

group! {
    /// Media it makes.
    pub struct MultimodalOutput {
        image: bool,
        audio: bool,
    }
}

group! {
    /// What it may execute and for how long.
    pub struct Execution {
        code_execution: bool,
        sandboxed: bool,
        max_iterations: u64,
        /// Milliseconds by convention.
        max_execution_time: u64,
    }
}

group! {
    /// How people take part.
    pub struct HumanInTheLoop {
        supported: bool,
        approvals: bool,
        interventions: bool,
        feedback: bool,
        interrupts: bool,
        approve_with_edits: bool,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_left_out_and_what_is_null_reads_as_unknown() {
        let json = r#"{"identity":{"name":"a","type":"llm","documentationUrl":"u","x":1},"transport":null,"tools":{"items":[{"name":"t","description":"d"}]},"multimodal":{"input":{"pdf":true}},"humanInTheLoop":{"approveWithEdits":false},"custom":{"k":null}}"#;
        let capabilities: AgentCapabilities = serde_json::from_str(json).unwrap();
        let expected = json.replace(r#","x":1"#, "").replace(r#""transport":null,"#, "");
        assert_eq!(serde_json::to_string(&capabilities).unwrap(), expected);
    }
}
