//! Committed results: one JSON object per line, each under its key, from which a page is made.

use std::path::Path;

use serde_json::Value;

use crate::failure::{Context, Result};

/// Reads the lines of `path`; a file that is not there has none.
pub(crate) fn read(path: &Path) -> Result<Vec<Value>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display()).into()),
    };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| serde_json::from_str(line).context(path.display()))
        .collect()
}

/// Writes one object per line.
pub(crate) fn write(path: &Path, rows: &[Value]) -> Result<()> {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).context(folder.display())?;
    }
    std::fs::write(path, text).context(format_args!("cannot write {}", path.display()))
}

/// Replaces the rows whose `key` came anew, where they stand, and appends the others.
pub(crate) fn merge(mut kept: Vec<Value>, new: Vec<Value>, key: &str) -> Vec<Value> {
    for row in new {
        match kept.iter_mut().find(|old| old[key] == row[key]) {
            Some(old) => *old = row,
            None => kept.push(row),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{merge, read, write};
    use crate::scratch::Scratch;

    #[test]
    fn a_new_row_replaces_the_old_one_of_its_key() {
        let kept = vec![json!({"id": "a", "value": 1}), json!({"id": "b", "value": 1})];
        let merged = merge(
            kept,
            vec![json!({"id": "c"}), json!({"id": "a", "value": 2})],
            "id",
        );
        assert_eq!(
            merged,
            [
                json!({"id": "a", "value": 2}),
                json!({"id": "b", "value": 1}),
                json!({"id": "c"})
            ]
        );
    }

    #[test]
    fn what_was_written_is_read_again() {
        let scratch = Scratch::new(&std::env::temp_dir(), "jsonl").unwrap();
        let path = scratch.path().join("docs/rows.jsonl");
        assert!(read(&path).unwrap().is_empty());
        let rows = [json!({"id": "a"}), json!({"id": "b"})];
        write(&path, &rows).unwrap();
        assert_eq!(read(&path).unwrap(), rows);
        std::fs::write(&path, "{\n").unwrap();
        assert!(read(&path).is_err());
    }
}
