//! The agents that this process hosts: definitions with what answers for them, read anew when their folder changes.

mod entry;
mod hosted;
mod kept;
mod used;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard};

use tokio::sync::watch as changes;

use crate::agent::definition::{Definition, Problem};
use crate::agent::folder::{self, Folder, Loaded, Warning};
use crate::agent::tools::mcp::Servers;
use crate::agent::types::Types;
use crate::state::schema::Schema;

pub use entry::{AgentView, Entry, Unfit};
pub use hosted::Hosted;
pub(super) use watch::watch;

use entry::Standing;
use used::Used;

/// The agents of a folder, as they were last read.
#[derive(Debug)]
pub struct Agents {
    folder: PathBuf,
    /// A lock, because every request reads which agents there are while the folder's watcher swaps all of them at once;
    /// never held across an await.
    current: RwLock<Arc<Hosting>>,
    swaps: AtomicU64,
    swapped: changes::Sender<()>,
}

/// One reading of the folder.
#[derive(Debug)]
struct Hosting {
    types: Arc<Types>,
    entries: BTreeMap<String, Arc<Entry>>,
    /// Those that can run and say what their state is, by id: every write asks them.
    describing: Vec<Arc<Hosted>>,
    /// The id that answers for `default`, when no definition is called that.
    default: Option<String>,
    problems: Vec<Problem>,
    /// Why there was nothing to read.
    unreadable: Option<Problem>,
    warnings: Vec<Warning>,
    /// The same for every reading.
    servers: Arc<Servers>,
}

impl Agents {
    /// Reads a folder of definitions. A bad file disables its agent only and becomes a problem.
    pub fn load(folder: &Path) -> Self {
        let hosting = Hosting::of(Folder::load(folder), &Hosting::nothing());
        let current = RwLock::new(Arc::new(hosting));
        Self { folder: folder.to_owned(), current, swaps: AtomicU64::new(0), swapped: changes::Sender::new(()) }
    }

    /// Reads the folder anew and swaps all agents and types at once. What is broken now stays as it was. Answers whether
    /// anything is another.
    pub fn reload(&self) -> bool {
        let before = Arc::clone(&self.current());
        let after = Hosting::of(Folder::load(&self.folder), &before);
        if after.tells_the_same_as(&before) {
            return false;
        }
        *self.current.write().expect("no code panics while it holds this lock") = Arc::new(after);
        self.swaps.fetch_add(1, Ordering::Release);
        self.swapped.send_replace(());
        true
    }

    /// How often the agents were swapped: what was looked up at another count may be old.
    pub(super) fn swaps(&self) -> u64 {
        self.swaps.load(Ordering::Acquire)
    }

    /// Wakes when the agents were swapped.
    pub(super) fn swapped(&self) -> changes::Receiver<()> {
        self.swapped.subscribe()
    }

    /// The types of documents that the folder declares, and those that are built in.
    pub fn types(&self) -> Arc<Types> {
        Arc::clone(&self.current().types)
    }

    fn current(&self) -> RwLockReadGuard<'_, Arc<Hosting>> {
        self.current.read().expect("no code panics while it holds this lock")
    }

    /// What is wrong with the files as they are now.
    pub fn problems(&self) -> Vec<Problem> {
        self.current().problems.clone()
    }

    /// Why the folder itself cannot be read, so that no definition is known.
    pub fn unreadable(&self) -> Option<Problem> {
        self.current().unreadable.clone()
    }

    /// What works, and perhaps not as it was meant.
    pub fn warnings(&self) -> Vec<Warning> {
        self.current().warnings.clone()
    }

    /// The agent of an id, if it can run; `default` is an alias where no definition has that id.
    pub fn find(&self, id: &str) -> Option<Arc<Hosted>> {
        self.entry(id)?.hosted().ok().cloned()
    }

    /// What a definition says of the state its agent works on, with a name for that saying: another one after an edit.
    /// Of several agents on one document the first by name that has a schema decides.
    pub(super) fn schema_of(&self, document: &str) -> Option<(String, Schema)> {
        let current = self.current();
        let mut describing = current.describing.iter();
        let (agent, schema) = describing.find_map(|agent| Some((agent, agent.schema_of(document)?)))?;
        Some((format!("{} {}", agent.id(), agent.hash()), schema.clone()))
    }

    /// The entry of an id, whether its agent can run or not; the alias is resolved.
    pub fn entry(&self, id: &str) -> Option<Arc<Entry>> {
        let current = self.current();
        current.entries.get(current.resolve(id)).cloned()
    }

    /// Every agent that the folder names, by id.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.current().entries.values().cloned().collect()
    }

    /// What `/info` lists: every agent that can run, and `default` even where no definition has that id.
    pub fn listed(&self) -> Vec<(String, Arc<Hosted>)> {
        let alias = self.find("default").map(|agent| ("default".to_owned(), agent));
        let all = self.all().into_iter().map(|agent| (agent.id().to_owned(), agent));
        alias.into_iter().chain(all.filter(|(id, _)| id != "default")).collect()
    }

    /// Every agent that can run, by its own id.
    pub fn all(&self) -> Vec<Arc<Hosted>> {
        self.current().entries.values().filter_map(|entry| entry.hosted().ok().cloned()).collect()
    }
}

impl Hosting {
    fn nothing() -> Self {
        Self {
            types: Arc::new(Types::built_in()),
            entries: BTreeMap::new(),
            describing: Vec::new(),
            default: None,
            problems: Vec::new(),
            unreadable: None,
            warnings: Vec::new(),
            servers: Arc::default(),
        }
    }

    fn of(loaded: Loaded, before: &Self) -> Self {
        let types = loaded.types.with_last_good_of(&before.types);
        // The same object as long as it says the same: readers know by it what they have looked at.
        let types = if types == *before.types { Arc::clone(&before.types) } else { Arc::new(types) };
        let servers = Arc::clone(&before.servers);
        let (problems, unreadable, warnings) = (loaded.problems, loaded.unreadable, loaded.warnings);
        let mut hosting = Self { types, problems, unreadable, warnings, servers, ..Self::nothing() };
        for definition in loaded.definitions {
            hosting.host(Arc::new(definition), before);
        }
        for broken in loaded.broken {
            let entry = before.entries.get(&broken.id);
            let standing = entry.map_or(Standing::Invalid(broken.clone()), |entry| match &entry.standing {
                good @ (Standing::Ready(_) | Standing::Disabled(_)) => good.clone(),
                Standing::Unbuilt(_) | Standing::Invalid(_) => Standing::Invalid(broken.clone()),
            });
            hosting.list(broken.id, standing, before);
        }
        hosting.problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        let ready = || hosting.entries.values().filter_map(|entry| entry.hosted().ok());
        let definitions: Vec<&Definition> = ready().map(|hosted| hosted.definition().as_ref()).collect();
        hosting.describing = ready().filter(|hosted| hosted.describes_state()).cloned().collect();
        hosting.default = folder::default_agent(&definitions).map(|definition| definition.id.clone());
        hosting
    }

    /// Takes over what is as it was, so that an agent keeps what it holds (connections, say) over other files' edits.
    fn host(&mut self, definition: Arc<Definition>, before: &Self) {
        let id = definition.id.clone();
        let earlier = before.entries.get(&id).map(|entry| &entry.standing);
        let standing = match earlier {
            _ if !definition.enabled => Standing::Disabled(definition),
            Some(Standing::Ready(hosted)) if *hosted.definition() == definition => Standing::Ready(Arc::clone(hosted)),
            _ => match Hosted::build(Arc::clone(&definition), before.used(&id), &before.servers) {
                Ok(hosted) => Standing::Ready(Arc::new(hosted)),
                Err(problem) => {
                    self.problems.push(problem);
                    match earlier {
                        Some(good @ Standing::Ready(_)) => good.clone(),
                        _ => Standing::Unbuilt(definition),
                    }
                }
            },
        };
        self.list(id, standing, before);
    }

    fn list(&mut self, id: String, standing: Standing, before: &Self) {
        let errors = self.problems.iter().filter(|problem| problem.agent.as_ref() == Some(&id)).cloned().collect();
        // What is built counts into the counters it was built with.
        let used = match &standing {
            Standing::Ready(hosted) => hosted.used(),
            _ => before.used(&id),
        };
        self.entries.insert(id.clone(), Arc::new(Entry { id, standing, errors, used }));
    }

    fn used(&self, id: &str) -> Arc<Used> {
        self.entries.get(id).map(|entry| Arc::clone(&entry.used)).unwrap_or_default()
    }

    fn resolve<'a>(&'a self, id: &'a str) -> &'a str {
        match &self.default {
            Some(default) if id == "default" && !self.entries.contains_key("default") => default,
            _ => id,
        }
    }

    fn tells_the_same_as(&self, other: &Self) -> bool {
        let same = |(a, b): (&Arc<Entry>, &Arc<Entry>)| a.tells_the_same_as(b);
        Arc::ptr_eq(&self.types, &other.types)
            && self.problems == other.problems
            && self.entries.len() == other.entries.len()
            && self.entries.values().zip(other.entries.values()).all(same)
    }
}
