//! Objects: lines gathered, sealed with their checksum, and taken apart again.

use std::io::{BufRead, Cursor, Read};

use bytes::Bytes;
use kaireon_core::digest::{Digest, TenantKey};
use kaireon_core::store::{Accepted, Generation};
use kaireon_core::time::Timestamp;
use kaireon_core::{Error, ErrorKind, Result};
use sha2::{Digest as _, Sha256};

use crate::error::{corrupt, named};
use crate::filter::filter_of;
use crate::layout::hex;
use crate::manifest::{Content, ObjectEntry, WrittenBy};
use crate::record::SCHEMA;
use crate::{Archived, Compression};

/// The longest line that is read: a decision of a thousand offers whose every text is as long as it may be, and escaped
/// in JSON, stays below.
const MAX_LINE: u64 = 16 << 20;

/// The SHA-256 of bytes, in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// One line of an object that is being gathered.
#[derive(Debug)]
pub(crate) struct LineRef<G> {
    /// Where it ends in the lines.
    end: usize,
    pub(crate) key: Digest,
    pub(crate) customer: Digest,
    pub(crate) generation: Generation,
    time: Timestamp,
    /// Where it comes from.
    pub(crate) tag: G,
}

/// Gathers the lines of one object, each with where it comes from.
#[derive(Debug)]
pub(crate) struct ObjectBuilder<G> {
    lines: Vec<u8>,
    index: Vec<LineRef<G>>,
}

impl<G> Default for ObjectBuilder<G> {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            index: Vec::new(),
        }
    }
}

impl<G> ObjectBuilder<G> {
    /// Appends a record; returns by how many bytes the memory kept for it has grown.
    pub(crate) fn push<T: Archived>(&mut self, record: &Accepted<T>, key: &TenantKey, tag: G) -> usize {
        let Accepted { value, generation } = record;
        let before = self.bytes();
        value.write(*generation, &mut self.lines);
        self.index.push(LineRef {
            end: self.lines.len(),
            key: value.key(key),
            customer: key.customer(value.customer()),
            generation: *generation,
            time: value.timestamp(),
            tag,
        });
        self.bytes() - before
    }

    /// The bytes that are kept for it in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.lines.len() + self.index.len() * size_of::<LineRef<G>>()
    }

    pub(crate) fn index(&self) -> &[LineRef<G>] {
        &self.index
    }

    /// Leaves out the lines that `keep` does not want, and returns what they were.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&LineRef<G>) -> bool) -> Vec<LineRef<G>> {
        let lines = std::mem::take(&mut self.lines);
        let mut begin = 0;
        let mut dropped = Vec::new();
        for mut line in std::mem::take(&mut self.index) {
            let text = &lines[begin..line.end];
            begin = line.end;
            if keep(&line) {
                self.lines.extend_from_slice(text);
                line.end = self.lines.len();
                self.index.push(line);
            } else {
                dropped.push(line);
            }
        }
        dropped
    }

    /// Ends the object under a name without its ending; `None` when there is no line in it.
    pub(crate) fn seal(
        self,
        stem: &str,
        compression: Compression,
        by: WrittenBy,
    ) -> Result<Option<Ended<G>>> {
        let Self { lines, index } = self;
        let times = index.iter().map(|line| line.time);
        let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
            return Ok(None);
        };
        let filter = filter_of(&index.iter().map(|line| line.customer).collect());
        let (bytes, content) = pack(lines, index.len() as u64, compression)?;
        let entry = ObjectEntry {
            name: format!("{stem}{}", compression.ending()),
            schema: SCHEMA,
            compression,
            written_by: by,
            first,
            last,
            content,
            next: Vec::new(),
        };
        Ok(Some(Ended {
            entry,
            sealed: Sealed { bytes, filter },
            lines: index,
        }))
    }
}

/// An object that takes no more lines.
#[derive(Debug)]
pub(crate) struct Ended<G> {
    pub(crate) entry: ObjectEntry,
    pub(crate) sealed: Sealed,
    /// Where its lines come from.
    pub(crate) lines: Vec<LineRef<G>>,
}

/// What is written of an object.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) bytes: Bytes,
    pub(crate) filter: Bytes,
}

/// Compresses lines and takes their checksum.
pub(crate) fn pack(lines: Vec<u8>, records: u64, compression: Compression) -> Result<(Bytes, Content)> {
    let raw_bytes = lines.len() as u64;
    let bytes: Bytes = match compression {
        Compression::None => lines.into(),
        Compression::Zstd => compress(&lines)?.into(),
    };
    let content = Content {
        records,
        bytes: bytes.len() as u64,
        raw_bytes,
        sha256: sha256(&bytes),
    };
    Ok((bytes, content))
}

#[cfg(feature = "zstd")]
fn compress(lines: &[u8]) -> Result<Vec<u8>> {
    zstd::bulk::compress(lines, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(|error| {
        let error = Error::new(ErrorKind::Internal, "zstd failed").with_source(error);
        named(error, "export")
    })
}

#[cfg(not(feature = "zstd"))]
fn compress(_: &[u8]) -> Result<Vec<u8>> {
    Err(no_zstd())
}

#[cfg(not(feature = "zstd"))]
fn no_zstd() -> Error {
    let context = "the object is compressed with zstd; enable the feature zstd";
    named(Error::new(ErrorKind::Unsupported, context), "read")
}

#[cfg(feature = "zstd")]
fn decoder(bytes: Bytes) -> Result<Box<dyn BufRead + Send>> {
    let decoder = zstd::stream::read::Decoder::with_buffer(Cursor::new(bytes))
        .map_err(|error| corrupt("an object is no zstd").with_source(error))?;
    Ok(Box::new(std::io::BufReader::new(decoder)))
}

#[cfg(not(feature = "zstd"))]
fn decoder(_: Bytes) -> Result<Box<dyn BufRead + Send>> {
    Err(no_zstd())
}

/// A line with its number from 1; no text where it is longer than any of ours.
pub(crate) type NumberedLine<'a> = (u64, Option<&'a [u8]>);

/// The lines of an object whose checksum was right.
pub(crate) struct Lines {
    reader: Box<dyn BufRead + Send>,
    left: u64,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    /// Opens an object after its checksum was compared.
    pub(crate) fn open(bytes: Bytes, content: &Content, compression: Compression) -> Result<Self> {
        let reader: Box<dyn BufRead + Send> = match compression {
            Compression::None => Box::new(Cursor::new(bytes)),
            Compression::Zstd => decoder(bytes)?,
        };
        Ok(Self {
            reader,
            left: content.raw_bytes,
            line: Vec::new(),
            number: 0,
        })
    }

    /// The next line, without its break.
    pub(crate) fn next(&mut self) -> Result<Option<NumberedLine<'_>>> {
        self.line.clear();
        let failed = |error: std::io::Error| corrupt("an object cannot be decompressed").with_source(error);
        // What decompresses to more than the manifest says is not read to its end.
        let bound = MAX_LINE.min(self.left);
        let read = (&mut self.reader)
            .take(bound)
            .read_until(b'\n', &mut self.line)
            .map_err(failed)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.left -= read as u64;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            return Ok(Some((self.number, Some(&self.line))));
        }
        if read as u64 == MAX_LINE {
            self.skip_line().map_err(failed)?;
            return Ok(Some((self.number, None)));
        }
        Ok(Some((self.number, Some(&self.line))))
    }

    fn skip_line(&mut self) -> std::io::Result<()> {
        loop {
            self.line.clear();
            let bound = MAX_LINE.min(self.left);
            let read = (&mut self.reader).take(bound).read_until(b'\n', &mut self.line)?;
            self.left -= read as u64;
            if read == 0 || self.line.last() == Some(&b'\n') {
                return Ok(());
            }
        }
    }
}
