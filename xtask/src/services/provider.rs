//! Who runs a service, and in which order that is tried.

/// Who runs a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    /// Somebody else: its URL was in the environment.
    Environment,
    /// A container of `compose.yaml`.
    Compose,
    /// Processes started here from packages.
    Packages,
}

impl Provider {
    const ALL: [Self; 3] = [Self::Environment, Self::Compose, Self::Packages];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Compose => "compose",
            Self::Packages => "packages",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.name() == name)
    }
}

/// What decides about the order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// Its URL is set.
    pub(crate) url_is_set: bool,
    /// It has an entry in `compose.yaml` and a container engine answers.
    pub(crate) compose_answers: bool,
}

/// Who is tried, first to last. A URL that was given is the service: when nothing answers there, starting
/// another one would test something that nobody asked for.
pub(crate) fn order(facts: Facts) -> &'static [Provider] {
    match facts {
        Facts { url_is_set: true, .. } => &[Provider::Environment],
        Facts {
            compose_answers: true,
            ..
        } => &[Provider::Compose, Provider::Packages],
        Facts { .. } => &[Provider::Packages],
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, Provider, order};

    #[test]
    fn a_url_comes_first_then_containers_then_packages() {
        let facts = |url_is_set, compose_answers| Facts {
            url_is_set,
            compose_answers,
        };
        assert_eq!(order(facts(true, true)), [Provider::Environment]);
        assert_eq!(order(facts(true, false)), [Provider::Environment]);
        assert_eq!(order(facts(false, true)), [Provider::Compose, Provider::Packages]);
        assert_eq!(order(facts(false, false)), [Provider::Packages]);
    }

    #[test]
    fn names_are_read_back() {
        for provider in Provider::ALL {
            assert_eq!(Provider::from_name(provider.name()), Some(provider));
        }
        assert_eq!(Provider::from_name("podman"), None);
    }
}
