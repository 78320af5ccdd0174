//! The variables that a backend reads beside the common ones.

use kaireon_core::Result;

use crate::Config;
use crate::problem::Problem;

/// The variables of a configuration, but for those that are known to be wrong.
pub(super) struct Vars<'a> {
    config: &'a Config,
    wrong: &'a [Problem],
}

impl<'a> Vars<'a> {
    pub(super) fn of(config: &'a Config) -> Self {
        Self { config, wrong: &[] }
    }

    /// The value of a variable; none where it is wrong.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = self.config.extra.get(name).filter(|_| !self.is_wrong(name));
        value.cloned()
    }

    pub(super) fn is_wrong(&self, name: &str) -> bool {
        self.wrong.iter().any(|problem| problem.place == name)
    }

    /// Everything that is wrong. `read` tells of one variable at a time: that one is taken for unset, and it is asked
    /// again, until it finds nothing more. What names no variable is told under the name of the backend.
    pub(super) fn problems(
        config: &Config,
        backend: &str,
        read: impl Fn(&Vars<'_>) -> Result<()>,
    ) -> Vec<Problem> {
        let mut wrong = Vec::new();
        loop {
            let vars = Vars {
                config,
                wrong: &wrong,
            };
            let Err(error) = read(&vars) else {
                return wrong;
            };
            let place = error.field().unwrap_or(backend);
            if vars.is_wrong(place) {
                return wrong;
            }
            wrong.push(Problem::new(place, error.context()));
        }
    }
}
