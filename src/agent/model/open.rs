//! From what a definition says of a model to something that can be asked.

use std::path::Path;
use std::sync::Arc;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::anthropic::{self, Anthropic};
use super::openai::{self, Dialect, OpenAi};
use super::scripted::{self, Scripted};
use super::{Model, ModelName, provider};
use crate::agent::definition::{Api, AskedModel, ModelSettings, Secret};
use crate::agent::error::AgentError;

/// The model, or what is missing until it can be asked.
pub type Opened = Result<Arc<dyn Model>, AgentError>;

/// Opens no connection. A script is looked for below `folder`. The error is a sentence about the definition, with the
/// field below `agent` that it is about, if that is not the one that names the model.
pub fn open(asked: &AskedModel, folder: &Path) -> Result<Opened, (Option<&'static str>, String)> {
    let settings = &asked.settings;
    if asked.provider == scripted::PROVIDER {
        let scripted = Scripted::new(ModelName::of(asked), folder).map_err(|message| (None, message))?;
        return Ok(Ok(Arc::new(scripted)));
    }
    let known = provider::known(&asked.provider);
    let base = match (&settings.base_url, known) {
        (Some(url), _) => url.clone(),
        (None, Some(known)) => Url::parse(known.base_url).expect("a constant is an address"),
        (None, None) => {
            let message = format!(
                "nothing is known of the provider `{}`: write the address of its API into `base_url` (known are {})",
                asked.provider,
                provider::names()
            );
            return Err((None, message));
        }
    };
    let api = settings.api.or(known.map(|known| known.api)).unwrap_or(Api::Chat);
    let own: &[&str] = match api {
        Api::Chat | Api::Responses => openai::OWN_MEMBERS,
        Api::Anthropic => anthropic::OWN_MEMBERS,
    };
    if let Some(name) = settings.params.extra.keys().find(|name| own.contains(&name.as_str())) {
        let message = format!("`agent.params.extra.{name}` is set by the runtime itself");
        return Err((Some("params.extra"), message));
    }
    if let Some(Secret::Missing { name }) = &settings.api_key {
        let model = format!("{}/{}", asked.provider, asked.name);
        let message = format!("this agent has no key for its model {model}: set `{name}` and start the server again");
        return Ok(Err(AgentError::new("missing_configuration", message)));
    }
    let wrong_key = |message| (Some("api_key"), message);
    Ok(Ok(match api {
        Api::Chat => Arc::new(OpenAi::new(asked, &base, Dialect::Chat).map_err(wrong_key)?),
        Api::Responses => Arc::new(OpenAi::new(asked, &base, Dialect::Responses).map_err(wrong_key)?),
        Api::Anthropic => Arc::new(Anthropic::new(asked, &base).map_err(wrong_key)?),
    }))
}

/// The key, empty when there is none. The error is a sentence.
pub(super) fn key(settings: &ModelSettings) -> Result<&str, String> {
    let key = match &settings.api_key {
        Some(Secret::Present(key)) => key.as_str(),
        Some(Secret::Missing { .. }) | None => "",
    };
    match HeaderValue::from_str(key) {
        Ok(_) => Ok(key),
        Err(_) => Err("the key of `agent.api_key` has characters that no header may have".to_owned()),
    }
}

/// The headers that a definition gives, none of which may be shown.
pub(super) fn headers(settings: &ModelSettings) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a definition's headers are checked");
        let mut value = HeaderValue::from_str(value).expect("a definition's headers are checked");
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers
}
