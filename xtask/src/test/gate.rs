//! What an ignored test waits for, read from its reason.

use std::collections::BTreeSet;

/// What must be so before an ignored test runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Mounts, permissions: only root can set them up.
    Root,
    /// Too long for CI.
    Soak,
    /// A server.
    Service(String),
    /// A reason that says nothing of this kind.
    Unknown(String),
}

/// What is so in this run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Situation {
    pub(crate) root: bool,
    pub(crate) soak: bool,
    pub(crate) services: BTreeSet<String>,
}

/// Whether a gate opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Permit {
    /// It runs.
    Run,
    /// It does not run here, which is said and is no fault.
    Skip(String),
    /// It does not run although this run promised that it would.
    Refuse(String),
}

impl Gate {
    /// Reads `needs root: …`, `soak: …`, `needs postgres: …` and `postgres: …`.
    pub(crate) fn parse(reason: &str) -> Self {
        let Some((what, _)) = reason.split_once(':') else {
            return Self::Unknown(reason.to_owned());
        };
        match what.strip_prefix("needs ").unwrap_or(what).trim() {
            "root" => Self::Root,
            "soak" => Self::Soak,
            name if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => {
                Self::Service(name.to_owned())
            }
            _ => Self::Unknown(reason.to_owned()),
        }
    }

    pub(crate) fn permit(&self, situation: &Situation) -> Permit {
        match self {
            Self::Root if situation.root => Permit::Run,
            Self::Root => Permit::Skip("not root".to_owned()),
            Self::Soak if situation.soak => Permit::Run,
            Self::Soak => Permit::Skip("runs in cargo xtask soak".to_owned()),
            Self::Service(name) if situation.services.contains(name) => Permit::Run,
            Self::Service(name) => Permit::Refuse(format!("needs {name}, which is not running")),
            Self::Unknown(reason) if reason.is_empty() => {
                Permit::Refuse("is ignored without a reason, or with one that is no literal".to_owned())
            }
            Self::Unknown(reason) => Permit::Refuse(format!(
                "is ignored for a reason that nothing can satisfy: {reason}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Gate, Permit, Situation};

    #[test]
    fn the_reason_says_what_is_waited_for() {
        assert_eq!(Gate::parse("needs root: mounts a tmpfs"), Gate::Root);
        assert_eq!(Gate::parse("soak: 100 kills"), Gate::Soak);
        let postgres = Gate::Service("postgres".to_owned());
        assert_eq!(Gate::parse("needs postgres: set KAIREON_TEST_PG_URL"), postgres);
        assert_eq!(Gate::parse("postgres: set KAIREON_TEST_PG_URL"), postgres);
        assert_eq!(Gate::parse("flaky"), Gate::Unknown("flaky".to_owned()));
        assert_eq!(
            Gate::parse("to do later: x"),
            Gate::Unknown("to do later: x".to_owned())
        );
        assert_eq!(Gate::parse(""), Gate::Unknown(String::new()));
    }

    #[test]
    fn a_gate_opens_when_its_condition_holds() {
        let nothing = Situation::default();
        let all = Situation {
            root: true,
            soak: true,
            services: ["postgres".to_owned()].into(),
        };
        for gate in [Gate::Root, Gate::Soak, Gate::Service("postgres".to_owned())] {
            assert_eq!(gate.permit(&all), Permit::Run, "{gate:?}");
        }
        for gate in [Gate::Root, Gate::Soak] {
            assert!(matches!(gate.permit(&nothing), Permit::Skip(_)), "{gate:?}");
        }
    }

    #[test]
    fn a_service_test_that_stays_ignored_is_a_fault_and_so_is_an_unknown_reason() {
        let nothing = Situation::default();
        for gate in [
            Gate::Service("redis".to_owned()),
            Gate::Unknown("flaky".to_owned()),
            Gate::Unknown(String::new()),
        ] {
            assert!(matches!(gate.permit(&nothing), Permit::Refuse(_)), "{gate:?}");
        }
    }
}
