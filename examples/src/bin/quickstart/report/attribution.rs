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
            .with_conversions([InteractionType::Click])
            .with_look_back(LOOK_BACK);
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

#[cfg(test)]
mod tests {
    use kaireon::core::Interaction;

    use super::*;

    #[test]
    fn every_click_is_credited_once_by_each_model() {
        let at = |minute: u32, campaign: &str, what| {
            let time = format!("2026-04-30T12:{minute:02}:00Z").parse().unwrap();
            let interaction = Interaction::builder("shop", "anna")
                .offer("o")
                .creative("k")
                .channel("web");
            let interaction = interaction
                .campaign(campaign)
                .timestamp(time)
                .interaction_type(what);
            interaction.build().unwrap()
        };
        let ledger = Ledger {
            decisions: Vec::new(),
            interactions: vec![
                at(0, "men", InteractionType::Click),
                at(1, "men", InteractionType::Impression),
                at(2, "women", InteractionType::Impression),
                at(3, "women", InteractionType::Click),
            ],
        };
        let text = attribution(&ledger).to_string();
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows[2], ["men", "0.0", "1.0", "0.5", "0.5", "0.5"]);
        assert_eq!(rows[3], ["women", "1.0", "0.0", "0.5", "0.5", "0.5"]);
        assert_eq!(rows[4], ["(no", "impression)", "1.0", "1.0", "1.0", "1.0", "1.0"]);
        assert_eq!(rows[5], ["all", "clicks", "2.0", "2.0", "2.0", "2.0", "2.0"]);
    }
}
