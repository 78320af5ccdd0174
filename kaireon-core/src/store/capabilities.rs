//! What a store can do; the suite tests that it does just that.

use std::borrow::Cow;

use crate::digest::Digest;

/// Whether an `Ok` survives a crash and the loss of power.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It does (on a quorum store, with the loss of a minority of replicas).
    Durable,
    /// It does not, for this reason.
    Volatile(Cow<'static, str>),
}

/// Whether a reader may see parts of a write before its `Ok`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// All of it or nothing.
    Isolated,
    /// It may, for this reason.
    Partial(Cow<'static, str>),
}

/// What an [`InteractionStore`](super::InteractionStore) can do. A `false` means that the operations answer
/// `Unsupported`. Idempotency, summaries, bounds, tenants and errors cannot be declared away.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCapabilities {
    /// The backend's name, as its configuration value (`embedded`).
    pub backend: Cow<'static, str>,
    /// What an `Ok` survives.
    pub durability: Durability,
    /// What concurrent readers see.
    pub isolation: Isolation,
    /// `history`.
    pub history: bool,
    /// `scan`, and `scan_decisions` where there are decisions.
    pub scan: bool,
    /// `record_decision`, `record_decisions`, `decision`.
    pub decisions: bool,
    /// `erase_customer`, `tombstones`, `install_tombstones`, and generations on records.
    pub erasure: bool,
    /// `purge_before`.
    pub purge: bool,
    /// `raise_fence`, `fence`, and epochs on batches.
    pub fence: bool,
    /// Origins other than live.
    pub replication: bool,
    /// `outbox`.
    pub outbox: bool,
    /// `ping`.
    pub ping: bool,
    /// Whether what was recorded is there again when the same place is opened anew.
    pub persistent: bool,
    /// The [check value](crate::digest::MasterKey::check_value) of the master key by which its tombstones name customers,
    /// so that two stores between which tombstones are to move can be told to have the same. `None` where the backend has
    /// no erasure or does not tell.
    pub key_check: Option<Digest>,
}

impl StoreCapabilities {
    /// Only what every store must do: the first four methods, in memory.
    #[must_use]
    pub fn minimal(backend: impl Into<Cow<'static, str>>) -> Self {
        Self {
            backend: backend.into(),
            durability: Durability::Volatile(Cow::Borrowed("not declared")),
            isolation: Isolation::Isolated,
            history: false,
            scan: false,
            decisions: false,
            erasure: false,
            purge: false,
            fence: false,
            replication: false,
            outbox: false,
            ping: false,
            persistent: false,
            key_check: None,
        }
    }

    /// Everything, durable; of no key.
    #[must_use]
    pub fn full(backend: impl Into<Cow<'static, str>>) -> Self {
        Self {
            durability: Durability::Durable,
            isolation: Isolation::Isolated,
            history: true,
            scan: true,
            decisions: true,
            erasure: true,
            purge: true,
            fence: true,
            replication: true,
            outbox: true,
            ping: true,
            persistent: true,
            ..Self::minimal(backend)
        }
    }
}
