//! Erasing a customer on every store.

use kaireon_core::store::{Erasure, ErasureReceipt, Tombstone};
use kaireon_core::{Effect, Error, ErrorKind, Result, TenantId};
use tokio::time::Instant;

use super::{BACKEND, Inner};

/// How often an erasure follows a setting that changes under it.
const TRIES: u32 = 8;

impl Inner {
    /// Erases on the authority, then installs the tombstone everywhere else: on the other side of a migration, and on
    /// every store that the tenant may have been on, because what a direct switch or a finished migration left there is
    /// the customer's as well.
    ///
    /// An erasure has no epoch, so a process that was stopped may erase on a store that is the authority no longer. The
    /// setting is read behind it: it is the receipt of whoever was the authority throughout.
    pub(super) async fn erase(&self, request: Erasure) -> Result<ErasureReceipt> {
        for _ in 0..TRIES {
            let before = self.current.newer(&request.tenant, Instant::now()).await?;
            let authority = &before.setting().authority;
            let receipt = self
                .stores
                .get(authority)?
                .erase_customer(request.clone())
                .await?;
            let stone = Tombstone {
                customer: self
                    .config
                    .master_key
                    .tenant(&request.tenant)
                    .customer(&request.customer),
                generation: receipt.generation,
            };
            for (name, store) in self.stores.iter() {
                if name != authority {
                    store
                        .install_tombstones(&request.tenant, vec![stone.clone()])
                        .await?;
                }
            }
            let after = self.current.newer(&request.tenant, Instant::now()).await?;
            if after.setting().authority == *authority && after.setting().epoch == before.setting().epoch {
                return Ok(receipt);
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "the tenant's authority moved under every attempt to erase",
        )
        .with_backend(BACKEND)
        .with_operation("erase_customer")
        .with_effect(Effect::Unknown))
    }

    /// Installs tombstones on every store.
    pub(super) async fn install(&self, tenant: &TenantId, tombstones: &[Tombstone]) -> Result<()> {
        for (_, store) in self.stores.iter() {
            store.install_tombstones(tenant, tombstones.to_vec()).await?;
        }
        Ok(())
    }
}
