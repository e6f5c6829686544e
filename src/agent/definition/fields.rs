//! Which fields a definition may have, where each belongs, and which of them this version serves.
//!
//! A field of the format that is not served yet is refused by name rather than ignored, so that nobody relies on it.

/// A mapping of a definition whose fields are fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Root,
    LlmAgent,
    LlmParams,
    LlmTimeouts,
    LlmOutput,
    LlmHistory,
    RemoteAgent,
    NativeAgent,
    RemoteTimeouts,
    State,
    Type,
    TypeLimits,
    TypeRetention,
    StateTools,
    ClientTools,
    NamedModel,
    Price,
}

/// What the format says of a field at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Accepted,
    /// The format has it; this version does not serve it.
    NotYet,
    /// It belongs to agents of another kind.
    OfKind(&'static str),
    Unknown,
}

impl Place {
    /// The fields that are accepted here, in the order the format lists them.
    pub(crate) fn accepted(self) -> &'static [&'static str] {
        match self {
            Self::Root => &[
                "version",
                "name",
                "description",
                "enabled",
                "default",
                "agent",
                "state",
                "documents",
                "tools",
                "handoffs",
                "triggers",
                "run",
                "hitl",
                "instructions",
            ],
            Self::LlmAgent => &[
                "kind", "model", "base_url", "api_key", "api", "headers", "params", "fallback", "timeouts", "price",
                "output", "history",
            ],
            Self::LlmParams => {
                &["temperature", "max_output_tokens", "reasoning_effort", "parallel_tool_calls", "extra"]
            }
            Self::LlmTimeouts => &["connect", "first_token", "idle"],
            Self::LlmOutput => &["schema", "write_to", "retries"],
            Self::LlmHistory => &["max_messages", "client_system"],
            Self::RemoteAgent => &[
                "kind",
                "url",
                "headers",
                "forward_headers",
                "forward_state",
                "state_mode",
                "timeouts",
                "max_event_bytes",
                "strip_raw",
                "protocol_version",
            ],
            Self::NativeAgent => &["kind", "name", "config"],
            Self::RemoteTimeouts => &["connect", "first_byte", "idle"],
            Self::Type => &["schema", "put", "retention", "limits", "initial", "durability"],
            Self::TypeLimits => &["document_bytes", "depth", "operations"],
            Self::TypeRetention => &["versions", "days"],
            Self::State => &["scope", "schema", "initial", "read", "write", "predict"],
            Self::StateTools => &["read", "patch"],
            Self::ClientTools => &["type", "allow"],
            Self::NamedModel => &["model", "base_url", "api_key", "api", "headers", "params", "timeouts", "price"],
            Self::Price => &["input", "cached_input", "cache_write", "output"],
        }
    }

    fn not_yet(self) -> &'static [&'static str] {
        match self {
            Self::Root => &[],
            Self::LlmAgent
            | Self::LlmParams
            | Self::LlmTimeouts
            | Self::LlmOutput
            | Self::LlmHistory
            | Self::RemoteAgent
            | Self::NativeAgent
            | Self::RemoteTimeouts
            | Self::State
            | Self::StateTools
            | Self::ClientTools
            | Self::NamedModel
            | Self::Price
            | Self::Type
            | Self::TypeLimits
            | Self::TypeRetention => &[],
        }
    }

    fn of_other_kinds(self) -> &'static [(&'static str, &'static [&'static str])] {
        const LLM: &[&str] = &["model", "base_url", "api_key", "api", "params", "fallback", "output", "history"];
        const REMOTE: &[&str] = &[
            "url",
            "forward_headers",
            "forward_state",
            "state_mode",
            "max_event_bytes",
            "strip_raw",
            "protocol_version",
        ];
        const ATTACHED: &[&str] = &["token", "max_inflight", "lease", "absent"];
        match self {
            Self::LlmAgent => &[("remote", REMOTE), ("attached", ATTACHED), ("native", &["name", "config"])],
            Self::LlmTimeouts => &[("remote", &["first_byte"])],
            Self::RemoteAgent => &[("llm", LLM), ("attached", ATTACHED), ("native", &["name", "config"])],
            Self::NativeAgent => {
                &[("remote", REMOTE), ("remote or llm", &["headers", "timeouts"]), ("llm", LLM), ("attached", ATTACHED)]
            }
            Self::RemoteTimeouts => &[("llm", &["first_token"])],
            Self::Root
            | Self::LlmParams
            | Self::LlmOutput
            | Self::LlmHistory
            | Self::State
            | Self::StateTools
            | Self::ClientTools
            | Self::NamedModel
            | Self::Price
            | Self::Type
            | Self::TypeLimits
            | Self::TypeRetention => &[],
        }
    }

    pub(crate) fn standing(self, field: &str) -> Standing {
        if self.accepted().contains(&field) {
            return Standing::Accepted;
        }
        if self.not_yet().contains(&field) {
            return Standing::NotYet;
        }
        self.of_other_kinds()
            .iter()
            .find(|(_, fields)| fields.contains(&field))
            .map_or(Standing::Unknown, |(kind, _)| Standing::OfKind(kind))
    }
}

/// The message for a field that is not accepted at a place; `None` for one that is.
pub(crate) fn refusal(place: Place, path: &str, field: &str) -> Option<String> {
    match place.standing(field) {
        Standing::Accepted => None,
        Standing::NotYet => Some(format!("`{path}` is not supported by this version yet")),
        Standing::OfKind(kind) => Some(format!("`{path}` belongs to agents of kind {kind}, not to this one")),
        Standing::Unknown => Some(format!("unknown field `{path}`: accepted here are {}", place.accepted().join(", "))),
    }
}
