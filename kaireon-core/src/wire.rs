//! Compact binary values, for adapters that keep records as bytes: variable-length integers and counted texts, and
//! whole interactions and decisions made of them.
//!
//! Reading never panics and never allocates more than the bytes that are there: whatever is wrong is `Corrupt`.

mod record;

pub use record::{decision_of, interaction_of, put_decision, put_interaction};

use crate::{Error, ErrorKind, Result};

/// Appends an integer in 7-bit groups, the lowest first.
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    out.push(low_bits(number));
}

/// Appends a signed integer so that small magnitudes are short.
pub fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_varint(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// Appends a signed 128-bit integer so that small magnitudes are short.
pub fn put_wide(out: &mut Vec<u8>, number: i128) {
    let mut rest = ((number << 1) ^ (number >> 127)).cast_unsigned();
    while rest >= 0x80 {
        out.push(low_bits_wide(rest) | 0x80);
        rest >>= 7;
    }
    out.push(low_bits_wide(rest));
}

/// Appends bytes led by their count.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a text led by its count of bytes.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

#[expect(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
const fn low_bits(number: u64) -> u8 {
    number as u8 & 0x7f
}

#[expect(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
const fn low_bits_wide(number: u128) -> u8 {
    number as u8 & 0x7f
}

/// The error of bytes that this library did not write.
#[must_use]
pub fn corrupt(why: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, why)
}

/// Reads what the `put_` functions wrote.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Checks that everything was read.
    ///
    /// # Errors
    /// `Corrupt` when bytes are left.
    pub fn finish(self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(corrupt("a stored value is longer than its content"))
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// `Corrupt` at the end.
    pub fn byte(&mut self) -> Result<u8> {
        let (&first, rest) = self.rest.split_first().ok_or_else(too_short)?;
        self.rest = rest;
        Ok(first)
    }

    /// Reads so many bytes.
    ///
    /// # Errors
    /// `Corrupt` when fewer are left.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(too_short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads an array.
    ///
    /// # Errors
    /// `Corrupt` when fewer bytes are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(too_short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Reads an integer.
    ///
    /// # Errors
    /// `Corrupt` at the end, or where it has more than 64 bits.
    pub fn varint(&mut self) -> Result<u64> {
        // Nearly every integer of ours is below 128.
        if let Some((&first, rest)) = self.rest.split_first()
            && first < 0x80
        {
            self.rest = rest;
            return Ok(first.into());
        }
        u64::try_from(self.groups(64)?).map_err(|_| too_wide())
    }

    /// Reads an integer of at most 32 bits.
    ///
    /// # Errors
    /// As for [`varint`](Self::varint).
    pub fn varint32(&mut self) -> Result<u32> {
        u32::try_from(self.varint()?).map_err(|_| too_wide())
    }

    /// Reads a signed integer.
    ///
    /// # Errors
    /// As for [`varint`](Self::varint).
    pub fn signed(&mut self) -> Result<i64> {
        let folded = self.varint()?;
        Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }

    /// Reads a signed 128-bit integer.
    ///
    /// # Errors
    /// `Corrupt` at the end, or where it has more than 128 bits.
    pub fn wide(&mut self) -> Result<i128> {
        let folded = self.groups(128)?;
        Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }

    fn groups(&mut self, bits: u32) -> Result<u128> {
        let mut number = 0_u128;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            let group = u128::from(byte & 0x7f);
            if shift >= bits || (group << shift) >> shift != group {
                return Err(too_wide());
            }
            number |= group << shift;
            if byte < 0x80 {
                return Ok(number);
            }
            shift += 7;
        }
    }

    /// Reads counted bytes.
    ///
    /// # Errors
    /// `Corrupt` when fewer are left than counted.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let count = usize::try_from(self.varint()?).map_err(|_| too_wide())?;
        self.take(count)
    }

    /// Reads a counted text.
    ///
    /// # Errors
    /// `Corrupt` when it is cut off or not UTF-8.
    pub fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| corrupt("a stored text is not utf-8"))
    }
}

fn too_short() -> Error {
    corrupt("a stored value is cut off")
}

fn too_wide() -> Error {
    corrupt("a stored number is out of range")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn numbers_and_texts_go_round(number in any::<u64>(), signed in any::<i64>(), wide in any::<i128>(), text in ".*") {
            let mut out = Vec::new();
            put_varint(&mut out, number);
            put_signed(&mut out, signed);
            put_wide(&mut out, wide);
            put_text(&mut out, &text);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint().unwrap(), number);
            prop_assert_eq!(reader.signed().unwrap(), signed);
            prop_assert_eq!(reader.wide().unwrap(), wide);
            prop_assert_eq!(reader.text().unwrap(), text);
            prop_assert!(reader.finish().is_ok());
        }

        #[test]
        fn hostile_bytes_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut reader = Reader::new(&bytes);
            while reader.varint().is_ok() && reader.wide().is_ok() && reader.text().is_ok() {}
            let mut reader = Reader::new(&bytes);
            while reader.signed().is_ok() && reader.array::<3>().is_ok() {}
        }
    }

    #[test]
    fn the_ends_of_each_type_go_round_and_one_more_bit_does_not() {
        let mut out = Vec::new();
        put_varint(&mut out, u64::MAX);
        put_wide(&mut out, i128::MIN);
        let mut reader = Reader::new(&out);
        assert_eq!(reader.varint().unwrap(), u64::MAX);
        assert_eq!(reader.wide().unwrap(), i128::MIN);
        let too_wide = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(
            Reader::new(&too_wide).varint().unwrap_err().kind(),
            ErrorKind::Corrupt
        );
        assert!(Reader::new(&[0x80; 30]).wide().is_err());
    }
}
