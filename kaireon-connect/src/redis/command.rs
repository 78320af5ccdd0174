//! One command and what is known about it.

use std::fmt;

use redis::Cmd;

use super::script::RedisScript;
use super::slots::slot_of;

/// A command for [`RedisClient`](super::RedisClient). Its `Debug` shows no argument.
pub struct RedisCommand {
    name: &'static str,
    /// Behind the name, or for a script behind its hash.
    arguments: Vec<Argument>,
    script: Option<(&'static RedisScript, usize)>,
    access: Access,
    /// `None`: any node.
    slot: Option<u16>,
}

type Argument = bytes::Bytes;

/// What a command does to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

impl RedisCommand {
    /// A command that changes nothing, and its first key.
    #[must_use]
    pub fn read(name: &'static str, key: impl Into<bytes::Bytes>) -> Self {
        Self::new(name, Access::Read).with_key(key.into())
    }

    /// A command that may change something, and its first key.
    #[must_use]
    pub fn write(name: &'static str, key: impl Into<bytes::Bytes>) -> Self {
        Self::new(name, Access::Write).with_key(key.into())
    }

    /// A command without a key, that changes nothing, for any node.
    #[must_use]
    pub fn keyless(name: &'static str) -> Self {
        Self::new(name, Access::Read)
    }

    /// A script that changes nothing, on one key.
    #[must_use]
    pub fn read_script(script: &'static RedisScript, key: impl Into<bytes::Bytes>) -> Self {
        Self::of_script(script, Access::Read, key.into())
    }

    /// A script that may change something, on one key.
    #[must_use]
    pub fn write_script(script: &'static RedisScript, key: impl Into<bytes::Bytes>) -> Self {
        Self::of_script(script, Access::Write, key.into())
    }

    /// A command that may change something and has no key, for the node that has this one's slot: what has one order
    /// goes one way.
    #[must_use]
    pub fn write_beside(name: &'static str, key: &[u8]) -> Self {
        let mut command = Self::new(name, Access::Write);
        command.slot = Some(slot_of(key));
        command
    }

    /// The same of a script.
    #[must_use]
    pub fn write_script_beside(script: &'static RedisScript, key: &[u8]) -> Self {
        let mut command = Self::write_beside("EVALSHA", key);
        command.script = Some((script, 0));
        command
    }

    fn of_script(script: &'static RedisScript, access: Access, key: bytes::Bytes) -> Self {
        let mut command = Self::new("EVALSHA", access).with_key(key);
        command.script = Some((script, 1));
        command
    }

    fn new(name: &'static str, access: Access) -> Self {
        Self {
            name,
            arguments: Vec::new(),
            script: None,
            access,
            slot: None,
        }
    }

    fn with_key(mut self, key: bytes::Bytes) -> Self {
        self.slot = Some(slot_of(&key));
        self.arguments.push(key);
        self
    }

    /// The same script on another key, which is in the same slot as the first one; of a script, before its arguments.
    #[must_use]
    pub fn key(mut self, key: impl Into<bytes::Bytes>) -> Self {
        if let Some((_, keys)) = &mut self.script {
            debug_assert_eq!(*keys, self.arguments.len(), "keys come before arguments");
            *keys += 1;
        } else {
            debug_assert!(false, "only a script has keys that are declared");
        }
        self.arg(key)
    }

    /// The same with another argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<bytes::Bytes>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn access(&self) -> Access {
        self.access
    }

    pub(crate) fn slot(&self) -> Option<u16> {
        self.slot
    }

    /// As it is sent; a script by its hash, or by its text where the server does not know the hash.
    pub(crate) fn packed(&self, scripts: Scripts) -> Cmd {
        let mut command = match (self.script, scripts) {
            (None, _) => redis::cmd(self.name),
            (Some((script, keys)), Scripts::ByHash) => {
                let mut command = redis::cmd(self.name);
                command.arg(script.hash()).arg(keys);
                command
            }
            (Some((script, keys)), Scripts::ByText) => {
                let mut command = redis::cmd("EVAL");
                command.arg(script.text()).arg(keys);
                command
            }
        };
        for argument in &self.arguments {
            command.arg(&argument[..]);
        }
        command
    }
}

/// How a script is named to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scripts {
    ByHash,
    ByText,
}

impl fmt::Debug for RedisCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCommand")
            .field("name", &self.name)
            .field("arguments", &self.arguments.len())
            .finish_non_exhaustive()
    }
}
