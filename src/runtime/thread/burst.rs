//! What an agent does at one go inside of its steps: its writes of a document, what it says and the steps it ends are one
//! commit.
//!
//! A write of a step is decided and answered at once, and the agent goes on for as long as it need not wait. Nobody else
//! sees any of it before all of it is durable, and a crash leaves all of it or nothing.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::agent::StateError;
use crate::agent::context::{StateRequest, StateWrite};
use crate::agui::Event;

use super::super::document::{Author, DocumentHandle, Sitting, Write};
use super::actor::{Broken, Thread};
use super::admit::Unstored;
use super::append::Logged;
use super::chunk::Chunk;
use super::elsewhere::Elsewhere;

/// What is decided, said and not stored yet.
pub(super) struct Burst {
    /// The document that is written; `None` is the run's own state.
    document: Option<String>,
    pub(super) sitting: Sitting,
    /// What was said up to the latest write.
    pub(super) chunks: Vec<Arc<Chunk>>,
    /// Whether what is predicted is over when it is stored.
    pub(super) ends_prediction: bool,
}

/// A write that may happen as far as the agent's definition goes.
struct Allowed {
    document: Arc<DocumentHandle>,
    write: Box<Write>,
    author: Author,
}

impl Burst {
    fn new(document: Option<String>, sitting: Sitting) -> Box<Self> {
        Box::new(Self { document, sitting, chunks: Vec::new(), ends_prediction: false })
    }
}

impl Thread {
    /// Passes on what the agent wants of a document (`None` = its own state). What is not a matter of the burst comes after
    /// everything before it is durable.
    pub(super) async fn ask_document(
        &mut self,
        name: Option<String>,
        request: StateRequest,
        unstored: &mut Unstored,
    ) -> Result<(), Broken> {
        let Some(live) = &mut self.live else { return Ok(()) };
        let name = name.filter(|name| **name != *live.start.document.name);
        if name.is_none() {
            live.works_at(&request);
        }
        match (request, unstored.burst.as_deref()) {
            (StateRequest::Patch { write, reply }, _) if write.in_step => {
                Box::pin(self.write_in_burst(name, write, reply, unstored)).await
            }
            (StateRequest::Read { path, in_step: true, reply }, Some(burst))
                if name.is_none() && burst.document.is_none() =>
            {
                drop(reply.send(Ok(burst.sitting.read(&path, &live.author.actor))));
                Ok(())
            }
            (request, _) => {
                self.store(unstored).await?;
                self.pass_on(name, request).await;
                Ok(())
            }
        }
    }

    /// Decides a write, after what was said before it, and answers it.
    async fn write_in_burst(
        &mut self,
        name: Option<String>,
        write: StateWrite,
        reply: oneshot::Sender<Result<u64, StateError>>,
        unstored: &mut Unstored,
    ) -> Result<(), Broken> {
        let allowed = match self.allow(name.as_deref(), write) {
            Ok(allowed) => allowed,
            Err(refusal) => {
                drop(reply.send(Err(refusal)));
                return Ok(());
            }
        };
        let Allowed { document, write, author } = allowed;
        // Who sits at one document must not wait for another one.
        if unstored.burst.as_ref().is_some_and(|burst| burst.document != name) {
            self.store(unstored).await?;
        }
        if unstored.burst.is_none() {
            let Some(live) = &mut self.live else { return Ok(()) };
            match live.work.alongside(document.sit()).await {
                Ok(sitting) => unstored.burst = Some(Burst::new(name, sitting)),
                Err(unavailable) => {
                    drop(reply.send(Err(StateError::Unavailable { reason: unavailable.reason })));
                    return Ok(());
                }
            }
        }
        let burst = unstored.burst.as_deref_mut().expect("it was begun above");
        burst.chunks.extend(self.number(std::mem::take(&mut unstored.events)));
        let told = burst.sitting.write(write, author).await.map_err(|lost| Broken { reason: lost.reason })?;
        if burst.document.is_none() {
            self.state_version = self.state_version.max(burst.sitting.version());
        }
        // An error means that the agent has stopped waiting.
        drop(reply.send(told));
        Ok(())
    }

    fn allow(&self, name: Option<&str>, write: StateWrite) -> Result<Allowed, StateError> {
        let live = self.live.as_deref().ok_or(StateError::RunIsOver)?;
        let Some(name) = name else {
            let document = Arc::clone(&live.document);
            let write = Box::new(Write::of_agent(write));
            return Ok(Allowed { document, write, author: live.author.clone() });
        };
        let (services, thread) = (&self.services, &self.name);
        let elsewhere = Elsewhere { services, thread, allowed: live.agent.documents(), author: live.author.clone() };
        let (document, write, author) = elsewhere.allow(name, write)?;
        Ok(Allowed { document, write: Box::new(write), author })
    }

    /// Makes a burst durable, with what was said after its latest write, and shows it.
    pub(super) async fn store_burst(&mut self, burst: Box<Burst>, rest: Vec<Event>) -> Result<(), Broken> {
        let Burst { sitting, mut chunks, ends_prediction, .. } = *burst;
        chunks.extend(self.number(rest));
        Box::pin(self.commit_log(Logged { chunks, sitting: Some(sitting), ..Logged::default() })).await?;
        if ends_prediction && let Some(live) = self.live.as_deref_mut() {
            live.predictor.clear();
        }
        Ok(())
    }
}
