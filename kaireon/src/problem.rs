//! What is wrong with a configuration: all of it at once.

use std::fmt;

use kaireon_core::{Error, ErrorKind};

/// One thing that is wrong, and where. It never shows the value of a variable that may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The variable (`INTERACTION_STORE`), or the call of the builder (`register_store`).
    pub place: String,
    /// What is wrong with it, and what would be right.
    pub what: String,
}

impl Problem {
    pub(crate) fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Everything that is wrong with a configuration; the source of the `Config` error that tells of it.
///
/// ```
/// use std::error::Error as _;
/// use kaireon::{Config, Infra, Problems};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let config = Config::from_vars([("INTERACTION_STORE", "mysql"), ("SEARCH_INDEX", "solr")]);
/// let error = Infra::builder().config(config).build().await.unwrap_err();
/// let problems = error.source().and_then(|source| source.downcast_ref::<Problems>()).unwrap();
/// assert_eq!(problems.iter().count(), 2);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `Ok` where there is nothing wrong.
    pub(crate) fn check(problems: Vec<Problem>) -> Result<(), Error> {
        let Some(first) = problems.first() else {
            return Ok(());
        };
        let place = first.place.clone();
        let problems = Self(problems);
        Err(Error::new(ErrorKind::Config, problems.to_string())
            .with_operation("configure")
            .with_field(place)
            .with_source(problems))
    }

    /// Each problem.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} problem{}", if count == 1 { "" } else { "s" })?;
        for (at, problem) in self.0.iter().enumerate() {
            write!(f, "{} {problem}", if at == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
