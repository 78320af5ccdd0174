//! What the child says, line by line, and what the parent remembers of it over all cycles.

use std::collections::BTreeSet;
use std::io::Write;

use super::work::Piece;

/// One line of the child's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// An interaction is about to be recorded.
    Try,
    /// It was acknowledged.
    Ack,
    /// A decision is about to be recorded.
    TryDecision,
    /// It was acknowledged.
    AckDecision,
    /// An entry was told to whoever listens; it is about to be settled.
    Told,
    /// Its settlement was acknowledged.
    Settled,
    /// The customer of this piece is about to be erased.
    TryErase,
    /// The erasure was acknowledged.
    Erased,
}

const WORDS: [(Word, &str); 8] = [
    (Word::Try, "try"),
    (Word::Ack, "ack"),
    (Word::TryDecision, "try-decision"),
    (Word::AckDecision, "ack-decision"),
    (Word::Told, "told"),
    (Word::Settled, "settled"),
    (Word::TryErase, "try-erase"),
    (Word::Erased, "erased"),
];

/// What begins every line, so that the test harness's own lines are not taken for them.
const SIGN: &str = "crash-child ";

/// Says something to the parent, flushed: what it has not read, it may have lost.
pub(super) fn say(word: Word, pieces: &[Piece]) {
    let name = WORDS
        .iter()
        .find(|(known, _)| *known == word)
        .map_or("", |(_, name)| name);
    let mut text = String::new();
    for piece in pieces {
        text.push_str(&format!("{SIGN}{name} {piece}\n"));
    }
    let mut out = std::io::stdout().lock();
    // A parent that is gone cannot be told, and nothing else is to be done about it.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn parse(line: &str) -> Option<(Word, Piece)> {
    // The harness may have begun the line: `test name ... `.
    let at = line.find(SIGN)?;
    let (name, piece) = line[at + SIGN.len()..].split_once(' ')?;
    let word = WORDS.iter().find(|(_, known)| *known == name)?.0;
    Some((word, piece.parse().ok()?))
}

pub(super) fn is_acknowledgement(line: &str) -> bool {
    parse(line).is_some_and(|(word, _)| word == Word::Ack)
}

/// Everything that was said in all cycles.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) tried: BTreeSet<Piece>,
    pub(super) acked: BTreeSet<Piece>,
    pub(super) tried_decisions: BTreeSet<Piece>,
    pub(super) acked_decisions: BTreeSet<Piece>,
    pub(super) told: BTreeSet<Piece>,
    pub(super) settled: BTreeSet<Piece>,
    pub(super) tried_erasures: BTreeSet<Piece>,
    pub(super) erased: BTreeSet<Piece>,
}

impl Log {
    pub(super) fn read(&mut self, line: &str) {
        // The kill may have cut the last line.
        let Some((word, piece)) = parse(line) else {
            return;
        };
        let said = match word {
            Word::Try => &mut self.tried,
            Word::Ack => &mut self.acked,
            Word::TryDecision => &mut self.tried_decisions,
            Word::AckDecision => &mut self.acked_decisions,
            Word::Told => &mut self.told,
            Word::Settled => &mut self.settled,
            Word::TryErase => &mut self.tried_erasures,
            Word::Erased => &mut self.erased,
        };
        said.insert(piece);
    }

    pub(super) fn acknowledged(&self) -> u64 {
        (self.acked.len() + self.acked_decisions.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_also_behind_the_harness_and_a_cut_one_is_not() {
        let piece = Piece {
            cycle: 1,
            task: 2,
            number: 3,
        };
        assert_eq!(parse("crash-child ack 1.2.3"), Some((Word::Ack, piece)));
        assert_eq!(
            parse("test crash ... crash-child told 1.2.3"),
            Some((Word::Told, piece))
        );
        for cut in [
            "crash-child ack 1.2.",
            "crash-child ack",
            "crash-chi",
            "running 1 test",
        ] {
            assert_eq!(parse(cut), None, "{cut}");
        }
    }
}
