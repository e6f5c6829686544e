//! What a server turned out not to understand: it is left out of that request, which is sent again, and of later ones.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::agent::model::{Fault, FaultKind};

/// One thing that is done differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Concession {
    /// Usage is not asked for.
    NoUsage = 1,
    /// `developer` is written as `system`.
    NoDeveloper = 2,
    /// The limit of the output goes by its other name.
    OtherLimitName = 4,
    /// One system message, at the beginning; user and assistant take turns.
    StrictRoles = 8,
    /// The shape of the answer is not asked for but in words.
    NoFormat = 16,
    /// Reasoning is not asked for in its sealed form.
    NoSealedReasoning = 32,
    /// No summary of the reasoning is asked for.
    NoSummary = 64,
}

const ALL: [Concession; 7] = [
    Concession::NoUsage,
    Concession::NoDeveloper,
    Concession::OtherLimitName,
    Concession::StrictRoles,
    Concession::NoFormat,
    Concession::NoSealedReasoning,
    Concession::NoSummary,
];

/// The concessions that a server needed so far. An atomic, because runs of an agent share it and each only adds to it.
#[derive(Debug, Default)]
pub(super) struct Concessions(AtomicU8);

/// The concessions of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Made(u8);

impl Concessions {
    pub(super) fn made(&self) -> Made {
        Made(self.0.load(Ordering::Relaxed))
    }

    /// Whether the request that `made` shaped and that was refused may pass with one concession more, which is noted.
    pub(super) fn learn(&self, made: Made, refusal: &Fault) -> bool {
        let asked = asked_for(refusal).find(|concession| !made.has(*concession));
        if let Some(concession) = asked {
            tracing::info!(?concession, "a model server does not understand a part of a request");
            self.0.fetch_or(concession as u8, Ordering::Relaxed);
        }
        asked.is_some()
    }
}

impl Made {
    pub(super) fn has(self, concession: Concession) -> bool {
        self.0 & concession as u8 != 0
    }
}

fn asked_for(refusal: &Fault) -> impl Iterator<Item = Concession> {
    let said = refusal.message.to_lowercase();
    let is_about_the_request = refusal.kind == FaultKind::Refused;
    ALL.into_iter().filter(move |concession| {
        let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
        is_about_the_request
            && match concession {
                Concession::NoUsage => says(&["stream_options", "include_usage"]),
                Concession::NoDeveloper => says(&["developer"]),
                Concession::NoFormat => says(&["response_format", "json_schema", "text.format"]),
                Concession::NoSealedReasoning => says(&["encrypted", "parameter: 'include'"]),
                Concession::NoSummary => says(&["summary", "summaries"]),
                Concession::OtherLimitName => says(&["max_tokens", "max_completion_tokens"]),
                Concession::StrictRoles => {
                    says(&["alternate", "system message", "chat template", "after the optional system", "jinja"])
                }
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_conceded_to_once() {
        let concessions = Concessions::default();
        let refused = |message: &str| Fault::new(FaultKind::Refused, message);
        let usage = refused("the model server answered 400: Unknown parameter: 'stream_options'");
        assert!(concessions.learn(concessions.made(), &usage));
        assert!(concessions.made().has(Concession::NoUsage));
        assert!(!concessions.learn(concessions.made(), &usage), "it was refused without it, too");
        assert!(concessions.learn(concessions.made(), &refused("Unexpected role developer in messages")));
        assert!(concessions.learn(concessions.made(), &refused("Conversation roles must alternate user/assistant")));
        assert!(!concessions.learn(concessions.made(), &refused("no such model")));
        let failed = Fault::new(FaultKind::Provider, "max_tokens");
        assert!(!concessions.learn(concessions.made(), &failed), "a failure says nothing about the request");
        assert!(!concessions.made().has(Concession::OtherLimitName));
    }
}
