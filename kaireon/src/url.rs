//! The shape of a connection URL, checked without a network and without showing any of it.

/// What a variable's URL turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One of the wanted schemes, and well formed.
    Wanted,
    /// A URL of another scheme: perhaps the host's own.
    Other,
}

/// Checks a URL against the schemes that an adapter takes. Several hosts may be given, with commas between.
///
/// The reason of a refusal never contains a part of the URL.
pub(crate) fn check(url: &str, schemes: &[&str]) -> Result<Shape, &'static str> {
    let (scheme, rest) = url.split_once(':').ok_or("is not a url")?;
    let begins_well = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
    let goes_on_well = scheme
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !begins_well || !goes_on_well {
        return Err("is not a url");
    }
    if !schemes.iter().any(|wanted| scheme.eq_ignore_ascii_case(wanted)) {
        return Ok(Shape::Other);
    }
    let rest = rest.strip_prefix("//").ok_or("lacks `//` behind its scheme")?;
    if rest.chars().any(|char| char.is_whitespace() || char.is_control()) {
        return Err("contains white space");
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    // The last `@`: a password may hold others, which clients take though RFC 3986 wants them encoded.
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    if hosts.is_empty() {
        // A socket: its path, or `?host=`.
        return if tail.len() > 1 {
            Ok(Shape::Wanted)
        } else {
            Err("names no host")
        };
    }
    hosts.split(',').try_for_each(check_host).map(|()| Shape::Wanted)
}

fn check_host(host: &str) -> Result<(), &'static str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']').ok_or("has an address without `]`")?;
            (name, port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, Some("")),
        },
    };
    let port = port.ok_or("has something other than a port behind its host")?;
    if name.is_empty() {
        return Err("names no host");
    }
    if !port.is_empty() && !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err("has a port that is not a number from 1 to 65535");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PG: &[&str] = &["postgres", "postgresql"];

    #[test]
    fn well_formed_urls_are_wanted() {
        for url in [
            "postgres://db",
            "postgresql://user:p@ss:word@db.example:5432/kaireon?sslmode=require",
            "postgres://one:5432,two:5433/kaireon",
            "postgres://[::1]:5432/kaireon",
            "postgres:///kaireon?host=/var/run/postgresql",
            "POSTGRES://db",
        ] {
            assert_eq!(check(url, PG), Ok(Shape::Wanted), "{url}");
        }
    }

    #[test]
    fn other_schemes_are_told_apart_from_nonsense() {
        assert_eq!(check("sqlite:app.db", PG), Ok(Shape::Other));
        assert_eq!(check("mysql://db", PG), Ok(Shape::Other));
        for url in ["", "db.example", "://db", "1a://db", "a b://db"] {
            assert!(check(url, PG).is_err(), "{url}");
        }
    }

    #[test]
    fn malformed_urls_say_why_and_show_nothing() {
        for url in [
            "postgres:hunter2",
            "postgres://",
            "postgres:///",
            "postgres://user:hunter2@",
            "postgres://user:hunter2@:5432/db",
            "postgres://user:hunter2@db:port/db",
            "postgres://user:hunter2@db:0",
            "postgres://user:hunter2@db:65536",
            "postgres://user:hunter2@db,,db2",
            "postgres://user:hunter2@[::1/db",
            "postgres://user:hunter2@[::1]x/db",
            "postgres://user:hunter2@d b/db",
        ] {
            let why = check(url, PG).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
