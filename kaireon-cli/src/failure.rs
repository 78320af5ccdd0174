//! An error, as it is told.

use std::error::Error as _;

use kaireon::core::time::{Clock, SystemClock, Timestamp};
use kaireon::core::{Effect, Error};
use kaireon::migrate::{Missing, Refused};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::exit::{Exit, refused};
use crate::redact::redacted;
use crate::show::{Page, moment};

/// The answer that an error is.
pub(crate) fn answer(command: &'static str, error: &Error, exit: Exit, hint: Option<&str>) -> Answer {
    let now = SystemClock.now();
    let mut page = Page::new(words(error));
    page.is_failure = true;
    let mut document = json!({
        "kind": error.kind().as_str(),
        "message": redacted(&words(error)),
        "effect": match error.effect() {
            Effect::NotApplied => "not_applied",
            Effect::Unknown => "unknown",
        },
        "transient": error.is_transient(),
        "field": error.field(),
        "hint": hint,
    });
    if let Some(refused) = refused(error) {
        document["refused"] = of(refused, now);
        // The step may be one that the command takes on the way to its own.
        let asked = command.rsplit(' ').next().unwrap_or(command);
        page.title = format!("{asked} was refused in {}", refused.phase);
        page.list(
            "lacking",
            refused.missing.iter().map(|missing| in_words(missing, now)),
        );
        match refused.can_be_forced {
            true => page.field("force", "would override all of it, and be recorded"),
            false => page.field("force", "does not help"),
        }
    }
    if exit == Exit::Unknown {
        page.field("effect", "unknown: it may have been done");
    }
    page.next = hint.map(str::to_owned);
    Answer::error(command, exit, document, page)
}

/// An error with what caused it, on one line.
fn words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = joined(text, &cause.to_string());
        source = cause.source();
    }
    text.replace(['\n', '\r'], " ")
}

/// A text and what caused it, where that does not begin with what the text ends with.
fn joined(text: String, cause: &str) -> String {
    if text.contains(cause) {
        return text;
    }
    let mut starts = text.char_indices().map(|(at, _)| at);
    match starts.find(|at| cause.starts_with(&text[*at..])) {
        Some(at) => text[..at].to_owned() + cause,
        None => format!("{text}: {cause}"),
    }
}

fn of(refused: &Refused, now: Timestamp) -> Value {
    let missing = refused.missing.iter().map(|missing| {
        let mut value = serde_json::to_value(missing).unwrap_or_default();
        value["words"] = Value::from(missing.to_string());
        value
    });
    json!({
        "step": refused.step,
        "phase": refused.phase,
        "missing": missing.collect::<Vec<_>>(),
        "can_be_forced": refused.can_be_forced,
        "possible_from": possible_from(refused, now).map(moment),
    })
}

/// When what is missing is there by itself; none where time alone does not bring it.
fn possible_from(refused: &Refused, now: Timestamp) -> Option<Timestamp> {
    match refused.missing[..] {
        [Missing::SafetyPeriod { remaining }] => Some(now + remaining),
        _ => None,
    }
}

fn in_words(missing: &Missing, now: Timestamp) -> String {
    match missing {
        Missing::SafetyPeriod { remaining } => {
            format!("the safety period lasts until {}", moment(now + *remaining))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn a_cause_is_told_once() {
        for (text, cause, all) in [
            ("a: it fails", "no room", "a: it fails: no room"),
            ("a: it fails", "it fails", "a: it fails"),
            ("a: it fails", "it fails: no room", "a: it fails: no room"),
            ("é", "éa", "éa"),
        ] {
            assert_eq!(joined(text.to_owned(), cause), all);
        }
    }
}
