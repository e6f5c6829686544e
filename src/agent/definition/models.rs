//! `_shared/models.yaml`: models by a name of the application's own, with how to reach and to ask them (docs/agents.md §1).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::fields::Place;
use super::llm::ModelSettings;
use super::problem::Problem;
use super::reader::{Fields, Reader};
use super::schema::model_settings;
use super::shared::{SharedFile, Unreadable};
use super::tree::Shape;

/// The longest name of a model, in characters.
const MAX_NAME: usize = 64;

/// The named models of a folder of definitions.
#[derive(Debug, Default)]
pub(crate) struct NamedModels {
    by_name: BTreeMap<String, NamedModel>,
    /// Named by the file, and not to be used: what is wrong is among the problems.
    broken: Vec<String>,
    /// Path and text of the file, when there is one that can be read.
    file: Option<(PathBuf, String)>,
    is_unreadable: bool,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NamedModel {
    pub(crate) provider: String,
    pub(crate) name: String,
    pub(crate) settings: ModelSettings,
}

impl NamedModels {
    /// Reads the file, if there is one. One bad entry spoils that name only.
    pub(crate) fn load(agents: &Path, variable: &dyn Fn(&str) -> Option<String>) -> (Self, Vec<Problem>) {
        let is_secret = |path: &str| path.ends_with(".api_key") && path.matches('.').count() == 1;
        let (file, unresolved) = match SharedFile::read(agents, "models", variable, is_secret) {
            Ok(Some(read)) => read,
            Ok(None) => return (Self::default(), Vec::new()),
            Err(Unreadable { problems }) => return (Self { is_unreadable: true, ..Self::default() }, problems),
        };
        let from = file.surroundings(variable);
        let mut reader = Reader::new(&file.path, &from);
        let mut models = Self::default();
        let mut told = unresolved;
        match reader.any_fields(&file.root, "") {
            Some(root) => {
                for (key, node) in root.members() {
                    let before = reader.problems.len();
                    let is_whole =
                        !told.iter().any(|problem| is_below(problem.path.as_deref().unwrap_or_default(), &key.name));
                    if !is_name(&key.name) {
                        let message = format!(
                            "`{}` cannot be the name of a model: use at most {MAX_NAME} letters, digits, `.`, `_` and `-`",
                            key.name
                        );
                        reader.note(key.at, &key.name, message);
                    }
                    let model = match node.shape {
                        Shape::Map(_) => reader.any_fields(node, &key.name).and_then(|it| model(&mut reader, &it)),
                        _ => reader.expected("a mapping with at least `model`", node, &key.name),
                    };
                    match model.filter(|_| is_whole && reader.problems.len() == before) {
                        Some(model) => drop(models.by_name.insert(key.name.clone(), model)),
                        None => models.broken.push(key.name.clone()),
                    }
                }
            }
            None => models.is_unreadable = true,
        }
        told.extend(reader.problems);
        // One wrong value is told once, by whoever saw it first.
        told.sort_by_key(|problem| (problem.line, problem.column));
        told.dedup_by(|later, earlier| {
            (later.line, later.column, &later.path) == (earlier.line, earlier.column, &earlier.path)
        });
        models.file = Some((file.path, file.text));
        (models, told)
    }

    /// The model of that name; the error says why there is none.
    pub(crate) fn find(&self, name: &str) -> Result<&NamedModel, String> {
        if let Some(model) = self.by_name.get(name) {
            return Ok(model);
        }
        let known = self.by_name.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        Err(match () {
            () if self.is_unreadable => {
                format!("`{name}` is looked for in `_shared/models.yaml`, which cannot be read")
            }
            () if self.broken.iter().any(|broken| broken == name) => {
                format!("the model `{name}` of `_shared/models.yaml` cannot be used as it is written there")
            }
            () if known.is_empty() => format!(
                "`{name}` names no provider: write provider/model, such as openai/gpt-5-mini, or declare `{name}` in \
                 `_shared/models.yaml`"
            ),
            () => format!(
                "there is no model `{name}`: write provider/model, such as openai/gpt-5-mini, or a name of \
                 `_shared/models.yaml` ({known})"
            ),
        })
    }

    /// The file that declares them, with its text.
    pub(crate) fn file(&self) -> Option<(&Path, &str)> {
        self.file.as_ref().map(|(path, text)| (path.as_path(), text.as_str()))
    }
}

fn model(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<NamedModel> {
    reader.refuse_strangers(fields, Place::NamedModel);
    let settings = model_settings(reader, fields);
    let path = fields.path_of("model");
    if fields.get("model").is_none() {
        reader.note(fields.at, &path, format!("`{path}` is missing: write provider/model, such as openai/gpt-5-mini"));
    }
    let (text, at) = reader.text(fields, "model")?;
    match text.trim().split_once('/') {
        Some((provider, name)) if !provider.is_empty() && !name.is_empty() => {
            Some(NamedModel { provider: provider.to_owned(), name: name.to_owned(), settings })
        }
        _ => {
            reader.note(
                at,
                &path,
                format!("`{path}` must be provider/model, such as openai/gpt-5-mini, found `{text}`"),
            );
            None
        }
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(allowed)
}

fn is_below(path: &str, name: &str) -> bool {
    path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
