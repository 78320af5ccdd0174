//! What ran, what did not, and whether that is what was promised.

use std::process::Command;
use std::time::{Duration, Instant};

use super::binary::Binary;
use super::gate::{Permit, Situation};
use super::output::{Counts, Failures, listed, result_line};
use crate::failure::{Context, Result};
use crate::process;
use crate::table;
use crate::workspace::Workspace;

/// How long a test binary may say nothing: several times what the longest single test takes on a busy machine. One that
/// hangs is a failure of its own, and the rest of the run is worth having.
const SILENCE: Duration = Duration::from_secs(15 * 60);

/// The sums of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: Counts,
    expected: u64,
    skipped: Vec<String>,
    faults: Vec<String>,
    /// How long each suite took.
    times: Vec<(String, Duration)>,
}

impl Tally {
    /// Notes what makes the run fail besides a failed test.
    pub(crate) fn fault(&mut self, what: String) {
        self.faults.push(what);
    }

    /// Runs a binary's plain tests, then the ignored ones whose condition holds.
    pub(crate) fn run_binary(
        &mut self,
        binary: &Binary,
        situation: &Situation,
        filter: Option<&str>,
        environment: &[(String, String)],
    ) -> Result<()> {
        let label = binary.label();
        let command = || {
            let mut command = binary.command();
            command.envs(environment.iter().map(|(name, value)| (name, value)));
            command
        };
        let Some(contents) = binary.contents(filter)? else {
            return self.run_program(&label, &mut command());
        };
        let mut granted = Vec::new();
        for (name, gate) in contents.ignored {
            match gate.permit(situation) {
                Permit::Run => granted.push(name),
                Permit::Skip(why) => self.skipped.push(format!("{label} {name}: {why}")),
                Permit::Refuse(why) => self.fault(format!("{label} {name} {why}")),
            }
        }
        if contents.plain > 0 {
            println!("\n     {label}");
            self.run_tests(&label, command().args(filter), contents.plain)?;
        }
        if !granted.is_empty() {
            println!("\n     {label}, ignored tests whose condition holds");
            let count = granted.len() as u64;
            self.run_tests(
                &label,
                command().args(["--ignored", "--exact"]).args(&granted),
                count,
            )?;
        }
        Ok(())
    }

    fn run_tests(&mut self, label: &str, command: &mut Command, expected: u64) -> Result<()> {
        let (counts, succeeded) = self.followed(label, command)?;
        self.check(label, counts, expected, succeeded);
        Ok(())
    }

    /// A test target with a main function of its own is one case, judged by how it ends.
    fn run_program(&mut self, label: &str, command: &mut Command) -> Result<()> {
        println!("\n     {label}");
        let (_, succeeded) = self.followed(label, command)?;
        let counts = Counts {
            passed: u64::from(succeeded),
            failed: u64::from(!succeeded),
            ignored: 0,
        };
        self.check(label, counts, 1, succeeded);
        Ok(())
    }

    /// Runs the examples in the documentation, which have no binary to ask.
    pub(crate) fn run_doc_tests(&mut self, workspace: &Workspace, filter: Option<&str>) -> Result<()> {
        let doc = || workspace.cargo(["test", "--workspace", "--all-features", "--doc", "--no-fail-fast"]);
        println!();
        let list = process::stdout_of(doc().args(["--quiet", "--", "--list"]).args(filter))?;
        let expected = listed(&list).map_or(0, |names| names.len() as u64);
        let label = "doc tests";
        let (counts, succeeded) = self.followed(label, doc().arg("--").args(filter))?;
        self.check(label, counts, expected.saturating_sub(counts.ignored), succeeded);
        if counts.ignored > 0 {
            self.fault(format!(
                "{} doc tests are ignored; an example runs or is `no_run`",
                counts.ignored
            ));
        }
        Ok(())
    }

    fn followed(&mut self, label: &str, command: &mut Command) -> Result<(Counts, bool)> {
        let began = Instant::now();
        let (mut counts, mut failures) = (Counts::default(), Failures::default());
        let status = process::follow_while_it_speaks(command, Some(SILENCE), |line| {
            failures.read(line);
            if let Some(result) = result_line(line) {
                counts.add(result);
            }
        });
        self.times.push((label.to_owned(), began.elapsed()));
        // Again at the end, where whoever looks at a long run looks first.
        for failed in failures.told() {
            self.fault(format!("{label}: {failed}"));
        }
        Ok((counts, status.context("a test run")?.success()))
    }

    fn check(&mut self, label: &str, counts: Counts, expected: u64, succeeded: bool) {
        self.counts.add(counts);
        self.expected += expected;
        if counts.ran() < expected {
            self.fault(format!(
                "{label}: {} of the {expected} listed cases ran",
                counts.ran()
            ));
        }
        if counts.failed > 0 {
            self.fault(format!("{label}: {} failed", counts.failed));
        } else if !succeeded {
            self.fault(format!("{label}: no test failed, but the process did"));
        }
    }

    /// Prints what was skipped and what was wrong, then the sum on the last line.
    pub(crate) fn conclude(mut self) -> Result<()> {
        println!();
        let rows = self.times.iter();
        let rows: Vec<_> = rows
            .map(|(label, time)| [label.clone(), format!("{:.1} s", time.as_secs_f64())])
            .collect();
        println!("{}", table::layout(["suite", "time"], &rows));
        for skipped in &self.skipped {
            println!("skipped: {skipped}");
        }
        if self.expected == 0 {
            self.fault("no test was found".to_owned());
        }
        for fault in &self.faults {
            println!("FAULT: {fault}");
        }
        println!("\n{} passed, {} failed", self.counts.passed, self.counts.failed);
        match self.faults.len() {
            0 => Ok(()),
            1 => Err(self.faults.swap_remove(0).into()),
            count => Err(format!("{count} faults, see above").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Tally};

    fn concluded(counts: Counts, expected: u64, succeeded: bool) -> Result<(), String> {
        let mut tally = Tally::default();
        tally.check("crate", counts, expected, succeeded);
        tally.conclude().map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_run_is_good_when_every_listed_case_passed() {
        assert!(
            concluded(
                Counts {
                    passed: 3,
                    failed: 0,
                    ignored: 1
                },
                3,
                true
            )
            .is_ok()
        );
    }

    #[test]
    fn fewer_cases_than_listed_a_failure_a_dead_process_and_an_empty_run_are_faults() {
        let passed = |passed| Counts {
            passed,
            ..Counts::default()
        };
        assert!(
            concluded(passed(2), 3, true)
                .unwrap_err()
                .contains("2 of the 3 listed")
        );
        assert!(
            concluded(passed(3), 3, false)
                .unwrap_err()
                .contains("the process did")
        );
        assert!(
            concluded(
                Counts {
                    passed: 2,
                    failed: 1,
                    ignored: 0
                },
                3,
                false
            )
            .unwrap_err()
            .contains("1 failed")
        );
        assert!(
            concluded(passed(0), 0, true)
                .unwrap_err()
                .contains("no test was found")
        );
    }
}
