//! Versions of definitions that live runs may still need when the folder says something else: kept in the store with the
//! files they are made of, and read back as if those files stood in the folder as it is now.
//!
//! Keys and other secrets are not among those files: they are had from where the definition says, when it is read.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agent::definition::{Definition, Kind as AgentKind, SchemaForm};
use crate::agent::folder::Folder;
use crate::json_text;
use crate::store::{Append, CommitError, Kind, Limit, NewEntry, Owner, Scope, Seq, StoreError, StreamKey, Tenant};

use super::super::Services;
use super::{Agents, Hosted};

/// The files of a definition, below the folder of the agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Files {
    id: String,
    files: Vec<(PathBuf, String)>,
}

impl Files {
    /// What a definition is made of, as it is on the disk; `None` when that cannot be read.
    pub(super) fn of(definition: &Definition) -> Option<Self> {
        let own = &definition.source;
        let folder = own.parent()?;
        let is_in_folder =
            own.file_stem()? == "agent" && folder.file_name().is_some_and(|name| *name == *definition.id);
        let root = if is_in_folder { folder.parent()? } else { folder };
        let mut paths = vec![own.clone()];
        match definition.state.schema.as_ref().map(|schema| &schema.form) {
            Some(SchemaForm::File(name)) => paths.push(folder.join(name)),
            Some(SchemaForm::Declared(_)) => paths.extend(files_in(&root.join("_types"))),
            Some(SchemaForm::Inline | SchemaForm::Rust(_)) | None => {}
        }
        if let AgentKind::Llm(llm) = &definition.kind
            && let Some(script) = llm.model.strip_prefix("scripted/")
            && folder.join(script).is_file()
        {
            paths.push(folder.join(script));
        }
        paths.extend(files_in(&root.join("_shared")));
        let read = |path: PathBuf| {
            let text = std::fs::read_to_string(&path).ok()?;
            Some((path.strip_prefix(root).ok()?.to_owned(), text))
        };
        Some(Self { id: definition.id.clone(), files: paths.into_iter().map(read).collect::<Option<_>>()? })
    }

    /// The definition that these files are, with everything else as the folder has it.
    fn read(&self, agents: &Path) -> io::Result<Option<(Definition, Aside)>> {
        let aside = Aside::new()?;
        let names: HashSet<&Path> = self.files.iter().map(|(name, _)| name.as_path()).collect();
        self.lay_out(agents, &aside.0, Path::new(""), &names)?;
        for (name, text) in &self.files {
            let file = aside.0.join(name);
            std::fs::create_dir_all(file.parent().expect("it is below a folder"))?;
            std::fs::write(file, text)?;
        }
        let loaded = Folder::load(&aside.0);
        let found = loaded.definitions.into_iter().find(|definition| definition.id == self.id);
        Ok(found.map(|definition| (definition, aside)))
    }

    /// Links to everything that the folder has now and that is none of these files.
    fn lay_out(&self, from: &Path, to: &Path, below: &Path, names: &HashSet<&Path>) -> io::Result<()> {
        std::fs::create_dir_all(to)?;
        let entries = match std::fs::read_dir(from) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = below.join(entry.file_name());
            let (here, there) = (entry.path(), to.join(entry.file_name()));
            let is_of_agent = below.as_os_str().is_empty() && name.file_stem().is_some_and(|stem| *stem == *self.id);
            let is_other_form = below == Path::new(&self.id) && name.file_stem().is_some_and(|stem| stem == "agent");
            if names.contains(name.as_path()) || is_other_form || is_of_agent && !here.is_dir() {
                continue;
            }
            if here.is_dir() && names.iter().any(|kept| kept.starts_with(&name)) {
                self.lay_out(&here, &there, &name, names)?;
            } else if !is_of_agent {
                symlink(std::path::absolute(&here)?, there)?;
            }
        }
        Ok(())
    }
}

/// A folder for a moment.
struct Aside(PathBuf);

impl Aside {
    fn new() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("coagent-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a temporary folder stays behind");
        }
    }
}

/// The files of a folder, in order; none when there is no such folder.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

impl Agents {
    /// The agent of a version of a definition that is no longer in the folder.
    fn again(&self, files: &Files, hash: &str) -> Option<Arc<Hosted>> {
        let (definition, _aside) = match files.read(&self.folder) {
            Ok(found) => found?,
            Err(error) => {
                tracing::error!(agent = files.id, %error, "a kept definition cannot be read back");
                return None;
            }
        };
        if definition.hash != hash {
            return None;
        }
        let current = self.current();
        match Hosted::build(Arc::new(definition), current.used(&files.id), &current.servers) {
            Ok(hosted) => Some(Arc::new(hosted)),
            Err(problem) => {
                tracing::error!(agent = files.id, %problem, "a kept definition can no longer be served");
                None
            }
        }
    }
}

impl Services {
    /// Keeps an agent's definition for runs that may outlive this process, once.
    pub(in crate::runtime) async fn keep(&self, agent: &Hosted, tenant: &str) -> Result<(), CommitError> {
        let Some(files) = agent.to_be_kept(tenant) else { return Ok(()) };
        // Boxed, because mostly it was kept with an earlier run.
        Box::pin(self.keep_files(agent, tenant, files)).await
    }

    async fn keep_files(&self, agent: &Hosted, tenant: &str, files: &Files) -> Result<(), CommitError> {
        let mut append = Append::to(stream(tenant, agent.hash()), Seq::ZERO);
        append.entries = vec![NewEntry::one(json_text::encode(files))];
        match self.store.commit(append.into()).await {
            // Another run was first, perhaps of an earlier process.
            Ok(_) | Err(CommitError::Stale { .. }) => {
                agent.is_kept(tenant);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The agent of this version of its definition, as the folder has it or as it was kept.
    pub(in crate::runtime) async fn agent_as_it_was(
        &self,
        tenant: &str,
        id: &str,
        hash: &str,
    ) -> Result<Option<Arc<Hosted>>, StoreError> {
        if let Some(agent) = self.agents.find(id).filter(|agent| agent.hash() == hash) {
            return Ok(Some(agent));
        }
        let entries = self.store.read(&stream(tenant, hash), Seq::ZERO, Limit { entries: 1, bytes: 0 }).await?;
        let Some(files) = entries.first().and_then(|entry| serde_json::from_slice::<Files>(&entry.body).ok()) else {
            return Ok(None);
        };
        let (agents, hash) = (Arc::clone(&self.agents), hash.to_owned());
        let reading = tokio::task::spawn_blocking(move || agents.again(&files, &hash));
        reading.await.map_err(|error| StoreError::Unavailable { reason: error.to_string() })
    }

    /// Lets go of the definitions that neither the folder nor a run has; for a time when no run begins.
    pub(in crate::runtime) async fn forget_definitions(
        &self,
        tenant: &str,
        held: &HashSet<String>,
    ) -> Result<(), StoreError> {
        let current: HashSet<String> = self.agents.all().iter().map(|agent| agent.hash().to_owned()).collect();
        let mut after: Option<Arc<str>> = None;
        loop {
            let page = self.store.list_by_id(&scope(tenant), "", after.as_deref(), 256).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(Arc::clone(&last.key.id));
            for listed in
                page.iter().filter(|listed| !held.contains(&*listed.key.id) && !current.contains(&*listed.key.id))
            {
                if let Err(error) = self.store.delete(&listed.key).await {
                    tracing::warn!(%error, "a definition that nobody needs stays in the store");
                }
            }
        }
    }
}

fn scope(tenant: &str) -> Scope {
    Scope { tenant: Tenant::new(tenant), owner: Owner::shared(), kind: Kind::Definition }
}

fn stream(tenant: &str, hash: &str) -> StreamKey {
    scope(tenant).stream(hash)
}
