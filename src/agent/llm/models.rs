//! The models of an agent, in the order in which they are asked: when one fails for good, the next one takes over for the
//! rest of the run.

use crate::agent::error::AgentError;
use crate::agent::model::{Fault, Model, ModelName, Opened};

/// The models of a definition, `model` first and then `fallback`.
pub(super) struct Models(Vec<(ModelName, Opened)>);

/// Which of them a run asks now.
pub(super) struct Chosen<'m> {
    models: &'m Models,
    at: usize,
    /// What those before it failed with, as sentences.
    failed: Vec<String>,
}

impl Models {
    /// At least one.
    pub(super) fn new(models: Vec<(ModelName, Opened)>) -> Self {
        Self(models)
    }

    /// The first, which the definition is about.
    pub(super) fn first(&self) -> &ModelName {
        &self.0.first().expect("an agent has a model").0
    }

    /// The first that can be asked; the error is what the first one of all misses.
    pub(super) fn choose(&self) -> Result<Chosen<'_>, AgentError> {
        match self.0.iter().position(|(_, opened)| opened.is_ok()) {
            Some(at) => {
                for (name, missing) in
                    self.0[..at].iter().filter_map(|(name, opened)| Some((name, opened.as_ref().err()?)))
                {
                    tracing::warn!(model = %name, reason = %missing, "a model cannot be asked; the next one is");
                }
                Ok(Chosen { models: self, at, failed: Vec::new() })
            }
            None => {
                let (_, missing) = self.0.first().expect("an agent has a model");
                Err(missing.as_ref().err().expect("none of them can be asked").clone())
            }
        }
    }
}

impl Chosen<'_> {
    pub(super) fn model(&self) -> &dyn Model {
        self.models.0[self.at].1.as_deref().expect("what cannot be asked is not chosen")
    }

    /// Goes on to the next one that can be asked, if there is one; else `fault` is the end, with the others' beside it.
    pub(super) fn next(&mut self, fault: Fault) -> Result<(), AgentError> {
        let told = format!("{}: {fault}", self.model().name());
        let next = self.models.0.iter().enumerate().skip(self.at + 1).find(|(_, (_, opened))| opened.is_ok());
        let Some((at, (name, _))) = next else {
            if self.failed.is_empty() {
                return Err(fault.into());
            }
            self.failed.push(told);
            return Err(AgentError::new(fault.code(), format!("no model answered: {}", self.failed.join("; "))));
        };
        tracing::warn!(failed = told, model = %name, "another model is asked");
        self.failed.push(told);
        self.at = at;
        Ok(())
    }
}
