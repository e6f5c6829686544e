//! Agents that are compiled in, by the name a definition gives (`agent.name`). None of them needs a model key.

mod guide;
mod planner;
#[cfg(test)]
pub(super) mod rehearsal;
mod scripted;
mod suggest;
mod voice;

use serde_json::Value;

use super::Agent;
pub use super::config::ConfigError;

/// The names that [`maker`] knows.
pub const NAMES: &[&str] = &["guide", "planner", "scripted"];

/// Describes a state.
type State = fn() -> schemars::Schema;

/// The state of a built-in agent, by the name of its Rust type.
const STATES: &[(&str, State)] = &[("Plan", || schemars::schema_for!(planner::Plan))];

/// The JSON Schema of the state of that name, as `rust:<name>` means it; the error names those there are.
pub fn state_schema(name: &str) -> Result<Value, String> {
    match STATES.iter().find(|(known, _)| *known == name) {
        Some((_, schema)) => Ok(schema().to_value()),
        None => {
            let names: Vec<String> = STATES.iter().map(|(name, _)| format!("rust:{name}")).collect();
            Err(format!("no built-in agent has a state `{name}`: there are {}", names.join(", ")))
        }
    }
}

/// Makes an agent of its configuration.
pub type Maker = fn(&Value) -> Result<Box<dyn Agent>, ConfigError>;

/// Who makes agents of that name; the error names those there are.
pub fn maker(name: &str) -> Result<Maker, String> {
    match name {
        "guide" => Ok(|config| Ok(Box::new(guide::Guide::new(config)?))),
        "planner" => Ok(|config| Ok(Box::new(planner::Planner::new(config)?))),
        "scripted" => Ok(|config| Ok(Box::new(scripted::Scripted::new(config)?))),
        _ => Err(format!("there is no built-in agent `{name}`: there are {}", NAMES.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_name_is_told_with_those_there_are() {
        let error = maker("counter").expect_err("there is no counter");
        assert_eq!(error, "there is no built-in agent `counter`: there are guide, planner, scripted");
        for name in NAMES {
            let config = json!({ "turns": [{ "do": [{ "say": "hello" }] }] });
            let config = if *name == "scripted" { config } else { json!({ "pace": "0ms" }) };
            assert!(maker(name).expect("it is known")(&config).is_ok(), "{name}");
        }
    }
}
