//! Child processes: shown before they run, without standard input, and judged by how they end.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::failure::{Context, Result};

/// How long what is still to come through the pipe of a child that has ended is waited for.
const STRAGGLERS: Duration = Duration::from_secs(10);

/// What a child left behind.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The command as a person would type it: what is set for it, except passwords, then its words.
pub(crate) fn shown(command: &Command) -> String {
    let mut words: Vec<String> = Vec::new();
    for (name, value) in command.get_envs() {
        // Which cargo started this one is of no use to who repeats it.
        if let Some(value) = value.filter(|_| name != "CARGO") {
            let value = without_password(&value.to_string_lossy());
            words.push(format!(
                "{}={}",
                name.to_string_lossy(),
                quoted(OsStr::new(&value))
            ));
        }
    }
    words.push(quoted(command.get_program()));
    words.extend(command.get_args().map(quoted));
    words.join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn announce(command: &Command) {
    println!("$ {}", cut(shown(command)));
    // A child writes past this process's buffer; what was said first is to be seen first.
    let _ = std::io::stdout().flush();
}

/// The hundreds of names that one test binary may be asked for are printed by it again.
fn cut(shown: String) -> String {
    const MOST: usize = 800;
    if shown.chars().count() <= MOST {
        return shown;
    }
    shown.chars().take(MOST).chain(" …".chars()).collect()
}

fn ended_well(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        Ok(())
    } else {
        Err(format!("{status}: {}", shown(command)).into())
    }
}

/// Runs it with its output on the terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.stdin(Stdio::null()).status().context(shown(command))?;
    ended_well(command, status)
}

/// Runs it with its output on the terminal, and kills it when it takes longer than `limit`.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    announce(command);
    let mut child = command.stdin(Stdio::null()).spawn().context(shown(command))?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().context(shown(command))? {
            return ended_well(command, status);
        }
        if start.elapsed() >= limit {
            // It may have ended meanwhile; it is waited for in either case.
            let _ = child.kill();
            child.wait().context(shown(command))?;
            return Err(format!("not done after {limit:?}: {}", shown(command)).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs it silently and returns what it wrote to standard output.
pub(crate) fn stdout_of(command: &mut Command) -> Result<String> {
    let captured = capture(command)?;
    if !captured.status.success() {
        return Err(format!("{}: {}\n{}", captured.status, shown(command), captured.stderr).into());
    }
    Ok(captured.stdout)
}

/// Runs it silently with `input` on its standard input, and returns what it wrote to standard output.
pub(crate) fn answer_to(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context(shown(command))?;
    let mut stdin = child
        .stdin
        .take()
        .context("a piped child has no standard input")?;
    // Short enough for the pipe; a child that ends without reading it tells why by its own output.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().context(shown(command))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}\n{errors}", output.status, shown(command)).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs it silently and returns everything.
pub(crate) fn capture(command: &mut Command) -> Result<Captured> {
    let output = command.stdin(Stdio::null()).output().context(shown(command))?;
    Ok(Captured {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs it with its output on the terminal and hands each line of standard output to `line`.
pub(crate) fn follow(command: &mut Command, line: impl FnMut(&str)) -> Result<ExitStatus> {
    follow_while_it_speaks(command, None, line)
}

/// As [`follow`], and kills it when it has said nothing for as long as `silence`: what hangs is to be named by its own
/// run, and to take no later one with it.
pub(crate) fn follow_while_it_speaks(
    command: &mut Command,
    silence: Option<Duration>,
    mut line: impl FnMut(&str),
) -> Result<ExitStatus> {
    announce(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context(shown(command))?;
    let pipe = child
        .stdout
        .take()
        .context("a piped child has no standard output")?;
    let (said, heard) = mpsc::channel();
    // Not joined: it ends with the pipe, which somebody else may hold open.
    std::thread::spawn(move || each_line(pipe, |text| said.send(text.to_owned()).is_ok()));
    let mut last = Instant::now();
    let mut ended = None;
    loop {
        match heard.recv_timeout(Duration::from_millis(200)) {
            Ok(text) => {
                println!("{text}");
                line(&text);
                last = Instant::now();
                continue;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return child.wait().context(shown(command)),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if let Some(ended) = ended {
            if last.elapsed() >= STRAGGLERS {
                println!("it has ended, and something that it started still holds its output");
                return Ok(ended);
            }
        } else if let Some(status) = child.try_wait().context(shown(command))? {
            (ended, last) = (Some(status), Instant::now());
        } else if silence.is_some_and(|silence| last.elapsed() >= silence) {
            println!("it says nothing more; its threads: {}", threads(child.id()));
            // It may have ended meanwhile; it is waited for in either case.
            let _ = child.kill();
            child.wait().context(shown(command))?;
            return Err(format!(
                "killed after {:?} without a word: {}",
                last.elapsed(),
                shown(command)
            )
            .into());
        }
    }
}

/// The threads of a process where the system tells them: name, state, and processor time in clock ticks.
fn threads(process: u32) -> String {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten();
    let told = tasks.flatten().filter_map(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
        // The name, in brackets, may hold blanks and brackets itself; fields 14 and 15 are the times.
        let (name, fields) = stat.rsplit_once(')')?;
        let (_, name) = name.split_once('(')?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        Some(format!(
            "{name} {} {}+{}",
            fields.first()?,
            fields.get(11)?,
            fields.get(12)?
        ))
    });
    told.collect::<Vec<_>>().join(", ")
}

/// Hands on line by line until there are no more, or nobody wants them.
fn each_line(pipe: impl Read, mut line: impl FnMut(&str) -> bool) {
    let mut reader = BufReader::new(pipe);
    let mut bytes = Vec::new();
    // Not `lines()`: a test may print bytes that are not UTF-8, and its result still counts. A pipe that cannot be read
    // has ended.
    while reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
        if !line(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r'])) {
            return;
        }
        bytes.clear();
    }
}

/// Takes the password out of `scheme://user:password@host`.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority
        .rsplit_once('@')
        .and_then(|(user, host)| Some((user.split_once(':')?.0, host)))
    {
        Some((user, host)) => format!("{scheme}://{user}:***@{host}{}", &rest[authority.len()..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::{
        capture, each_line, follow, follow_while_it_speaks, run, run_within, shown, stdout_of,
        without_password,
    };

    #[test]
    fn a_command_is_shown_so_that_it_can_be_pasted() {
        let mut command = Command::new("cargo");
        command.args(["clippy", "--", "-D warnings", ""]).env("A", "it's");
        assert_eq!(shown(&command), r"A='it'\''s' cargo clippy -- '-D warnings' ''");
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(
            without_password("postgres://app:s3cret@127.0.0.1:1/db"),
            "postgres://app:***@127.0.0.1:1/db"
        );
        assert_eq!(without_password("redis://:p@ss@h"), "redis://:***@h");
        assert_eq!(without_password("http://user@h/p"), "http://user@h/p");
        assert_eq!(without_password("127.0.0.1:9092"), "127.0.0.1:9092");
    }

    #[test]
    fn a_child_that_fails_is_an_error_that_names_it() {
        let failure = run(Command::new("sh").args(["-c", "exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(
            failure.contains("exit status: 3") && failure.contains("sh -c"),
            "{failure}"
        );
        let failure = stdout_of(Command::new("sh").args(["-c", "echo why >&2; exit 1"])).unwrap_err();
        assert!(failure.to_string().contains("why"), "{failure}");
        assert!(capture(&mut Command::new("/no/such/program")).is_err());
    }

    #[test]
    fn a_child_that_takes_too_long_is_killed() {
        assert!(run_within(&mut Command::new("true"), Duration::from_secs(60)).is_ok());
        let failure = run_within(Command::new("sleep").arg("300"), Duration::from_millis(50)).unwrap_err();
        assert!(
            failure.to_string().contains("not done after 50ms: sleep 300"),
            "{failure}"
        );
    }

    #[test]
    fn lines_are_handed_on_whatever_their_bytes() {
        let mut lines = Vec::new();
        each_line(&b"a\r\n\xff\nlast"[..], |line| {
            lines.push(line.to_owned());
            true
        });
        assert_eq!(lines, ["a", "\u{fffd}", "last"]);
        let mut seen = Vec::new();
        let status = follow(Command::new("echo").arg("x y"), |line| seen.push(line.to_owned())).unwrap();
        assert!(status.success());
        assert_eq!(seen, ["x y"]);
    }

    #[test]
    fn a_child_that_says_nothing_more_is_killed_and_one_that_speaks_is_not() {
        let silence = Some(Duration::from_secs(2));
        let mut seen = Vec::new();
        let mut stuck = Command::new("sh");
        stuck.args(["-c", "echo begun; exec sleep 300"]);
        let failure =
            follow_while_it_speaks(&mut stuck, silence, |line| seen.push(line.to_owned())).unwrap_err();
        assert!(failure.to_string().contains("without a word: sh -c"), "{failure}");
        let mut slow = Command::new("sh");
        slow.args(["-c", "for n in 1 2 3 4 5 6; do echo $n; sleep 0.5; done"]);
        let status = follow_while_it_speaks(&mut slow, silence, |line| seen.push(line.to_owned()));
        assert!(status.unwrap().success());
        assert_eq!(seen, ["begun", "1", "2", "3", "4", "5", "6"]);
    }

    #[test]
    fn who_holds_the_output_of_a_child_that_has_ended_is_not_waited_for() {
        let mut parent = Command::new("sh");
        parent.args(["-c", "sleep 300 & echo $!; exit 7"]);
        let mut left = String::new();
        let status = follow(&mut parent, |line| left = line.to_owned()).unwrap();
        assert_eq!(status.code(), Some(7));
        run(Command::new("kill").arg(&left)).unwrap();
    }
}
