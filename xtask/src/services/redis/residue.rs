//! The keys that a run left.

use std::collections::BTreeSet;

use super::wire::{Answer, Wire};
use crate::failure::{Context, Result};

/// How much of a key is shown: enough to know whose it is.
const SHOWN: usize = 60;

/// Every key on the primaries among these nodes, as lines that name it.
pub(super) fn keys(url: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for mut wire in Wire::to_each(url)? {
        // A replica has what its primary has, a moment later.
        if wire.info("replication", "role")? == "master" {
            scan(&mut wire, &mut found)?;
        }
    }
    Ok(found)
}

fn scan(wire: &mut Wire, found: &mut BTreeSet<String>) -> Result<()> {
    let mut cursor = "0".to_owned();
    loop {
        let Answer::List(answer) = wire.ask(&["SCAN", &cursor, "COUNT", "1000"])? else {
            return Err("SCAN was not answered by a list".into());
        };
        let [next, Answer::List(keys)] = answer.as_slice() else {
            return Err("SCAN was not answered by a cursor and keys".into());
        };
        found.extend(keys.iter().map(|key| format!("key {}", shown(key.text()))));
        next.text().clone_into(&mut cursor);
        if cursor.parse::<u64>().context("a cursor")? == 0 {
            return Ok(());
        }
    }
}

fn shown(key: &str) -> String {
    key.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_key_is_shown_on_one_line_and_not_whole() {
        assert_eq!(shown("kt:1:tenant\0name"), "kt:1:tenant\\0name");
        assert_eq!(shown(&"k".repeat(1_000)).len(), 60);
    }
}
