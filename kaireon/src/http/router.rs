//! The router: a thin layer over the functions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::any;
use serde::Serialize;

use super::change::change;
use super::hook::{Action, Authorise, Caller, Denied};
use super::refusal::{Code, Refusal};
use super::trail::trail;
use super::view::read;
use super::{OPENAPI, OPENAPI_PATH, SETTING_PATH, TRAIL_PATH};
use crate::{Infra, TenantSwitch};

/// The most bytes of a body.
const MAX_BODY: usize = 16 << 10;

/// How long a body may take to arrive, and a look at a setting or a trail to be answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many entries of a trail are answered where the request does not say.
const ENTRIES: u32 = 50;

/// The settings of the tenant switch over HTTP.
#[derive(Clone)]
pub struct SettingsApi {
    infra: Infra,
    hook: Option<Arc<dyn Authorise>>,
}

impl fmt::Debug for SettingsApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettingsApi")
            .field("authorised", &self.hook.is_some())
            .finish_non_exhaustive()
    }
}

impl SettingsApi {
    /// Of the switch that `infra` has at the time of each request. Without a [hook](Self::authorised_by) it refuses everything.
    #[must_use]
    pub fn new(infra: Infra) -> Self {
        Self { infra, hook: None }
    }

    /// Lets in whom the hook lets in.
    #[must_use]
    pub fn authorised_by(self, hook: impl Authorise) -> Self {
        Self {
            hook: Some(Arc::new(hook)),
            ..self
        }
    }

    /// The router, to be merged into the host's. Its paths are absolute; a `PUT` goes on to its end when its client goes away.
    pub fn router(self) -> Router {
        Router::new()
            .route(SETTING_PATH, any(setting))
            .route(TRAIL_PATH, any(of_trail))
            .route(OPENAPI_PATH, any(document))
            .with_state(self)
    }

    /// Who asks, and the switch.
    async fn enter(&self, request: &Parts, action: Action) -> Result<(Caller, TenantSwitch), Refusal> {
        let Some(hook) = &self.hook else {
            let message = "this service has no authorisation for its settings, so nobody is let in";
            return Err(Refusal::new(Code::Forbidden, message));
        };
        let caller = hook
            .authorise(request, action)
            .await
            .map_err(|denied| match denied {
                Denied::Unauthorised => Refusal::new(Code::Unauthorised, "nobody knows who asks"),
                Denied::Forbidden => Refusal::new(Code::Forbidden, "whoever asks may not do this"),
            })?;
        let none = || Refusal::new(Code::Unavailable, "this service has no tenant switch");
        Ok((caller, self.infra.tenant_switch().ok_or_else(none)?))
    }
}

async fn setting(State(api): State<SettingsApi>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    answer(match parts.method {
        Method::GET | Method::HEAD => api.look(&parts).await,
        Method::PUT => api.put(&parts, body).await,
        _ => Err(Refused::method("GET, HEAD, PUT")),
    })
}

async fn of_trail(State(api): State<SettingsApi>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    answer(match parts.method {
        Method::GET | Method::HEAD => api.trail(&parts).await,
        _ => Err(Refused::method("GET, HEAD")),
    })
}

async fn document(State(api): State<SettingsApi>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    answer(match parts.method {
        Method::GET | Method::HEAD => (api.enter(&parts, Action::Read).await)
            .map(|_| Answer::text(OPENAPI.to_owned()))
            .map_err(Refused::from),
        _ => Err(Refused::method("GET, HEAD")),
    })
}

impl SettingsApi {
    async fn look(&self, parts: &Parts) -> Result<Answer, Refused> {
        let (Caller { tenant, .. }, switch) = self.enter(parts, Action::Read).await?;
        let view = in_time(read(&switch, &tenant)).await?;
        Ok(Answer {
            version: Some(view.version),
            ..Answer::json(&view)
        })
    }

    async fn trail(&self, parts: &Parts) -> Result<Answer, Refused> {
        let (Caller { tenant, .. }, switch) = self.enter(parts, Action::Read).await?;
        let (limit, before) = page(parts.uri.query().unwrap_or_default())?;
        Ok(Answer::json(
            &in_time(trail(&switch, &tenant, limit, before)).await?,
        ))
    }

    async fn put(&self, parts: &Parts, body: Body) -> Result<Answer, Refused> {
        let (Caller { author, tenant }, switch) = self.enter(parts, Action::Change).await?;
        if !is_json(parts) {
            let message = "the body's type is not application/json";
            return Err(Refusal::new(Code::NotJson, message).into());
        }
        let seen = seen(parts)?;
        let body = match tokio::time::timeout(PATIENCE, to_bytes(body, MAX_BODY)).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return Err(Refusal::new(Code::TooLong, "the body is longer than 16 KiB").into()),
            Err(_) => return Err(Refusal::invalid(None, "the body did not arrive in time").into()),
        };
        // A task of its own, so that a client which goes away leaves no move half-way.
        let changing = tokio::spawn(async move { change(&switch, &tenant, &author, &body, seen).await });
        let changed = changing
            .await
            .unwrap_or_else(|_| Err(Refusal::new(Code::Failed, "the change ended by a panic")))?;
        Ok(Answer {
            version: Some(changed.setting.version),
            ..Answer::json(&changed)
        })
    }
}

/// A part of a trail, by the request's query.
fn page(query: &str) -> Result<(u32, Option<u64>), Refusal> {
    let (mut limit, mut before) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let number = value.parse::<u64>().ok();
        let wrong = |what: &str| Refusal::invalid(Some(name), what);
        match name {
            "limit" if limit.is_none() => {
                let number = number.and_then(|number| u32::try_from(number).ok());
                limit = Some(number.ok_or_else(|| wrong("is not from 1 to 500"))?);
            }
            "before" if before.is_none() => {
                // The settings count in 63 bits.
                let number = number.filter(|number| i64::try_from(*number).is_ok());
                before = Some(number.ok_or_else(|| wrong("is no version"))?);
            }
            "limit" | "before" => return Err(wrong("is there twice")),
            _ => {
                let field = crate::config::shown(name).unwrap_or("(not a name)");
                let unknown = Refusal::invalid(Some(field), "is no parameter of a trail");
                return Err(unknown.allowing(["limit", "before"]));
            }
        }
    }
    Ok((limit.unwrap_or(ENTRIES), before))
}

/// The version that a request was made of: `If-Match`, as `ETag` told it.
fn seen(parts: &Parts) -> Result<Option<u64>, Refusal> {
    let Some(given) = parts.headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let version = given.to_str().ok().and_then(|tag| {
        let tag = tag.trim();
        (tag != "*").then(|| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok())
    });
    match version {
        None if given == "*" => Ok(None),
        Some(Some(version)) => Ok(Some(version)),
        _ => Err(Refusal::invalid(Some("If-Match"), "is no version in quotes")),
    }
}

fn is_json(parts: &Parts) -> bool {
    let mut given = parts.headers.get_all(CONTENT_TYPE).iter();
    let kind = given.next().and_then(|value| value.to_str().ok());
    let is_json = kind.is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    });
    is_json && given.next().is_none()
}

async fn in_time<T>(asked: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| {
        Err(Refusal::new(
            Code::Unavailable,
            "the settings did not answer in time",
        ))
    })
}

/// What is answered.
struct Answer {
    text: String,
    version: Option<u64>,
}

impl Answer {
    fn text(text: String) -> Self {
        Self { text, version: None }
    }

    fn json(body: &impl Serialize) -> Self {
        // Every part has a form in JSON.
        Self::text(serde_json::to_string(body).unwrap_or_else(|_| "null".to_owned()))
    }
}

/// A refusal, with what the path allows.
struct Refused {
    refusal: Refusal,
    allow: Option<&'static str>,
}

impl Refused {
    fn method(allow: &'static str) -> Self {
        let message = format!("this path has the methods {allow}");
        Self {
            refusal: Refusal::new(Code::MethodNotAllowed, message),
            allow: Some(allow),
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, allow: None }
    }
}

fn answer(answer: Result<Answer, Refused>) -> Response {
    let (status, answer, allow) = match answer {
        Ok(answer) => (StatusCode::OK, answer, None),
        Err(Refused { refusal, allow }) => (refusal.error.status(), Answer::json(&refusal), allow),
    };
    let mut response = Response::new(Body::from(answer.text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(allow) = allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Some(version) = answer.version
        && let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\""))
    {
        headers.insert(ETAG, tag);
    }
    response
}
