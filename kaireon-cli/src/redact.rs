//! Nothing that is printed holds a secret.

/// What stands in place of one.
const HIDDEN: &str = "***";

/// Variables whose values, or the passwords in them, are secrets.
const SECRET: [&str; 2] = ["KAIREON_MASTER_KEY", "AWS_SECRET_ACCESS_KEY"];

/// The text with the user and password of every URL hidden, and the values of secret variables.
pub(crate) fn redacted(text: &str) -> String {
    let hidden = without_user_info(text);
    let values = SECRET.iter().filter_map(|name| std::env::var(name).ok());
    values
        .filter(|value| value.len() >= 8)
        .fold(hidden, |text, value| text.replace(&value, HIDDEN))
}

/// Cuts what lies between `://` and the last `@` of an authority.
fn without_user_info(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + 3);
        shown += before;
        let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>');
        let authority = behind.find(ends).unwrap_or(behind.len());
        // A password may hold a slash that should have been written otherwise: then all up to the `@` of this word goes.
        let word = behind.find(char::is_whitespace).unwrap_or(behind.len());
        let host = behind[..authority].rfind('@').or_else(|| {
            let found = behind[..word].rfind('@')?;
            behind[..found].contains(':').then_some(found)
        });
        match host {
            Some(host) => {
                shown += HIDDEN;
                rest = &behind[host..];
            }
            None => rest = behind,
        }
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_and_with_which_password_is_hidden_in_every_url() {
        for (text, shown) in [
            ("postgres://app:hunter2@db:5432/app", "postgres://***@db:5432/app"),
            (
                "a postgres://u:p@h/x and b redis://:p@r",
                "a postgres://***@h/x and b redis://***@r",
            ),
            ("postgres://u:p@ss@h/x", "postgres://***@h/x"),
            ("postgres://u:p/q@h/x", "postgres://***@h/x"),
            ("see https://example.org/a@b", "see https://example.org/a@b"),
            ("nothing@all", "nothing@all"),
            ("://", "://"),
            ("é://ü:ö@ä", "é://***@ä"),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }
}
