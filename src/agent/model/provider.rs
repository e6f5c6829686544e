//! What is known of providers by their name: where they are, what they speak, which variable holds their key.

use crate::agent::definition::Api;

/// A provider that needs no `base_url`.
#[derive(Debug)]
pub struct Provider {
    pub name: &'static str,
    pub base_url: &'static str,
    pub api: Api,
    /// The environment variable that holds the key by convention; `None` where nobody asks for one.
    pub key: Option<&'static str>,
}

const fn chat(name: &'static str, base_url: &'static str, key: Option<&'static str>) -> Provider {
    Provider { name, base_url, api: Api::Chat, key }
}

const PROVIDERS: &[Provider] = &[
    chat("openai", "https://api.openai.com/v1", Some("OPENAI_API_KEY")),
    Provider {
        name: "anthropic",
        base_url: "https://api.anthropic.com/v1",
        api: Api::Anthropic,
        key: Some("ANTHROPIC_API_KEY"),
    },
    chat("openrouter", "https://openrouter.ai/api/v1", Some("OPENROUTER_API_KEY")),
    chat("groq", "https://api.groq.com/openai/v1", Some("GROQ_API_KEY")),
    chat("mistral", "https://api.mistral.ai/v1", Some("MISTRAL_API_KEY")),
    chat("deepseek", "https://api.deepseek.com/v1", Some("DEEPSEEK_API_KEY")),
    chat("xai", "https://api.x.ai/v1", Some("XAI_API_KEY")),
    chat("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", Some("GEMINI_API_KEY")),
    chat("ollama", "http://127.0.0.1:11434/v1", None),
];

/// The provider of that name, if it is known.
pub fn known(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

/// The names that are known, for messages.
pub fn names() -> String {
    PROVIDERS.iter().map(|provider| provider.name).collect::<Vec<_>>().join(", ")
}
