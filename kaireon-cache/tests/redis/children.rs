//! Several processes at once: the test's own binary, which finds by a variable that it is a child.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

const READY: &str = "ready";

/// What a child says last.
pub(crate) const DONE: &str = "done";

/// Called in a child: says that it is ready, and waits until all are.
pub(crate) fn go() {
    println!("\n{READY}");
    std::io::stdin().lines().next().unwrap().unwrap();
}

/// Runs a test in so many children at once, with these variables; returns what each said between [`go`] and [`DONE`].
pub(crate) fn together(count: usize, test: &str, variables: &[(&str, &str)]) -> Vec<Vec<String>> {
    let mut children: Vec<_> = (0..count).map(|_| child(test, variables)).collect();
    for (child, _) in &mut children {
        writeln!(child.stdin.as_mut().unwrap(), "go").unwrap();
    }
    let said = children.into_iter().map(|(mut child, mut output)| {
        let said = until(&mut output, DONE);
        assert!(child.wait().unwrap().success());
        said
    });
    said.collect()
}

fn child(test: &str, variables: &[(&str, &str)]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--include-ignored"])
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    until(&mut output, READY);
    (child, output)
}

/// Reads up to this line and returns those before it.
fn until(output: &mut BufReader<ChildStdout>, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        assert!(
            output.read_line(&mut line).unwrap() > 0,
            "the child ended: {lines:?}"
        );
        match line.trim_end() {
            line if line == last => return lines,
            line => lines.push(line.to_owned()),
        }
    }
}
