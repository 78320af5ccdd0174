//! The parts of a Redis URL that these commands write themselves.

use crate::failure::{Context, Result};

/// `redis://user:password@host:port,host:port…?options`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) user: String,
    pub(super) password: String,
    /// `host:port` of each node, at least one.
    pub(super) nodes: Vec<String>,
}

impl Url {
    /// Reads what these commands write and what a person sets; without percent escapes and without TLS.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let wrong = "the URL is not of the form redis://user:password@host:port";
        let rest = url.strip_prefix("redis://").context(wrong)?;
        let authority = rest.split(['?', '/']).next().unwrap_or_default();
        let (login, nodes) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        if nodes.is_empty() {
            return Err(wrong.into());
        }
        let node = |node: &str| match node.contains(':') {
            true => node.to_owned(),
            false => format!("{node}:6379"),
        };
        Ok(Self {
            user: user.to_owned(),
            password: password.to_owned(),
            nodes: nodes.split(',').map(node).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn a_url_gives_its_parts() {
        let url = Url::parse("redis://app:s:e@127.0.0.1:1,127.0.0.1:2/0?master=m").unwrap();
        assert_eq!((url.user.as_str(), url.password.as_str()), ("app", "s:e"));
        assert_eq!(url.nodes, ["127.0.0.1:1", "127.0.0.1:2"]);
        let short = Url::parse("redis://cache").unwrap();
        assert_eq!(
            (short.user.as_str(), short.nodes),
            ("", vec!["cache:6379".to_owned()])
        );
        for wrong in ["postgres://h", "rediss://h", "redis://", "redis://u:p@"] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
    }
}
