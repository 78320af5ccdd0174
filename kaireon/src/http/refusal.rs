//! Why a request was not done: what is answered, and under which status.

use std::ops::Deref;

use axum::http::StatusCode;
use kaireon_core::time::Timestamp;
use kaireon_core::{Error, ErrorKind};
use kaireon_migrate::{Lacking, Refused};
use serde::Serialize;
use serde_json::Value;

/// What kind of refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Code {
    /// 400: a field is wrong.
    Invalid,
    /// 401: nobody knows who asks.
    Unauthorised,
    /// 403: whoever asks may not.
    Forbidden,
    /// 405: the path has no such method.
    MethodNotAllowed,
    /// 409: something is missing.
    Refused,
    /// 409: another changed the setting meanwhile.
    Changed,
    /// 409: the authority was to move, its lanes were not empty in time, and it is open again.
    NotTaken,
    /// 413: the body is too long.
    TooLong,
    /// 415: the body is not JSON by its type.
    NotJson,
    /// 503: something did not answer. What was asked for may have been done: look before asking again.
    Unavailable,
    /// 500: something else.
    Failed,
}

impl Code {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Refused | Self::Changed | Self::NotTaken => StatusCode::CONFLICT,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The change that was in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LastSeen {
    /// The version that it made.
    pub version: u64,
    /// The step.
    pub step: String,
    /// Who asked for it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// A request that was not done, in one word; what it [says](Why) is the body of every answer that is no success.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Refusal(Box<Why>);

impl Deref for Refusal {
    type Target = Why;

    fn deref(&self) -> &Why {
        &self.0
    }
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Why {
    /// What kind it is.
    pub error: Code,
    /// The same in words.
    pub message: String,
    /// The field that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What that field may be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<Value>,
    /// What is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Lacking>,
    /// Whether `"force": true` would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_be_forced: Option<bool>,
    /// The change that came in between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<LastSeen>,
}

impl Why {
    fn new(error: Code, message: impl Into<String>) -> Self {
        Self {
            error,
            message: message.into(),
            field: None,
            allowed: Vec::new(),
            missing: Vec::new(),
            can_be_forced: None,
            changed: None,
        }
    }
}

impl Refusal {
    pub(super) fn new(error: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Why::new(error, message)))
    }

    pub(super) fn invalid(field: Option<&str>, what: &str) -> Self {
        let message = match field {
            Some(field) => format!("{field} {what}"),
            None => what.to_owned(),
        };
        Self(Box::new(Why {
            field: field.map(str::to_owned),
            ..Why::new(Code::Invalid, message)
        }))
    }

    pub(super) fn allowing<T: Into<Value>>(mut self, allowed: impl IntoIterator<Item = T>) -> Self {
        self.0.allowed = allowed.into_iter().map(Into::into).collect();
        self
    }

    /// What another set meanwhile.
    pub(super) fn changed(by: Option<LastSeen>) -> Self {
        let message = "another changed the tenant's setting meanwhile: look at it and ask again";
        Self(Box::new(Why {
            changed: by,
            ..Why::new(Code::Changed, message)
        }))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let refused = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Refused>());
        if let Some(refused) = refused {
            return Self(Box::new(Why {
                missing: Lacking::all(refused.missing.clone()),
                can_be_forced: Some(refused.can_be_forced),
                ..Why::new(Code::Refused, refused.to_string())
            }));
        }
        let code = match error.kind() {
            ErrorKind::InvalidInput => Code::Invalid,
            ErrorKind::Conflict => Code::Changed,
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::RateLimited | ErrorKind::Fenced => {
                Code::Unavailable
            }
            _ => Code::Failed,
        };
        Self(Box::new(Why {
            field: error.field().map(str::to_owned),
            ..Why::new(code, error.to_string())
        }))
    }
}
