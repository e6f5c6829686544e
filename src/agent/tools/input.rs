//! The arguments that a definition asks for: held against its schema before a tool sees them.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value, json};

/// A schema of arguments.
pub(super) struct Input {
    source: Value,
    validator: Validator,
}

impl Input {
    /// From a definition's `input`; without one, any object is taken.
    pub(super) fn compile(schema: Option<&Map<String, Value>>) -> Result<Self, String> {
        let mut source = schema.cloned().unwrap_or_default();
        source.entry("type").or_insert_with(|| json!("object"));
        source.entry("properties").or_insert_with(|| json!({}));
        let source = Value::Object(source);
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex().size_limit(1 << 20));
        let validator = options.build(&source).map_err(|error| format!("it is not a JSON Schema: {error}"))?;
        Ok(Self { source, validator })
    }

    pub(super) fn schema(&self) -> &Value {
        &self.source
    }

    /// What is wrong with the arguments, as a sentence.
    pub(super) fn fault(&self, arguments: &Map<String, Value>) -> Option<String> {
        let arguments = Value::Object(arguments.clone());
        let mut faults = self.validator.iter_errors(&arguments).map(|fault| {
            let at = fault.instance_path().to_string();
            if at.is_empty() { fault.to_string() } else { format!("`{at}`: {fault}") }
        });
        let first: Vec<String> = faults.by_ref().take(5).collect();
        (!first.is_empty()).then(|| first.join("; "))
    }
}
