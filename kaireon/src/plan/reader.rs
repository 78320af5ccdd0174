//! Reading a configuration, and noting everything that is wrong with it.

use std::sync::Arc;

use super::{Chosen, Source, chosen};
use crate::Config;
use crate::adapters::{Adapter, Connect, Found, Registry, Variable};
use crate::config::{CallPolicy, shown};
use crate::problem::Problem;
use crate::startup::Choice;
use crate::url::{self, Shape};

pub(super) struct Reader<'a> {
    pub(super) config: &'a Config,
    pub(super) problems: Vec<Problem>,
    /// Variables that were judged for an adapter that needs them.
    checked: Vec<Variable>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(config: &'a Config, problems: Vec<Problem>) -> Self {
        Self {
            config,
            problems,
            checked: Vec::new(),
        }
    }

    pub(super) fn problem(&mut self, place: &str, what: impl Into<String>) {
        self.problems.push(Problem::new(place, what));
    }

    /// Notes it unless something was told of that place already.
    pub(super) fn problem_once(&mut self, place: &str, what: impl Into<String>) {
        if !self.problems.iter().any(|told| told.place == place) {
            self.problem(place, what);
        }
    }

    /// A variable beside the common ones, unless it is empty.
    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        let value = self.config.extra.get(name)?.trim();
        (!value.is_empty()).then_some(value)
    }

    pub(super) fn choose<T: ?Sized + 'static>(
        &mut self,
        variable: &str,
        value: Option<&str>,
        registry: &Registry<T>,
    ) -> Option<Chosen<T>> {
        let Some(value) = value else {
            return self.default(variable, registry);
        };
        match registry.find(value) {
            Some(Found::Builtin(adapter)) => self.builtin(variable, value, adapter),
            Some(Found::Custom(name, factory)) => Some(Chosen {
                choice: Choice::new(name, format!("{variable}, registered by the host")),
                place: None,
                shared: false,
                tables: None,
                source: Source::Custom(Arc::clone(factory)),
            }),
            None => {
                let allowed = registry.allowed();
                let what = match shown(value) {
                    Some(value) => format!("unknown value `{value}` (allowed: {allowed})"),
                    None => {
                        format!("holds no name of a backend; its value is not shown (allowed: {allowed})")
                    }
                };
                self.problem(variable, what);
                None
            }
        }
    }

    pub(super) fn builtin<T: ?Sized + 'static>(
        &mut self,
        variable: &str,
        value: &str,
        adapter: &'static Adapter<T>,
    ) -> Option<Chosen<T>> {
        let absent = adapter.needs.iter().find(|need| need.of(self.config).is_none());
        if let (Some(absent), Some(stand_in)) = (absent, adapter.stand_in) {
            let why = format!("{variable}={} without {}", adapter.names[0], absent.name());
            return chosen(stand_in, why).map(|chosen| Chosen {
                choice: chosen.choice.with_warning(),
                ..chosen
            });
        }
        let needed = self.check_needs(adapter);
        match &adapter.connect {
            Connect::With(_) => {
                let good = needed & self.check_settings(adapter);
                good.then(|| chosen(adapter, variable.to_owned())).flatten()
            }
            Connect::Without { feature } => {
                let what = format!(
                    "`{value}` is not compiled in: turn on the feature `{feature}` of the crate `kaireon`"
                );
                self.problem(variable, what);
                None
            }
            Connect::Planned { feature } => {
                let what = format!(
                    "`{value}` is not compiled in: this release has no feature `{feature}` yet, a later one will"
                );
                self.problem(variable, what);
                None
            }
        }
    }

    /// What a concern gets when its variable is unset.
    pub(super) fn default<T: ?Sized + 'static>(
        &mut self,
        variable: &str,
        registry: &Registry<T>,
    ) -> Option<Chosen<T>> {
        let mut why = format!("{variable} is unset");
        for adapter in registry.builtins() {
            let Some(offer) = adapter.offered_by.filter(|offer| offer.of(self.config).is_some()) else {
                continue;
            };
            if matches!(adapter.connect, Connect::With(_)) {
                why.push_str(&format!(", {} is set", offer.name()));
                let good = self.check_needs(adapter) & self.check_settings(adapter);
                return good.then(|| chosen(adapter, why)).flatten();
            }
            why.push_str(&format!(
                ", {} is set but `{}` is not compiled in",
                offer.name(),
                adapter.names[0]
            ));
        }
        let adapter = registry.default();
        if let Connect::Without { feature } | Connect::Planned { feature } = adapter.connect {
            let allowed = registry.allowed();
            let what = format!(
                "is unset, and the default `{}` is not compiled in: turn on the feature `{feature}` of the crate \
                 `kaireon`, or set it (allowed: {allowed})",
                adapter.names[0]
            );
            self.problem(variable, what);
            return None;
        }
        self.check_settings(adapter)
            .then(|| chosen(adapter, why))
            .flatten()
    }

    /// What an adapter that is compiled in reads besides the common variables.
    fn check_settings<T: ?Sized + 'static>(&mut self, adapter: &Adapter<T>) -> bool {
        let wrong = (adapter.check)(self.config);
        let good = wrong.is_empty();
        for problem in wrong {
            // What is missing or malformed was told when the URLs were looked at.
            if !self.problems.iter().any(|told| told.place == problem.place) {
                self.problems.push(problem);
            }
        }
        good
    }

    fn check_needs<T: ?Sized + 'static>(&mut self, adapter: &Adapter<T>) -> bool {
        let mut good = true;
        for variable in adapter.needs {
            self.checked.push(*variable);
            let fault = match variable
                .of(self.config)
                .map(|url| url::check(url, variable.schemes()))
            {
                None => Some(format!("is missing; `{}` needs it", adapter.names[0])),
                Some(Ok(Shape::Wanted)) => None,
                Some(Ok(Shape::Other)) => Some(format!("is not a url of {}", schemes(*variable))),
                Some(Err(why)) => Some(why.to_owned()),
            };
            if let Some(fault) = fault {
                good = false;
                // Two concerns may need one variable; its fault is told once.
                self.problem_once(variable.name(), fault);
            }
        }
        good
    }

    /// A variable that no chosen adapter reads may be the host's own, of another scheme; what is no URL at all, or
    /// a damaged one of a scheme of ours, is a mistake that would show only later.
    pub(super) fn check_rest(&mut self) {
        for variable in [Variable::DatabaseUrl, Variable::RedisUrl] {
            if self.checked.contains(&variable) {
                continue;
            }
            if let Some(Err(why)) = variable
                .of(self.config)
                .map(|url| url::check(url, variable.schemes()))
            {
                self.problem(variable.name(), why);
            }
        }
    }

    pub(super) fn check_policy(&mut self) {
        let CallPolicy {
            attempt_timeout,
            maintenance_timeout,
            retry,
        } = self.config.calls;
        for (field, wrong) in [
            ("calls.attempt_timeout", attempt_timeout.is_zero()),
            ("calls.maintenance_timeout", maintenance_timeout.is_zero()),
            ("calls.retry.max_attempts", retry.max_attempts == 0),
        ] {
            if wrong {
                self.problem(field, "is zero");
            }
        }
    }
}

fn schemes(variable: Variable) -> String {
    let schemes: Vec<String> = (variable.schemes().iter())
        .map(|scheme| format!("`{scheme}://`"))
        .collect();
    schemes.join(" or ")
}
