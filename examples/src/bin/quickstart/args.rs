//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

/// What `--help` prints, and what follows a wrong argument.
pub(crate) const USAGE: &str = "\
usage: quickstart [--data-dir DIR] [--json FILE]

  --data-dir DIR  where the embedded store lies: by default what KAIREON_DATA_DIR says, or data/quickstart
                  under the current directory
  --json FILE     where to write the counts, for programs";

/// Where the store lies when nothing is said, so that a second run finds what the first one wrote.
const DEFAULT_DATA_DIR: &str = "data/quickstart";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// `--help`.
    Help,
    /// The main job.
    Run(Args),
}

/// How the main job is to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    /// Where the embedded store lies.
    pub(crate) data_dir: PathBuf,
    /// Where to write the counts.
    pub(crate) json: Option<PathBuf>,
}

/// Reads the words behind the program's name. `environment` is the value of `KAIREON_DATA_DIR`, which a word overrules.
/// The error is a line for the user.
pub(crate) fn parse(
    words: impl IntoIterator<Item = OsString>,
    environment: Option<OsString>,
) -> Result<Request, String> {
    let (mut data_dir, mut json) = (None, None);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let target = match word.to_str() {
            Some("--help" | "-h") => return Ok(Request::Help),
            Some("--data-dir") => &mut data_dir,
            Some("--json") => &mut json,
            _ => return Err(format!("unknown argument {}", word.display())),
        };
        let value = words.next().filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| format!("{} needs a value", word.display()))?;
        if target.replace(PathBuf::from(value)).is_some() {
            return Err(format!("{} is given twice", word.display()));
        }
    }
    let environment = environment.filter(|value| !value.is_empty()).map(PathBuf::from);
    Ok(Request::Run(Args {
        data_dir: data_dir
            .or(environment)
            .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR)),
        json,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Request, String> {
        parse(words.iter().map(OsString::from), None)
    }

    #[test]
    fn the_environment_says_where_the_store_lies_unless_a_word_does() {
        let place = |words: &[&str], environment: &str| {
            let words = words.iter().map(OsString::from);
            match parse(words, Some(environment.into())).unwrap() {
                Request::Run(args) => args.data_dir,
                Request::Help => panic!("a run was expected"),
            }
        };
        assert_eq!(place(&[], "here"), PathBuf::from("here"));
        assert_eq!(place(&["--data-dir", "there"], "here"), PathBuf::from("there"));
        assert_eq!(place(&[], ""), PathBuf::from(DEFAULT_DATA_DIR));
    }

    #[test]
    fn without_words_the_store_lies_in_the_documented_place() {
        let Request::Run(args) = parsed(&[]).unwrap() else {
            panic!("a run was expected");
        };
        assert_eq!(args.data_dir, PathBuf::from("data/quickstart"));
        assert!(USAGE.contains(DEFAULT_DATA_DIR));
    }

    #[test]
    fn both_values_are_taken_in_any_order() {
        let args = Args {
            data_dir: "a".into(),
            json: Some("b".into()),
        };
        let wanted = Ok(Request::Run(args));
        assert_eq!(parsed(&["--json", "b", "--data-dir", "a"]), wanted);
        assert_eq!(parsed(&["--data-dir", "a", "--json", "b"]), wanted);
        assert_eq!(parsed(&["--json", "b", "--help"]), Ok(Request::Help));
    }

    #[test]
    fn what_is_unknown_twice_or_without_a_value_is_refused() {
        for (wrong, word) in [
            (&["--data"][..], "--data"),
            (&["x"], "x"),
            (&["--json"], "--json"),
            (&["--json", ""], "--json"),
            (&["--json", "a", "--json", "b"], "twice"),
        ] {
            assert!(parsed(wrong).unwrap_err().contains(word), "{wrong:?}");
        }
    }
}
