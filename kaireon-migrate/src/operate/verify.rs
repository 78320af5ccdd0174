//! Comparing the two stores, as an operator is told of it.

use kaireon_core::time::Timestamp;
use kaireon_core::{Result, TenantId};
use serde::Serialize;

use super::{Advance, Asked, Lacking, Operator, OperatorStatus};
use crate::{KindReport, Phase, Step, VerifyReport, WithoutRows, gate};

/// What a comparison said, and what the gate lacks then.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VerifyRun {
    /// Whose.
    pub tenant: TenantId,
    /// When it began: what was acknowledged by then was compared.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Whether everything was compared and is the same.
    pub clean: bool,
    /// Rows and tombstones that were read, of both sides and in all passes.
    pub read: u64,
    /// Before when rows were left out, as [`VerifyConfig::kept_from`](crate::VerifyConfig::kept_from) asks.
    pub kept_from: Option<Timestamp>,
    /// Whether the summaries of customers without any row were compared, which takes an archive that names them.
    pub without_rows: WithoutRows,
    /// What it says of each kind.
    pub kinds: Vec<KindRun>,
    /// Whether the gate was passed by this call: the tenant is ready.
    pub passed: bool,
    /// What the gate lacks.
    pub gate: Vec<Lacking>,
    /// Where the tenant stands.
    pub status: OperatorStatus,
}

/// What a comparison says of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KindRun {
    /// `interactions`, `decisions`, `summaries` or `tombstones`.
    pub kind: String,
    /// Those that are the same.
    pub equal: u64,
    /// Those that the target lacks.
    pub missing: u64,
    /// Those that only the target has.
    pub extra: u64,
    /// Those that are unlike.
    pub different: u64,
    /// Rows of either side that were left out, as [`VerifyConfig::kept_from`](crate::VerifyConfig::kept_from) asks.
    pub left_out: u64,
    /// Parts that were not compared.
    pub not_compared: u64,
    /// Why not, in words.
    pub why: Vec<String>,
    /// Some of the differences.
    pub samples: Vec<SampleRun>,
}

/// One of the differences, by the ids of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SampleRun {
    /// `missing`, `extra` or `different`.
    pub difference: String,
    /// What it is of.
    pub of: String,
}

impl KindRun {
    fn of(report: &KindReport) -> Self {
        let lower = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
        Self {
            kind: lower(&report.kind),
            equal: report.equal,
            missing: report.missing,
            extra: report.extra,
            different: report.different,
            left_out: report.left_out,
            not_compared: report.not_compared.iter().map(|part| part.parts.max(1)).sum(),
            why: report.not_compared.iter().map(|part| why(&part.why)).collect(),
            samples: (report.samples.iter())
                .map(|sample| SampleRun {
                    difference: lower(&sample.difference),
                    of: name(&sample.name),
                })
                .collect(),
        }
    }
}

fn why(why: &crate::Why) -> String {
    use crate::Why;
    let side = |side: &crate::Side| match side {
        crate::Side::Source => "the source",
        crate::Side::Target => "the target",
    };
    match why {
        Why::Failed { side: of, error } => format!("{} failed: {error}", side(of)),
        Why::Unsupported { side: of } => format!("{} keeps none", side(of)),
        Why::Behind => "the replicate lane did not come so far in time".to_owned(),
        Why::TooMany => "more was unlike than is looked at one by one".to_owned(),
        Why::Unlisted { error } => {
            format!("the archive, which names customers whose rows were purged, failed: {error}")
        }
        Why::Busy => "written to during every look".to_owned(),
    }
}

fn name(name: &crate::Name) -> String {
    use crate::Name;
    match name {
        Name::Interaction(id) => format!("interaction {id}"),
        Name::Decision(id) => format!("decision {id}"),
        Name::Summary {
            dimension,
            period,
            last,
        } => match last {
            Some(last) => format!("{dimension:?} summary of {period}, last contact {last}"),
            None => format!("{dimension:?} summary of {period}"),
        },
        Name::Tombstone => "an erased customer".to_owned(),
    }
}

impl Operator {
    /// Compares the two stores of a tenant's migration, and measures the `replicate` lane; where the gate then lacks nothing, it is
    /// passed, and the tenant is ready: neither reads nor writes have moved. With an archive, the summaries of customers whom it
    /// names as purged are compared too.
    ///
    /// A difference is no error: the report says so.
    ///
    /// # Errors
    /// As for [`Migrator::verify`](crate::Migrator::verify), of which `Conflict` comes with a [`Refused`](crate::Refused).
    ///
    /// # Dropped futures
    /// Nothing was set, or what was measured was; the comparison begins again from its start.
    pub async fn verify(&self, tenant: &TenantId, asked: &Asked) -> Result<VerifyRun> {
        let mut verifier = self.migrator.verifier(tenant, self.config.verify.clone()).await?;
        if let Some(archive) = &self.archive {
            verifier = verifier.with_archive(archive.clone());
        }
        if let Some(told) = self.told.clone() {
            verifier = verifier.with_progress(move |progress| told(Advance::Verified(progress)));
        }
        let (report, _) = self.migrator.verify_with(tenant, verifier).await?;
        let mut known = self.migrator.measure(tenant).await?;
        let now = self.migrator.clock().now();
        let lacks = |known: &crate::Known| match known.setting.under_way() {
            Some(migration) if known.setting.phase != Phase::CutOver => gate(migration, now),
            _ => Vec::new(),
        };
        let passes = known.setting.phase == Phase::Verifying && lacks(&known).is_empty();
        if passes {
            let change = self.change(Step::PassGate, asked)?;
            known = self.migrator.change(tenant, &change).await?;
        }
        let VerifyReport {
            started_at,
            ended_at,
            read,
            kept_from,
            without_rows,
            ..
        } = report;
        Ok(VerifyRun {
            tenant: tenant.clone(),
            started_at,
            ended_at,
            clean: report.is_clean(),
            read,
            kept_from,
            without_rows,
            kinds: report.kinds.iter().map(KindRun::of).collect(),
            passed: passes,
            gate: Lacking::all(lacks(&known)),
            status: self.status(tenant).await?,
        })
    }
}
