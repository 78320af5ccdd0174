//! What is indexed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Datelike, Utc};

use super::{DocumentId, EntityKind, Keyword};
use crate::time::{self, Timestamp};
use crate::{CustomerId, Error, Result, TenantId, Value};

/// The longest title, in bytes of UTF-8.
pub const MAX_TITLE_BYTES: usize = 2_048;

/// The longest body, in bytes of UTF-8: 64 KiB.
pub const MAX_BODY_BYTES: usize = 64 * 1_024;

/// The most fields of a document: keyword, number and date fields together.
pub const MAX_FIELDS: usize = 64;

/// The most keyword values of a document, of all its fields together.
pub const MAX_KEYWORDS: usize = 256;

/// The longest name of a field, in bytes.
pub const MAX_FIELD_NAME_BYTES: usize = 64;

/// The highest version, 2^63 - 1: databases and search servers count versions in signed integers.
pub const MAX_VERSION: u64 = i64::MAX.unsigned_abs();

/// The name of a keyword, number or date field: an ASCII letter, then letters, digits and `_`, at most 64 in all.
///
/// Narrower than an identifier, because a field's name becomes part of a path or a mapping in most backends, where
/// dots and quotes have meanings of their own. Names differ by case. The three types of fields have names of their
/// own: a keyword field and a number field may share one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldName(Arc<str>);

impl FieldName {
    /// Takes a name that is within the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `field_name`.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let wrong = |why: &'static str| Err(Error::invalid("field_name", why));
        if name.len() > MAX_FIELD_NAME_BYTES {
            return wrong("is longer than 64 bytes");
        }
        if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return wrong("does not begin with a letter from a to z");
        }
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return wrong("contains something else than letters from a to z, digits and _");
        }
        Ok(Self(Arc::from(name)))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a [`Document`] consists of. Adapters destructure it, so that a new field breaks the build of each until
/// it has answered for it.
#[derive(Clone, PartialEq, Eq)]
pub struct DocumentFields {
    /// Whose it is.
    pub tenant: TenantId,
    /// What kind of thing it describes.
    pub kind: EntityKind,
    /// Which one of that kind: (tenant, kind, id) is the key.
    pub id: DocumentId,
    /// Searched, and weighs more than the body. At most [`MAX_TITLE_BYTES`], no NUL; may be empty.
    pub title: String,
    /// Searched. At most [`MAX_BODY_BYTES`], no NUL; may be empty.
    pub body: String,
    /// Whole values to filter, sort and count by; not searched. A field without values counts as absent.
    pub keywords: BTreeMap<FieldName, BTreeSet<Keyword>>,
    /// Numbers to filter, sort and count by: exact, with six decimals, because a float is compared and printed
    /// otherwise by each backend at the edge of a range, and has values that no order can place.
    pub numbers: BTreeMap<FieldName, Value>,
    /// Times to filter, sort and count by, from the year 1 to the year 9999.
    pub dates: BTreeMap<FieldName, Timestamp>,
    /// The host's version of the thing, at most [`MAX_VERSION`]: a lower one never overwrites a higher.
    pub version: u64,
    /// The customer whose erasure removes it.
    pub customer: Option<CustomerId>,
}

/// What is indexed: immutable, and cheap to clone (a reference count).
///
/// Its `Debug` shows neither text nor values, which may be personal.
#[derive(Clone, PartialEq, Eq)]
pub struct Document(Arc<DocumentFields>);

impl Document {
    /// Begins a document.
    pub fn builder(tenant: &TenantId, kind: impl AsRef<str>, id: impl AsRef<str>) -> DocumentBuilder {
        DocumentBuilder::new(tenant, kind.as_ref(), id.as_ref())
    }

    /// Takes fields whose parts are valid and checks what they do not check themselves. Times are cut to
    /// milliseconds; keyword fields without values are left out.
    ///
    /// # Errors
    /// `InvalidInput` naming `title`, `body`, `keywords`, `fields`, `dates` or `version`.
    pub fn new(mut fields: DocumentFields) -> Result<Self> {
        let DocumentFields {
            tenant: _,
            kind: _,
            id: _,
            title,
            body,
            keywords,
            numbers,
            dates,
            version,
            customer: _,
        } = &mut fields;
        check_text("title", title, MAX_TITLE_BYTES, "is longer than 2,048 bytes")?;
        check_text("body", body, MAX_BODY_BYTES, "is longer than 64 KiB")?;
        keywords.retain(|_, values| !values.is_empty());
        if keywords.values().map(BTreeSet::len).sum::<usize>() > MAX_KEYWORDS {
            return Err(Error::invalid("keywords", "are more than 256 values"));
        }
        if keywords.len() + numbers.len() + dates.len() > MAX_FIELDS {
            return Err(Error::invalid("fields", "are more than 64"));
        }
        for date in dates.values_mut() {
            *date = time::truncate(*date);
            if !(1..=9_999).contains(&date.year()) {
                return Err(Error::invalid("dates", "lie outside the years 1 to 9999"));
            }
        }
        if *version > MAX_VERSION {
            return Err(Error::invalid("version", "is above 2^63 - 1"));
        }
        Ok(Self(Arc::new(fields)))
    }

    /// The same document with other fields.
    ///
    /// # Errors
    /// As for [`Document::new`].
    pub fn edited(&self, edit: impl FnOnce(&mut DocumentFields)) -> Result<Self> {
        let mut fields = (*self.0).clone();
        edit(&mut fields);
        Self::new(fields)
    }
}

/// Checks the bounds of a text. NUL is refused, because PostgreSQL cannot keep it in a text.
pub(super) fn check_text(
    field: &'static str,
    text: &str,
    max_bytes: usize,
    too_long: &'static str,
) -> Result<()> {
    if text.len() > max_bytes {
        return Err(Error::invalid(field, too_long));
    }
    if text.contains('\0') {
        return Err(Error::invalid(field, "contains a NUL"));
    }
    Ok(())
}

impl Deref for Document {
    type Target = DocumentFields;

    fn deref(&self) -> &DocumentFields {
        &self.0
    }
}

impl fmt::Debug for DocumentFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("tenant", &self.tenant)
            .field("kind", &self.kind)
            .field("id", &self.id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Builds a [`Document`]; what is wrong is kept until [`build`](Self::build), and the first of it reported there.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct DocumentBuilder {
    fields: Result<DocumentFields>,
}

impl DocumentBuilder {
    fn new(tenant: &TenantId, kind: &str, id: &str) -> Self {
        let fields = || {
            Ok(DocumentFields {
                tenant: tenant.clone(),
                kind: EntityKind::new(kind)?,
                id: DocumentId::new(id)?,
                title: String::new(),
                body: String::new(),
                keywords: BTreeMap::new(),
                numbers: BTreeMap::new(),
                dates: BTreeMap::new(),
                version: 0,
                customer: None,
            })
        };
        Self { fields: fields() }
    }

    fn set(mut self, set: impl FnOnce(&mut DocumentFields) -> Result<()>) -> Self {
        if let Ok(fields) = &mut self.fields
            && let Err(error) = set(fields)
        {
            self.fields = Err(error);
        }
        self
    }

    /// Sets the title; empty by default.
    pub fn title(self, title: impl Into<String>) -> Self {
        self.set(|fields| {
            fields.title = title.into();
            Ok(())
        })
    }

    /// Sets the body; empty by default.
    pub fn body(self, body: impl Into<String>) -> Self {
        self.set(|fields| {
            fields.body = body.into();
            Ok(())
        })
    }

    /// Adds a value to a keyword field.
    pub fn keyword(self, field: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.set(|fields| {
            let values = fields.keywords.entry(FieldName::new(field)?).or_default();
            values.insert(Keyword::new(value)?);
            Ok(())
        })
    }

    /// Sets a number field.
    pub fn number(self, field: impl AsRef<str>, value: Value) -> Self {
        self.set(|fields| {
            fields.numbers.insert(FieldName::new(field)?, value);
            Ok(())
        })
    }

    /// Sets a date field.
    pub fn date(self, field: impl AsRef<str>, time: DateTime<Utc>) -> Self {
        self.set(|fields| {
            fields.dates.insert(FieldName::new(field)?, time);
            Ok(())
        })
    }

    /// Sets the version; 0 by default.
    pub fn version(self, version: u64) -> Self {
        self.set(|fields| {
            fields.version = version;
            Ok(())
        })
    }

    /// Names the customer whose erasure removes it.
    pub fn customer(self, customer: CustomerId) -> Self {
        self.set(|fields| {
            fields.customer = Some(customer);
            Ok(())
        })
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming `entity_kind`, `document_id`, `field_name`, `keyword`, or as for [`Document::new`].
    pub fn build(self) -> Result<Document> {
        Document::new(self.fields?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::from_millis;

    fn document() -> DocumentBuilder {
        Document::builder(&TenantId::new("t").unwrap(), "offer", "1")
    }

    fn refused(builder: DocumentBuilder) -> String {
        let error = builder.build().unwrap_err();
        error.field().unwrap_or_default().to_owned()
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let tenant = TenantId::new("t").unwrap();
        for (wrong, field) in [
            (Document::builder(&tenant, "", "1"), "entity_kind"),
            (Document::builder(&tenant, "offer", "a\nb"), "document_id"),
            (document().title("x".repeat(MAX_TITLE_BYTES + 1)), "title"),
            (document().title("a\0b"), "title"),
            (document().body("x".repeat(MAX_BODY_BYTES + 1)), "body"),
            (document().body("\0"), "body"),
            (document().keyword("brand", ""), "keyword"),
            (document().keyword("brand", "x".repeat(257)), "keyword"),
            (document().keyword("1st", "x"), "field_name"),
            (document().number("a.b", Value::default()), "field_name"),
            (document().date("", DateTime::UNIX_EPOCH), "field_name"),
            (document().number("x".repeat(65), Value::default()), "field_name"),
            (document().version(MAX_VERSION + 1), "version"),
            (document().date("begins", DateTime::<Utc>::MAX_UTC), "dates"),
            (
                document().date("begins", from_millis(-62_135_596_800_001).unwrap()),
                "dates",
            ),
        ] {
            assert_eq!(refused(wrong), field);
        }
        let many = |count: usize| (0..count).fold(document(), |built, n| built.keyword("x", n.to_string()));
        assert!(many(MAX_KEYWORDS).build().is_ok());
        assert_eq!(refused(many(MAX_KEYWORDS + 1)), "keywords");
        let wide = |count: usize| {
            (0..count).fold(document(), |built, n| {
                built.number(format!("x{n}"), Value::default())
            })
        };
        assert!(wide(MAX_FIELDS).keyword("none", "x").build().is_err());
        assert!(wide(MAX_FIELDS).build().is_ok());
    }

    #[test]
    fn the_first_thing_wrong_is_reported() {
        assert_eq!(refused(document().keyword("", "x").title("\0")), "field_name");
    }

    #[test]
    fn fields_without_values_are_left_out_and_times_are_cut() {
        let built = document()
            .date("begins", DateTime::from_timestamp_nanos(1_999_999))
            .build()
            .unwrap();
        let edited = built.edited(|fields| {
            fields
                .keywords
                .insert(FieldName::new("empty").unwrap(), BTreeSet::new());
        });
        assert!(edited.unwrap().keywords.is_empty());
        assert_eq!(
            built.dates.values().next().unwrap().timestamp_subsec_nanos(),
            1_000_000
        );
    }

    #[test]
    fn debug_shows_no_text_and_no_value() {
        let built = Document::builder(&TenantId::new("t").unwrap(), "offer", "pii-id");
        let built = built
            .title("pii-title")
            .body("pii-body")
            .keyword("owner", "pii-value");
        let built = built
            .customer(CustomerId::new("pii-anna").unwrap())
            .build()
            .unwrap();
        assert!(!format!("{built:?}").contains("pii"));
    }
}
