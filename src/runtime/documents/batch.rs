//! Writes of several documents at once, all or nothing.

use super::super::document::{Author, DocumentError, Member, Once, TogetherRefused, Write, write_together};
use super::{DocumentName, Documents};

/// What became of a batch.
#[derive(Debug, Clone)]
pub struct BatchAccepted {
    /// The version that holds each write, in order.
    pub versions: Vec<u64>,
    /// Whether this is the answer to an earlier request with the same key.
    pub duplicate: bool,
}

impl Documents<'_> {
    /// Changes all the documents in one commit of the store, or none of them.
    ///
    /// It is done also when the caller goes away.
    pub async fn write_all(
        &self,
        writes: Vec<(DocumentName, Write)>,
        once: Option<Once>,
    ) -> Result<BatchAccepted, TogetherRefused> {
        let mut members = Vec::with_capacity(writes.len());
        for (index, (name, write)) in writes.into_iter().enumerate() {
            let member = self.member(&name, write).map_err(|error| TogetherRefused { index: Some(index), error })?;
            members.push(member);
        }
        let (services, tenant) = (std::sync::Arc::clone(self.services), self.principal.tenant.clone());
        let written =
            tokio::spawn(
                async move { write_together(services.store.as_ref(), &tenant, &members, once.as_ref()).await },
            );
        let crashed = |error: tokio::task::JoinError| DocumentError::Unavailable {
            reason: format!("the batch broke off: {error}"),
        };
        let (versions, duplicate) = written.await.map_err(crashed)??;
        Ok(BatchAccepted { versions, duplicate })
    }

    fn member(&self, name: &DocumentName, write: Write) -> Result<Member, DocumentError> {
        self.admit(name, &write)?;
        let name = self.resolve(name)?;
        let author: Author = self.author();
        Ok(Member { document: self.services.named_document(&name)?, name, write, author })
    }
}
