//! The parts of a packed value: counts, and the contacts and texts they point to.

use std::cmp::Ordering;
use std::ops::Range;

use crate::time::{self, Timestamp};
use crate::{InteractionId, LastContact, OutcomeTypeKey, Stats, ValueSum};

/// Where a text lies in the arena.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    length: u16,
}

impl Span {
    /// Of so many bytes at the end of an arena of `start` bytes.
    pub(super) fn after(start: usize, length: usize) -> Self {
        Self {
            start: u32::try_from(start).expect("an arena of one customer stays below 4 GiB"),
            length: u16::try_from(length).expect("identifiers have at most 256 bytes"),
        }
    }

    pub(super) fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + usize::from(self.length)
    }
}

/// A contact that at least one tally points to as its last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contact {
    pub(super) timestamp_ms: i64,
    pub(super) id: Span,
    /// Whether the id is kept as the 16 bytes of a UUID in place of its text.
    pub(super) id_is_uuid: bool,
    pub(super) outcome: Span,
}

/// An id as it is kept; its order is that of the texts.
#[derive(Clone, Copy, Debug)]
pub(super) enum ContactId<'a> {
    Text(&'a [u8]),
    Uuid([u8; 36]),
}

impl<'a> ContactId<'a> {
    pub(super) fn new(is_uuid: bool, bytes: &'a [u8]) -> Self {
        match bytes.first_chunk() {
            Some(uuid) if is_uuid => Self::Uuid(format_uuid(uuid)),
            _ => Self::Text(bytes),
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        match self {
            Self::Text(bytes) => bytes,
            Self::Uuid(bytes) => bytes,
        }
    }
}

impl PartialEq for ContactId<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for ContactId<'_> {}

impl PartialOrd for ContactId<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ContactId<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text().cmp(other.text())
    }
}

/// The 16 bytes of a UUID in the one form that reads back as the same text: lower case, hyphenated.
pub(super) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut uuid = [0; 16];
    let mut at = 0;
    for byte in &mut uuid {
        if matches!(at, 8 | 13 | 18 | 23) {
            if text[at] != b'-' {
                return None;
            }
            at += 1;
        }
        *byte = digit(text[at])? << 4 | digit(text[at + 1])?;
        at += 2;
    }
    Some(uuid)
}

fn format_uuid(uuid: &[u8; 16]) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut at = 0;
    for byte in uuid {
        if matches!(at, 8 | 13 | 18 | 23) {
            at += 1;
        }
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 15)];
        at += 2;
    }
    text
}

pub(super) fn last_contact(timestamp_ms: i64, id: ContactId<'_>, outcome: &str) -> LastContact {
    let id = std::str::from_utf8(id.text()).expect("ids are checked when they are kept");
    LastContact {
        timestamp: at(timestamp_ms).expect("timestamps are checked when they are kept"),
        id: InteractionId::new(id).expect("ids are checked when they are kept"),
        outcome: OutcomeTypeKey::new(outcome).expect("outcomes are checked when they are kept"),
    }
}

pub(super) fn at(timestamp_ms: i64) -> Option<Timestamp> {
    time::from_millis(timestamp_ms)
}

/// [`Stats`] with the last contact by number, which counts from 1; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) impressions: u64,
    pub(super) positive: u64,
    pub(super) negative: u64,
    pub(super) neutral: u64,
    pub(super) conversions: u64,
    pub(super) value: i128,
    pub(super) last: u32,
}

impl Tally {
    pub(super) fn of(stats: &Stats, last: u32) -> Self {
        let Stats {
            impressions,
            positive,
            negative,
            neutral,
            conversions,
            total_value,
            last: _,
        } = *stats;
        Self {
            impressions,
            positive,
            negative,
            neutral,
            conversions,
            value: total_value.micros(),
            last,
        }
    }

    pub(super) fn stats(&self, last: Option<LastContact>) -> Stats {
        Stats {
            impressions: self.impressions,
            positive: self.positive,
            negative: self.negative,
            neutral: self.neutral,
            conversions: self.conversions,
            total_value: ValueSum::from_micros(self.value),
            last,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds counts and sums; which contact is the last, the caller has found out.
    pub(super) fn add(&mut self, other: &Self, last: u32) {
        self.impressions += other.impressions;
        self.positive += other.positive;
        self.negative += other.negative;
        self.neutral += other.neutral;
        self.conversions += other.conversions;
        self.value = self.value.wrapping_add(other.value);
        self.last = last;
    }
}
