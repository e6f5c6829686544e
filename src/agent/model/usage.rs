//! What answers cost: one entry for each provider and model, counted as AG-UI prescribes.

use crate::agent::definition::Price;
use crate::agui::TokenUsage;

use super::ModelName;

/// The sum over the answers of a run.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    entries: Vec<TokenUsage>,
}

impl Tally {
    /// Adds what one answer of `model` cost.
    ///
    /// A cost that is not known for a part of an entry is not known for the entry.
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
                entry.cost_usd = entry.cost_usd.zip(usage.cost_usd).map(|(so_far, more)| so_far + more);
            }
            None => self.entries.push(TokenUsage {
                provider: Some(model.provider.clone()),
                model: Some(model.name.clone()),
                ..usage.clone()
            }),
        }
    }

    /// Adds what other answers cost.
    pub fn add_all(&mut self, entries: &[TokenUsage]) {
        for entry in entries {
            let (provider, name) =
                (entry.provider.clone().unwrap_or_default(), entry.model.clone().unwrap_or_default());
            self.add(&ModelName { provider, name }, entry);
        }
    }

    pub fn total_tokens(&self) -> u64 {
        self.entries.iter().filter_map(|entry| entry.total_tokens).sum()
    }

    /// US dollars, as far as they are known; `None` when nothing is.
    pub fn cost_usd(&self) -> Option<f64> {
        self.entries.iter().filter_map(|entry| entry.cost_usd).reduce(|sum, more| sum + more)
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
            cost_usd: None,
        }
    }
}

/// What these tokens cost, where the provider did not say so itself.
pub fn priced(usage: TokenUsage, price: Option<Price>) -> TokenUsage {
    let cost = || {
        let price = price?;
        let count = |tokens: Option<u64>| tokens.unwrap_or(0);
        let (cached, written) = (count(usage.cached_input_tokens), count(usage.cache_write_input_tokens));
        let plain = usage.input_tokens?.saturating_sub(cached + written);
        let at = |tokens: u64, price: f64| tokens as f64 * price / 1_000_000.0;
        Some(
            at(plain, price.input)
                + at(cached, price.cached_input.unwrap_or(price.input))
                + at(written, price.cache_write.unwrap_or(price.input))
                + at(count(usage.output_tokens), price.output),
        )
    };
    TokenUsage { cost_usd: usage.cost_usd.or_else(cost), ..usage }
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
    fn tokens_cost_what_their_kind_costs() {
        let price = Price { input: 2.0, output: 10.0, cached_input: Some(0.5), cache_write: None };
        let counts =
            Counts { input: 1000, output: 100, cached: Some(600), cache_write: Some(100), ..Counts::default() };
        let cost = priced(counts.normal(), Some(price)).cost_usd.expect("a cost");
        assert!((cost - (400.0 * 2.0 + 600.0 * 0.5 + 100.0 * 10.0) / 1e6).abs() < 1e-12, "{cost}");
        assert_eq!(priced(counts.normal(), None).cost_usd, None, "what is not known is not 0");
        let said = TokenUsage { cost_usd: Some(0.25), ..counts.normal() };
        assert_eq!(priced(said, Some(price)).cost_usd, Some(0.25), "who charges knows best");
    }

    #[test]
    fn a_cost_that_is_not_known_in_part_is_not_known() {
        let model = |name: &str| ModelName { provider: "p".to_owned(), name: name.to_owned() };
        let costing = |cost_usd| TokenUsage { cost_usd, ..Counts::default().normal() };
        let mut tally = Tally::default();
        assert_eq!(tally.cost_usd(), None);
        tally.add(&model("a"), &costing(Some(0.5)));
        tally.add(&model("a"), &costing(Some(0.25)));
        tally.add(&model("b"), &costing(None));
        assert_eq!((tally.entries()[0].cost_usd, tally.entries()[1].cost_usd), (Some(0.75), None));
        assert_eq!(tally.cost_usd(), Some(0.75));
        tally.add(&model("a"), &costing(None));
        assert_eq!((tally.entries()[0].cost_usd, tally.cost_usd()), (None, None));
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
