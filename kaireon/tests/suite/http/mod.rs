//! The settings of the switch over HTTP.

mod bodies;
mod document;
mod hostile;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode};
use kaireon::core::TenantId;
use kaireon::http::{Action, Caller, Denied, SETTING_PATH, SettingsApi, TRAIL_PATH};
use kaireon::{Config, Infra};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use self::document::Document;
use crate::switch::memory_and_embedded;

/// A host, and who asks it.
pub(crate) struct Host {
    pub(crate) infra: Infra,
    router: Router,
    pub(crate) document: Document,
    _directory: TempDir,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// Everyone who says so is let in, `reader` to look alone.
async fn hook(request: Parts, action: Action) -> Result<Caller, Denied> {
    let header = |name| request.headers.get(name).and_then(|value| value.to_str().ok());
    let (user, tenant) = header("x-user")
        .zip(header("x-tenant"))
        .ok_or(Denied::Unauthorised)?;
    let tenant = TenantId::new(tenant).map_err(|_| Denied::Forbidden)?;
    match (user, action) {
        ("reader", Action::Change) => Err(Denied::Forbidden),
        _ => Ok(Caller::new(user, tenant)),
    }
}

impl Host {
    /// Tenants on memory, to be moved to the embedded store.
    async fn new() -> Self {
        Self::with(|config| config).await
    }

    async fn with(change: impl FnOnce(Config) -> Config) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let infra = change(memory_and_embedded(directory.path()))
            .start()
            .await
            .unwrap();
        Self::of(infra, directory)
    }

    fn of(infra: Infra, directory: TempDir) -> Self {
        let router = SettingsApi::new(infra.clone()).authorised_by(hook).router();
        Self {
            infra,
            router,
            document: Document::read(),
            _directory: directory,
        }
    }

    /// Asks, and holds what is answered against the document.
    async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(parts.headers["content-type"], "application/json");
        assert_eq!(parts.headers["cache-control"], "no-store");
        self.document.holds(&method, &path, parts.status, &body);
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path).body(Body::empty()).unwrap()).await
    }

    async fn setting(&self) -> Value {
        let answer = self.get(SETTING_PATH).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body
    }

    async fn put(&self, body: Value) -> Answer {
        self.put_as("ops@example.com", None, body.to_string()).await
    }

    async fn put_as(&self, user: &str, seen: Option<&str>, body: impl Into<Body>) -> Answer {
        let mut request = request("PUT", SETTING_PATH).header("content-type", "application/json");
        request
            .headers_mut()
            .unwrap()
            .insert("x-user", user.parse().unwrap());
        if let Some(seen) = seen {
            request = request.header("if-match", seen);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    /// What was changed by somebody, newest first: the step, who asked and why.
    async fn changes(&self) -> Vec<(String, String, String)> {
        let trail = self.get(&format!("{TRAIL_PATH}?limit=500")).await.body;
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
        let entries = trail["entries"].as_array().unwrap();
        let of_somebody = entries.iter().filter(|entry| entry["author"] != "kaireon");
        of_somebody
            .map(|entry| (text(entry, "step"), text(entry, "author"), text(entry, "reason")))
            .collect()
    }
}

fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("x-user", "ops@example.com")
        .header("x-tenant", "acme")
}

/// The body that leaves a tenant where it stands.
fn body_of(setting: &Value) -> Value {
    json!({
        "backend": setting["backend"],
        "dualWrite": setting["dualWrite"],
        "readFrom": setting["readFrom"],
    })
}
