//! Reading what libtest prints.

use std::collections::BTreeMap;

/// The sums of a binary's result lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Counts {
    pub(crate) fn ran(self) -> u64 {
        self.passed + self.failed
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.1s`.
pub(crate) fn result_line(line: &str) -> Option<Counts> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut read = Counts::default();
    for part in counts.split(';') {
        match part.trim().split_once(' ') {
            Some((number, "passed")) => read.passed = number.parse().ok()?,
            Some((number, "failed")) => read.failed = number.parse().ok()?,
            Some((number, "ignored")) => read.ignored = number.parse().ok()?,
            _ => {}
        }
    }
    Some(read)
}

/// What failed, read line by line, with the first line of what it panicked with last: a test may catch others.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    names: Vec<String>,
    panics: BTreeMap<String, String>,
    /// The test whose panic's message is on the next line.
    panicking: Option<String>,
}

impl Failures {
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(test) = self.panicking.take() {
            let message: String = line.chars().take(MOST_OF_A_MESSAGE).collect();
            self.panics.insert(test, message);
        } else if let Some((name, "FAILED")) = line
            .strip_prefix("test ")
            .and_then(|test| test.rsplit_once(" ... "))
        {
            self.names.push(name.to_owned());
        } else if let Some((name, rest)) = line
            .strip_prefix("thread '")
            .and_then(|thread| thread.split_once('\''))
            && rest.contains(" panicked at ")
        {
            self.panicking = Some(name.to_owned());
        }
    }

    /// A line of each.
    pub(crate) fn told(&self) -> impl Iterator<Item = String> {
        self.names.iter().map(|name| match self.panics.get(name) {
            Some(message) => format!("{name}: {message}"),
            None => name.clone(),
        })
    }
}

/// So many characters of a panic's message tell what it is about.
const MOST_OF_A_MESSAGE: usize = 300;

/// The names in what `--list` prints, or nothing where that is not libtest's form.
pub(crate) fn listed(stdout: &str) -> Option<Vec<String>> {
    let names = stdout.lines().filter_map(|line| line.strip_suffix(": test"));
    let summary = |line: &str| line.contains(" tests, ") || line.contains(" test, ");
    stdout
        .lines()
        .any(summary)
        .then(|| names.map(str::to_owned).collect())
}

/// The reasons of a run in which every test stays ignored, by test; empty where a test gives none.
pub(crate) fn reasons(stdout: &str) -> BTreeMap<String, String> {
    let ignored = stdout.lines().filter_map(|line| {
        let (name, verdict) = line.strip_prefix("test ")?.split_once(" ... ")?;
        let reason = verdict.strip_prefix("ignored")?;
        Some((
            name.to_owned(),
            reason.strip_prefix(", ").unwrap_or_default().to_owned(),
        ))
    });
    ignored.collect()
}

#[cfg(test)]
mod tests {
    use super::{Counts, Failures, listed, reasons, result_line};

    #[test]
    fn a_result_line_gives_its_counts() {
        let line = "test result: FAILED. 12 passed; 3 failed; 4 ignored; 0 measured; 5 filtered out; finished in 0.00s";
        assert_eq!(
            result_line(line),
            Some(Counts {
                passed: 12,
                failed: 3,
                ignored: 4
            })
        );
        assert_eq!(result_line("test a ... ok"), None);
    }

    #[test]
    fn what_failed_is_told_with_its_panic() {
        let run = "test a::b ... FAILED\ntest c ... ok\ntest d - e (line 3) ... FAILED\n\
                   thread 'a::b' (7) panicked at src/a.rs:1:2:\nassertion failed\nnote: more\n\
                   thread 'a::b' (7) panicked at src/a.rs:3:4:\nlater\nthread 'other' panicked at x:\nmessage\n";
        let mut failures = Failures::default();
        run.lines().for_each(|line| failures.read(line));
        assert_eq!(
            failures.told().collect::<Vec<_>>(),
            ["a::b: later", "d - e (line 3)"]
        );
    }

    #[test]
    fn a_list_gives_the_names_and_a_program_that_is_not_libtest_gives_none() {
        let list = "store::a: test\nstore::b: test\nspeed: benchmark\n\n2 tests, 1 benchmark\n";
        assert_eq!(listed(list).unwrap(), ["store::a", "store::b"]);
        assert_eq!(listed("0 tests, 0 benchmarks\n"), Some(vec![]));
        assert_eq!(listed("hello\n"), None);
    }

    #[test]
    fn reasons_are_read_per_test() {
        let run = "\nrunning 2 tests\ntest a::b ... ignored, needs root: mounts, twice\ntest c ... ignored\n\n\
                   test result: ok. 0 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let reasons = reasons(run);
        assert_eq!(reasons["a::b"], "needs root: mounts, twice");
        assert_eq!(reasons["c"], "");
        assert_eq!(reasons.len(), 2);
    }
}
