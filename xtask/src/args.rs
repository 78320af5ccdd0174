//! The words after `cargo xtask`: a few flags and names, not worth a parser's build time.

use crate::failure::Result;

/// The words not yet taken.
#[derive(Debug)]
pub(crate) struct Args(Vec<String>);

impl Args {
    pub(crate) fn from_process() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    #[cfg(test)]
    pub(crate) fn of(words: &[&str]) -> Self {
        Self(words.iter().map(|&word| word.to_owned()).collect())
    }

    /// Takes the first word, whatever it is.
    pub(crate) fn next_word(&mut self) -> Option<String> {
        if self.0.is_empty() {
            None
        } else {
            Some(self.0.remove(0))
        }
    }

    /// Takes `name` wherever it stands and says whether it did.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|word| word != name);
        self.0.len() != before
    }

    /// Takes `name VALUE` or `name=VALUE`.
    pub(crate) fn option(&mut self, name: &str) -> Result<Option<String>> {
        let mut values = self.values(name, 1)?;
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(format!("{name} is given more than once").into()),
        }
    }

    /// Takes `name VALUE…` up to the next flag; each value may itself be a list with commas.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<String>> {
        let values = self.values(name, usize::MAX)?;
        Ok(values
            .iter()
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect())
    }

    fn values(&mut self, name: &str, most: usize) -> Result<Vec<String>> {
        let mut values = Vec::new();
        let mut rest = Vec::new();
        let mut words = std::mem::take(&mut self.0).into_iter().peekable();
        while let Some(word) = words.next() {
            if let Some(value) = word.strip_prefix(name).and_then(|tail| tail.strip_prefix('=')) {
                values.push(value.to_owned());
            } else if word == name {
                let before = values.len();
                while values.len() - before < most
                    && let Some(value) = words.next_if(|next| !next.starts_with("--"))
                {
                    values.push(value);
                }
                if values.len() == before {
                    return Err(format!("{name} needs a value").into());
                }
            } else {
                rest.push(word);
            }
        }
        self.0 = rest;
        Ok(values)
    }

    /// The names that are left; an unknown flag among them is an error.
    pub(crate) fn names(self) -> Result<Vec<String>> {
        match self.0.iter().find(|word| word.starts_with('-')) {
            Some(flag) => Err(format!("there is no option {flag}").into()),
            None => Ok(self.0),
        }
    }

    /// The one name that may be left.
    pub(crate) fn name(self) -> Result<Option<String>> {
        let mut names = self.names()?;
        match names.len() {
            0 | 1 => Ok(names.pop()),
            _ => Err(format!("one name at most, not {}", names.join(" ")).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Args;

    #[test]
    fn options_are_taken_wherever_they_stand() {
        let mut args = Args::of(&["--only", "a.b", "c.d,e.f", "--smoke", "--json=out"]);
        assert!(args.flag("--smoke"));
        assert_eq!(args.option("--json").unwrap().as_deref(), Some("out"));
        assert_eq!(args.list("--only").unwrap(), ["a.b", "c.d", "e.f"]);
        assert!(args.names().unwrap().is_empty());
    }

    #[test]
    fn an_option_of_one_value_leaves_the_next_word() {
        let mut args = Args::of(&["--json", "out", "name"]);
        assert_eq!(args.option("--json").unwrap().as_deref(), Some("out"));
        assert_eq!(args.name().unwrap().as_deref(), Some("name"));
    }

    #[test]
    fn what_is_unknown_or_incomplete_is_refused() {
        assert!(Args::of(&["--json"]).option("--json").is_err());
        assert!(Args::of(&["--json", "--smoke"]).option("--json").is_err());
        assert!(Args::of(&["--jsn", "x"]).names().is_err());
        assert!(Args::of(&["a", "b"]).name().is_err());
    }
}
