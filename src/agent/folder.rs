//! The folder of definitions: which files are agents, and what each of them says. One bad file disables one agent.

mod check;
mod cycles;
mod models;
mod secrets;
mod servers;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::definition::{
    DEFINITION_EXTENSIONS, Definition, NamedModels, NamedServers, Problem, Source, is_id, shared_strangers,
};
use super::model::prices::Prices;
use super::types::Types;
use models::Known;

/// The folder that holds the definitions.
#[derive(Debug, Clone, Copy)]
pub struct Folder;

/// What a folder holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// By id; disabled ones included.
    pub definitions: Vec<Definition>,
    /// Agents whose file could not be read, by id.
    pub broken: Vec<Broken>,
    /// By file and place.
    pub problems: Vec<Problem>,
    /// Why the folder itself could not be read, which is among the problems, too.
    pub unreadable: Option<Problem>,
    /// What works, and perhaps not as it was meant.
    pub warnings: Vec<Warning>,
    /// The types of documents, as far as their files can be read.
    pub types: Types,
}

/// Something to look at; it prints as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Agents that start each other in a circle: the first one again at the end.
    Cycle(Vec<String>),
    At(Problem),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cycle(ids) => write!(f, "cycle: {}", ids.join(" -> ")),
            Self::At(problem) => {
                let message = format!("warning: {}", problem.message);
                Problem { message, ..problem.clone() }.fmt(f)
            }
        }
    }
}

/// What is known of an agent whose definition cannot be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub id: String,
    /// `agent.kind`, if the file says as much.
    pub kind: Option<String>,
    /// SHA-256 of the file, in lower-case hex; empty when it cannot be read.
    pub hash: String,
}

impl Folder {
    /// Reads every definition under `dir`; placeholders see the environment of this process.
    pub fn load(dir: &Path) -> Loaded {
        Self::load_with(dir, &|name| std::env::var(name).ok())
    }

    /// As [`load`](Self::load), with `variable` in place of the environment.
    pub fn load_with(dir: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Loaded {
        let (sources, mut problems, unreadable) = match find(dir) {
            Ok((sources, problems)) => (sources, problems, None),
            Err(problem) => (Sources::new(), vec![problem.clone()], Some(problem)),
        };
        let (mut definitions, mut broken) = (Vec::new(), Vec::new());
        for (id, mut paths) in sources {
            paths.sort();
            if let [path] = paths.as_slice() {
                let source = Source { id, path: path.clone() };
                match source.read(variable) {
                    Ok(definition) => definitions.push(definition),
                    Err(found) => {
                        problems.extend(found);
                        let (kind, hash) = source.sketch();
                        broken.push(Broken { id: source.id, kind, hash });
                    }
                }
                continue;
            }
            broken.push(Broken { id: id.clone(), kind: None, hash: String::new() });
            for path in &paths {
                let others = paths.iter().filter(|other| *other != path);
                let others = others.map(|other| other.display().to_string()).collect::<Vec<_>>().join(", ");
                let message = format!("agent `{id}` is defined twice, also in {others}: keep one of them");
                problems.push(Problem::of_file(path, message).of_agent(&id));
            }
        }
        let (types, type_problems) = Types::load_with(dir, variable);
        problems.extend(type_problems);
        let (models, model_problems) = NamedModels::load(dir, variable);
        let (prices, price_problems) = Prices::load(dir, variable);
        problems.extend(model_problems.into_iter().chain(price_problems));
        let known = Known { models: &models, prices: &prices, variable };
        let (servers, server_problems) = NamedServers::load(dir, variable);
        problems.extend(server_problems.into_iter().chain(shared_strangers(dir)));
        for definition in &mut definitions {
            problems.extend(servers::resolve(definition, &servers));
            problems.extend(known.resolve(definition));
        }
        let mut loaded = Loaded { definitions, broken, problems, unreadable, warnings: Vec::new(), types };
        loaded.check();
        loaded
    }
}

impl Loaded {
    /// Holds every definition against its schema and against the others; what fails is a problem of its agent only.
    fn check(&mut self) {
        let types = &self.types;
        for definition in &mut self.definitions {
            let found = check::against_schema(definition, types);
            self.problems.extend(found);
        }
        let known: Vec<&str> = self.definitions.iter().map(|definition| definition.id.as_str()).collect();
        let known: Vec<&str> = known.into_iter().chain(self.broken.iter().map(|broken| broken.id.as_str())).collect();
        for definition in &self.definitions {
            self.problems.extend(check::asked(definition, &known));
            self.problems.extend(check::triggers(definition, &self.definitions, &known, types));
        }
        let failed: BTreeSet<String> = self.problems.iter().filter_map(|problem| problem.agent.clone()).collect();
        let (bad, good) = std::mem::take(&mut self.definitions).into_iter().partition(|one| failed.contains(&one.id));
        self.definitions = good;
        let bad: Vec<Definition> = bad;
        let sketch = |one: &Definition| Broken {
            id: one.id.clone(),
            kind: Some(one.kind.as_str().to_owned()),
            hash: one.hash.clone(),
        };
        self.broken.extend(bad.iter().map(sketch));
        self.warnings.extend(check::marked_in_vain(&self.definitions).into_iter().map(Warning::At));
        self.warnings.extend(secrets::at_risk(&self.types, &self.definitions).into_iter().map(Warning::At));
        self.warnings.extend(cycles::cycles(&self.definitions).into_iter().map(Warning::Cycle));
        self.problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    }
}

/// The agent that answers for `default`: the one called that, else the first marked `default: true`, else the first
/// by id. Disabled agents do not count.
pub fn default_agent<'d>(definitions: &[&'d Definition]) -> Option<&'d Definition> {
    let enabled = || definitions.iter().copied().filter(|definition| definition.enabled);
    let first = |wanted: &dyn Fn(&Definition) -> bool| {
        enabled().filter(|definition| wanted(definition)).min_by(|a, b| a.id.cmp(&b.id))
    };
    first(&|definition| definition.id == "default")
        .or_else(|| first(&|definition| definition.default))
        .or_else(|| first(&|_| true))
}

/// The files that define agents, by id.
type Sources = BTreeMap<String, Vec<PathBuf>>;

/// The files that define agents, and what is wrong with the others; or why nothing can be found.
fn find(dir: &Path) -> Result<(Sources, Vec<Problem>), Problem> {
    let mut sources = Sources::new();
    let mut problems = Vec::new();
    let entries = list(dir).map_err(|error| Problem::of_file(dir, unreadable_folder(&error)))?;
    for (name, path) in entries {
        if is_set_aside(&name) {
            continue;
        }
        let is_folder = path.is_dir();
        let id = if is_folder { name.as_str() } else { stem_of_definition(&name).unwrap_or_default() };
        if id.is_empty() {
            continue;
        }
        if !is_id(id) {
            let message = format!(
                "`{id}` cannot be an agent's id: use at most 64 of a-z, 0-9, `_` and `-`, beginning with a letter or \
                 digit; or begin the name with `_` if it is not an agent"
            );
            problems.push(Problem::of_file(path, message));
        } else if is_folder {
            match agent_files(&path) {
                Ok(files) if files.is_empty() => {
                    let message = "holds no agent.md, agent.yaml, agent.yml, agent.json or agent.toml: add one, or \
                                   begin the folder's name with `_` if it is not an agent";
                    problems.push(Problem::of_file(path, message).of_agent(id));
                    sources.entry(id.to_owned()).or_default();
                }
                Ok(files) => sources.entry(id.to_owned()).or_default().extend(files),
                Err(error) => {
                    let message = format!("cannot be read: {error}");
                    problems.push(Problem::of_file(path, message).of_agent(id));
                    sources.entry(id.to_owned()).or_default();
                }
            }
        } else {
            sources.entry(id.to_owned()).or_default().push(path);
        }
    }
    Ok((sources, problems))
}

/// Files and folders that are nobody's definition.
fn is_set_aside(name: &str) -> bool {
    name.starts_with(['_', '.']) || name.eq_ignore_ascii_case("readme.md")
}

fn stem_of_definition(name: &str) -> Option<&str> {
    name.rsplit_once('.').filter(|(_, extension)| DEFINITION_EXTENSIONS.contains(extension)).map(|(stem, _)| stem)
}

fn agent_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = list(folder)?.into_iter();
    Ok(entries.filter(|(name, _)| stem_of_definition(name) == Some("agent")).map(|(_, path)| path).collect())
}

/// The entries of a folder by name. A name that is not UTF-8 is kept in a readable form and fails the grammar of ids.
fn list(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        entries.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    entries.sort();
    Ok(entries)
}

fn unreadable_folder(error: &io::Error) -> String {
    let what = match error.kind() {
        io::ErrorKind::NotFound => "the folder of agents does not exist".to_owned(),
        io::ErrorKind::NotADirectory => "the folder of agents is a file".to_owned(),
        _ => format!("the folder of agents cannot be read: {error}"),
    };
    format!(
        "{what}: create it with one file per agent (for example echo.yaml with \
         `agent: {{ kind: remote, url: http://127.0.0.1:9000/ }}`), or name another one with --agents"
    )
}

#[cfg(test)]
mod tests;
