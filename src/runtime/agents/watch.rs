//! Watching the folder of definitions: when something in it changes, all of it is read anew.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Agents;

/// Editors write a file in several steps: what comes within this time is read once.
const QUIET: Duration = Duration::from_millis(100);
/// A folder that never comes to rest is read this often.
const RESTLESS: Duration = Duration::from_secs(2);
/// How often it is looked whether the folder is still the one that is watched.
const LOOK: Duration = Duration::from_secs(2);

/// Follows the folder of `agents` until it is dropped with the runtime; what is wrong is logged, once.
pub(in crate::runtime) async fn watch(agents: Arc<Agents>) {
    loop {
        let (changed, mut changes) = mpsc::channel(1);
        match watcher(&agents.folder, changed) {
            Ok(_watcher) => {
                let watched = identity(&agents.folder);
                // What changed before the watch began is seen now.
                read_anew(&agents).await;
                while identity(&agents.folder) == watched {
                    if let Ok(Some(())) = timeout(LOOK, changes.recv()).await {
                        let latest = Instant::now() + RESTLESS;
                        while let Ok(Ok(Some(()))) = timeout_at(latest, timeout(QUIET, changes.recv())).await {}
                        read_anew(&agents).await;
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "the folder of agents cannot be watched now"),
        }
        read_anew(&agents).await;
        sleep(LOOK).await;
    }
}

/// Tells of every change below the folder; one that is not heard yet stands for all that follow.
fn watcher(folder: &Path, changed: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the folder must not be a reason to read it.
        if event.map_or(true, |event| !event.kind.is_access()) {
            let _ = changed.try_send(());
        }
    })?;
    watcher.watch(folder, RecursiveMode::Recursive)?;
    Ok(watcher)
}

/// Which folder stands at a path, so that one that was put in its place is noticed.
fn identity(folder: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(folder).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

async fn read_anew(agents: &Arc<Agents>) {
    let reading = Arc::clone(agents);
    let before: Vec<_> = agents.problems();
    match tokio::task::spawn_blocking(move || reading.reload()).await {
        Ok(true) => {
            for problem in agents.problems().iter().filter(|problem| !before.contains(problem)) {
                tracing::error!("{problem}");
            }
            tracing::info!(agents = agents.all().len(), "the definitions were read anew");
        }
        Ok(false) => {}
        Err(error) => tracing::error!(%error, "the definitions could not be read anew"),
    }
}
