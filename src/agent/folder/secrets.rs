//! Warnings of secrets in lists whose elements cannot be told apart (docs/state-api.md §8).

use crate::agent::definition::{Definition, Problem, SchemaForm, problem_in_schema};
use crate::agent::types::Types;

/// Of the schemas that files of the folder hold; those of declared types are told once, in their own file.
pub(super) fn at_risk(types: &Types, definitions: &[Definition]) -> Vec<Problem> {
    let mut found = Vec::new();
    for spec in types.all() {
        let (Some(file), Some(schema)) = (&spec.file, &spec.schema) else { continue };
        let lists = schema.unkeyed_secrets();
        found.extend(lists.iter().map(|list| problem_in_schema(file, list, message(""))));
    }
    for definition in definitions {
        let Some(state) = &definition.state.schema else { continue };
        for list in state.schema.iter().flat_map(|schema| schema.unkeyed_secrets()) {
            found.extend(match &state.form {
                SchemaForm::Declared(_) => None,
                SchemaForm::Inline => Some(definition.problem_below("state.schema", &list, message(""))),
                SchemaForm::File(name) | SchemaForm::Rust(name) => {
                    Some(definition.problem("state.schema", message(&format!(" at `{list}` of `{name}`"))))
                }
            });
        }
    }
    found
}

fn message(place: &str) -> String {
    format!(
        "the elements of this list{place} hold something `x-secret`, and nothing says which element is which: who writes the \
         list in another order or edits an element loses it; say `x-merge: list:<key>`, or give them an `id`"
    )
}
