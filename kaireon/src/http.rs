//! The settings of the tenant switch over HTTP: an axum router that the host mounts, and the same as plain functions.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /api/v1/settings/interaction-store` | tells where a tenant stands: [`read`] |
//! | `PUT /api/v1/settings/interaction-store` | says where it is to be: [`change`] |
//! | `GET /api/v1/settings/interaction-store/trail` | tells who changed what, when and why: [`trail`] |
//! | `GET /api/v1/settings/openapi.json` | the document of these: [`OPENAPI`] |
//!
//! Which tenant a request is of, and who asks, is the host's to say: it gives a hook ([`Authorise`]), and without one every
//! request is refused. `docs/settings-api.md` has what each body of a `PUT` does.
//!
//! ```
//! use kaireon::core::TenantId;
//! use kaireon::http::{Action, Caller, Denied, SettingsApi};
//!
//! # fn mount(infra: kaireon::Infra) -> axum::Router {
//! let api = SettingsApi::new(infra).authorised_by(|request: axum::http::request::Parts, action: Action| async move {
//!     // The host's own session, token or mutual TLS; here everyone may read and nobody may change.
//!     let header = |name| request.headers.get(name).and_then(|value| value.to_str().ok());
//!     let (user, tenant) = header("x-user").zip(header("x-tenant")).ok_or(Denied::Unauthorised)?;
//!     let tenant = TenantId::new(tenant).map_err(|_| Denied::Forbidden)?;
//!     match action {
//!         Action::Read => Ok(Caller::new(user, tenant)),
//!         _ => Err(Denied::Forbidden),
//!     }
//! });
//! axum::Router::new().merge(api.router())
//! # }
//! ```

mod asked;
mod change;
mod hook;
mod meaning;
mod refusal;
mod router;
mod trail;
mod view;

pub use asked::{DualWriteMode, SettingRequest};
pub use change::{Changed, change};
pub use hook::{Action, Authorise, Caller, Denied};
pub use refusal::{Code, LastSeen, Refusal, Why};
pub use router::SettingsApi;
pub use trail::{Trail, TrailEntry, trail};
pub use view::{Backfilled, Compared, LaneView, MigrationView, NotAsked, ReadsCompared, SettingView, read};

/// The OpenAPI 3.1 document of the router, as JSON.
pub const OPENAPI: &str = include_str!("http/openapi.json");

/// The path of a tenant's setting.
pub const SETTING_PATH: &str = "/api/v1/settings/interaction-store";

/// The path of its trail.
pub const TRAIL_PATH: &str = "/api/v1/settings/interaction-store/trail";

/// The path of the document.
pub const OPENAPI_PATH: &str = "/api/v1/settings/openapi.json";
