//! A step of a migration, taken by a host.

use kaireon_core::{ErrorKind, Result};
use kaireon_migrate::{DualWrite, Known, Phase};
use serde::{Deserialize, Serialize};

use super::host::{Host, later};
use super::path::step;

/// A step of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Taken {
    Start,
    BeginBackfill,
    Backfill,
    Verify,
    /// Compares the stores, whatever that says.
    Compare,
    PassGate,
    CutOver,
    RollBack,
    Finalise,
}

impl Taken {
    /// Takes it, again until it is taken.
    pub(crate) async fn take(self, host: &Host) {
        match self {
            Self::Start => {
                step(host, Phase::DualWrite, || host.start(DualWrite::Async)).await;
            }
            Self::BeginBackfill => step(host, Phase::Backfilling, || host.begin_backfill()).await,
            Self::Backfill => {
                step(host, Phase::Verifying, || async {
                    host.backfill().await?;
                    host.read().await
                })
                .await;
            }
            Self::Verify => {
                step(host, host.phase().await, || async {
                    let report = host.verify().await?;
                    assert!(report.is_clean(), "while both are written to: {report:?}");
                    host.read().await
                })
                .await;
            }
            Self::Compare => {
                step(host, host.phase().await, || async {
                    host.verify().await?;
                    host.read().await
                })
                .await;
            }
            Self::PassGate => step(host, Phase::Ready, || pass_gate(host)).await,
            Self::CutOver => step(host, Phase::CutOver, || cut_over(host)).await,
            Self::RollBack => step(host, Phase::Single, || host.roll_back()).await,
            Self::Finalise => step(host, Phase::Finalised, || host.finalise()).await,
        }
    }
}

async fn pass_gate(host: &Host) -> Result<Known> {
    let report = host.verify().await?;
    if report.is_clean() {
        return host.pass_gate().await;
    }
    // Where this goes on until the test gives up, these say why.
    eprintln!("not the same yet: {report:?}");
    Err(later("the two sides are not the same yet"))
}

/// Where the gate is not passed any more, because what was measured has grown old, it is measured again.
async fn cut_over(host: &Host) -> Result<Known> {
    if host.phase().await == Phase::Verifying {
        pass_gate(host).await?;
    }
    match host.cut_over().await {
        Err(error) if error.kind() == ErrorKind::Conflict => {
            host.verify().await?;
            host.compare_reads().await?;
            Err(error)
        }
        moved => moved,
    }
}
