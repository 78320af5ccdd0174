//! The command line.

use std::path::PathBuf;

/// What may be asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Args {
    /// Where the store lies.
    pub(crate) data_dir: Option<PathBuf>,
    /// Where to write the counts, for programs.
    pub(crate) json: Option<PathBuf>,
}

const USAGE: &str = "usage: quickstart [--data-dir DIR] [--json FILE]\n\
    The store lies in --data-dir, else in KAIREON_DATA_DIR, else in data/quickstart.";

impl Args {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self::default();
        let mut words = words;
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let target = match name.as_str() {
                "--data-dir" => &mut args.data_dir,
                "--json" => &mut args.json,
                _ => return Err(format!("unknown argument {name}\n{USAGE}")),
            };
            let value = value.or_else(|| words.next());
            let value = value
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            *target = Some(PathBuf::from(value));
        }
        Ok(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Args, String> {
        Args::parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn both_spellings_are_taken() {
        let args = parse(&["--data-dir", "a", "--json=b"]).unwrap();
        assert_eq!(
            args,
            Args {
                data_dir: Some("a".into()),
                json: Some("b".into())
            }
        );
    }

    #[test]
    fn what_is_unknown_or_lacks_a_value_is_refused() {
        for wrong in [&["--data"][..], &["--json"], &["--json="], &["x"]] {
            assert!(parse(wrong).unwrap_err().contains("usage"), "{wrong:?}");
        }
    }
}
