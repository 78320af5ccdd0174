//! A week of a fashion shop: the Open Bandit Dataset's small sample by ZOZO, Inc., CC BY 4.0.
//!
//! 60,000 logged recommendations of two policies in three campaigns, with the probability with which each was
//! chosen and whether it was clicked. See `data/open-bandit/README.md` for source and reference.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use chrono::{DateTime, Utc};
use flate2::read::GzDecoder;
use serde::Deserialize;

const IMPRESSIONS: &[u8] = include_bytes!("../data/open-bandit/impressions.csv.gz");
const ITEMS: &str = include_str!("../data/open-bandit/items.csv");

/// One logged recommendation.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its place in the file, from 1: what makes a second replay recognisable.
    pub number: usize,
    /// The policy that chose the item: `random` or `bts`.
    pub policy: String,
    /// The campaign: `all`, `men` or `women`.
    pub campaign: String,
    /// When it was shown.
    pub timestamp: DateTime<Utc>,
    /// The item; its number counts within its campaign.
    pub item: u32,
    /// The place on the page, 1 to 3.
    pub position: u32,
    /// Whether it was clicked.
    pub clicked: bool,
    /// The probability with which the policy chose this item for this place.
    pub propensity: f64,
    /// Who saw it. The sample has no customer id: the four user features together stand for the customer.
    pub profile: String,
}

#[derive(Deserialize)]
struct Line {
    policy: String,
    campaign: String,
    timestamp: String,
    item_id: u32,
    position: u32,
    click: u8,
    propensity_score: f64,
    user_feature_0: String,
    user_feature_1: String,
    user_feature_2: String,
    user_feature_3: String,
}

/// Reads every row.
///
/// # Errors
/// When the file is damaged.
pub fn rows() -> Result<Vec<Row>, Box<dyn Error + Send + Sync>> {
    let mut reader = csv::Reader::from_reader(GzDecoder::new(IMPRESSIONS));
    let mut rows = Vec::with_capacity(60_000);
    for (at, line) in reader.deserialize().enumerate() {
        let line: Line = line?;
        let timestamp = DateTime::parse_from_str(&line.timestamp, "%Y-%m-%d %H:%M:%S%.f%:z")?;
        rows.push(Row {
            number: at + 1,
            policy: line.policy,
            campaign: line.campaign,
            timestamp: timestamp.to_utc(),
            item: line.item_id,
            position: line.position,
            clicked: line.click == 1,
            propensity: line.propensity_score,
            profile: [
                line.user_feature_0,
                line.user_feature_1,
                line.user_feature_2,
                line.user_feature_3,
            ]
            .join("-"),
        });
    }
    Ok(rows)
}

/// How many items each campaign chooses from.
///
/// # Errors
/// When the file is damaged.
pub fn items_per_campaign() -> Result<BTreeMap<String, usize>, Box<dyn Error + Send + Sync>> {
    let mut items: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for record in csv::Reader::from_reader(ITEMS.as_bytes()).records() {
        let record = record?;
        items
            .entry(record[0].to_owned())
            .or_default()
            .insert(record[1].to_owned());
    }
    Ok(items
        .into_iter()
        .map(|(campaign, items)| (campaign, items.len()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_whole() {
        let rows = rows().unwrap();
        assert_eq!(rows.len(), 60_000);
        assert_eq!(rows.iter().filter(|row| row.clicked).count(), 287);
        let profiles: BTreeSet<_> = rows.iter().map(|row| &row.profile).collect();
        assert_eq!(profiles.len(), 337);
        assert!(rows.iter().all(|row| (1..=3).contains(&row.position)));
    }

    #[test]
    fn the_random_policy_is_uniform_over_the_campaigns_items() {
        let items = items_per_campaign().unwrap();
        assert_eq!(items.values().sum::<usize>(), 160);
        for row in rows().unwrap().iter().filter(|row| row.policy == "random") {
            let uniform = 1.0 / items[&row.campaign] as f64;
            assert!((row.propensity - uniform).abs() < 1e-5, "row {}", row.number);
        }
    }
}
