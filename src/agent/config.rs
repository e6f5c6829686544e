//! Reads what is written for built-in agents and scripts; an error names the path of the member that is wrong.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::agent::definition::parse_duration;

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ConfigError {
    /// Dotted, below the whole that is read: `turns[0].do[1].say`; empty for the whole.
    pub path: String,
    pub message: String,
}

impl ConfigError {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// A value of the configuration and its path.
pub(super) struct Entry<'v> {
    pub(super) value: &'v Value,
    pub(super) path: String,
}

impl<'v> Entry<'v> {
    pub(super) fn root(value: &'v Value) -> Self {
        Self { value, path: String::new() }
    }

    pub(super) fn refuse<T>(&self, message: impl Into<String>) -> Result<T, ConfigError> {
        Err(ConfigError::new(self.path.as_str(), message))
    }

    pub(super) fn object(&self) -> Result<&'v Map<String, Value>, ConfigError> {
        self.value.as_object().map_or_else(|| self.refuse("must be a mapping"), Ok)
    }

    /// The mapping, when it has no other members than these.
    pub(super) fn object_of(&self, accepted: &[&str]) -> Result<&'v Map<String, Value>, ConfigError> {
        let members = self.object()?;
        match members.keys().find(|key| !accepted.contains(&key.as_str())) {
            Some(key) => {
                let stranger = self.below(key);
                Err(ConfigError::new(
                    stranger,
                    format!("unknown field `{key}`: accepted here are {}", accepted.join(", ")),
                ))
            }
            None => Ok(members),
        }
    }

    pub(super) fn member(&self, name: &str) -> Option<Entry<'v>> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Entry { value, path: self.below(name) })
    }

    pub(super) fn required(&self, name: &str) -> Result<Entry<'v>, ConfigError> {
        self.member(name).map_or_else(|| self.refuse(format!("`{name}` is missing")), Ok)
    }

    pub(super) fn items(&self) -> Result<Vec<Entry<'v>>, ConfigError> {
        let items = self.value.as_array().map_or_else(|| self.refuse("must be a list"), Ok)?;
        let entry = |(index, value)| Entry { value, path: format!("{}[{index}]", self.path) };
        Ok(items.iter().enumerate().map(entry).collect())
    }

    pub(super) fn text(&self) -> Result<String, ConfigError> {
        self.value.as_str().map_or_else(|| self.refuse("must be a text"), |text| Ok(text.to_owned()))
    }

    pub(super) fn duration(&self) -> Result<Duration, ConfigError> {
        parse_duration(&self.text()?).or_else(|message| self.refuse(message))
    }

    /// The value in the shape of `T`; the error is that of its parser.
    pub(super) fn shaped<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        serde_json::from_value(self.value.clone()).or_else(|error| self.refuse(error.to_string()))
    }

    fn below(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// The `pace` of a configuration whose only other members are `others`: the pause between two words.
pub(super) fn pace(config: &Entry<'_>, others: &[&str], default: Duration) -> Result<Duration, ConfigError> {
    let accepted: Vec<&str> = ["pace"].into_iter().chain(others.iter().copied()).collect();
    config.object_of(&accepted)?;
    config.member("pace").map_or(Ok(default), |pace| pace.duration())
}
