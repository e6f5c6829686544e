//! What answers cost: one entry for each provider and model, counted as AG-UI prescribes.

use crate::agui::TokenUsage;

use super::ModelName;

/// The sum over the answers of a run.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    entries: Vec<TokenUsage>,
}

impl Tally {
    /// Adds what one answer of `model` cost.
    pub fn add(&mut self, model: &ModelName, usage: &TokenUsage) {
        let is_same = |entry: &&mut TokenUsage| {
            entry.provider.as_deref() == Some(&model.provider) && entry.model.as_deref() == Some(&model.name)
        };
        match self.entries.iter_mut().find(is_same) {
            Some(entry) => {
                let sum = |total: &mut Option<u64>, more: Option<u64>| {
                    if let Some(more) = more {
                        *total = Some(total.unwrap_or(0) + more);
                    }
                };
                sum(&mut entry.input_tokens, usage.input_tokens);
                sum(&mut entry.output_tokens, usage.output_tokens);
                sum(&mut entry.total_tokens, usage.total_tokens);
                sum(&mut entry.reasoning_tokens, usage.reasoning_tokens);
                sum(&mut entry.cached_input_tokens, usage.cached_input_tokens);
                sum(&mut entry.cache_write_input_tokens, usage.cache_write_input_tokens);
            }
            None => self.entries.push(TokenUsage {
                provider: Some(model.provider.clone()),
                model: Some(model.name.clone()),
                ..usage.clone()
            }),
        }
    }

    pub fn total_tokens(&self) -> u64 {
        self.entries.iter().filter_map(|entry| entry.total_tokens).sum()
    }

    pub fn entries(&self) -> &[TokenUsage] {
        &self.entries
    }
}

/// Counts as a provider gives them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub input: u64,
    pub output: u64,
    /// Zero when the provider gives none.
    pub total: u64,
    pub reasoning: Option<u64>,
    pub cached: Option<u64>,
    pub cache_write: Option<u64>,
}

impl Counts {
    /// Input and output as totals: what a provider counts beside them is added in.
    pub fn normal(self) -> TokenUsage {
        let beside = self.cached.unwrap_or(0) + self.cache_write.unwrap_or(0);
        let input = if beside > self.input { self.input + beside } else { self.input };
        let reasoning = self.reasoning.unwrap_or(0);
        let counted_beside =
            reasoning > self.output || (reasoning > 0 && self.total == input + self.output + reasoning);
        let output = if counted_beside { self.output + reasoning } else { self.output };
        TokenUsage {
            provider: None,
            model: None,
            input_tokens: Some(input),
            output_tokens: Some(output),
            total_tokens: Some(input + output),
            reasoning_tokens: self.reasoning,
            cached_input_tokens: self.cached,
            cache_write_input_tokens: self.cache_write,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(counts: Counts, input: u64, output: u64) {
        let usage = counts.normal();
        assert_eq!((usage.input_tokens, usage.output_tokens), (Some(input), Some(output)), "{counts:?}");
        assert_eq!(usage.total_tokens, Some(input + output), "{counts:?}");
    }

    #[test]
    fn input_and_output_are_totals_whatever_the_provider_counts_beside_them() {
        check(Counts { input: 100, output: 20, total: 120, ..Counts::default() }, 100, 20);
        let inside =
            Counts { input: 100, output: 20, total: 120, reasoning: Some(15), cached: Some(90), cache_write: None };
        check(inside, 100, 20);
        check(Counts { input: 10, output: 20, cached: Some(90), cache_write: Some(5), ..Counts::default() }, 105, 20);
        check(Counts { input: 100, output: 20, total: 150, reasoning: Some(30), ..Counts::default() }, 100, 50);
        check(Counts { input: 100, output: 20, total: 135, reasoning: Some(15), ..Counts::default() }, 100, 35);
    }

    #[test]
    fn answers_of_one_model_are_one_entry() {
        let model = |name: &str| ModelName { provider: "p".to_owned(), name: name.to_owned() };
        let counts = |input, reasoning| Counts { input, output: 1, total: 0, reasoning, ..Counts::default() }.normal();
        let mut tally = Tally::default();
        tally.add(&model("a"), &counts(10, None));
        tally.add(&model("a"), &counts(20, Some(1)));
        tally.add(&model("b"), &counts(1, None));
        let told: Vec<_> = tally.entries().iter().map(|entry| (entry.input_tokens, entry.reasoning_tokens)).collect();
        assert_eq!(told, [(Some(30), Some(1)), (Some(1), None)]);
        assert_eq!(tally.total_tokens(), 34);
    }
}
