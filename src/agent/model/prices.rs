//! What models cost: the list that is compiled in, and the folder's own above it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::agent::definition::{Price, Problem, compiled_in_prices, shared_prices};

/// Prices by `provider/model`.
#[derive(Debug, Clone, PartialEq)]
pub struct Prices(BTreeMap<String, Price>);

impl Prices {
    /// The compiled-in list with what `<agents>/_shared/prices.toml` says above it, and what is wrong there.
    pub fn load(agents: &Path, variable: &dyn Fn(&str) -> Option<String>) -> (Self, Vec<Problem>) {
        let mut prices = compiled_in_prices();
        let (own, problems) = shared_prices(agents, variable);
        prices.extend(own);
        (Self(prices), problems)
    }

    /// The price of a model; one that is named with its date costs what it costs without.
    pub fn find(&self, provider: &str, model: &str) -> Option<Price> {
        let find = |model: &str| self.0.get(&format!("{provider}/{model}")).copied();
        find(model).or_else(|| find(undated(model)?))
    }
}

/// `claude-haiku-4-5` of `claude-haiku-4-5-20251001`, `gpt-5` of `gpt-5-2025-08-07`, either of its `-latest`.
fn undated(model: &str) -> Option<&str> {
    if let Some(name) = model.strip_suffix("-latest") {
        return Some(name);
    }
    let at = model.len().checked_sub(9)?;
    let is_digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let long = model.len().checked_sub(11).filter(|&at| model.is_char_boundary(at));
    if let Some(at) = long
        && let Some(date) = model[at..].strip_prefix('-')
        && let [year, month, day] = date.split('-').collect::<Vec<_>>()[..]
        && is_digits(year, 4)
        && is_digits(month, 2)
        && is_digits(day, 2)
    {
        return Some(&model[..at]);
    }
    let date = model.is_char_boundary(at).then(|| model[at..].strip_prefix('-'))??;
    is_digits(date, 8).then(|| &model[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dated_model_costs_what_its_name_without_the_date_costs() {
        let (prices, problems) = Prices::load(Path::new("/nowhere"), &|_| None);
        assert_eq!(problems, []);
        let haiku = prices.find("anthropic", "claude-haiku-4-5").expect("a price");
        assert_eq!(prices.find("anthropic", "claude-haiku-4-5-20251001"), Some(haiku));
        assert_eq!(prices.find("openai", "gpt-5-mini-2025-08-07"), prices.find("openai", "gpt-5-mini"));
        assert_eq!(prices.find("anthropic", "claude-haiku-4-5-latest"), Some(haiku));
        for unknown in ["claude-haiku-4-5-2025100", "claude-haiku-4-5-x", "9", "", "ü-20251001"] {
            assert_eq!(prices.find("anthropic", unknown), None, "{unknown}");
        }
        assert_eq!(prices.find("nobody", "claude-haiku-4-5"), None);
    }
}
