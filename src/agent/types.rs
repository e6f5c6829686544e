//! The types of documents: those that are built in, and those that `agents/_types/<type>.yaml` declares (the state API's §8).
//!
//! One bad file disables one type: documents of it are refused rather than taken without their schema.

mod built_in;
mod lifecycle;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::definition::{Problem, TypeSource};
use crate::state::limits::Limits;
use crate::state::schema::Schema;

/// What is known of the documents of one type.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeSpec {
    pub name: String,
    /// `None`: any value is taken, and nothing is hidden.
    pub schema: Option<Schema>,
    pub put: Put,
    pub retention: Retention,
    pub limits: Limits,
    /// What a new document begins with, below what its creator writes; an object.
    pub initial: Value,
    pub durability: Durability,
    /// The file that declares it; absent for a type that is built in.
    pub file: Option<PathBuf>,
}

/// What a `PUT` without precondition means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Put {
    #[default]
    Replace,
    /// A three-way merge against the version its author last read; without one it fills in absent members only.
    Merge,
}

/// Which versions are kept: those within both bounds, the newest one, and always named ones and the last one of each run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// The latest so many; `None` is all.
    pub versions: Option<u64>,
    /// Those of the last so many days; `None` is all.
    pub days: Option<u64>,
}

impl Retention {
    /// Whether every version is kept for ever.
    pub fn is_endless(&self) -> bool {
        *self == Self::default()
    }
}

/// When a commit is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When it would survive a power cut.
    #[default]
    Sync,
}

impl TypeSpec {
    /// A type of which nothing is said.
    pub fn free(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            schema: None,
            put: Put::default(),
            retention: Retention::default(),
            limits: Limits::default(),
            initial: Value::Object(Map::new()),
            durability: Durability::default(),
            file: None,
        }
    }

    /// The first body of a document whose creator writes `body`: `initial` below it, member by member.
    pub fn born(&self, body: Value) -> Value {
        over(&self.initial, body)
    }
}

fn over(initial: &Value, body: Value) -> Value {
    match (initial, body) {
        (Value::Object(initial), Value::Object(mut body)) => {
            for (member, value) in initial {
                let above = body.remove(member);
                body.insert(member.clone(), above.map_or_else(|| value.clone(), |above| over(value, above)));
            }
            Value::Object(body)
        }
        (_, body) => body,
    }
}

/// All types there are.
#[derive(Debug, Clone, PartialEq)]
pub struct Types {
    by_name: BTreeMap<String, Arc<TypeSpec>>,
    /// Declared by a file that cannot be read.
    broken: Vec<String>,
}

impl Types {
    /// `shared`, `task`, `agent`, `lifecycle`.
    pub fn built_in() -> Self {
        let by_name = built_in::all().into_iter().map(|spec| (spec.name.clone(), Arc::new(spec))).collect();
        Self { by_name, broken: Vec::new() }
    }

    /// The built-in types with those that `<dir>/_types` declares beside or instead of them, and what is wrong with files
    /// there. `lifecycle` cannot be declared: the runtime alone writes it.
    pub fn load(dir: &Path) -> (Self, Vec<Problem>) {
        Self::load_with(dir, &|name| std::env::var(name).ok())
    }

    /// As [`load`](Self::load), with `variable` in place of the environment.
    pub fn load_with(dir: &Path, variable: &dyn Fn(&str) -> Option<String>) -> (Self, Vec<Problem>) {
        let mut types = Self::built_in();
        let (sources, mut problems) = TypeSource::find(&dir.join("_types"));
        for source in sources {
            match source.read(variable) {
                Ok(spec) => drop(types.by_name.insert(spec.name.clone(), Arc::new(spec))),
                Err(found) => {
                    types.by_name.remove(&source.name);
                    types.broken.push(source.name);
                    problems.extend(found);
                }
            }
        }
        (types, problems)
    }

    /// `None` for a type that is not declared, or whose file is not served.
    pub fn get(&self, name: &str) -> Option<&Arc<TypeSpec>> {
        self.by_name.get(name)
    }

    /// Whether a file declares this type and cannot be served.
    pub fn is_broken(&self, name: &str) -> bool {
        self.broken.iter().any(|broken| broken == name)
    }

    /// By name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<TypeSpec>> {
        self.by_name.values()
    }

    /// These types, with what `before` says of those whose file is broken now.
    pub fn with_last_good_of(mut self, before: &Self) -> Self {
        for name in &self.broken {
            if let Some(spec) = before.get(name) {
                self.by_name.insert(name.clone(), Arc::clone(spec));
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
