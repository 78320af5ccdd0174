//! What a server answers, without the client crate's types.

use bytes::Bytes;
use redis::Value;

/// A server's answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisReply {
    /// Nothing is there.
    Nil,
    /// A number.
    Int(i64),
    /// Bytes, or a status such as `OK`.
    Bytes(Bytes),
    /// Several answers.
    List(Vec<RedisReply>),
}

impl RedisReply {
    /// The bytes, where it is any.
    #[must_use]
    pub fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The number, where it is one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The answers, where it is several.
    #[must_use]
    pub fn into_list(self) -> Option<Vec<Self>> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The text, where it is bytes that are one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// Reads the crate's answer; a server's error, wherever it is in it, comes back as it is.
    pub(crate) fn read(value: Value) -> Result<Self, redis::ServerError> {
        Ok(match value {
            Value::ServerError(error) => return Err(error),
            Value::Int(number) => Self::Int(number),
            Value::BulkString(bytes) => Self::Bytes(bytes.into()),
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => Self::Bytes(text.into()),
            Value::Okay => Self::Bytes(Bytes::from_static(b"OK")),
            Value::Boolean(yes) => Self::Int(yes.into()),
            Value::Double(number) => Self::Bytes(number.to_string().into()),
            Value::Array(values) | Value::Set(values) | Value::Push { data: values, .. } => {
                Self::List(values.into_iter().map(Self::read).collect::<Result<_, _>>()?)
            }
            Value::Map(pairs) => {
                let flat = pairs.into_iter().flat_map(|(key, value)| [key, value]);
                Self::List(flat.map(Self::read).collect::<Result<_, _>>()?)
            }
            Value::Attribute { data, .. } => Self::read(*data)?,
            // Numbers too large for anything that is asked here, and what later versions of the crate may add.
            _ => Self::Nil,
        })
    }
}
