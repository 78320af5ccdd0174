//! Where a page of a search ended.
//!
//! A [`SearchCursor`] is whatever its backend makes of it. A [`SearchPosition`] is what it says in most of them: the
//! place of the last hit in the order of the query, and which query that was.

use std::fmt;
use std::str::FromStr;

use super::{
    DocumentId, EntityKind, Filter, Fuzziness, Keyword, SearchPosition, SearchQuery, Sort, SortField,
    SortOrder, SortValue, TextMode,
};
use crate::time::{self, Timestamp};
use crate::wire::{self, Reader};
use crate::{Error, Result, Value};

/// Where a page of a search ended: an encoding of the index that made it, valid there alone. It may hold personal
/// data, and its `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct SearchCursor(Box<str>);

impl SearchCursor {
    /// A cursor of an index's own.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The index's own text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SearchCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SearchCursor(redacted)")
    }
}

impl FromStr for SearchCursor {
    type Err = Error;

    /// Takes a cursor back from wherever a host kept it; the index judges it.
    ///
    /// # Errors
    /// `InvalidInput` naming `cursor` when it is empty or longer than 8 KiB.
    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > 8_192 {
            return Err(Error::invalid("cursor", "is not 1 to 8,192 bytes long"));
        }
        Ok(Self::new(text))
    }
}

const VERSION: &str = "s1.";

impl SearchPosition {
    /// A cursor that goes on after this place, and is valid for this query alone.
    #[must_use]
    pub fn cursor(&self, query: &SearchQuery) -> SearchCursor {
        let mut bytes = fingerprint(query).to_be_bytes().to_vec();
        match &self.value {
            SortValue::Missing => bytes.push(0),
            SortValue::Score(score) => {
                bytes.push(1);
                bytes.extend(score.to_bits().to_be_bytes());
            }
            SortValue::Keyword(keyword) => {
                bytes.push(2);
                wire::put_text(&mut bytes, keyword.as_str());
            }
            SortValue::Number(value) => {
                bytes.push(3);
                wire::put_signed(&mut bytes, value.micros());
            }
            SortValue::Date(time) => {
                bytes.push(4);
                wire::put_signed(&mut bytes, time.timestamp_millis());
            }
        }
        wire::put_text(&mut bytes, self.id.as_str());
        wire::put_text(&mut bytes, self.kind.as_str());
        let mut text = VERSION.to_owned();
        for byte in bytes {
            text.push_str(&format!("{byte:02x}"));
        }
        SearchCursor::new(text)
    }

    /// The place that the cursor of a query goes on after; `None` for the first page.
    ///
    /// # Errors
    /// `InvalidInput` naming `cursor`: not one of ours, or made for another query.
    pub fn read(query: &SearchQuery) -> Result<Option<Self>> {
        let Some(cursor) = &query.cursor else {
            return Ok(None);
        };
        let wrong = || Error::invalid("cursor", "is not a cursor of this query");
        let bytes = cursor
            .as_str()
            .strip_prefix(VERSION)
            .and_then(unhex)
            .ok_or_else(wrong)?;
        let position = decode(&bytes, fingerprint(query)).map_err(|_| wrong())?;
        position
            .filter(|position| position.value.fits(&query.sort))
            .map(Some)
            .ok_or_else(wrong)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let plain = digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    plain.then(|| digits.chunks(2).map(byte).collect()).flatten()
}

/// `None` when it was made for another query.
fn decode(bytes: &[u8], fingerprint: u64) -> Result<Option<SearchPosition>> {
    let mut reader = Reader::new(bytes);
    if u64::from_be_bytes(reader.array()?) != fingerprint {
        return Ok(None);
    }
    let value = match reader.byte()? {
        0 => SortValue::Missing,
        1 => SortValue::Score(f64::from_bits(u64::from_be_bytes(reader.array()?))),
        2 => SortValue::Keyword(Keyword::new(reader.text()?)?),
        3 => SortValue::Number(Value::from_micros(reader.signed()?)),
        4 => match time::from_millis(reader.signed()?) {
            Some(time) => SortValue::Date(time),
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    let id = DocumentId::new(reader.text()?)?;
    let kind = EntityKind::new(reader.text()?)?;
    reader.finish()?;
    Ok(Some(SearchPosition { value, id, kind }))
}

/// What tells one query from another, apart from what may change between pages.
fn fingerprint(query: &SearchQuery) -> u64 {
    let SearchQuery {
        tenant,
        text,
        kinds,
        filters,
        sort,
        facets: _,
        highlighting: _,
        limit: _,
        cursor: _,
    } = query;
    let mut bytes = Vec::new();
    wire::put_text(&mut bytes, tenant.as_str());
    if let Some(text) = text {
        wire::put_text(&mut bytes, text.text());
        bytes.push(match text.mode() {
            TextMode::AllWords => 1,
            TextMode::AnyWord => 2,
            TextMode::Phrase => 3,
            TextMode::Prefix => 4,
        });
        bytes.push(match text.fuzziness() {
            Fuzziness::Exact => 1,
            Fuzziness::OneTypo => 2,
        });
    }
    bytes.push(0);
    wire::put_varint(&mut bytes, kinds.len() as u64);
    for kind in kinds {
        wire::put_text(&mut bytes, kind.as_str());
    }
    wire::put_varint(&mut bytes, filters.len() as u64);
    for filter in filters {
        put_filter(&mut bytes, filter);
    }
    put_sort(&mut bytes, sort);
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..8]);
    u64::from_be_bytes(first)
}

fn put_filter(bytes: &mut Vec<u8>, filter: &Filter) {
    match filter {
        Filter::Keyword { field, any_of } => {
            bytes.push(1);
            wire::put_text(bytes, field.as_str());
            wire::put_varint(bytes, any_of.len() as u64);
            for value in any_of {
                wire::put_text(bytes, value.as_str());
            }
        }
        Filter::Number { field, range } => {
            bytes.push(2);
            wire::put_text(bytes, field.as_str());
            put_span(
                bytes,
                range.from.map(Value::micros),
                range.until.map(Value::micros),
            );
        }
        Filter::Date { field, range } => {
            bytes.push(3);
            wire::put_text(bytes, field.as_str());
            let millis = |time: Timestamp| time.timestamp_millis();
            put_span(bytes, range.from.map(millis), range.until.map(millis));
        }
    }
}

fn put_span(bytes: &mut Vec<u8>, from: Option<i64>, until: Option<i64>) {
    for bound in [from, until] {
        bytes.push(u8::from(bound.is_some()));
        wire::put_signed(bytes, bound.unwrap_or_default());
    }
}

fn put_sort(bytes: &mut Vec<u8>, sort: &Sort) {
    let Sort::Field { field, order } = sort else {
        return bytes.push(0);
    };
    bytes.push(match order {
        SortOrder::Ascending => 1,
        SortOrder::Descending => 2,
    });
    let (kind, name) = match field {
        SortField::Keyword(name) => (1, name),
        SortField::Number(name) => (2, name),
        SortField::Date(name) => (3, name),
    };
    bytes.push(kind);
    wire::put_text(bytes, name.as_str());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TenantId;
    use crate::search::{FieldName, Span};

    fn position(value: SortValue) -> SearchPosition {
        SearchPosition {
            value,
            id: DocumentId::new("a.b").unwrap(),
            kind: EntityKind::new("offer").unwrap(),
        }
    }

    fn by_number() -> SearchQuery {
        let price = FieldName::new("price").unwrap();
        SearchQuery::new(TenantId::new("t").unwrap())
            .sorted_by(SortField::Number(price), SortOrder::Descending)
    }

    #[test]
    fn cursors_go_round() {
        let query = by_number();
        for value in [
            SortValue::Missing,
            SortValue::Number(Value::from_micros(i64::MIN)),
        ] {
            let position = position(value);
            let next = SearchQuery {
                cursor: Some(position.cursor(&query)),
                limit: 7,
                ..query.clone()
            };
            assert_eq!(SearchPosition::read(&next).unwrap(), Some(position));
        }
    }

    #[test]
    fn cursors_of_another_query_or_no_cursors_are_refused() {
        let query = by_number();
        let cursor = position(SortValue::Missing).cursor(&query);
        let price = FieldName::new("price").unwrap();
        let others = [
            SearchQuery::new(TenantId::new("t2").unwrap()),
            query.clone().with_filter(Filter::Number {
                field: price.clone(),
                range: Span::from(Value::default()),
            }),
            query
                .clone()
                .sorted_by(SortField::Date(price), SortOrder::Descending),
        ];
        for other in others {
            let other = SearchQuery {
                cursor: Some(cursor.clone()),
                ..other
            };
            assert_eq!(SearchPosition::read(&other).unwrap_err().field(), Some("cursor"));
        }
        let cut = cursor.as_str()[..cursor.as_str().len() - 2].to_owned();
        for wrong in ["", "s1.", "s1.0", "s1.zz", "s1.é", "x", &cut] {
            let next = SearchQuery {
                cursor: Some(SearchCursor::new(wrong)),
                ..query.clone()
            };
            assert_eq!(
                SearchPosition::read(&next).unwrap_err().field(),
                Some("cursor"),
                "{wrong}"
            );
        }
        // A score does not become the cursor of a field by an honest fingerprint alone.
        let forged = SearchQuery {
            cursor: Some(position(SortValue::Score(1.0)).cursor(&query)),
            ..query
        };
        assert!(SearchPosition::read(&forged).is_err());
    }
}
