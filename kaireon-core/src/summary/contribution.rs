//! What one interaction adds to its customer's summaries, apart from the interaction: small enough to be logged and
//! kept until it is folded.

use super::{Dimension, LastContact, Stats};
use crate::time::{self, Timestamp};
use crate::wire::{Reader, corrupt, put_signed, put_text};
use crate::{
    Classification, Interaction, InteractionId, InteractionType, OutcomeTypeKey, Result, Value, ValueSum,
};

const IMPRESSION: u8 = 1;
const CONVERSION: u8 = 1 << 1;
const POSITIVE: u8 = 1 << 2;
const NEGATIVE: u8 = 1 << 3;
const HAS_VALUE: u8 = 1 << 4;
const KNOWN: u8 = (1 << 5) - 1;

/// What an interaction adds to summaries. [`Packed::fold`](super::packed::Packed::fold) takes it; an adapter that
/// folds later keeps the bytes of [`put`](Self::put) until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contribution<'a> {
    pub(super) timestamp: Timestamp,
    pub(super) id: &'a str,
    pub(super) outcome: &'a str,
    /// The offer, creative and channel, in the order of [`Dimension::ALL`].
    pub(super) values: [&'a str; 3],
    is_impression: bool,
    is_conversion: bool,
    classification: Classification,
    value: Option<Value>,
}

impl<'a> Contribution<'a> {
    /// What an interaction adds.
    #[must_use]
    pub fn of(interaction: &'a Interaction) -> Self {
        Self {
            timestamp: interaction.timestamp,
            id: interaction.id.as_str(),
            outcome: interaction.outcome.as_str(),
            values: Dimension::ALL.map(|dimension| dimension.of(interaction)),
            is_impression: interaction.interaction_type == InteractionType::Impression,
            is_conversion: interaction.interaction_type == InteractionType::Convert,
            classification: interaction.classification,
            value: interaction.value,
        }
    }

    /// Appends its bytes: some 20 beside the texts.
    pub fn put(&self, out: &mut Vec<u8>) {
        let Self {
            timestamp,
            id,
            outcome,
            values,
            is_impression,
            is_conversion,
            classification,
            value,
        } = self;
        let when = |present: bool, bit: u8| if present { bit } else { 0 };
        out.push(
            when(*is_impression, IMPRESSION)
                | when(*is_conversion, CONVERSION)
                | when(*classification == Classification::Positive, POSITIVE)
                | when(*classification == Classification::Negative, NEGATIVE)
                | when(value.is_some(), HAS_VALUE),
        );
        put_signed(out, timestamp.timestamp_millis());
        put_text(out, id);
        put_text(out, outcome);
        for text in values {
            put_text(out, text);
        }
        if let Some(value) = value {
            put_signed(out, value.micros());
        }
    }

    /// Reads what [`put`](Self::put) wrote.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let flags = reader.byte()?;
        let has = |bit: u8| flags & bit != 0;
        if flags & !KNOWN != 0 || has(POSITIVE) && has(NEGATIVE) {
            return Err(corrupt("a contribution has unknown parts"));
        }
        let contribution = Self {
            timestamp: time::from_millis(reader.signed()?)
                .ok_or_else(|| corrupt("a contribution has no time"))?,
            id: reader.text()?,
            outcome: reader.text()?,
            values: [reader.text()?, reader.text()?, reader.text()?],
            is_impression: has(IMPRESSION),
            is_conversion: has(CONVERSION),
            classification: match (has(POSITIVE), has(NEGATIVE)) {
                (true, _) => Classification::Positive,
                (false, true) => Classification::Negative,
                (false, false) => Classification::Neutral,
            },
            value: match has(HAS_VALUE) {
                true => Some(Value::from_micros(reader.signed()?)),
                false => None,
            },
        };
        reader.finish()?;
        // The bounds that folding relies on.
        contribution.last()?;
        for text in contribution.values {
            if text.is_empty() || text.len() > crate::MAX_ID_BYTES {
                return Err(corrupt("a contribution has a text out of bounds"));
            }
        }
        Ok(contribution)
    }

    fn last(&self) -> Result<LastContact> {
        let damaged = |_| corrupt("a contribution has an id out of bounds");
        Ok(LastContact {
            timestamp: self.timestamp,
            id: InteractionId::new(self.id).map_err(damaged)?,
            outcome: OutcomeTypeKey::new(self.outcome).map_err(damaged)?,
        })
    }

    /// The counts and sums of it alone, without the last contact.
    pub(super) fn counts(&self) -> Stats {
        let is = |classification| u64::from(self.classification == classification);
        Stats {
            impressions: u64::from(self.is_impression),
            positive: is(Classification::Positive),
            negative: is(Classification::Negative),
            neutral: is(Classification::Neutral),
            conversions: u64::from(self.is_conversion),
            total_value: self.value.map(ValueSum::from).unwrap_or_default(),
            last: None,
        }
    }

    /// The same as [`Stats::of`] its interaction.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            last: Some(
                self.last()
                    .expect("texts are checked when they are taken or read"),
            ),
            ..self.counts()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interaction(
        build: impl FnOnce(crate::InteractionBuilder) -> crate::InteractionBuilder,
    ) -> Interaction {
        let builder = Interaction::builder("t", "c")
            .offer("offer")
            .creative("creative")
            .channel("web");
        build(builder).build().unwrap()
    }

    #[test]
    fn bytes_go_round_and_give_the_stats_of_the_interaction() {
        let types = [
            InteractionType::Impression,
            InteractionType::Click,
            InteractionType::Convert,
            InteractionType::Dismiss,
        ];
        for interaction_type in types {
            for value in [
                None,
                Some(Value::from_micros(-7)),
                Some(Value::from_micros(i64::MAX)),
            ] {
                let interaction = interaction(|builder| {
                    let builder = builder.interaction_type(interaction_type.clone());
                    match value {
                        Some(value) => builder.value(value),
                        None => builder,
                    }
                });
                let contribution = Contribution::of(&interaction);
                let mut bytes = Vec::new();
                contribution.put(&mut bytes);
                assert_eq!(Contribution::read(&bytes).unwrap(), contribution);
                assert_eq!(contribution.stats(), Stats::of(&interaction));
            }
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_fold_without_a_panic() {
        let interaction = interaction(|builder| builder);
        let mut bytes = Vec::new();
        Contribution::of(&interaction).put(&mut bytes);
        for at in 0..bytes.len() {
            assert!(Contribution::read(&bytes[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                if let Ok(contribution) = Contribution::read(&damaged) {
                    let (mut packed, mut closed) = (super::super::packed::Packed::new(), Vec::new());
                    packed.fold(&contribution, &mut closed);
                }
            }
        }
    }
}
