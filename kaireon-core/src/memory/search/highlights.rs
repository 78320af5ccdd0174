//! Pieces of a document that show where it matches.

use std::ops::Range;

use super::documents::Entry;
use super::relevance::Question;
use crate::search::{Fragment, TextField, Word};

pub(super) fn of(entry: &Entry, question: &Question, per_field: u32, max_bytes: u32) -> Vec<Fragment> {
    let at_most = usize::try_from(per_field).unwrap_or(usize::MAX);
    let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let fields = [
        (TextField::Title, &entry.document.title, &entry.title),
        (TextField::Body, &entry.document.body, &entry.body),
    ];
    let fragments = fields.into_iter().flat_map(|(field, text, words)| {
        let marks = question.matching(words).into_iter();
        let marks: Vec<_> = marks.map(|word| word.range.clone()).collect();
        let pieces = pieces(text, words, &marks, max_bytes);
        pieces.into_iter().take(at_most).map(move |piece| {
            let inside = marks
                .iter()
                .filter(|mark| piece.start <= mark.start && mark.end <= piece.end)
                .map(|mark| mark.start - piece.start..mark.end - piece.start);
            Fragment::new(field, &text[piece.clone()], inside.collect())
        })
    });
    fragments.collect()
}

/// Cuts a text at its words into pieces that together hold every mark, none of which overlaps another.
fn pieces(text: &str, words: &[Word], marks: &[Range<usize>], max_bytes: usize) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    for mark in marks {
        let end_of_last = pieces.last().map_or(0, |piece| piece.end);
        if mark.end <= end_of_last {
            continue;
        }
        if text.len() <= max_bytes {
            pieces.push(0..text.len());
            continue;
        }
        // A quarter of a piece leads up to its first mark.
        let lead = mark.start.saturating_sub(max_bytes / 4).max(end_of_last);
        let starts = words.iter().map(|word| word.range.start);
        let fits = |start: &usize| *start >= lead && mark.end.saturating_sub(*start) <= max_bytes;
        let start = starts
            .filter(fits)
            .find(|start| *start <= mark.start)
            .unwrap_or(mark.start);
        let ends = words.iter().map(|word| word.range.end);
        let end = ends.filter(|end| *end <= start + max_bytes).max();
        pieces.push(start..end.unwrap_or(mark.end).max(mark.end));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Analyzer;

    #[test]
    fn pieces_hold_every_mark_within_their_length() {
        let text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen";
        let words = Analyzer::english().words(text);
        let marks: Vec<_> = [&words[1], &words[2], &words[8], &words[13]]
            .map(|word| word.range.clone())
            .to_vec();
        let found = pieces(text, &words, &marks, 32);
        let shown: Vec<_> = found.iter().map(|piece| &text[piece.clone()]).collect();
        assert_eq!(
            shown,
            [
                "one two three four five six",
                "eight nine ten eleven twelve",
                "fourteen"
            ]
        );
        let whole = pieces(text, &words, &marks, 1_000);
        assert_eq!((whole.len(), whole[0].clone()), (1, 0..text.len()));
        assert!(pieces(text, &words, &[], 32).is_empty());
    }

    #[test]
    fn a_word_longer_than_a_piece_is_shown_whole() {
        let text = format!("short {} short", "x".repeat(40));
        let words = Analyzer::english().words(&text);
        let mark = words[1].range.clone();
        assert_eq!(pieces(&text, &words, std::slice::from_ref(&mark), 32), [mark]);
    }
}
