//! The bytes of packed values and closed rows.
//!
//! A packed value is: version, marks, texts of outcomes, contacts, then the entries of each dimension. An entry
//! whose day, week or month equals the period around it says so in two bits.

use super::tally::{self, Contact, Span, Tally};
use super::{Entry, Packed};
use crate::summary::{Dimension, Stats};
use crate::wire::{Reader, corrupt, put_signed, put_text, put_varint, put_wide};
use crate::{InteractionId, MAX_ID_BYTES, OutcomeTypeKey, Period, PeriodType, Result};

const VERSION: u8 = 1;

/// No store counts so far; sums of counts below it cannot overflow.
const MAX_COUNT: u64 = 1 << 56;

/// From the widest period to the narrowest: each may equal the one before.
const SLOTS: [usize; 4] = [3, 2, 1, 0];

const HAS_NEWEST: u8 = 1;
const TOTALS_SPILLED: u8 = 1 << 4;

const EMPTY: u8 = 0;
const SAME: u8 = 1;
const OWN: u8 = 2;

pub(super) fn encode(packed: &Packed, out: &mut Vec<u8>) {
    let Packed {
        newest,
        closed,
        totals_spilled,
        arena: _,
        contacts,
        entries,
    } = packed;
    out.push(VERSION);
    let mut flags = 0;
    if newest.is_some() {
        flags |= HAS_NEWEST;
    }
    for (at, mark) in closed.iter().enumerate() {
        if mark.is_some() {
            flags |= 1 << (at + 1);
        }
    }
    if *totals_spilled {
        flags |= TOTALS_SPILLED;
    }
    out.push(flags);
    for day in newest.iter().chain(closed.iter().flatten()) {
        put_signed(out, (*day).into());
    }
    // Only contacts that are still the last of something, numbered anew in the order of their first use.
    let mut numbers = vec![0_u32; contacts.len()];
    let mut used = Vec::new();
    for tally in entries.iter().flat_map(|entry| &entry.tallies) {
        let Some(at) = tally.last.checked_sub(1) else {
            continue;
        };
        let number = &mut numbers[at as usize];
        if *number == 0 {
            used.push(contacts[at as usize]);
            *number = u32::try_from(used.len()).expect("fewer than 2^32 contacts fit into memory");
        }
    }
    let outcome_of = outcomes(packed, &used, out);
    put_varint(out, used.len() as u64);
    let mut before = 0;
    for (contact, outcome) in used.iter().zip(outcome_of) {
        put_signed(out, contact.timestamp_ms.wrapping_sub(before));
        before = contact.timestamp_ms;
        put_varint(out, outcome);
        // A text has at least one byte, so that 0 is free to mean a UUID.
        put_varint(
            out,
            if contact.id_is_uuid {
                0
            } else {
                packed.bytes(contact.id).len() as u64
            },
        );
        out.extend_from_slice(packed.bytes(contact.id));
    }
    for dimension in Dimension::ALL {
        let of_dimension = entries.iter().filter(|entry| entry.dimension == dimension);
        put_varint(out, of_dimension.clone().count() as u64);
        for entry in of_dimension {
            put_text(out, packed.text(entry.value));
            put_tallies(out, &entry.tallies, &numbers);
        }
    }
}

/// Writes the distinct outcomes, and returns the place of each contact's.
fn outcomes(packed: &Packed, contacts: &[Contact], out: &mut Vec<u8>) -> Vec<u64> {
    let mut texts: Vec<&str> = Vec::new();
    let places = contacts.iter().map(|contact| {
        let text = packed.text(contact.outcome);
        let known = texts.iter().position(|known| *known == text);
        let at = known.unwrap_or_else(|| {
            texts.push(text);
            texts.len() - 1
        });
        at as u64
    });
    let places = places.collect();
    put_varint(out, texts.len() as u64);
    for text in texts {
        put_text(out, text);
    }
    places
}

fn put_tallies(out: &mut Vec<u8>, tallies: &[Tally; 4], numbers: &[u32]) {
    let mut flags = 0;
    let mut around = Tally::default();
    for slot in SLOTS {
        let tally = tallies[slot];
        let code = match tally {
            tally if tally.is_empty() => EMPTY,
            tally if tally == around => SAME,
            _ => OWN,
        };
        flags |= code << (slot * 2);
        if code == OWN {
            around = tally;
        }
    }
    out.push(flags);
    for slot in SLOTS {
        if flags >> (slot * 2) & 3 == OWN {
            put_tally(out, &tallies[slot], |last| numbers[last as usize - 1]);
        }
    }
}

fn put_tally(out: &mut Vec<u8>, tally: &Tally, number: impl FnOnce(u32) -> u32) {
    let Tally {
        impressions,
        positive,
        negative,
        neutral,
        conversions,
        value,
        last,
    } = *tally;
    let counts = [impressions, positive, negative, neutral, conversions];
    let at = out.len();
    out.push(0);
    let mut mask = 0;
    for (bit, count) in counts.into_iter().enumerate() {
        if count != 0 {
            mask |= 1 << bit;
            put_varint(out, count);
        }
    }
    if value != 0 {
        mask |= 1 << 5;
        put_wide(out, value);
    }
    if last != 0 {
        mask |= 1 << 6;
        put_varint(out, number(last).into());
    }
    out[at] = mask;
}

fn tally_of(reader: &mut Reader<'_>, contacts: usize) -> Result<Tally> {
    let mask = reader.byte()?;
    if mask > 0x7f {
        return Err(corrupt("a packed summary has an unknown shape"));
    }
    let mut count = |bit: u8| -> Result<u64> {
        if mask & 1 << bit == 0 {
            return Ok(0);
        }
        let count = reader.varint()?;
        if count > MAX_COUNT {
            return Err(corrupt("a packed summary counts beyond its bound"));
        }
        Ok(count)
    };
    let (impressions, positive, negative) = (count(0)?, count(1)?, count(2)?);
    let (neutral, conversions) = (count(3)?, count(4)?);
    let value = if mask & 1 << 5 == 0 { 0 } else { reader.wide()? };
    let last = if mask & 1 << 6 == 0 { 0 } else { reader.varint32()? };
    if last as usize > contacts {
        return Err(corrupt("a packed summary points to a contact that is not there"));
    }
    Ok(Tally {
        impressions,
        positive,
        negative,
        neutral,
        conversions,
        value,
        last,
    })
}

pub(super) fn decode(bytes: &[u8]) -> Result<Packed> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(corrupt("a packed summary is of an unknown version"));
    }
    // Texts and ids are not copied one by one: spans point into one copy of everything.
    let mut packed = Packed {
        arena: bytes.to_vec(),
        ..Packed::default()
    };
    let at = |reader: &Reader<'_>| bytes.len() - reader.rest().len();
    let flags = reader.byte()?;
    if flags >= TOTALS_SPILLED << 1 {
        return Err(corrupt("a packed summary has unknown marks"));
    }
    packed.totals_spilled = flags & TOTALS_SPILLED != 0;
    if flags & HAS_NEWEST != 0 {
        packed.newest = Some(day(&mut reader)?);
    }
    for mark in 0..3 {
        if flags & 1 << (mark + 1) != 0 {
            packed.closed[mark] = Some(day(&mut reader)?);
        }
    }
    let text = |reader: &mut Reader<'_>| -> Result<Span> {
        let text = reader.text()?;
        if text.is_empty() || text.len() > MAX_ID_BYTES {
            return Err(corrupt("a packed text is out of bounds"));
        }
        Ok(Span::after(at(reader) - text.len(), text.len()))
    };
    let mut outcomes = Vec::new();
    for _ in 0..reader.varint()? {
        let outcome = text(&mut reader)?;
        OutcomeTypeKey::new(packed.text(outcome))
            .map_err(|_| corrupt("a packed outcome is out of bounds"))?;
        outcomes.push(outcome);
    }
    let mut timestamp_ms = 0_i64;
    for _ in 0..reader.varint()? {
        timestamp_ms = timestamp_ms.wrapping_add(reader.signed()?);
        if tally::at(timestamp_ms).is_none() {
            return Err(corrupt("a packed contact is at no time"));
        }
        let outcome = usize::try_from(reader.varint()?)
            .ok()
            .and_then(|at| outcomes.get(at));
        let outcome = *outcome.ok_or_else(|| corrupt("a packed contact has no outcome"))?;
        let before = reader;
        let id_is_uuid = reader.varint()? == 0;
        let id = if id_is_uuid {
            reader.take(16)?;
            Span::after(at(&reader) - 16, 16)
        } else {
            reader = before;
            let id = text(&mut reader)?;
            InteractionId::new(packed.text(id)).map_err(|_| corrupt("a packed id is out of bounds"))?;
            id
        };
        packed.contacts.push(Contact {
            timestamp_ms,
            id,
            id_is_uuid,
            outcome,
        });
    }
    for dimension in Dimension::ALL {
        for _ in 0..reader.varint()? {
            let value = text(&mut reader)?;
            let sorted = packed.entries.last().is_none_or(|last| {
                last.dimension < dimension || packed.bytes(last.value) < packed.bytes(value)
            });
            if !sorted {
                return Err(corrupt("packed summaries are out of order"));
            }
            let tallies = tallies_of(&mut reader, packed.contacts.len())?;
            if packed.newest.is_none() && tallies[..3].iter().any(|tally| !tally.is_empty()) {
                return Err(corrupt("a packed summary is of no period"));
            }
            packed.entries.push(Entry {
                dimension,
                value,
                tallies,
            });
        }
    }
    reader.finish()?;
    Ok(packed)
}

fn tallies_of(reader: &mut Reader<'_>, contacts: usize) -> Result<[Tally; 4]> {
    let flags = reader.byte()?;
    let mut tallies = [Tally::default(); 4];
    let mut around = Tally::default();
    for slot in SLOTS {
        match flags >> (slot * 2) & 3 {
            EMPTY => {}
            SAME if !around.is_empty() => tallies[slot] = around,
            OWN => {
                around = tally_of(reader, contacts)?;
                if around.is_empty() {
                    return Err(corrupt("a packed summary is empty"));
                }
                tallies[slot] = around;
            }
            _ => return Err(corrupt("a packed summary has an unknown shape")),
        }
    }
    Ok(tallies)
}

/// A day that is a date.
fn day(reader: &mut Reader<'_>) -> Result<i32> {
    let day = i32::try_from(reader.signed()?).map_err(|_| corrupt("a packed day is out of range"))?;
    Period::from_day(PeriodType::Daily, day).map_err(|_| corrupt("a packed day is no date"))?;
    Ok(day)
}

/// Appends the value of a closed row.
pub fn put_stats(out: &mut Vec<u8>, stats: &Stats) {
    out.push(VERSION);
    put_tally(out, &Tally::of(stats, u32::from(stats.last.is_some())), |last| {
        last
    });
    if let Some(last) = &stats.last {
        put_signed(out, last.timestamp.timestamp_millis());
        put_text(out, last.outcome.as_str());
        match tally::parse_uuid(last.id.as_str()) {
            Some(uuid) => {
                out.push(0);
                out.extend_from_slice(&uuid);
            }
            None => put_text(out, last.id.as_str()),
        }
    }
}

/// Reads what [`put_stats`] wrote.
///
/// # Errors
/// `Corrupt`.
pub fn stats_of(bytes: &[u8]) -> Result<Stats> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(corrupt("a closed summary is of an unknown version"));
    }
    let tally = tally_of(&mut reader, 1)?;
    let mut last = None;
    if tally.last != 0 {
        let timestamp_ms = reader.signed()?;
        tally::at(timestamp_ms).ok_or_else(|| corrupt("a closed summary is at no time"))?;
        let outcome = reader.text()?;
        OutcomeTypeKey::new(outcome).map_err(|_| corrupt("a closed outcome is out of bounds"))?;
        let counted = reader.bytes()?;
        let is_uuid = counted.is_empty();
        let id = if is_uuid { reader.take(16)? } else { counted };
        let id = tally::ContactId::new(is_uuid, id);
        let checked = std::str::from_utf8(id.text())
            .ok()
            .and_then(|id| InteractionId::new(id).ok());
        checked.ok_or_else(|| corrupt("a closed id is out of bounds"))?;
        last = Some(tally::last_contact(timestamp_ms, id, outcome));
    }
    reader.finish()?;
    Ok(tally.stats(last))
}
