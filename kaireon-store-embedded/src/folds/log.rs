//! The log: a row per commit with what each of its records adds to its customer.

use fjall::Slice;
use kaireon_core::Result;
use kaireon_core::store::Generation;
use kaireon_core::summary::Contribution;
use kaireon_core::wire::{put_bytes, put_varint};

use crate::codec;

/// What one record adds to its customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fold {
    /// The customer's key.
    pub(crate) key: Slice,
    /// Under which the record was accepted.
    pub(crate) generation: Generation,
    /// The bytes of a [`Contribution`]; empty for a decision, which adds nothing but that the customer is there.
    pub(crate) contribution: Slice,
}

/// The row of a commit.
pub(crate) fn put(folds: &[Fold]) -> Vec<u8> {
    let lengths = folds
        .iter()
        .map(|fold| fold.key.len() + fold.contribution.len() + 8);
    let mut row = Vec::with_capacity(lengths.sum::<usize>() + 1);
    codec::put_version(&mut row);
    for fold in folds {
        put_bytes(&mut row, &fold.key);
        put_varint(&mut row, fold.generation.0.into());
        put_bytes(&mut row, &fold.contribution);
    }
    row
}

/// Reads a row; each contribution can be folded.
pub(crate) fn read(row: &[u8]) -> Result<Vec<Fold>> {
    let mut reader = codec::open(row)?;
    let mut folds = Vec::new();
    while !reader.rest().is_empty() {
        let key = reader.bytes()?.into();
        let generation = Generation(reader.varint32()?);
        let contribution = reader.bytes()?;
        if !contribution.is_empty() {
            Contribution::read(contribution)?;
        }
        folds.push(Fold {
            key,
            generation,
            contribution: contribution.into(),
        });
    }
    Ok(folds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_goes_round_and_a_torn_one_is_refused_or_shorter() {
        let interaction = kaireon_core::Interaction::builder("t", "c")
            .offer("o")
            .creative("k")
            .channel("web")
            .build()
            .unwrap();
        let mut contribution = Vec::new();
        Contribution::of(&interaction).put(&mut contribution);
        let fold = |contribution: &[u8]| Fold {
            key: b"t\0c".into(),
            generation: Generation(3),
            contribution: contribution.into(),
        };
        let folds = vec![fold(&contribution), fold(b"")];
        let row = put(&folds);
        assert_eq!(read(&row).unwrap(), folds);
        for at in 0..row.len() {
            assert!(read(&row[..at]).is_err() || read(&row[..at]).unwrap().len() < 2);
        }
    }
}
