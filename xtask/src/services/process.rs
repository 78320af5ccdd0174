//! Processes that other runs of this command started, told apart from strangers with the same number.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::failure::Result;

/// A process by its number and the moment it started, so that a number used again is not mistaken for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) started: String,
}

impl Process {
    /// The process that has this number now.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        started(pid).map(|started| Self { pid, started })
    }

    /// Whether it still runs; one that ended and was not waited for does not.
    pub(crate) fn is_alive(&self) -> bool {
        started(self.pid).is_some_and(|started| started == self.started)
    }

    fn signal(&self, target: &str, signal: &str) {
        // The shell's own `kill`: the program of that name is not on every machine.
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -s \"$1\" -- \"$2\"", "sh", signal, target]);
        // It may end between the look and the signal, which is as well.
        let _ = crate::process::capture(&mut kill);
    }
}

/// Ends them: SIGTERM, ten seconds, SIGKILL to each one's whole group.
pub(crate) fn end(processes: &[Process]) -> Result<()> {
    end_by("TERM", processes)
}

/// The same with another polite signal, for a server that means something else by SIGTERM.
pub(crate) fn end_by(signal: &str, processes: &[Process]) -> Result<()> {
    end_within(processes, signal, Duration::from_secs(10))
}

fn end_within(processes: &[Process], signal: &str, patience: Duration) -> Result<()> {
    let alive = |process: &&Process| process.is_alive();
    for process in processes.iter().filter(alive) {
        process.signal(&process.pid.to_string(), signal);
    }
    if wait_until(patience, || !processes.iter().any(Process::is_alive)) {
        return Ok(());
    }
    for process in processes.iter().filter(alive) {
        process.signal(&format!("-{}", process.pid), "KILL");
    }
    if wait_until(Duration::from_secs(5), || {
        !processes.iter().any(Process::is_alive)
    }) {
        return Ok(());
    }
    let left = processes
        .iter()
        .filter(alive)
        .map(|process| process.pid.to_string());
    Err(format!(
        "still running after SIGKILL: {}",
        left.collect::<Vec<_>>().join(", ")
    )
    .into())
}

/// Asks again until it is so or the time is up.
pub(crate) fn wait_until(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if is_so() {
            return true;
        }
        if start.elapsed() >= patience {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// When the process with this number started, in whatever unit the system tells it.
fn started(pid: u32) -> Option<String> {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => linux_start(&stat),
        Err(_) if std::path::Path::new("/proc/self/stat").exists() => None,
        Err(_) => posix_start(pid),
    }
}

/// Field 22 of `/proc/PID/stat`, unless field 3 says that only the entry is left.
fn linux_start(stat: &str) -> Option<String> {
    // The name in field 2 may hold blanks and brackets itself.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

fn posix_start(pid: u32) -> Option<String> {
    let mut ps = Command::new("ps");
    ps.args(["-o", "stat=,lstart=", "-p", &pid.to_string()]);
    let line = crate::process::stdout_of(&mut ps).ok()?;
    let (state, started) = line.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::{Process, end, end_within, linux_start, wait_until};

    #[test]
    fn the_start_is_read_past_a_name_with_brackets() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4242 1 2 3";
        assert_eq!(linux_start(stat).as_deref(), Some("4242"));
        assert_eq!(linux_start(&stat.replace(" S ", " Z ")), None);
    }

    #[test]
    fn a_process_is_ended_and_a_stranger_with_its_number_is_left_alone() {
        let mut child = Command::new("sleep").arg("300").spawn().unwrap();
        let known = Process::of(child.id()).unwrap();
        let stranger = Process {
            pid: known.pid,
            started: "another time".to_owned(),
        };
        assert!(!stranger.is_alive());
        end(&[stranger]).unwrap();
        assert!(known.is_alive());
        end(std::slice::from_ref(&known)).unwrap();
        assert!(!known.is_alive());
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_ignores_the_polite_signal_is_killed_with_its_group() {
        let mut stubborn = Command::new("sh");
        stubborn
            .args(["-c", "trap '' TERM; echo deaf; sleep 300"])
            .process_group(0)
            .stdout(Stdio::piped());
        let mut child = stubborn.spawn().unwrap();
        let mut word = [0; 4];
        child.stdout.take().unwrap().read_exact(&mut word).unwrap();
        let known = Process::of(child.id()).unwrap();
        end_within(std::slice::from_ref(&known), "TERM", Duration::from_millis(100)).unwrap();
        assert!(!known.is_alive());
        child.wait().unwrap();
    }

    #[test]
    fn waiting_ends_when_it_is_so_or_when_the_time_is_up() {
        let mut asked = 0;
        assert!(wait_until(Duration::from_secs(60), || {
            asked += 1;
            asked == 2
        }));
        assert!(!wait_until(Duration::ZERO, || false));
    }
}
