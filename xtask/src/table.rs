//! Columns that line up in a terminal.

/// Lays out rows under their head, two spaces between columns.
pub(crate) fn layout<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; N]| {
        let padded = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(&head.map(str::to_owned));
    text.extend(rows.iter().map(line));
    text
}

#[cfg(test)]
mod tests {
    use super::layout;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["a".to_owned(), "long".to_owned()],
            ["bcd".to_owned(), String::new()],
        ];
        assert_eq!(layout(["x", "y"], &rows), "x    y\na    long\nbcd\n");
    }
}
