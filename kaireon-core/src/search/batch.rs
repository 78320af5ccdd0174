//! What is written into an index, and taken out of it.

use std::fmt;

use super::{Document, DocumentId, EntityKind};
use crate::time::Timestamp;
use crate::{Error, Result, TenantId, id};

/// What is indexed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexBatch {
    /// The documents, of any tenants; any number.
    pub documents: Vec<Document>,
    /// Where they go.
    pub target: IndexTarget,
}

impl IndexBatch {
    /// Documents that searches are to find.
    #[must_use]
    pub fn live(documents: impl IntoIterator<Item = Document>) -> Self {
        Self {
            documents: documents.into_iter().collect(),
            target: IndexTarget::Live,
        }
    }

    /// Documents that fill a rebuild.
    #[must_use]
    pub fn rebuild(name: RebuildName, documents: impl IntoIterator<Item = Document>) -> Self {
        Self {
            documents: documents.into_iter().collect(),
            target: IndexTarget::Rebuild(name),
        }
    }
}

/// Where documents go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexTarget {
    /// Into what searches see, and into the rebuild that is open.
    Live,
    /// Into this rebuild alone.
    Rebuild(RebuildName),
}

/// What became of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Indexed {
    /// It is in the index now.
    Written,
    /// It is not: the index holds a higher version, or (in a rebuild) it was deleted since the rebuild began.
    Outdated,
}

/// What to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Whose documents.
    pub tenant: TenantId,
    /// Which of them.
    pub scope: DeleteScope,
}

/// Which documents of a tenant to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteScope {
    /// These of a kind, at most 1,000. An id that is not there counts as nothing.
    Ids {
        /// The kind.
        kind: EntityKind,
        /// The ids.
        ids: Vec<DocumentId>,
    },
    /// Every one of a kind.
    Kind(EntityKind),
    /// Every one.
    Tenant,
}

impl Deletion {
    /// One document.
    #[must_use]
    pub fn of(tenant: TenantId, kind: EntityKind, id: DocumentId) -> Self {
        let ids = vec![id];
        Self {
            tenant,
            scope: DeleteScope::Ids { kind, ids },
        }
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `ids`.
    pub fn check(&self) -> Result<()> {
        match &self.scope {
            DeleteScope::Ids { ids, .. } if ids.len() > 1_000 => {
                Err(Error::invalid("ids", "are more than 1,000"))
            }
            DeleteScope::Ids { .. } | DeleteScope::Kind(_) | DeleteScope::Tenant => Ok(()),
        }
    }

    /// Whether a document is meant.
    #[must_use]
    pub fn covers(&self, document: &Document) -> bool {
        let Self { tenant, scope } = self;
        *tenant == document.tenant
            && match scope {
                DeleteScope::Ids { kind, ids } => *kind == document.kind && ids.contains(&document.id),
                DeleteScope::Kind(kind) => *kind == document.kind,
                DeleteScope::Tenant => true,
            }
    }
}

/// The name of a rebuild, by which it is found again: 1 to 64 of `a` to `z`, digits and `-`, the first of them a
/// letter. So narrow because it becomes part of the name of an index, a table or a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RebuildName(Box<str>);

impl RebuildName {
    /// Takes a name.
    ///
    /// # Errors
    /// `InvalidInput` naming `rebuild_name`.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        id::check_id("rebuild_name", name)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
        if name.len() > 64 || !begins || !name.bytes().all(plain) {
            return Err(Error::invalid(
                "rebuild_name",
                "is not 1 to 64 of a to z, digits and -, beginning with a letter",
            ));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RebuildName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A step of a rebuild.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RebuildStep {
    /// Opens a rebuild of this name, or goes on with it. The name of one that has ended begins anew.
    Begin(RebuildName),
    /// Asks how far it is.
    Status(RebuildName),
    /// Puts it in the place of what serves.
    Finish(RebuildName),
    /// Gives it up.
    Abort(RebuildName),
}

impl RebuildStep {
    /// The rebuild that is meant.
    #[must_use]
    pub const fn name(&self) -> &RebuildName {
        match self {
            Self::Begin(name) | Self::Status(name) | Self::Finish(name) | Self::Abort(name) => name,
        }
    }
}

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RebuildState {
    /// It is being filled.
    Open,
    /// It serves.
    Finished,
    /// It was given up.
    Aborted,
}

/// What is known of a rebuild.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RebuildStatus {
    /// Its name.
    pub name: RebuildName,
    /// How far it is.
    pub state: RebuildState,
    /// When it began.
    pub began_at: Timestamp,
    /// How many documents it holds, of all tenants; when it has ended, how many it held then.
    pub documents: u64,
}

impl RebuildStatus {
    /// A status.
    #[must_use]
    pub fn new(name: RebuildName, state: RebuildState, began_at: Timestamp, documents: u64) -> Self {
        Self {
            name,
            state,
            began_at,
            documents,
        }
    }
}
