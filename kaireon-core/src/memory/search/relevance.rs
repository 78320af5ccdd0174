//! Which documents a text matches, and how well: BM25.

use super::documents::Entry;
use crate::search::{Analyzer, Fuzziness, TextMode, TextQuery, Word};

/// How soon another occurrence of a word adds nothing more.
const K1: f64 = 1.2;
/// How much a long document has to say a word more often.
const B: f64 = 0.75;
/// As how many words of the body one of the title counts.
const TITLE: f64 = 3.0;
/// As how many words one counts that is a typo away.
const TYPO: f64 = 0.5;
/// The shortest word that may have a typo.
const TYPO_LETTERS: usize = 4;

/// A word that is looked for.
struct Term {
    word: Word,
    matching: Matching,
    /// How much it says: the fewer documents have it, the more.
    rarity: f64,
}

#[derive(Clone, Copy)]
enum Matching {
    Stem,
    StemOrTypo,
    BeginsWith,
}

impl Term {
    /// How much a word of a document counts as this one: 1, or a part of it, or 0 for another word.
    fn weight(&self, word: &Word) -> f64 {
        match self.matching {
            Matching::BeginsWith if word.form.starts_with(&self.word.form) => 1.0,
            Matching::BeginsWith => 0.0,
            Matching::Stem | Matching::StemOrTypo if word.stem == self.word.stem => 1.0,
            Matching::StemOrTypo
                if one_typo(&word.stem, &self.word.stem) || one_typo(&word.form, &self.word.form) =>
            {
                TYPO
            }
            Matching::Stem | Matching::StemOrTypo => 0.0,
        }
    }

    fn is(&self, word: &Word) -> bool {
        self.weight(word) > 0.0
    }

    fn is_in(&self, entry: &Entry) -> bool {
        entry.title.iter().chain(&entry.body).any(|word| self.is(word))
    }

    /// How often it is in a document.
    fn frequency(&self, entry: &Entry) -> f64 {
        let count = |words: &[Word]| words.iter().map(|word| self.weight(word)).sum::<f64>();
        TITLE * count(&entry.title) + count(&entry.body)
    }
}

/// What is asked for: words, and what the documents are like that may answer.
pub(super) struct Question {
    terms: Vec<Term>,
    mode: TextMode,
    average_length: f64,
}

impl Question {
    pub(super) fn new(text: &TextQuery, analyzer: Analyzer, everything: &[&Entry]) -> Self {
        let words = analyzer.words(text.text());
        let count = words.len();
        let term = |(at, word): (usize, Word)| {
            let long = word.form.chars().count() >= TYPO_LETTERS;
            let matching = match (text.mode(), text.fuzziness()) {
                (TextMode::Prefix, _) if at + 1 == count => Matching::BeginsWith,
                (TextMode::Phrase, _) | (_, Fuzziness::Exact) => Matching::Stem,
                (_, Fuzziness::OneTypo) if long => Matching::StemOrTypo,
                (_, Fuzziness::OneTypo) => Matching::Stem,
            };
            let mut term = Term {
                word,
                matching,
                rarity: 0.0,
            };
            let having = everything.iter().filter(|entry| term.is_in(entry)).count() as f64;
            term.rarity = (1.0 + (everything.len() as f64 - having + 0.5) / (having + 0.5)).ln();
            term
        };
        let lengths: f64 = everything.iter().map(|entry| length(entry)).sum();
        Self {
            terms: words.into_iter().enumerate().map(term).collect(),
            mode: text.mode(),
            average_length: lengths / (everything.len().max(1) as f64),
        }
    }

    /// How well a document answers; `None` when it does not match.
    pub(super) fn score(&self, entry: &Entry) -> Option<f64> {
        let mut terms = self.terms.iter();
        let matches = match self.mode {
            _ if self.terms.is_empty() => false,
            TextMode::AllWords | TextMode::Prefix => terms.all(|term| term.is_in(entry)),
            TextMode::AnyWord => terms.any(|term| term.is_in(entry)),
            TextMode::Phrase => [&entry.title, &entry.body]
                .into_iter()
                .any(|words| !self.phrases(words).is_empty()),
        };
        matches.then(|| self.terms.iter().map(|term| self.bm25(term, entry)).sum())
    }

    fn bm25(&self, term: &Term, entry: &Entry) -> f64 {
        let frequency = term.frequency(entry);
        if frequency == 0.0 {
            // Also where every document is empty, and so is the average.
            return 0.0;
        }
        let relative_length = length(entry) / self.average_length;
        term.rarity * frequency * (K1 + 1.0) / (frequency + K1 * (1.0 - B + B * relative_length))
    }

    /// Where the whole phrase begins.
    fn phrases(&self, words: &[Word]) -> Vec<usize> {
        let here = |window: &[Word]| self.terms.iter().zip(window).all(|(term, word)| term.is(word));
        let windows = words.windows(self.terms.len()).enumerate();
        windows
            .filter(|(_, window)| here(window))
            .map(|(at, _)| at)
            .collect()
    }

    /// Which words of a text match.
    pub(super) fn matching<'a>(&self, words: &'a [Word]) -> Vec<&'a Word> {
        let phrases = match self.mode {
            TextMode::Phrase => self.phrases(words),
            TextMode::AllWords | TextMode::AnyWord | TextMode::Prefix => Vec::new(),
        };
        let matches = |at: usize, word: &Word| match self.mode {
            TextMode::Phrase => phrases
                .iter()
                .any(|&begin| (begin..begin + self.terms.len()).contains(&at)),
            TextMode::AllWords | TextMode::AnyWord | TextMode::Prefix => {
                self.terms.iter().any(|term| term.is(word))
            }
        };
        let words = words.iter().enumerate();
        words
            .filter(|(at, word)| matches(*at, word))
            .map(|(_, word)| word)
            .collect()
    }
}

/// How long a document is, in words.
fn length(entry: &Entry) -> f64 {
    TITLE * entry.title.len() as f64 + entry.body.len() as f64
}

/// Whether two words differ by one letter too many, too few, another one, or two neighbours swapped.
fn one_typo(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let (short, long) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    let Some(at) = (0..short.len()).find(|&at| short[at] != long[at]) else {
        return long.len() == short.len() + 1;
    };
    if short.len() < long.len() {
        return short[at..] == long[at + 1..];
    }
    let replaced = short[at + 1..] == long[at + 1..];
    let swapped = at + 1 < short.len()
        && (short[at], short[at + 1]) == (long[at + 1], long[at])
        && short[at + 2..] == long[at + 2..];
    replaced || swapped
}

#[cfg(test)]
mod tests {
    use super::one_typo;

    #[test]
    fn one_typo_is_one_letter_or_two_neighbours() {
        for (one, other) in [
            ("jacket", "jackt"),
            ("jacket", "jackets"),
            ("jacket", "jakcet"),
            ("jacket", "jagket"),
            ("jacket", "ajacket"),
            ("jacket", "jacke"),
            ("größe", "grösse"),
        ] {
            assert_eq!(one_typo(one, other), other != "grösse", "{one} {other}");
            assert_eq!(one_typo(other, one), other != "grösse", "{other} {one}");
        }
        for (one, other) in [
            ("jacket", "jacket"),
            ("jacket", "jakec"),
            ("jacket", "packed"),
            ("", "ab"),
        ] {
            assert!(!one_typo(one, other) && !one_typo(other, one), "{one} {other}");
        }
    }
}
