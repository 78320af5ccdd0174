//! The week that is replayed: a sample of the Open Bandit Dataset, compiled into the program so that it runs
//! anywhere.
//!
//! Where it comes from, and what it may be used for, is in `data/open-bandit/README.md`.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use flate2::read::GzDecoder;
use kaireon::core::time::Timestamp;
use serde::Deserialize;

use crate::Failure;

const ROWS: &[u8] = include_bytes!("../../../data/open-bandit/impressions.csv.gz");
const ITEMS: &str = include_str!("../../../data/open-bandit/items.csv");

/// How much of each hashed feature names a profile. That no two profiles share a name is checked.
const FEATURE_DIGITS: usize = 8;

/// One logged recommendation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Its place in the file, from 1: what makes a second replay recognisable.
    pub(crate) number: usize,
    /// The policy that chose the item: `random` or `bts`.
    pub(crate) policy: String,
    /// `all`, `men` or `women`.
    pub(crate) campaign: String,
    /// When it was shown.
    pub(crate) shown_at: Timestamp,
    /// The item, numbered within its campaign.
    pub(crate) item: u32,
    /// The place on the page, from 1 to 3.
    pub(crate) position: u32,
    /// Whether it was clicked. The file does not say when.
    pub(crate) clicked: bool,
    /// The probability with which the policy chose this item for this place.
    pub(crate) propensity: f64,
    /// Who saw it. The sample has no customer id: the four user features together stand for the customer.
    pub(crate) profile: String,
}

/// A line of the file.
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

#[derive(Deserialize)]
struct Item {
    campaign: String,
}

/// Reads every row, in the order of the file, which is that of time.
pub(crate) fn rows() -> Result<Vec<Row>, Failure> {
    read(GzDecoder::new(ROWS))
}

/// How many items each campaign chooses from.
pub(crate) fn catalogue() -> Result<BTreeMap<String, usize>, Failure> {
    let mut items = BTreeMap::new();
    for item in csv::Reader::from_reader(ITEMS.as_bytes()).deserialize() {
        let Item { campaign } = item?;
        *items.entry(campaign).or_default() += 1;
    }
    Ok(items)
}

fn read(csv: impl Read) -> Result<Vec<Row>, Failure> {
    let mut profiles = Profiles::default();
    let mut rows = Vec::new();
    for (at, line) in csv::Reader::from_reader(csv).deserialize().enumerate() {
        let Line {
            policy,
            campaign,
            timestamp,
            item_id: item,
            position,
            click,
            propensity_score: propensity,
            user_feature_0,
            user_feature_1,
            user_feature_2,
            user_feature_3,
        } = line?;
        let number = at + 1;
        rows.push(Row {
            number,
            policy,
            campaign,
            shown_at: timestamp.parse()?,
            item,
            position,
            clicked: match click {
                0 => false,
                1 => true,
                other => return Err(format!("row {number} has click {other}").into()),
            },
            propensity,
            profile: profiles.name([user_feature_0, user_feature_1, user_feature_2, user_feature_3])?,
        });
    }
    Ok(rows)
}

/// The names of profiles, and what each stands for.
#[derive(Default)]
struct Profiles(HashMap<String, [String; 4]>);

impl Profiles {
    /// The beginnings of the four hashes: short enough to print.
    fn name(&mut self, features: [String; 4]) -> Result<String, Failure> {
        let begin = |feature: &String| feature.get(..FEATURE_DIGITS).unwrap_or(feature).to_owned();
        let name = features.each_ref().map(begin).join("-");
        match self.0.get(&name) {
            Some(known) if *known != features => Err(format!("two profiles share the name {name}").into()),
            Some(_) => Ok(name),
            None => {
                self.0.insert(name.clone(), features);
                Ok(name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const HEAD: &str = "policy,campaign,timestamp,item_id,position,click,propensity_score,\
                        user_feature_0,user_feature_1,user_feature_2,user_feature_3\n";

    fn one(features: &str, click: u8) -> String {
        format!("bts,men,2019-11-24 00:00:17.004101+00:00,7,2,{click},0.25,{features}\n")
    }

    #[test]
    fn the_week_is_whole() {
        let rows = rows().unwrap();
        assert_eq!(rows.len(), 60_000);
        assert_eq!(rows.iter().filter(|row| row.clicked).count(), 287);
        let profiles: BTreeSet<&str> = rows.iter().map(|row| row.profile.as_str()).collect();
        assert_eq!(profiles.len(), 337);
        assert!(rows.iter().all(|row| (1..=3).contains(&row.position)));
        assert!(rows.is_sorted_by_key(|row| row.shown_at));
    }

    #[test]
    fn the_random_policy_chose_uniformly_from_its_campaigns_catalogue() {
        let catalogue = catalogue().unwrap();
        assert_eq!(catalogue.values().sum::<usize>(), 160);
        for row in rows().unwrap().iter().filter(|row| row.policy == "random") {
            let uniform = 1.0 / catalogue[&row.campaign] as f64;
            assert!((row.propensity - uniform).abs() < 1e-12, "row {}", row.number);
        }
    }

    #[test]
    fn a_row_is_read_as_it_is_written() {
        let text = format!("{HEAD}{}", one("aaaaaaaa1,b,c,d", 1));
        let rows = read(text.as_bytes()).unwrap();
        let row = &rows[0];
        assert_eq!((row.number, row.item, row.position, row.clicked), (1, 7, 2, true));
        assert_eq!(row.shown_at.timestamp_micros(), 1_574_553_617_004_101);
        assert_eq!(row.profile, "aaaaaaaa-b-c-d");
    }

    #[test]
    fn profiles_that_would_share_a_name_and_odd_clicks_are_refused() {
        let (first, second) = (one("aaaaaaaa1,b,c,d", 0), one("aaaaaaaa2,b,c,d", 0));
        let failure = read(format!("{HEAD}{first}{second}").as_bytes()).unwrap_err();
        assert!(failure.to_string().contains("share the name"));
        assert!(read(format!("{HEAD}{first}{first}").as_bytes()).is_ok());
        assert!(read(format!("{HEAD}{}", one("a,b,c,d", 2)).as_bytes()).is_err());
    }
}
