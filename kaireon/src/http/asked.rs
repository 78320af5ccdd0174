//! The body of a `PUT`.

use std::fmt;

use kaireon_migrate::Backend;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};
use serde_json::Value;

use super::refusal::Refusal;
use crate::TenantSwitch;
use crate::config::shown;

/// The fields of a body.
const FIELDS: [&str; 6] = [
    "backend",
    "dualWrite",
    "readFrom",
    "dualWriteMode",
    "force",
    "reason",
];

/// Why a change is made, where the body does not say.
const NO_REASON: &str = "asked for over http";

/// How callers wait for the other side of a dual write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, DeriveDeserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DualWriteMode {
    /// Not at all.
    Async,
    /// For one attempt.
    BestEffort,
    /// Until it has the record, a second at most.
    Strict,
}

impl DualWriteMode {
    const ALL: [(&'static str, Self); 3] = [
        ("async", Self::Async),
        ("best_effort", Self::BestEffort),
        ("strict", Self::Strict),
    ];
}

/// Where a tenant is to be, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRequest {
    /// The store that it is to be on, or to be moved to.
    pub backend: Backend,
    /// Whether it is written to both meanwhile.
    pub dual_write: bool,
    /// The store that answers reads; where it is not said, the one that does, or the one that the step leads to.
    pub read_from: Option<Backend>,
    /// How callers wait for the other side.
    pub dual_write_mode: Option<DualWriteMode>,
    /// Whether what is missing is overridden, where it can be.
    pub force: bool,
    /// Why: 1 to 1,024 bytes without control characters.
    pub reason: String,
}

impl SettingRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Code::Invalid`](super::Code::Invalid) naming the field, with the values that are allowed.
    pub fn parse(body: &[u8], switch: &TenantSwitch) -> Result<Self, Refusal> {
        let Pairs(pairs) = serde_json::from_slice(body)
            .map_err(|_| Refusal::invalid(None, "the body is not one json object"))?;
        let mut fields: [Option<Value>; FIELDS.len()] = [const { None }; FIELDS.len()];
        for (name, value) in pairs {
            let Some(place) = FIELDS.iter().position(|field| *field == name) else {
                let field = shown(&name).unwrap_or("(not a name)");
                return Err(Refusal::invalid(Some(field), "there is no such field").allowing(FIELDS));
            };
            if fields[place].replace(value).is_some() {
                return Err(Refusal::invalid(Some(&name), "is there twice"));
            }
        }
        let [backend, dual_write, read_from, mode, force, reason] = fields;
        let required = |name: &str| Refusal::invalid(Some(name), "is missing");
        Ok(Self {
            backend: store("backend", backend.ok_or_else(|| required("backend"))?, switch)?,
            dual_write: truth("dualWrite", dual_write.ok_or_else(|| required("dualWrite"))?)?,
            read_from: read_from
                .map(|value| store("readFrom", value, switch))
                .transpose()?,
            dual_write_mode: mode.map(dual_write_mode).transpose()?,
            force: force.map_or(Ok(false), |value| truth("force", value))?,
            reason: reason.map_or_else(|| Ok(NO_REASON.to_owned()), text)?,
        })
    }
}

fn store(field: &str, value: Value, switch: &TenantSwitch) -> Result<Backend, Refusal> {
    let given = value.as_str().and_then(|name| {
        // As in the environment: `postgres` and `pg` are `postgresql`.
        let name = crate::adapters::store_name(name);
        switch.allowed().find(|allowed| allowed.as_str() == name)
    });
    given.cloned().ok_or_else(|| {
        let allowed = switch.allowed().map(Backend::as_str);
        Refusal::invalid(Some(field), "is none of the stores of this service").allowing(allowed)
    })
}

fn truth(field: &str, value: Value) -> Result<bool, Refusal> {
    let wrong = || Refusal::invalid(Some(field), "is neither true nor false").allowing([true, false]);
    value.as_bool().ok_or_else(wrong)
}

fn dual_write_mode(value: Value) -> Result<DualWriteMode, Refusal> {
    let given = value.as_str();
    let found = DualWriteMode::ALL.iter().find(|(name, _)| given == Some(name));
    found.map(|(_, mode)| *mode).ok_or_else(|| {
        let allowed = DualWriteMode::ALL.map(|(name, _)| name);
        Refusal::invalid(Some("dualWriteMode"), "is no mode of dual writes").allowing(allowed)
    })
}

fn text(value: Value) -> Result<String, Refusal> {
    let most = kaireon_core::settings::MAX_TEXT_BYTES;
    match value {
        Value::String(text) if (1..=most).contains(&text.len()) && !text.chars().any(char::is_control) => {
            Ok(text)
        }
        _ => {
            let what = "is not a text of 1 to 1,024 bytes without control characters";
            Err(Refusal::invalid(Some("reason"), what))
        }
    }
}

/// An object's fields as they are there, also twice: a map would take the last and be silent.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Each)
    }
}
