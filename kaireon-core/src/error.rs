//! The one error type of the family: what went wrong, and two facts that decide what a caller may do next.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The result of every operation of the family.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an [`Error`] is.
///
/// The kind says what went wrong. Whether to try again is said by [`Error::is_transient`], and whether the
/// operation may have taken effect by [`Error::effect`]: three separate questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is outside its documented bounds; the context names the field. Never transient.
    InvalidInput,
    /// An idempotency key or recommendation id was used again for other content.
    Conflict,
    /// What was asked for does not exist, where absence is an error (a lost lease, an unknown dead letter).
    NotFound,
    /// The backend does not have this operation; its capabilities say so.
    Unsupported,
    /// The configuration is wrong, incomplete, or names a resource that is in use or of another version.
    Config,
    /// Credentials are missing, wrong, expired, or not sufficient.
    Unauthorized,
    /// A bound on queued or admitted work is reached; transient, not applied.
    RateLimited,
    /// The deadline passed before an answer came.
    Timeout,
    /// The backend cannot be reached, is shutting down, or cut the connection.
    Unavailable,
    /// The tenant's authority has moved: the write carried an epoch, or a lease a fencing number, that is no
    /// longer in force. Refresh the setting and try again.
    Fenced,
    /// The customer was erased after this record was accepted elsewhere; it was refused and must not be sent
    /// again.
    Erased,
    /// The backend has no room: a full disk, a quota, an exceeded memory bound.
    StorageFull,
    /// Stored bytes are not what this library wrote: a broken checksum, an impossible value.
    Corrupt,
    /// A defect in this library or a vendor's; please report it.
    Internal,
}

impl ErrorKind {
    /// Every kind there is, for tables and exhaustive tests.
    pub const ALL: [ErrorKind; 14] = [
        Self::InvalidInput,
        Self::Conflict,
        Self::NotFound,
        Self::Unsupported,
        Self::Config,
        Self::Unauthorized,
        Self::RateLimited,
        Self::Timeout,
        Self::Unavailable,
        Self::Fenced,
        Self::Erased,
        Self::StorageFull,
        Self::Corrupt,
        Self::Internal,
    ];

    /// The kind in snake case: the value of the metric label `error.type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::Unsupported => "unsupported",
            Self::Config => "config",
            Self::Unauthorized => "unauthorized",
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Fenced => "fenced",
            Self::Erased => "erased",
            Self::StorageFull => "storage_full",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }

    /// Whether an error of this kind is transient unless its maker says otherwise.
    const fn transient_by_default(self) -> bool {
        matches!(
            self,
            Self::RateLimited | Self::Timeout | Self::Unavailable | Self::Fenced
        )
    }

    /// The effect of an error of this kind unless its maker says otherwise.
    const fn effect_by_default(self) -> Effect {
        match self {
            Self::Timeout | Self::Unavailable | Self::Corrupt | Self::Internal | Self::StorageFull => {
                Effect::Unknown
            }
            _ => Effect::NotApplied,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a failed operation may have changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing was changed, for certain.
    NotApplied,
    /// It may or may not have been applied: a cut connection, a passed deadline.
    Unknown,
}

/// An error of any backend: one word wide, cheap to clone, because one failed commit answers many callers.
///
/// `Display` is one lower-case line without the source and without secrets or personal data;
/// [`source`](StdError::source) returns the vendor's error.
///
/// ```
/// use kaireon_core::{Effect, Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Unavailable, "connection reset")
///     .with_backend("postgresql")
///     .with_operation("record_event");
/// assert!(error.is_transient());
/// assert_eq!(error.effect(), Effect::Unknown);
/// assert_eq!(error.to_string(), "postgresql record_event: unavailable: connection reset");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    transient: bool,
    effect: Effect,
    backend: Cow<'static, str>,
    operation: &'static str,
    field: Option<Cow<'static, str>>,
    context: Cow<'static, str>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error with the kind's usual transience and effect.
    ///
    /// `context` is one lower-case phrase without a full stop; no ids of customers, keys, attributes or secrets.
    pub fn new(kind: ErrorKind, context: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            transient: kind.transient_by_default(),
            effect: kind.effect_by_default(),
            backend: Cow::Borrowed(""),
            operation: "",
            field: None,
            context: context.into(),
            retry_after: None,
            source: None,
        }))
    }

    /// An argument out of bounds: `InvalidInput` that names the field.
    pub fn invalid(field: &'static str, context: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, context).with_field(field)
    }

    /// An operation that `backend` does not have.
    pub fn unsupported(backend: impl Into<Cow<'static, str>>, operation: &'static str) -> Self {
        Self::new(ErrorKind::Unsupported, "not supported by this backend")
            .with_backend(backend)
            .with_operation(operation)
    }

    /// A call on a handle that was disconnected: `Unavailable`, not applied, and not transient, because the same
    /// handle never comes back.
    pub fn disconnected(backend: impl Into<Cow<'static, str>>, operation: &'static str) -> Self {
        Self::new(ErrorKind::Unavailable, "this handle was disconnected")
            .with_transient(false)
            .with_effect(Effect::NotApplied)
            .with_backend(backend)
            .with_operation(operation)
    }

    /// A reused key or id with other content.
    pub fn conflict(context: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Conflict, context)
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Names the backend, as its configuration value (`embedded`, `postgresql`).
    #[must_use]
    pub fn with_backend(self, backend: impl Into<Cow<'static, str>>) -> Self {
        self.edit(|inner| inner.backend = backend.into())
    }

    /// Names the operation of the contract (`record_event`).
    #[must_use]
    pub fn with_operation(self, operation: &'static str) -> Self {
        self.edit(|inner| inner.operation = operation)
    }

    /// Names the field or variable at fault.
    #[must_use]
    pub fn with_field(self, field: impl Into<Cow<'static, str>>) -> Self {
        self.edit(|inner| inner.field = Some(field.into()))
    }

    /// States whether the same call may succeed later.
    #[must_use]
    pub fn with_transient(self, transient: bool) -> Self {
        self.edit(|inner| inner.transient = transient)
    }

    /// States whether the operation may have been applied.
    #[must_use]
    pub fn with_effect(self, effect: Effect) -> Self {
        self.edit(|inner| inner.effect = effect)
    }

    /// States how long the backend asks to be left alone.
    #[must_use]
    pub fn with_retry_after(self, after: Duration) -> Self {
        self.edit(|inner| inner.retry_after = Some(after))
    }

    /// Keeps the error this one was made from.
    #[must_use]
    pub fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.edit(|inner| inner.source = Some(Arc::new(source)))
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later without anything else being changed. An error that has used up
    /// its retries is no longer transient.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// Whether the operation may have been applied.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// The backend's name, or an empty string for errors made before any backend was asked.
    #[must_use]
    pub fn backend(&self) -> &str {
        &self.0.backend
    }

    /// The operation's name, or an empty string.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The field or variable at fault, where one is known.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// What was tried, on what.
    #[must_use]
    pub fn context(&self) -> &str {
        &self.0.context
    }

    /// How long the backend asks to be left alone, where it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            backend,
            operation,
            field,
            context,
            ..
        } = &*self.0;
        match (backend.is_empty(), operation.is_empty()) {
            (false, false) => write!(f, "{backend} {operation}: ")?,
            (false, true) => write!(f, "{backend}: ")?,
            (true, false) => write!(f, "{operation}: ")?,
            (true, true) => {}
        }
        write!(f, "{kind}: ")?;
        if let Some(field) = field {
            write!(f, "{field}: ")?;
        }
        f.write_str(context)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("transient", &inner.transient)
            .field("effect", &inner.effect)
            .field("backend", &inner.backend)
            .field("operation", &inner.operation)
            .field("field", &inner.field)
            .field("context", &inner.context)
            .field("retry_after", &inner.retry_after)
            .field("source", &inner.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn display_is_one_line_without_the_source() {
        let error = Error::new(ErrorKind::Config, "cannot open")
            .with_source(std::io::Error::other("secret password"));
        assert_eq!(error.to_string(), "config: cannot open");
        assert_eq!(
            StdError::source(&error).map(ToString::to_string).as_deref(),
            Some("secret password")
        );
    }

    #[test]
    fn a_clone_shares_and_an_edit_of_it_does_not_reach_the_first() {
        let first = Error::new(ErrorKind::Timeout, "deadline passed");
        let second = first.clone().with_transient(false);
        assert!(first.is_transient() && !second.is_transient());
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: std::collections::HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), ErrorKind::ALL.len());
    }
}
