//! A model that answers by script, for demos and tests without a key: `model: scripted/<file or name>`.
//!
//! It polices every request as a model's server would, so that what works with it works with one.

mod perform;
mod police;
mod script;
#[cfg(test)]
mod tests;

use std::path::{Component, Path};

use async_trait::async_trait;
use serde_json::Value;

use super::{Answer, Fault, FaultKind, Model, ModelName, Request};
use crate::agent::config::ConfigError;
use script::Script;

/// The provider that a definition names for it.
pub const PROVIDER: &str = "scripted";
/// Scripts that are compiled in, by name.
const SCRIPTS: &[(&str, &str)] = &[("echo", include_str!("scripted/echo.yaml"))];
const SCRIPT_BYTES: u64 = 1024 * 1024;

pub struct Scripted {
    name: ModelName,
    script: Script,
}

impl Scripted {
    /// The script of that name, or of that file below `folder`. The error is a sentence that names the script.
    pub fn new(name: ModelName, folder: &Path) -> Result<Self, String> {
        let text = match SCRIPTS.iter().find(|(known, _)| *known == name.name) {
            Some((_, text)) => (*text).to_owned(),
            None => read(&name.name, folder)?,
        };
        let value: Value = serde_saphyr::from_str(&text)
            .map_err(|error| format!("the script `{}` cannot be read: {error}", name.name))?;
        let script = Script::read(&value).map_err(|ConfigError { path, message }| {
            let at = if path.is_empty() { String::new() } else { format!("{path}: ") };
            format!("the script `{}` is wrong: {at}{message}", name.name)
        })?;
        Ok(Self { name, script })
    }
}

#[async_trait]
impl Model for Scripted {
    fn name(&self) -> &ModelName {
        &self.name
    }

    async fn answer(&self, request: &Request) -> Result<Answer, Fault> {
        police::check(request).map_err(|reason| Fault::new(FaultKind::Refused, format!("refused: {reason}")))?;
        perform::answer(&self.script, request)
    }
}

fn read(name: &str, folder: &Path) -> Result<String, String> {
    let path = Path::new(name);
    let is_below = path.components().all(|component| matches!(component, Component::Normal(_)));
    let is_file = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if !is_below || !is_file {
        let names: Vec<_> = SCRIPTS.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "there is no script `{name}`: write the name of a .yaml file below the folder of the definition, or one of {}",
            names.join(", ")
        ));
    }
    let file = folder.join(path);
    let unreadable = |error: std::io::Error| format!("the script `{}` cannot be read: {error}", file.display());
    let metadata = std::fs::metadata(&file).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(format!("the script `{}` is no regular file", file.display()));
    }
    if metadata.len() > SCRIPT_BYTES {
        return Err(format!("the script `{}` is larger than {SCRIPT_BYTES} bytes", file.display()));
    }
    std::fs::read_to_string(&file).map_err(unreadable)
}
