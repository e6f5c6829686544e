//! The types of documents as the runtime meets them: what is declared, and each schema as each reader sees it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use crate::access::Principal;
use crate::agent::types::TypeSpec;
use crate::state::schema::{Reader, Schema, View};

use super::agents::Agents;

/// Readers whose views stay in memory.
const VIEWS: usize = 1024;

/// Every declared type, and the views that were asked for.
#[derive(Debug)]
pub struct DocumentTypes {
    specs: BTreeMap<String, Arc<TypeSpec>>,
    /// Whose definitions may describe the state they work on.
    agents: Arc<Agents>,
    /// A lock, because documents and requests ask at any time; held for a map access or the making of one view.
    /// By what says the schema: a type, or a reading of a definition.
    views: Mutex<HashMap<(String, Names), Arc<View>>>,
}

/// Who looks, in the words of `x-access`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Names {
    names: Vec<String>,
    secrets: bool,
}

impl Names {
    pub(crate) fn of(principal: &Principal) -> Self {
        Self::of_actor(&principal.actor())
    }

    /// As commits name the one who wrote. The local principal of a server without authentication has `role:local`.
    pub(crate) fn of_actor(actor: &str) -> Self {
        let mut names = vec![actor.to_owned()];
        if actor == Principal::local().actor() {
            names.push("role:local".to_owned());
        }
        Self { names, secrets: false }
    }

    /// With what is secret, for those with the right `admin`.
    pub(crate) fn with_secrets(self) -> Self {
        Self { secrets: true, ..self }
    }
}

impl DocumentTypes {
    pub(crate) fn new(agents: Arc<Agents>) -> Self {
        let specs = agents.types().all().map(|spec| (spec.name.clone(), Arc::new(spec.clone()))).collect();
        Self { specs, agents, views: Mutex::default() }
    }

    /// By name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<TypeSpec>> {
        self.specs.values()
    }

    /// `None` for a type that is not declared, or whose file cannot be served.
    pub fn get(&self, kind: &str) -> Option<&Arc<TypeSpec>> {
        self.specs.get(kind)
    }

    /// The schema of a document, `type/id`, as somebody meets it: that of the agent whose state it is, else its type's;
    /// `None` where nothing is said of it.
    pub(crate) fn view(&self, document: &str, names: &Names) -> Option<Arc<View>> {
        let (said_by, schema) = self.agents.schema_of(document).or_else(|| self.schema_of_type(document))?;
        let key = (said_by, names.clone());
        let mut views = self.views.lock().expect("no code panics while it holds this lock");
        if let Some(view) = views.get(&key) {
            return Some(Arc::clone(view));
        }
        if views.len() >= VIEWS {
            views.clear();
        }
        let borrowed: Vec<&str> = names.names.iter().map(String::as_str).collect();
        let view = Arc::new(schema.view(&Reader { names: &borrowed, secrets: names.secrets }));
        views.insert(key, Arc::clone(&view));
        Some(view)
    }

    fn schema_of_type(&self, document: &str) -> Option<(String, Schema)> {
        let (kind, _) = document.split_once('/')?;
        Some((kind.to_owned(), self.get(kind)?.schema.clone()?))
    }
}
