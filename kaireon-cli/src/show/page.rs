//! A title, fields below it, and what to do next.

use std::fmt::{Display, Write};

use kaireon::core::time::{Clock, SystemClock};

use super::moment;

/// What is shown of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) title: String,
    /// Whether it tells of a failure.
    pub(crate) is_failure: bool,
    fields: Vec<(&'static str, String)>,
    /// What else a ticket says: where the tenant stands.
    more: Vec<(&'static str, String)>,
    /// The command that comes next, or what is to be done.
    pub(crate) next: Option<String>,
}

impl Page {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// A line.
    pub(crate) fn field(&mut self, label: &'static str, value: impl Display) {
        self.fields.push((label, value.to_string()));
    }

    /// A line where there is something to say.
    pub(crate) fn maybe(&mut self, label: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.field(label, value);
        }
    }

    /// A line for each, labelled once.
    pub(crate) fn list(&mut self, label: &'static str, values: impl IntoIterator<Item = impl Display>) {
        for (at, value) in values.into_iter().enumerate() {
            self.field(if at == 0 { label } else { "" }, value);
        }
    }

    /// Adds to a ticket what another page says, and takes over what comes next.
    pub(crate) fn then(&mut self, other: Self) {
        self.more = other.fields;
        self.more.insert(0, ("now", other.title));
        self.next = other.next;
    }

    /// For a terminal.
    pub(crate) fn words(&self) -> String {
        let mut text = match self.is_failure {
            true => format!("kaireon: {}\n", self.title),
            false => format!("{}\n", self.title),
        };
        lines(&mut text, &self.fields);
        if let Some(next) = &self.next {
            lines(&mut text, &[("next", next.clone())]);
        }
        text
    }

    /// For a ticket: plain text that says by itself what it is about.
    pub(crate) fn ticket(&self, command: &str) -> String {
        let (at, version) = (moment(SystemClock.now()), env!("CARGO_PKG_VERSION"));
        let mut text = format!("kaireon {command}, {at}, kaireon {version}\n");
        let outcome = match self.is_failure {
            true => format!("not done: {}", self.title),
            false => self.title.clone(),
        };
        lines(&mut text, &[("outcome", outcome)]);
        lines(&mut text, &self.fields);
        lines(&mut text, &self.more);
        text
    }
}

/// Labels in a column of their own.
fn lines(text: &mut String, fields: &[(&'static str, String)]) {
    for (label, value) in fields {
        // Text cannot fail to grow.
        let _ = writeln!(text, "  {label:<13} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_as_it_was_filled() {
        let mut page = Page::new("moved");
        page.field("by", "ops");
        page.maybe("never", None::<&str>);
        page.list("gate", ["one", "two"]);
        let mut other = Page::new("acme is on b");
        other.field("epoch", 3);
        other.next = Some("wait".to_owned());
        page.then(other);
        let words =
            "moved\n  by            ops\n  gate          one\n                two\n  next          wait\n";
        assert_eq!(page.words(), words);
        let ticket = page.ticket("migrate cut-over");
        let (head, body) = ticket.split_once('\n').unwrap();
        assert!(head.starts_with("kaireon migrate cut-over, 2"), "{head}");
        assert_eq!(
            body,
            "  outcome       moved\n  by            ops\n  gate          one\n                two\n  \
             now           acme is on b\n  epoch         3\n"
        );
        page.is_failure = true;
        assert!(page.words().starts_with("kaireon: moved\n"));
        assert!(page.ticket("x").contains("not done: moved"));
    }
}
