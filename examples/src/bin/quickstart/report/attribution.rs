//! Which campaigns the clicks are credited to.

use std::collections::BTreeSet;
use std::time::Duration;

use kaireon::core::InteractionType;
use kaireon::core::attribution::{Attribution, Credit, Group, Model, Table as Credits};

use crate::ledger::Ledger;
use crate::table::Table;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// How long before a click an impression may lie to be credited.
const LOOK_BACK: Duration = Duration::from_secs(24 * 60 * 60);

/// After how long an impression counts half, where credit decays.
const HALF_LIFE: Duration = HOUR.saturating_mul(6);

/// The clicks of the week, credited by five models to the campaigns whose impressions came before them. The sample
/// has no conversions, so a click is what is credited.
pub(crate) fn attribution(ledger: &Ledger) -> Table {
    let models = [
        Model::LastTouch,
        Model::FirstTouch,
        Model::Linear,
        Model::TimeDecay { half_life: HALF_LIFE },
        Model::PositionBased,
    ];
    let credits = models.map(|model| {
        let attribution = Attribution::new(model)
            .of_conversions([InteractionType::Click])
            .within(LOOK_BACK);
        attribution.table(&ledger.interactions, Group::Campaign)
    });
    let title = "Clicks credited to the impressions that the customer saw in the 24 hours before";
    let head = [
        "campaign",
        "last touch",
        "first touch",
        "linear",
        "decay (6 h)",
        "40/20/40",
    ];
    let mut table = Table::new(title, head);
    let campaigns: BTreeSet<_> = credits.iter().flat_map(|credits| credits.groups.keys()).collect();
    for campaign in campaigns {
        let name = campaign.as_deref().unwrap_or("(none)");
        table.push(row(name, &credits, |credits| {
            credits.groups.get(campaign).copied().unwrap_or_default()
        }));
    }
    table.push(row("(no impression)", &credits, |credits| credits.unattributed));
    table.push(row("all clicks", &credits, Credits::total));
    table
}

fn row(name: &str, credits: &[Credits], of: impl Fn(&Credits) -> Credit) -> Vec<String> {
    let cells = credits.iter().map(|credits| {
        // Exact millionths, shown to a tenth.
        format!("{:.1}", of(credits).conversions.micros() as f64 / 1e6)
    });
    [name.to_owned()].into_iter().chain(cells).collect()
}
