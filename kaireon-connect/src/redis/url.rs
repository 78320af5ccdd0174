//! A connection URL, read without ever showing it.

use kaireon_core::Result;

use super::config::{RedisConnectConfig, RedisMode, wrong};

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// A login at a server; neither part is ever shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Login {
    /// An empty one logs in by the password alone.
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Login {
    pub(crate) fn is_needed(&self) -> bool {
        !self.user.is_empty() || !self.password.is_empty()
    }
}

/// `host:port`, apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// What a URL and the configuration above it mean.
pub(crate) struct Target {
    pub(crate) mode: RedisMode,
    pub(crate) tls: bool,
    pub(crate) login: Login,
    /// At least one.
    pub(crate) nodes: Vec<Address>,
    pub(crate) database: u32,
    pub(crate) master: Option<String>,
    /// The names of parameters that mean nothing here.
    pub(crate) passed_over: Vec<String>,
}

/// Reads the URL and what the configuration puts above it.
///
/// # Errors
/// `Config` on the field `url` or `master`, with a reason that contains no part of it.
pub(crate) fn parse(config: &RedisConnectConfig) -> Result<Target> {
    let malformed = || wrong("url", "is malformed");
    if config.url.is_empty() {
        return Err(wrong("url", "is not set"));
    }
    let (scheme, rest) = config.url.split_once("://").ok_or_else(malformed)?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "redis" => false,
        "rediss" => true,
        _ => return Err(wrong("url", "does not begin with redis:// or rediss://")),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (login_of(login).ok_or_else(malformed)?, hosts),
        None => (Login::default(), authority),
    };
    let database = match path.trim_end_matches('/') {
        "" => 0,
        number => number
            .parse()
            .map_err(|_| wrong("url", "has a path that is not the number of a database"))?,
    };

    let (mut mode, mut master, mut passed_over) = (RedisMode::Auto, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "mode" => {
                mode = RedisMode::parse(value).ok_or_else(|| {
                    wrong(
                        "url",
                        "has a mode that is none of auto, standalone, sentinel, cluster",
                    )
                })?;
            }
            "master" => master = Some(decoded(value).ok_or_else(malformed)?),
            other => passed_over.push(shown(other)),
        }
    }
    let master = config.master.clone().or(master).filter(|name| !name.is_empty());
    // A name for the primary is for sentinels alone.
    mode = match (config.mode, mode, &master) {
        (RedisMode::Auto, RedisMode::Auto, Some(_)) => RedisMode::Sentinel,
        (RedisMode::Auto, mode, _) | (mode, _, _) => mode,
    };
    if mode == RedisMode::Sentinel && master.is_none() {
        return Err(wrong(
            "master",
            "is not set, and the sentinels have a name for the primary",
        ));
    }
    let usual = match mode {
        RedisMode::Sentinel => SENTINEL_PORT,
        _ => PORT,
    };
    let nodes = hosts
        .split(',')
        .map(|host| address(host, usual))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(malformed)?;
    if mode == RedisMode::Cluster && database != 0 {
        return Err(wrong(
            "url",
            "has a database, and a cluster has none but the first",
        ));
    }
    if mode == RedisMode::Standalone && nodes.len() > 1 {
        return Err(wrong("url", "has several hosts for one server"));
    }
    Ok(Target {
        mode,
        tls,
        login,
        nodes,
        database,
        master,
        passed_over,
    })
}

fn login_of(login: &str) -> Option<Login> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Some(Login {
        user: decoded(user)?,
        password: decoded(password)?,
    })
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(crate) fn address(text: &str, usual: u16) -> Option<Address> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        // An address of version 6 without brackets, as nodes tell them, has its port behind the last colon.
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => usual,
    };
    (!host.is_empty()).then(|| Address {
        host: host.to_owned(),
        port,
    })
}

/// Undoes percent escapes; `None` where one is broken or what comes out is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// A parameter's name as far as it can be shown: what does not look like one may be part of a password.
fn shown(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if key.len() <= 32 && key.bytes().all(plain) {
        key.to_owned()
    } else {
        "(not a name)".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Target> {
        parse(&RedisConnectConfig::from_url(url))
    }

    fn node(host: &str, port: u16) -> Address {
        Address {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn a_url_gives_its_parts() {
        let target = read("rediss://a%40b:p%3Aw:x@one:1,two/3?mode=standalone").err();
        assert_eq!(
            target.unwrap().field(),
            Some("url"),
            "two hosts are not one server"
        );
        let target = read("REDISS://a%40b:p%3Aw:x@one:1/3?ssl=true").unwrap();
        assert!(target.tls && target.mode == RedisMode::Auto);
        assert_eq!(
            (target.login.user.as_str(), target.login.password.as_str()),
            ("a@b", "p:w:x")
        );
        assert_eq!((target.nodes, target.database), (vec![node("one", 1)], 3));
        assert_eq!(target.passed_over, ["ssl"]);
        let target = read("redis://:pw@[::1]:7,h").unwrap();
        assert_eq!(
            (target.login.user.as_str(), target.login.password.as_str()),
            ("", "pw")
        );
        assert_eq!(target.nodes, [node("::1", 7), node("h", 6379)]);
    }

    #[test]
    fn sentinels_have_a_name_for_the_primary_and_a_port_of_their_own() {
        let target = read("redis://s1,s2:5?master=my%20main").unwrap();
        assert_eq!(
            (target.mode, target.master.as_deref()),
            (RedisMode::Sentinel, Some("my main"))
        );
        assert_eq!(target.nodes, [node("s1", 26379), node("s2", 5)]);
        assert_eq!(
            read("redis://s1?mode=sentinel").err().unwrap().field(),
            Some("master")
        );
        let config = RedisConnectConfig::from_url("redis://s1?mode=sentinel&master=one").with_master("two");
        assert_eq!(parse(&config).unwrap().master.as_deref(), Some("two"));
    }

    #[test]
    fn what_cannot_be_is_told_without_quoting_it() {
        for url in [
            "",
            "secret",
            "http://secret",
            "redis://",
            "redis://secret@",
            "redis://secret%zz@h",
            "redis://h:secret",
            "redis://h/secret",
            "redis://h?mode=secret",
            "redis://h/1?mode=cluster",
            "redis://h,,secret",
        ] {
            let error = read(url).err().unwrap_or_else(|| panic!("{url} is taken"));
            assert_eq!(error.field(), Some("url"), "{url}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}
