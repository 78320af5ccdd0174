//! docs/migrate.md holds what the commands really print: each of its blocks is run, in order.
//!
//! `KAIREON_DOCS=write` puts what was printed in the place of what the page says; without it they are compared, with
//! times and sizes taken as equal.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::world::{Ran, Settings, World};

/// The units of what differs from run to run.
const UNITS: [&str; 8] = ["ms", "s", "m", "h", "d", "µs", "KiB", "MiB"];

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/migrate.md")
}

/// What a page is run as.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    /// Text, and blocks of other languages.
    Text(&'a str),
    /// `<!-- host records 10 -->`: a host serves, and records so many interactions.
    Records(&'a str, u32),
    /// `<!-- runs kaireon … -->`: a command whose answer is not shown.
    Unseen(&'a str, &'a str),
    /// A line that begins with `$ ` in a block of the console, and what it prints.
    Command(&'a str, Vec<&'a str>),
}

fn parts(page: &str) -> Vec<Part<'_>> {
    let (mut parts, mut console) = (Vec::new(), false);
    for line in page.lines() {
        match line {
            "```console" => {
                console = true;
                parts.push(Part::Text(line));
            }
            "```" if console => {
                console = false;
                parts.push(Part::Text(line));
            }
            _ if console => match (line.strip_prefix("$ "), parts.last_mut()) {
                (Some(command), _) => parts.push(Part::Command(command, Vec::new())),
                (None, Some(Part::Command(_, output))) => output.push(line),
                (None, _) => panic!("a block begins with what no command prints: {line}"),
            },
            _ => {
                let note = line
                    .strip_prefix("<!-- ")
                    .and_then(|rest| rest.strip_suffix(" -->"));
                let note = note.map(|note| (note.strip_prefix("host records "), note.strip_prefix("runs ")));
                parts.push(match note {
                    Some((Some(count), _)) => Part::Records(line, count.parse().unwrap()),
                    Some((_, Some(command))) => Part::Unseen(line, command),
                    _ => Part::Text(line),
                });
            }
        }
    }
    parts
}

/// A line as it is compared: lengths of time and sizes are one thing, and so are moments.
fn comparable(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut rest = line.split_whitespace().peekable();
    while let Some(word) = rest.next() {
        let number = word.bytes().all(|byte| byte.is_ascii_digit());
        if number && rest.clone().take(2).eq(["a", "second"]) {
            words.push("<rate>".to_owned());
            continue;
        }
        // What is measured is a version of its own, and is measured as often as time allows.
        if words == ["setting", "version"] {
            let behind = word.trim_start_matches(|c: char| c.is_ascii_digit());
            words.push(format!("<count>{behind}"));
            continue;
        }
        let unit = rest
            .peek()
            .map(|next| next.trim_end_matches([',', ':', ';', '.', ')']));
        if number && unit.is_some_and(|unit| UNITS.contains(&unit)) {
            let behind = rest.next().unwrap_or_default();
            let behind = &behind[unit.unwrap_or_default().len()..];
            if words.last().is_some_and(|last| last == "<measure>") {
                words.pop();
            }
            words.push(format!("<measure>{behind}"));
            continue;
        }
        words.push(without_moments(word));
    }
    words.join(" ")
}

fn without_moments(word: &str) -> String {
    const LIKE: &str = "0000-00-00T00:00:00Z";
    let zeros = |text: &str| {
        let digit = |c: char| if c.is_ascii_digit() { '0' } else { c };
        text.chars().map(digit).collect::<String>()
    };
    match zeros(word).find(LIKE) {
        Some(at) if word.is_ascii() => {
            format!("{}<time>{}", &word[..at], &word[at + LIKE.len()..])
        }
        _ => word.to_owned(),
    }
}

struct Shell<'a> {
    world: &'a World,
    last: i32,
}

impl Shell<'_> {
    /// What a line of the page prints: its output, then what it tells on standard error.
    fn run(&mut self, line: &str) -> String {
        if line == "echo $?" {
            return format!("{}\n", self.last);
        }
        let bin = PathBuf::from(env!("CARGO_BIN_EXE_kaireon"));
        let bin = bin.parent().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).env_clear().envs(&self.world.vars);
        shell.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        let ran = Ran::of(shell.stdin(Stdio::null()).output().unwrap());
        self.last = ran.code.unwrap();
        ran.out + &ran.err
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn the_page_shows_what_the_commands_print() {
    let page = std::fs::read_to_string(path()).unwrap();
    let world = World::with_bare_server(Settings::Server).await;
    names_the_variables(&page, &world);
    let (mut shell, mut recorded) = (
        Shell {
            world: &world,
            last: 0,
        },
        0,
    );
    let (mut written, mut faults, mut commands) = (String::new(), Vec::new(), 0);
    for part in parts(&page) {
        match part {
            Part::Text(line) => written += &format!("{line}\n"),
            Part::Records(line, count) => {
                world.record(recorded..recorded + count).await;
                recorded += count;
                written += &format!("{line}\n");
            }
            Part::Unseen(line, command) => {
                let printed = shell.run(command);
                assert_eq!(shell.last, 0, "{command}: {printed}");
                written += &format!("{line}\n");
            }
            Part::Command(line, shown) => {
                commands += 1;
                let printed = shell.run(line);
                written += &format!("$ {line}\n{printed}");
                let of = |line: &str| comparable(line);
                let printed: Vec<String> = printed.lines().map(of).collect();
                let shown: Vec<String> = shown.iter().map(|line| comparable(line)).collect();
                if printed != shown {
                    faults.push(format!(
                        "$ {line}\nprints\n{}\nnot\n{}",
                        printed.join("\n"),
                        shown.join("\n")
                    ));
                }
            }
        }
    }
    assert!(commands > 15, "the page walks through a migration: {commands}");
    if std::env::var_os("KAIREON_DOCS").is_some_and(|value| value == "write") {
        std::fs::write(path(), written).unwrap();
    } else {
        assert!(
            faults.is_empty(),
            "run with KAIREON_DOCS=write:\n{}",
            faults.join("\n\n")
        );
    }
}

/// The page's variables are those that this was run with.
fn names_the_variables(page: &str, world: &World) {
    let mut named: Vec<&str> = (page.lines())
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
        .map(|(name, _)| name)
        .collect();
    named.sort_unstable();
    let used: Vec<&str> = world.vars.keys().map(String::as_str).collect();
    assert_eq!(named, used, "what the page exports");
}

/// The rows of the page's table of reports: a command, and the keys of its report.
fn shapes(page: &str) -> Vec<(&str, Vec<&str>)> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| report of `"));
    rows.map(|row| {
        let (command, rest) = row.split_once("` |").unwrap();
        (command, rest.split('`').skip(1).step_by(2).collect())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn the_page_names_the_keys_of_each_report() {
    let page = std::fs::read_to_string(path()).unwrap();
    let world = World::with_server(Settings::Folder).await;
    world.record(0..20).await;
    let mut seen = Vec::new();
    let start = super::path::START;
    for words in [
        &start[..],
        &["export"],
        &["migrate", "rehearse", "--on", "postgresql", "--times", "20000"],
        &["migrate", "throttle", "--rows-per-second", "off"],
        &["backfill"],
        &["migrate", "verify"],
        &["migrate", "cut-over"],
        &["migrate", "finalise", "--old-rows", "archive", "--force"],
        &["migrate", "status"],
        &["migrate", "advise", "--store", "embedded", "--over", "100ms"],
        &["tables"],
    ] {
        let mut words = words.to_vec();
        if !["advise", "tables"].iter().any(|about| words.contains(about)) {
            words.extend(["--tenant", "acme"]);
        }
        if ["start", "backfill", "verify", "cut-over", "finalise"]
            .iter()
            .any(|asked| words.contains(asked))
        {
            words.extend(["--reason", "CHG-1"]);
        }
        words.push("--json");
        let ran = world.run(&words).is(0);
        let name = ran.document()["command"].as_str().unwrap().to_owned();
        let Value::Object(report) = ran.report() else {
            panic!("{ran:?}");
        };
        seen.push((name, report.keys().cloned().collect::<Vec<_>>()));
    }
    seen.sort();
    let mut said: Vec<(String, Vec<String>)> = shapes(&page)
        .into_iter()
        .map(|(command, keys)| {
            let mut keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
            keys.sort();
            (command.to_owned(), keys)
        })
        .collect();
    said.sort();
    assert_eq!(said, seen);
}

#[test]
fn lines_are_compared_but_for_what_differs_from_run_to_run() {
    let same = |one: &str, other: &str| comparable(one) == comparable(other);
    assert!(same(
        "  at   2026-11-29T09:00:00Z, in 5 ms",
        "  at 2027-01-01T00:00:00Z, in 1 m 3 s"
    ));
    assert!(same("6 d 23 h", "7 d"));
    assert!(!same("60 rows", "61 rows"));
    assert!(same(
        "  setting  version 40, epoch 9",
        "  setting version 44, epoch 9"
    ));
    assert!(!same(
        "  setting  version 40, epoch 9",
        "  setting version 40, epoch 8"
    ));
    assert!(!same("postgresql: version 1", "postgresql: version 2"));
    assert!(!same("in 5 ms", "in 5 rows"));
    assert!(!same("at 2026-11-29", "at 2026-11-30"));
}

#[test]
fn a_page_is_read_in_order() {
    let page =
        "a\n<!-- host records 7 -->\n<!-- runs x -->\n```console\n$ x y\nout\n$ z\n```\n```sh\n$ no\n```\n";
    assert_eq!(
        parts(page),
        [
            Part::Text("a"),
            Part::Records("<!-- host records 7 -->", 7),
            Part::Unseen("<!-- runs x -->", "x"),
            Part::Text("```console"),
            Part::Command("x y", vec!["out"]),
            Part::Command("z", vec![]),
            Part::Text("```"),
            Part::Text("```sh"),
            Part::Text("$ no"),
            Part::Text("```"),
        ]
    );
}
