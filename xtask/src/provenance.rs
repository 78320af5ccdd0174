//! Where and on what a figure was taken.

use std::path::Path;
use std::process::Command;

use crate::failure::Result;
use crate::process;
use crate::workspace::Workspace;

/// The machine, the commit and the day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provenance {
    pub(crate) machine: String,
    pub(crate) commit: String,
    pub(crate) date: String,
}

impl Provenance {
    pub(crate) fn now(workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            machine: machine(&workspace.target),
            commit: commit(workspace)?,
            date: line_of(Command::new("date").args(["-u", "+%Y-%m-%d"]))?,
        })
    }
}

fn line_of(command: &mut Command) -> Result<String> {
    Ok(process::stdout_of(command)?.trim().to_owned())
}

fn commit(workspace: &Workspace) -> Result<String> {
    let mut head = Command::new("git");
    head.current_dir(&workspace.root)
        .args(["rev-parse", "--short=12", "HEAD"]);
    let head = line_of(&mut head)?;
    let mut changes = Command::new("git");
    // What the results themselves are written to is no change of what was measured.
    changes
        .current_dir(&workspace.root)
        .args(["status", "--porcelain", "--", ".", ":!docs"]);
    Ok(if line_of(&mut changes)?.is_empty() {
        head
    } else {
        format!("{head} with changes")
    })
}

/// CPU, cores, memory, kernel, and the disk that holds the folder that is measured on.
fn machine(folder: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kernel = line_of(Command::new("uname").arg("-sr")).unwrap_or_else(|_| "unknown kernel".to_owned());
    let mut df = Command::new("df");
    df.args(["-PT"]).arg(folder);
    let disk = process::stdout_of(&mut df).unwrap_or_default();
    format!(
        "{}, {cores} cores, {}, {kernel}, {}",
        cpu_model(&cpu).unwrap_or("unknown CPU"),
        memory_gib(&memory).map_or("unknown memory".to_owned(), |gib| format!("{gib:.0} GiB")),
        file_system(&disk).unwrap_or_else(|| "unknown disk".to_owned()),
    )
}

fn cpu_model(cpuinfo: &str) -> Option<&str> {
    cpuinfo
        .lines()
        .find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()))
}

fn memory_gib(meminfo: &str) -> Option<f64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / (1024.0 * 1024.0))
}

fn file_system(df: &str) -> Option<String> {
    let mut columns = df.lines().nth(1)?.split_whitespace();
    let device = columns.next()?;
    Some(format!("{} on {device}", columns.next()?))
}

#[cfg(test)]
mod tests {
    use super::{cpu_model, file_system, memory_gib};

    #[test]
    fn the_machine_is_read_from_what_the_kernel_says() {
        assert_eq!(
            cpu_model("processor : 0\nmodel name\t: A CPU @ 2GHz\n"),
            Some("A CPU @ 2GHz")
        );
        assert_eq!(
            memory_gib("MemTotal:       25165824 kB\nMemFree: 1 kB"),
            Some(24.0)
        );
        let df = "Filesystem Type 1024-blocks Used Available Capacity Mounted on\n/dev/vda ext4 1 2 3 4% /\n";
        assert_eq!(file_system(df).as_deref(), Some("ext4 on /dev/vda"));
        assert_eq!(file_system(""), None);
    }
}
