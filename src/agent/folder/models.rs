//! What the models that a definition names stand for: how they are reached, with which key, at what price.

use crate::agent::definition::{AskedModel, Definition, Kind, Llm, ModelSettings, NamedModels, Problem, Secret};
use crate::agent::model::prices::Prices;
use crate::agent::model::provider;

/// What all definitions of a folder share about models.
pub(super) struct Known<'k> {
    pub(super) models: &'k NamedModels,
    pub(super) prices: &'k Prices,
    pub(super) variable: &'k dyn Fn(&str) -> Option<String>,
}

impl Known<'_> {
    /// Fills in `asked`; a name that stands for nothing is a problem of the definition.
    pub(super) fn resolve(&self, definition: &mut Definition) -> Vec<Problem> {
        let Kind::Llm(llm) = &definition.kind else { return Vec::new() };
        let mut problems = Vec::new();
        let mut asked: Vec<AskedModel> = Vec::new();
        let mut names_any = false;
        let fallback = llm.fallback.iter().enumerate().map(|(at, model)| (format!("agent.fallback[{at}]"), model));
        for (field, written) in std::iter::once(("agent.model".to_owned(), &llm.model)).chain(fallback) {
            names_any |= !written.contains('/');
            match self.one(llm, asked.first(), &field, written) {
                Ok(model) => asked.push(model),
                Err(message) => problems.push(definition.problem(&field, message)),
            }
        }
        if let Some((file, text)) = self.models.file().filter(|_| names_any) {
            definition.is_made_of(file.to_owned(), text);
        }
        if let Kind::Llm(llm) = &mut definition.kind {
            llm.asked = asked;
        }
        problems
    }

    fn one(&self, llm: &Llm, first: Option<&AskedModel>, field: &str, written: &str) -> Result<AskedModel, String> {
        let (provider, name, settings) = match written.split_once('/') {
            None => {
                let named = self.models.find(written)?;
                (named.provider.clone(), named.name.clone(), named.settings.clone())
            }
            Some((provider, name)) if !provider.is_empty() && !name.is_empty() => {
                (provider.to_owned(), name.to_owned(), ModelSettings::default())
            }
            Some(_) => return Err(format!("`{written}` is no model: write provider/model, such as openai/gpt-5-mini")),
        };
        // What a definition says of where its model is holds for others only if they are in the same place.
        let own = match first {
            None => llm.settings.clone(),
            Some(first) if written.contains('/') && first.provider == provider => {
                ModelSettings { price: None, ..first.settings.clone() }
            }
            Some(_) => llm.settings.everywhere(),
        };
        let mut settings = own.over(settings);
        settings.api_key = settings.api_key.take().or_else(|| self.usual_key(&provider, &settings));
        settings.price = settings.price.or_else(|| self.prices.find(&provider, &name));
        Ok(AskedModel { field: field.to_owned(), provider, name, settings })
    }

    /// The key in the variable that everybody uses for a provider, where it is asked at its own address.
    fn usual_key(&self, provider: &str, settings: &ModelSettings) -> Option<Secret> {
        let has_header =
            settings.headers.iter().any(|(name, _)| matches!(name.as_str(), "authorization" | "x-api-key"));
        if settings.base_url.is_some() || has_header {
            return None;
        }
        let name = provider::known(provider)?.key?;
        let value = (self.variable)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        Some(value.map_or_else(|| Secret::Missing { name: name.to_owned() }, Secret::Present))
    }
}
