//! Differences made on purpose, and what has to be said of each.

use std::time::Duration;

use kaireon_core::store::{Accepted, Generation, HistoryQuery, Origin, Purge, RecordBatch, Tombstone};
use kaireon_core::time::{Clock, SystemClock};
use kaireon_core::{CustomerId, InteractionStore};
use kaireon_migrate::{Kind, KindReport, Name, VerifyReport};

use super::{Pair, days_ago, decision, erase, put, put_decision, row};
use crate::switch::{KEY, tenant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    MissingRow,
    /// Of a time that has not come yet.
    MissingAhead,
    ExtraRow,
    OtherContent,
    OtherGeneration,
    /// The same, of a time that has not come yet.
    OtherGenerationAhead,
    OtherSummary,
    MissingDecision,
    ExtraDecision,
    OtherDecision,
    ErasedOnTarget,
    ErasedOnSource,
}

impl Flaw {
    pub(crate) const ALL: [Self; 13] = [
        Self::None,
        Self::MissingRow,
        Self::MissingAhead,
        Self::ExtraRow,
        Self::OtherContent,
        Self::OtherGeneration,
        Self::OtherGenerationAhead,
        Self::OtherSummary,
        Self::MissingDecision,
        Self::ExtraDecision,
        Self::OtherDecision,
        Self::ErasedOnTarget,
        Self::ErasedOnSource,
    ];

    /// Makes the two stores differ in this one thing.
    pub(crate) async fn make(self, pair: &Pair) {
        let (source, target) = (pair.source.as_ref(), pair.target.as_ref());
        let odd = row("still-5", 77, days_ago(2));
        match self {
            Self::None => {}
            Self::MissingRow => put(source, [odd]).await,
            Self::MissingAhead => {
                let ahead = SystemClock.now() + Duration::from_secs(6 * 3_600);
                put(source, [row("still-5", 77, ahead)]).await;
            }
            Self::ExtraRow => put(target, [odd]).await,
            Self::OtherContent => {
                put(source, [odd.clone()]).await;
                put(target, [odd.edited(|row| row.rank = Some(4)).unwrap()]).await;
            }
            Self::OtherGeneration | Self::OtherGenerationAhead => {
                let at = match self {
                    Self::OtherGeneration => days_ago(2),
                    _ => SystemClock.now() + Duration::from_secs(6 * 3_600),
                };
                let only = row("twice", 1, at);
                put(source, [only.clone()]).await;
                let stone = Tombstone {
                    customer: KEY.tenant(&tenant()).customer(&CustomerId::new("twice").unwrap()),
                    generation: Generation(1),
                };
                target.install_tombstones(&tenant(), vec![stone]).await.unwrap();
                let accepted = Accepted {
                    value: only,
                    generation: Generation(1),
                };
                let batch = RecordBatch::accepted(Origin::Backfill, [accepted]);
                assert!(target.record_events(batch).await.unwrap().is_complete());
            }
            Self::OtherSummary => counted_on(pair, target).await,
            Self::MissingDecision => put_decision(source, decision("still-5", 77, "flow", days_ago(2))).await,
            Self::ExtraDecision => put_decision(target, decision("still-5", 77, "flow", days_ago(2))).await,
            Self::OtherDecision => {
                put_decision(source, decision("still-5", 77, "flow", days_ago(2))).await;
                put_decision(target, decision("still-5", 77, "other", days_ago(2))).await;
            }
            Self::ErasedOnTarget => erase(target, "still-3").await,
            Self::ErasedOnSource => erase(source, "still-3").await,
        }
    }

    /// Checks a report: it says this, and nothing else.
    pub(crate) fn check(self, report: &VerifyReport) {
        let context = format!("{self:?}: {report:?}");
        let of = |kind| {
            let KindReport {
                missing,
                extra,
                different,
                not_compared,
                ..
            } = report.of(kind).unwrap();
            assert!(not_compared.is_empty(), "{context}");
            [*missing, *extra, *different]
        };
        let [rows, decisions, stones] = [Kind::Interactions, Kind::Decisions, Kind::Tombstones].map(of);
        let summaries = of(Kind::Summaries);
        let nothing = [0; 3];
        let expected = match self {
            Self::MissingRow | Self::MissingAhead => [[1, 0, 0], nothing, nothing],
            Self::ExtraRow => [[0, 1, 0], nothing, nothing],
            Self::OtherContent => [[0, 0, 1], nothing, nothing],
            Self::OtherGeneration | Self::OtherGenerationAhead => [[0, 0, 1], nothing, [0, 1, 0]],
            Self::None | Self::OtherSummary => [nothing; 3],
            Self::MissingDecision => [nothing, [1, 0, 0], nothing],
            Self::ExtraDecision => [nothing, [0, 1, 0], nothing],
            Self::OtherDecision => [nothing, [0, 0, 1], nothing],
            Self::ErasedOnTarget => [[6, 0, 0], [1, 0, 0], [0, 1, 0]],
            Self::ErasedOnSource => [[0, 6, 0], [0, 1, 0], [1, 0, 0]],
        };
        assert_eq!(rows, expected[0], "{context}");
        assert_eq!(decisions, expected[1], "{context}");
        assert_eq!(stones, expected[2], "{context}");
        let counts_rows = matches!(
            self,
            Self::MissingRow
                | Self::MissingAhead
                | Self::ExtraRow
                | Self::OtherSummary
                | Self::ErasedOnTarget
                | Self::ErasedOnSource
        );
        assert_eq!(summaries.iter().sum::<u64>() > 0, counts_rows, "{context}");
        assert_eq!(report.is_clean(), self == Self::None, "{context}");
        let evidence = report.evidence();
        assert_eq!(evidence.differences() == 0, self == Self::None, "{context}");
        self.check_samples(report);
    }

    fn check_samples(self, report: &VerifyReport) {
        let named: Vec<String> = report
            .kinds
            .iter()
            .flat_map(|kind| &kind.samples)
            .filter_map(|sample| match &sample.name {
                Name::Interaction(id) => Some(id.to_string()),
                Name::Decision(id) => Some(id.to_string()),
                _ => None,
            })
            .collect();
        let expected = match self {
            Self::MissingRow | Self::MissingAhead | Self::ExtraRow | Self::OtherContent => {
                Some("row-still-5-77")
            }
            Self::OtherGeneration | Self::OtherGenerationAhead => Some("row-twice-1"),
            Self::MissingDecision | Self::ExtraDecision | Self::OtherDecision => Some("decision-still-5-77"),
            Self::None | Self::OtherSummary => None,
            Self::ErasedOnTarget | Self::ErasedOnSource => return,
        };
        assert_eq!(named, expected.into_iter().collect::<Vec<_>>(), "{self:?}");
    }
}

/// Lets one side alone count a row that retention has taken from it since.
pub(crate) async fn counted_on(pair: &Pair, side: &dyn InteractionStore) {
    put(side, [row("still-5", 78, days_ago(40))]).await;
    for store in [&pair.source, &pair.target] {
        let before = days_ago(30);
        store
            .purge_before(Purge {
                tenant: tenant(),
                before,
            })
            .await
            .unwrap();
    }
    let query = HistoryQuery::new(tenant(), CustomerId::new("still-5").unwrap());
    let rows = side.history(query).await.unwrap().items;
    assert!(rows.iter().all(|row| row.timestamp > days_ago(30)));
}
