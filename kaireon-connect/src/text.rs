//! Texts of others, as an error may show them.

/// On one line, whatever it was written on.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
