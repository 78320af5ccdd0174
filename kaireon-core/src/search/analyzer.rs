//! What a word is, and when two words are the same.

use std::ops::Range;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word without case and accents: what a prefix is compared with.
    pub form: String,
    /// Its stem: what words are compared by.
    pub stem: String,
    /// Where it stands in the text, in bytes.
    pub range: Range<usize>,
}

/// Cuts texts into words, as the contract says (see the [module](super)): English stems, no case, no accents.
///
/// Languages that are written without spaces are not cut.
///
/// ```
/// use kaireon_core::search::Analyzer;
///
/// let words = Analyzer::english().words("The Café's RUNNING shoes");
/// let stems: Vec<&str> = words.iter().map(|word| &*word.stem).collect();
/// assert_eq!(stems, ["the", "cafe", "run", "shoe"]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Analyzer {
    algorithm: Algorithm,
}

impl Analyzer {
    /// The analyser of the contract.
    #[must_use]
    pub const fn english() -> Self {
        Self {
            algorithm: Algorithm::English,
        }
    }

    /// The words of a text, in their order.
    #[must_use]
    pub fn words(&self, text: &str) -> Vec<Word> {
        let stemmer = Stemmer::create(self.algorithm);
        ranges(text)
            .into_iter()
            .map(|range| {
                let form = fold(&text[range.clone()]);
                let stem = stemmer.stem(&form).into_owned();
                Word { form, stem, range }
            })
            .collect()
    }
}

/// Where the words of a text are.
fn ranges(text: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    // An apostrophe belongs to a word when a letter stands on both of its sides.
    let mut apostrophe = None;
    for (at, character) in text.char_indices() {
        let end = at + character.len_utf8();
        let current = ranges
            .last_mut()
            .filter(|word| word.end == apostrophe.unwrap_or(at));
        match current {
            Some(word) if character.is_alphanumeric() => word.end = end,
            Some(word) if is_combining_mark(character) && apostrophe.is_none() => word.end = end,
            Some(_) if matches!(character, '\'' | '\u{2019}') && apostrophe.is_none() => {
                apostrophe = Some(at);
                continue;
            }
            _ if character.is_alphanumeric() => ranges.push(at..end),
            _ => {}
        }
        apostrophe = None;
    }
    ranges
}

/// A word without case and accents.
fn fold(word: &str) -> String {
    word.chars()
        .flat_map(char::to_lowercase)
        .nfkd()
        // The marks of Latin, Greek and Cyrillic. In other scripts a mark can be a vowel.
        .filter(|character| !matches!(character, '\u{300}'..='\u{36f}'))
        // What a compatibility form stands for may be in capitals.
        .flat_map(char::to_lowercase)
        .nfc()
        .fold(String::with_capacity(word.len()), |mut folded, character| {
            match plain(character) {
                Some(letters) => folded.push_str(letters),
                None => folded.push(character),
            }
            folded
        })
}

/// Latin letters whose stroke or ligature Unicode does not take apart.
const fn plain(character: char) -> Option<&'static str> {
    Some(match character {
        '\u{2019}' => "'",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ı' => "i",
        'ł' => "l",
        'ŋ' => "n",
        'þ' => "th",
        'ŧ' => "t",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn forms(text: &str) -> Vec<String> {
        let words = Analyzer::english().words(text);
        words.into_iter().map(|word| word.form).collect()
    }

    fn stem(word: &str) -> String {
        Analyzer::english().words(word)[0].stem.clone()
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        assert_eq!(
            forms("a-b c_d, 3.14!\t(x2)\n"),
            ["a", "b", "c", "d", "3", "14", "x2"]
        );
        assert_eq!(forms("*** 🎉 \u{301} ' \u{202e}"), Vec::<String>::new());
        assert_eq!(forms("big🎉sale"), ["big", "sale"]);
    }

    #[test]
    fn apostrophes_between_letters_belong_to_the_word() {
        assert_eq!(forms("'o\u{2019}neill's' x''y"), ["o'neill's", "x", "y"]);
        assert_eq!(stem("women's"), stem("women"));
    }

    #[test]
    fn case_and_accents_are_folded_however_they_are_written() {
        for (written, folded) in [
            ("CAFÉ", "cafe"),
            ("cafe\u{301}", "cafe"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("İstanbul", "istanbul"),
            ("Łódź", "lodz"),
            ("Smørrebrød", "smorrebrod"),
            ("ﬁne", "fine"),
            ("ＦＵＬＬ", "full"),
            ("𝐓𝐄𝐋", "tel"),
        ] {
            assert_eq!(forms(written), [folded], "{written}");
        }
    }

    #[test]
    fn vowels_of_other_scripts_are_no_accents() {
        assert_ne!(forms("कुल"), forms("कल"));
        assert_eq!(forms("שלום עולם"), ["שלום", "עולם"]);
        assert_eq!(forms("한국어"), ["한국어"]);
    }

    #[test]
    fn stems_are_those_of_snowballs_english() {
        for (word, of) in [
            ("running", "run"),
            ("ponies", "poni"),
            ("generously", "generous"),
            ("skies", "sky"),
            ("news", "news"),
            ("happiness", "happi"),
        ] {
            assert_eq!(stem(word), of);
        }
    }

    proptest! {
        #[test]
        fn words_stand_where_they_say(text in ".{0,60}") {
            let mut end = 0;
            for word in Analyzer::english().words(&text) {
                prop_assert!(end <= word.range.start && word.range.start < word.range.end);
                end = word.range.end;
                prop_assert_eq!(fold(&text[word.range]), word.form);
            }
        }
    }
}
