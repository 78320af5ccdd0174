//! The frame in which `get_or_fetch` keeps a value:
//! version (1 byte), kind (1), fresh until (8, milliseconds since the Unix epoch, little endian), kept until (8),
//! the value.

use bytes::{Buf, BufMut, Bytes, BytesMut};

const VERSION: u8 = 1;
const KIND_VALUE: u8 = 0;
const KIND_NEGATIVE: u8 = 1;
const HEADER: usize = 18;

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
        let mut bytes = BytesMut::with_capacity(HEADER + length);
        bytes.put_u8(VERSION);
        bytes.put_u8(if value.is_some() {
            KIND_VALUE
        } else {
            KIND_NEGATIVE
        });
        bytes.put_i64_le(*fresh_until);
        bytes.put_i64_le(*kept_until);
        bytes.put_slice(value.as_deref().unwrap_or_default());
        bytes.freeze()
    }

    /// Reads a frame; `None` for what this version did not write, which is then fetched anew.
    #[inline]
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.len() < HEADER || bytes.get_u8() != VERSION {
            return None;
        }
        let kind = bytes.get_u8();
        let (fresh_until, kept_until) = (bytes.get_i64_le(), bytes.get_i64_le());
        let value = match kind {
            KIND_VALUE => Some(bytes),
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
        for (at, byte) in [(0, 2), (1, 9)] {
            let mut wrong = good.to_vec();
            wrong[at] = byte;
            assert_eq!(Frame::decode(wrong.into()), None);
        }
        assert_eq!(Frame::decode(good.slice(..17)), None);
        assert_eq!(Frame::decode(Bytes::from_static(b"{}")), None);
    }
}
