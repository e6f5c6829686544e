//! The types of documents as the runtime meets them: what is declared, and each schema as each reader sees it.

use std::sync::{Arc, Mutex};

use ahash::HashMap;
use tokio::sync::watch;

use crate::access::Principal;
use crate::agent::types::{TypeSpec, Types};
use crate::state::schema::{Reader, Schema, View};

use super::agents::Agents;

/// Readers whose views stay in memory.
const VIEWS: usize = 1024;

/// Every declared type, and the views that were asked for.
#[derive(Debug)]
pub struct DocumentTypes {
    /// Who read them, and whose definitions may describe the state they work on.
    agents: Arc<Agents>,
    /// A lock, because documents and requests ask at any time; held for a map access or the making of one view.
    views: Mutex<Views>,
}

/// Views of one reading of the types.
#[derive(Debug)]
struct Views {
    of: Arc<Types>,
    /// By what says the schema: a type, or a reading of a definition.
    made: HashMap<(String, Names), Arc<View>>,
}

/// Who looks, in the words of `x-access`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Names {
    actor: Arc<str>,
    secrets: bool,
}

impl Names {
    pub(crate) fn of(principal: &Principal) -> Self {
        Self::of_actor(principal.actor())
    }

    /// As commits name the one who wrote.
    pub(crate) fn of_actor(actor: impl Into<Arc<str>>) -> Self {
        Self { actor: actor.into(), secrets: false }
    }

    /// With what is secret, for those with the right `admin`.
    pub(crate) fn with_secrets(self) -> Self {
        Self { secrets: true, ..self }
    }

    /// All of them. The local principal of a server without authentication has `role:local`.
    fn all(&self) -> Vec<&str> {
        let is_local = *self.actor == *Principal::local().actor();
        std::iter::once(&*self.actor).chain(is_local.then_some("role:local")).collect()
    }
}

/// What the types say of one document and one who writes to it: worth keeping, for most writers write again.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) spec: Arc<TypeSpec>,
    /// As in [`DocumentTypes::view`].
    pub(crate) view: Option<Arc<View>>,
    actor: Arc<str>,
    swaps: u64,
}

impl Rules {
    /// Whether they are what the types say now, of this writer.
    pub(crate) fn hold(&self, types: &DocumentTypes, actor: &Arc<str>) -> bool {
        self.swaps == types.agents.swaps() && self.actor == *actor
    }
}

impl DocumentTypes {
    pub(crate) fn new(agents: Arc<Agents>) -> Self {
        let views = Mutex::new(Views { of: agents.types(), made: HashMap::default() });
        Self { agents, views }
    }

    /// Wakes when a schema may be another one.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.agents.swapped()
    }

    /// By name.
    pub fn all(&self) -> Vec<Arc<TypeSpec>> {
        self.agents.types().all().cloned().collect()
    }

    /// `None` for a type that is not declared, or whose file cannot be served.
    pub fn get(&self, kind: &str) -> Option<Arc<TypeSpec>> {
        self.agents.types().get(kind).cloned()
    }

    /// The type of a document, and its schema as a writer meets it; `None` for a type that is not declared.
    pub(crate) fn rules(&self, document: &str, actor: &Arc<str>) -> Option<Rules> {
        // Counted first: what is swapped in meanwhile is looked up with the next write.
        let swaps = self.agents.swaps();
        let spec = self.get(kind_of(document))?;
        let view = self.view(document, &Names::of_actor(Arc::clone(actor)));
        Some(Rules { spec, view, actor: Arc::clone(actor), swaps })
    }

    /// The schema of a document, `type/id`, as somebody meets it: that of the agent whose state it is, else its type's;
    /// `None` where nothing is said of it.
    pub(crate) fn view(&self, document: &str, names: &Names) -> Option<Arc<View>> {
        let types = self.agents.types();
        let (said_by, schema) = self.agents.schema_of(document).or_else(|| schema_of_type(&types, document))?;
        let key = (said_by, names.clone());
        let mut views = self.views.lock().expect("no code panics while it holds this lock");
        if !Arc::ptr_eq(&views.of, &types) {
            *views = Views { of: types, made: HashMap::default() };
        }
        if let Some(view) = views.made.get(&key) {
            return Some(Arc::clone(view));
        }
        if views.made.len() >= VIEWS {
            views.made.clear();
        }
        let view = Arc::new(schema.view(&Reader { names: &names.all(), secrets: names.secrets }));
        views.made.insert(key, Arc::clone(&view));
        Some(view)
    }
}

/// The type that a document's name, `type/id`, begins with.
pub(super) fn kind_of(document: &str) -> &str {
    document.split_once('/').map_or("", |(kind, _)| kind)
}

fn schema_of_type(types: &Types, document: &str) -> Option<(String, Schema)> {
    let kind = kind_of(document);
    let schema = types.get(kind)?.schema.clone()?;
    Some((kind.to_owned(), schema))
}
