//! Vectors that another program made (`make.py`, Python's calendar and decimals), so that the reference does not
//! vouch for itself.

mod credits;
mod folds;
mod periods;
mod sums;

use serde::de::DeserializeOwned;

/// The rows of a file; never none, so that a lost file cannot pass.
fn rows<T: DeserializeOwned>(json: &str) -> Vec<T> {
    let rows: Vec<T> = serde_json::from_str(json).expect("make.py wrote the file");
    assert!(!rows.is_empty());
    rows
}
