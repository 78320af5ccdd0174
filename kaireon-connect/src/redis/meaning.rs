//! The table from a server's error codes to kinds.

use kaireon_core::ErrorKind;

/// What an error code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) kind: ErrorKind,
    pub(crate) transient: bool,
    pub(crate) what: &'static str,
    /// Whether the connection leads to a server that is of no use for now: another one may be at the same address.
    pub(crate) leave: bool,
}

const fn means(kind: ErrorKind, transient: bool, what: &'static str) -> Meaning {
    Meaning {
        kind,
        transient,
        what,
        leave: false,
    }
}

const fn leaves(what: &'static str) -> Meaning {
    Meaning {
        kind: ErrorKind::Unavailable,
        transient: true,
        what,
        leave: true,
    }
}

/// What a server's error means, by its code and, for the code that stands for everything else, by how its text begins.
/// A server that refuses a command has not done it.
pub(crate) fn meaning(code: &str, text: &str) -> Meaning {
    use ErrorKind as Kind;
    match code {
        "NOAUTH" => means(Kind::Unauthorized, false, "the server asks for a login"),
        "WRONGPASS" => means(Kind::Unauthorized, false, "the login is refused"),
        "NOPERM" => means(Kind::Unauthorized, false, "the login may not do this"),
        "DENIED" => means(
            Kind::Unauthorized,
            false,
            "the server takes no connection from here",
        ),
        "LOADING" => means(Kind::Unavailable, true, "the server is loading its data"),
        "READONLY" => leaves("the server is a replica"),
        "MASTERDOWN" => leaves("the server is a replica whose primary is away"),
        "UNBLOCKED" => leaves("the server became a replica meanwhile"),
        "CLUSTERDOWN" => means(Kind::Unavailable, true, "the cluster does not serve this slot"),
        "TRYAGAIN" => means(Kind::Unavailable, true, "the slot is being moved"),
        "MOVED" | "ASK" => means(Kind::Unavailable, true, "the slot was moved again and again"),
        "BUSY" => means(
            Kind::Unavailable,
            true,
            "the server runs a script that does not end",
        ),
        "NOREPLICAS" => means(
            Kind::Unavailable,
            true,
            "the server has too few replicas to write",
        ),
        "OOM" => means(Kind::StorageFull, false, "the server has no memory left"),
        "MISCONF" => means(
            Kind::StorageFull,
            false,
            "the server cannot write its data to disk",
        ),
        "WRONGTYPE" => means(Kind::Config, false, "a key is in use for something else"),
        "NOPROTO" => means(
            Kind::Unsupported,
            false,
            "the server does not speak this version of the protocol",
        ),
        "CROSSSLOT" => means(Kind::Internal, false, "a command has keys of two slots"),
        "ERR" => general(text),
        _ => means(Kind::Internal, false, "the server refused the command"),
    }
}

/// Errors without a code of their own. The texts are those of Redis 7, and of Upstash for its limits
/// (<https://upstash.com/docs/redis/troubleshooting>).
fn general(text: &str) -> Meaning {
    use ErrorKind as Kind;
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
    if begins(&[
        "unknown command",
        "unknown subcommand",
        "Unknown subcommand",
        "Command is not available",
    ]) {
        means(Kind::Unsupported, false, "the server does not know the command")
    } else if begins(&["max number of clients"]) {
        means(Kind::RateLimited, true, "the server has no connection left")
    } else if begins(&[
        "max requests limit exceeded",
        "max daily request limit exceeded",
        "max concurrent",
    ]) {
        means(Kind::RateLimited, true, "a limit of the server is reached")
    } else if begins(&[
        "max request size exceeded",
        "max single record size exceeded",
        "string exceeds",
    ]) {
        means(
            Kind::InvalidInput,
            false,
            "a value is larger than the server takes",
        )
    } else if begins(&[
        "AUTH <password> called",
        "Client sent AUTH",
        "invalid password",
        "WRONGPASS",
    ]) {
        means(Kind::Unauthorized, false, "the login is refused")
    } else if begins(&[
        // Of 7.0, and of later versions.
        "The user executing the script can't",
        "ACL failure in script",
    ]) {
        means(Kind::Unauthorized, false, "the login may not do this")
    } else if begins(&[
        "DB index is out of range",
        "invalid DB index",
        "SELECT is not allowed",
    ]) {
        means(Kind::Config, false, "the server has no such database")
    } else if begins(&["No such master with that name"]) {
        means(Kind::Config, false, "the sentinels know no primary of that name")
    } else if begins(&["This instance has cluster support disabled"]) {
        means(Kind::Config, false, "the server is no node of a cluster")
    } else {
        means(Kind::Internal, false, "the server refused the command")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_kind_and_says_whether_to_try_again() {
        for (code, text, kind, transient) in [
            (
                "NOAUTH",
                "Authentication required.",
                ErrorKind::Unauthorized,
                false,
            ),
            (
                "WRONGPASS",
                "invalid username-password pair",
                ErrorKind::Unauthorized,
                false,
            ),
            (
                "NOPERM",
                "User x has no permissions",
                ErrorKind::Unauthorized,
                false,
            ),
            ("LOADING", "Redis is loading", ErrorKind::Unavailable, true),
            ("READONLY", "You can't write", ErrorKind::Unavailable, true),
            (
                "MASTERDOWN",
                "Link with MASTER is down",
                ErrorKind::Unavailable,
                true,
            ),
            (
                "CLUSTERDOWN",
                "Hash slot not served",
                ErrorKind::Unavailable,
                true,
            ),
            ("TRYAGAIN", "Multiple keys request", ErrorKind::Unavailable, true),
            ("MOVED", "1 h:1", ErrorKind::Unavailable, true),
            ("BUSY", "Redis is busy", ErrorKind::Unavailable, true),
            (
                "NOREPLICAS",
                "Not enough good replicas",
                ErrorKind::Unavailable,
                true,
            ),
            ("OOM", "command not allowed", ErrorKind::StorageFull, false),
            ("MISCONF", "Redis is configured", ErrorKind::StorageFull, false),
            ("WRONGTYPE", "Operation against", ErrorKind::Config, false),
            ("CROSSSLOT", "Keys in request", ErrorKind::Internal, false),
            ("ERR", "unknown command 'x'", ErrorKind::Unsupported, false),
            (
                "ERR",
                "max number of clients reached",
                ErrorKind::RateLimited,
                true,
            ),
            ("ERR", "max requests limit exceeded", ErrorKind::RateLimited, true),
            ("ERR", "max request size exceeded", ErrorKind::InvalidInput, false),
            ("ERR", "DB index is out of range", ErrorKind::Config, false),
            (
                "ERR",
                "The user executing the script can't publish to the channel mentioned in the command",
                ErrorKind::Unauthorized,
                false,
            ),
            (
                "ERR",
                "ACL failure in script: No permissions",
                ErrorKind::Unauthorized,
                false,
            ),
            ("ERR", "syntax error", ErrorKind::Internal, false),
            ("SOMETHING", "new", ErrorKind::Internal, false),
        ] {
            let meaning = meaning(code, text);
            assert_eq!(
                (meaning.kind, meaning.transient),
                (kind, transient),
                "{code} {text}"
            );
        }
    }

    #[test]
    fn a_server_that_became_a_replica_is_left() {
        assert!(meaning("READONLY", "").leave && meaning("MASTERDOWN", "").leave);
        assert!(!meaning("LOADING", "").leave && !meaning("OOM", "").leave);
    }
}
