//! What whoever reads an archive keeps beside it: how far it has come, what it was told.

use kaireon_core::{Error, Result, TenantId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::archive::Archive;
use crate::layout::TenantPaths;
use crate::manifest::{change_json, read_json};

impl Archive {
    /// A document of this name that a reader of the tenant's archive keeps there; `None` where there is none. It lies
    /// outside the folders that a glob over batches finds.
    ///
    /// # Errors
    /// `InvalidInput` naming `checkpoint` when the name is not 1 to 128 bytes; `Corrupt` when what lies there is no such
    /// document; those of the object store.
    ///
    /// # Dropped futures
    /// Nothing is left behind.
    pub async fn checkpoint<T: DeserializeOwned>(&self, tenant: &TenantId, name: &str) -> Result<Option<T>> {
        check(name)?;
        let path = TenantPaths::new(tenant).checkpoint(name);
        Ok(read_json(self.place(), &path).await?.map(|(found, _)| found))
    }

    /// Changes such a document by compare-and-set; durable on `Ok`. `edit` is given what is there and may be asked again
    /// over what another process wrote meanwhile; `None` from it leaves the document as it is. It is the reader's: nothing
    /// of a customer belongs into it, because an erasure does not look there.
    ///
    /// # Errors
    /// As for [`checkpoint`](Self::checkpoint); those of `edit`; `Unavailable`, transient, when other writers were ahead
    /// too often.
    ///
    /// # Dropped futures
    /// It was changed or not.
    pub async fn change_checkpoint<T: Serialize + DeserializeOwned>(
        &self,
        tenant: &TenantId,
        name: &str,
        edit: impl FnMut(Option<T>) -> Result<Option<T>> + Send,
    ) -> Result<()> {
        check(name)?;
        self.claim(tenant).await?;
        let path = TenantPaths::new(tenant).checkpoint(name);
        change_json(self.place(), &path, edit).await
    }
}

fn check(name: &str) -> Result<()> {
    match name.len() {
        1..=128 => Ok(()),
        _ => Err(Error::invalid("checkpoint", "is not 1 to 128 bytes")),
    }
}
