//! The backends of one concern that can be chosen: ours, and those that the host registered.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{Adapter, Connect, Connecting};
use crate::Config;
use crate::config::shown;
use crate::problem::Problem;

/// Makes a backend of the host's own.
pub(crate) type Factory<T> = Arc<dyn Fn(&Config) -> Connecting<T> + Send + Sync>;

/// The backends of one concern.
pub(crate) struct Registry<T: ?Sized + 'static> {
    builtin: &'static [&'static Adapter<T>],
    custom: BTreeMap<String, Factory<T>>,
    problems: Vec<Problem>,
}

/// A backend by its name.
pub(crate) enum Found<'a, T: ?Sized + 'static> {
    Builtin(&'static Adapter<T>),
    Custom(&'a str, &'a Factory<T>),
}

impl<T: ?Sized + 'static> Registry<T> {
    pub(crate) fn new(builtin: &'static [&'static Adapter<T>]) -> Self {
        Self {
            builtin,
            custom: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    /// Adds a backend of the host's own; `call` names the builder's function where the name cannot be had.
    pub(crate) fn register(&mut self, call: &str, name: &str, factory: Factory<T>) {
        let folded = name.to_ascii_lowercase();
        let Some(name) = shown(&folded).filter(|name| !name.is_empty()) else {
            let what = "a name has 1 to 32 letters, digits, `-` and `_`";
            return self.problems.push(Problem::new(call, what));
        };
        if self.builtin(name).is_some() {
            let what = format!("`{name}` is the name of a built-in backend");
            return self.problems.push(Problem::new(call, what));
        }
        if self.custom.insert(name.to_owned(), factory).is_some() {
            let what = format!("`{name}` was registered twice");
            self.problems.push(Problem::new(call, what));
        }
    }

    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The built-in backend that is the choice where nothing says otherwise.
    pub(crate) fn default(&self) -> &'static Adapter<T> {
        self.builtin[0]
    }

    pub(crate) fn builtins(&self) -> &'static [&'static Adapter<T>] {
        self.builtin
    }

    fn builtin(&self, name: &str) -> Option<&'static Adapter<T>> {
        self.builtin
            .iter()
            .find(|adapter| adapter.names.contains(&name))
            .copied()
    }

    pub(crate) fn find(&self, name: &str) -> Option<Found<'_, T>> {
        let folded = name.to_ascii_lowercase();
        if let Some((name, factory)) = self.custom.get_key_value(&folded) {
            return Some(Found::Custom(name, factory));
        }
        self.builtin(&folded).map(Found::Builtin)
    }

    /// The names that would be taken: what is compiled in, and what was registered.
    pub(crate) fn allowed(&self) -> String {
        let compiled = (self.builtin.iter())
            .filter(|adapter| matches!(adapter.connect, Connect::With(_)))
            .map(|adapter| adapter.names[0]);
        let names: Vec<&str> = compiled.chain(self.custom.keys().map(String::as_str)).collect();
        names.join(", ")
    }
}

impl<T: ?Sized + 'static> fmt::Debug for Registry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("allowed", &self.allowed())
            .finish_non_exhaustive()
    }
}
