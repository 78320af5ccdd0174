//! The frame in which `get_or_fetch` keeps a value: the value, then fresh until (8 bytes, milliseconds since the Unix
//! epoch, little endian), kept until (8), kind (1), version (1).
//!
//! It is a trailer because a cache in process memory keeps the count of references behind the value: a hit that
//! reads both finds them side by side.

use bytes::{BufMut, Bytes, BytesMut};

const VERSION: u8 = 1;
const KIND_VALUE: u8 = 0;
const KIND_NEGATIVE: u8 = 1;
const TRAILER: usize = 18;

/// What was fetched, and how long it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The value; `None`: it was fetched, and there was none.
    pub(super) value: Option<Bytes>,
    /// Until when it is as good as fetched now.
    pub(super) fresh_until: i64,
    /// Until when it may be shown at all.
    pub(super) kept_until: i64,
}

impl Frame {
    /// The frame as bytes.
    pub(super) fn encode(&self) -> Bytes {
        let Self {
            value,
            fresh_until,
            kept_until,
        } = self;
        let length = value.as_ref().map_or(0, Bytes::len);
        let mut bytes = BytesMut::with_capacity(length + TRAILER);
        bytes.put_slice(value.as_deref().unwrap_or_default());
        bytes.put_i64_le(*fresh_until);
        bytes.put_i64_le(*kept_until);
        bytes.put_u8(if value.is_some() {
            KIND_VALUE
        } else {
            KIND_NEGATIVE
        });
        bytes.put_u8(VERSION);
        bytes.freeze()
    }

    /// Reads a frame; `None` for what this version did not write, which is then fetched anew.
    #[inline]
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        let (rest, &[kind, VERSION]) = bytes.split_last_chunk::<2>()? else {
            return None;
        };
        let (rest, kept_until) = rest.split_last_chunk::<8>()?;
        let (rest, fresh_until) = rest.split_last_chunk::<8>()?;
        let (fresh_until, kept_until) = (i64::from_le_bytes(*fresh_until), i64::from_le_bytes(*kept_until));
        let length = rest.len();
        let value = match kind {
            KIND_VALUE => {
                bytes.truncate(length);
                Some(bytes)
            }
            KIND_NEGATIVE => None,
            _ => return None,
        };
        Some(Self {
            value,
            fresh_until,
            kept_until,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_as_it_was_written() {
        for value in [None, Some(Bytes::new()), Some(Bytes::from_static(b"value"))] {
            let frame = Frame {
                value,
                fresh_until: -5,
                kept_until: i64::MAX,
            };
            assert_eq!(Frame::decode(frame.encode()), Some(frame));
        }
    }

    #[test]
    fn what_is_no_frame_is_nothing() {
        let good = Frame {
            value: None,
            fresh_until: 1,
            kept_until: 2,
        }
        .encode();
        for (from_end, byte) in [(1, 2), (2, 9)] {
            let mut wrong = good.to_vec();
            let at = wrong.len() - from_end;
            wrong[at] = byte;
            assert_eq!(Frame::decode(wrong.into()), None);
        }
        assert_eq!(Frame::decode(good.slice(1..)), None);
        assert_eq!(Frame::decode(Bytes::from_static(b"{}")), None);
    }
}
