//! Where a wrapper takes the name of what it wraps from, for errors, spans and metrics.

use std::borrow::Cow;

use crate::cache::CacheStore;
use crate::publisher::EventPublisher;
use crate::search::SearchIndex;
use crate::store::InteractionStore;

/// The name of a part, asked for only when it is needed.
pub(super) type NameOf<T> = fn(&T) -> Cow<'static, str>;

pub(super) fn of_store<T: InteractionStore>(store: &T) -> Cow<'static, str> {
    store.capabilities().backend
}

pub(super) fn of_events<T: EventPublisher>(events: &T) -> Cow<'static, str> {
    events.capabilities().backend
}

pub(super) fn of_search<T: SearchIndex>(index: &T) -> Cow<'static, str> {
    index.capabilities().backend
}

pub(super) fn of_cache<T: CacheStore>(cache: &T) -> Cow<'static, str> {
    cache.capabilities().backend
}

/// For contracts without capabilities: outboxes, limiters and breakers are named by whoever wraps them.
pub(super) fn of_nameless<T>(_: &T) -> Cow<'static, str> {
    Cow::Borrowed("")
}
