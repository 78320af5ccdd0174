//! How far something long has come: a bar on a terminal, a line now and then elsewhere. All of it goes to standard error.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kaireon::migrate::{Advance, BackfillProgress, BackfillState, RehearsalProgress};

use crate::span::Span;

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// Shows how far something has come.
#[derive(Debug)]
pub(crate) struct Reporter {
    /// On a terminal.
    bar: Option<ProgressBar>,
    /// When the last line was written, or when it all began.
    last: Mutex<Instant>,
}

/// What is shown of a moment.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    done: u64,
    of: Option<u64>,
    words: String,
}

impl Reporter {
    /// On standard error.
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = terminal.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()));
        Self {
            bar,
            last: Mutex::new(Instant::now()),
        }
    }

    /// Of an export, a backfill or a comparison.
    pub(crate) fn advance(&self, advance: &Advance) {
        if let Some(seen) = of(advance) {
            self.show(&seen);
        }
    }

    /// Of a rehearsal.
    pub(crate) fn rehearsed(&self, progress: RehearsalProgress) {
        let RehearsalProgress { late, failed, .. } = progress;
        self.show(&Seen {
            done: progress.calls,
            of: Some(progress.of),
            words: format!("calls, {late} late, {failed} failed"),
        });
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn show(&self, seen: &Seen) {
        let Some(bar) = &self.bar else {
            return self.line(seen);
        };
        let template = match seen.of {
            Some(_) => "  {bar:40} {pos} of {len} {msg}",
            None => "  {spinner} {pos} {msg}",
        };
        if bar.length() != seen.of || bar.position() == 0 {
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            match seen.of {
                Some(of) => bar.set_length(of),
                None => bar.unset_length(),
            }
        }
        bar.set_message(seen.words.clone());
        bar.set_position(seen.done);
    }

    fn line(&self, seen: &Seen) {
        let Ok(mut last) = self.last.lock() else {
            return;
        };
        if last.elapsed() >= EVERY {
            *last = Instant::now();
            let of = seen.of.map(|of| format!(" of {of}")).unwrap_or_default();
            eprintln!("kaireon: {}{of} {}", seen.done, seen.words);
        }
    }
}

fn of(advance: &Advance) -> Option<Seen> {
    Some(match advance {
        Advance::Exported { records, bytes } => Seen {
            done: *records,
            of: None,
            words: format!("records exported, {} MiB", bytes >> 20),
        },
        Advance::Backfilled(progress) => backfilled(progress),
        Advance::Verified(progress) => Seen {
            done: progress.read,
            of: None,
            words: format!(
                "rows read; comparing {}, pass {}",
                format!("{:?}", progress.kind).to_lowercase(),
                progress.pass
            ),
        },
        _ => return None,
    })
}

fn backfilled(progress: &BackfillProgress) -> Seen {
    let left = progress.eta.map(|eta| format!(", {} left", Span(eta)));
    let stalled = progress.stalled_by.as_deref().unwrap_or("something is away");
    let words = match progress.state {
        BackfillState::Paused => "rows, paused: `kaireon migrate resume` lets it go on".to_owned(),
        BackfillState::Stalled => format!("rows, stalled: {stalled}"),
        _ => format!(
            "rows, {} a second{}",
            progress.rows_per_second,
            left.unwrap_or_default()
        ),
    };
    Seen {
        done: progress.rows_done,
        of: Some(progress.rows_total),
        words: crate::redact::redacted(&words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_tells_records_and_size() {
        let advance = Advance::Exported {
            records: 7,
            bytes: 3 << 20,
        };
        let seen = of(&advance).unwrap();
        assert_eq!((seen.done, seen.of), (7, None));
        assert_eq!(seen.words, "records exported, 3 MiB");
    }

    #[test]
    fn lines_are_rare() {
        let reporter = Reporter {
            bar: None,
            last: Mutex::new(Instant::now()),
        };
        let before = *reporter.last.lock().unwrap();
        let advance = Advance::Exported { records: 1, bytes: 1 };
        reporter.advance(&advance);
        assert_eq!(*reporter.last.lock().unwrap(), before, "nothing was written yet");
        *reporter.last.lock().unwrap() = before.checked_sub(EVERY).unwrap();
        reporter.advance(&advance);
        assert!(*reporter.last.lock().unwrap() >= before, "a line was written");
    }
}
