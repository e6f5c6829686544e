//! The types of documents as the runtime meets them: what is declared, and each schema as each reader sees it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use crate::access::Principal;
use crate::agent::types::{TypeSpec, Types};
use crate::state::schema::{Reader, View};

/// Readers whose views stay in memory.
const VIEWS: usize = 1024;

/// Every declared type, and the views that were asked for.
#[derive(Debug)]
pub struct DocumentTypes {
    specs: BTreeMap<String, Arc<TypeSpec>>,
    /// A lock, because documents and requests ask at any time; held for a map access or the making of one view.
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
    pub(crate) fn new(types: &Types) -> Self {
        let specs = types.all().map(|spec| (spec.name.clone(), Arc::new(spec.clone()))).collect();
        Self { specs, views: Mutex::default() }
    }

    /// By name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<TypeSpec>> {
        self.specs.values()
    }

    /// `None` for a type that is not declared, or whose file cannot be served.
    pub fn get(&self, kind: &str) -> Option<&Arc<TypeSpec>> {
        self.specs.get(kind)
    }

    /// The type's schema as somebody meets it; `None` where nothing is said of it.
    pub(crate) fn view(&self, kind: &str, names: &Names) -> Option<Arc<View>> {
        let schema = self.get(kind)?.schema.as_ref()?;
        let mut views = self.views.lock().expect("no code panics while it holds this lock");
        if let Some(view) = views.get(&(kind.to_owned(), names.clone())) {
            return Some(Arc::clone(view));
        }
        if views.len() >= VIEWS {
            views.clear();
        }
        let borrowed: Vec<&str> = names.names.iter().map(String::as_str).collect();
        let view = Arc::new(schema.view(&Reader { names: &borrowed, secrets: names.secrets }));
        views.insert((kind.to_owned(), names.clone()), Arc::clone(&view));
        Some(view)
    }
}
