//! A small recommend/respond service: kaireon inside an axum server, with readiness and a graceful end.
//!
//! ```text
//! cargo run --example embed_axum
//! curl -X POST localhost:8080/recommend -H 'content-type: application/json' \
//!      -d '{"tenant":"acme","customer":"customer-7","request":"r-1"}'
//! curl -X POST localhost:8080/respond -H 'content-type: application/json' \
//!      -d '{"tenant":"acme","recommendation":"r-1","rank":1,"outcome":"click"}'
//! curl localhost:8080/health/ready
//! ```
//!
//! With `KAIREON_EXAMPLE_SELF_CHECK=1` it calls itself, checks the answers, and ends.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use kaireon::core::policy::{Candidate, ContactPolicy, Scope};
use kaireon::core::respond::{self, respond};
use kaireon::core::time::{Clock, SystemClock};
use kaireon::core::{
    Attributes, ChannelId, CreativeId, CustomerId, Decision, DecisionFields, DecisionFlowKey, Error,
    ErrorKind, IdempotencyKey, InteractionType, OfferId, PeriodType, RankedOffer, RecommendationId, TenantId,
};
use kaireon::{Infra, logging, wait_for_shutdown_signal};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the shop offers, best first.
const CATALOGUE: [&str; 3] = ["winter-shoes", "rain-coat", "wool-hat"];

#[derive(Deserialize)]
struct Recommend {
    tenant: String,
    customer: String,
    /// The caller's name for this request: a retry under it gets the same recommendation.
    request: String,
}

#[derive(Serialize)]
struct Recommended {
    recommendation: String,
    offers: Vec<String>,
}

#[derive(Deserialize)]
struct Respond {
    tenant: String,
    recommendation: String,
    rank: u32,
    outcome: String,
}

#[derive(Serialize)]
struct Responded {
    interaction: String,
    new: bool,
}

/// An error as the service answers it. Its text holds no secret and nothing personal.
struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self.0.kind() {
            ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            _ if self.0.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        tracing::warn!(status = status.as_u16(), error = %self.0, "a request failed");
        (status, Json(serde_json::json!({ "error": self.0.to_string() }))).into_response()
    }
}

/// No offer more than three times a day, nor again within the hour of any contact with it.
fn contact_policy() -> ContactPolicy {
    ContactPolicy::default()
        .with_cap(Scope::Offer, PeriodType::Daily, 3)
        .with_cooldown(Scope::Offer, Duration::from_secs(3_600))
}

async fn recommend(
    State(infra): State<Infra>,
    Json(request): Json<Recommend>,
) -> Result<Json<Recommended>, Failure> {
    // A handle per request: a reset may put another store in place between two of them.
    let store = infra.store();
    let (tenant, customer) = (TenantId::new(request.tenant)?, CustomerId::new(request.customer)?);
    let id = RecommendationId::new(request.request)?;
    if let Some(made) = store.decision(&tenant, &id).await? {
        if made.customer != customer {
            return Err(Error::conflict("the request was made for another customer").into());
        }
        return Ok(Json(answer(&made)));
    }
    let (policy, now) = (contact_policy(), SystemClock.now());
    let mut admitted = Vec::new();
    for name in CATALOGUE {
        let candidate = Candidate {
            tenant: tenant.clone(),
            customer: customer.clone(),
            offer: OfferId::new(name)?,
            creative: CreativeId::new("banner")?,
            channel: ChannelId::new("web")?,
        };
        if policy.check(&*store, &candidate, now).await?.is_admitted() {
            admitted.push(candidate);
        }
    }
    let ranked = |(rank, of): (u32, Candidate)| RankedOffer::new(rank, of.offer, of.creative, of.channel);
    let offers = (1..).zip(admitted).map(ranked).collect();
    let fields = DecisionFields {
        id,
        tenant,
        customer,
        flow: DecisionFlowKey::new("best-first")?,
        offers,
        timestamp: now,
        attributes: Attributes::default(),
    };
    let decision = Decision::new(fields, &SystemClock)?;
    store.record_decision(decision.clone()).await?;
    Ok(Json(answer(&decision)))
}

fn answer(decision: &Decision) -> Recommended {
    Recommended {
        recommendation: decision.id.to_string(),
        offers: decision
            .offers
            .iter()
            .map(|offer| offer.offer.to_string())
            .collect(),
    }
}

async fn responded(
    State(infra): State<Infra>,
    Json(request): Json<Respond>,
) -> Result<Json<Responded>, Failure> {
    let key = format!("{}/{}/{}", request.recommendation, request.rank, request.outcome);
    let answered = (RecommendationId::new(request.recommendation)?, request.rank);
    let outcome = InteractionType::parse(&request.outcome)?;
    let response = respond::Response {
        idempotency_key: Some(IdempotencyKey::new(key)?),
        ..respond::Response::new(TenantId::new(request.tenant)?, answered, outcome)
    };
    let recorded = respond(&*infra.store(), response).await?;
    Ok(Json(Responded {
        interaction: recorded.id().to_string(),
        new: recorded.is_new(),
    }))
}

async fn ready(State(infra): State<Infra>) -> Response {
    let health = infra.health().await;
    let status = if health.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health)).into_response()
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    logging::init(&logging::LogConfig::from_env())?;
    let self_check = std::env::var_os("KAIREON_EXAMPLE_SELF_CHECK").is_some();
    let infra = Infra::from_env().await?;
    let router = Router::new()
        .route("/recommend", post(recommend))
        .route("/respond", post(responded))
        .route("/health/live", get(|| async { StatusCode::OK }))
        .route("/health/ready", get(ready))
        .with_state(infra.clone());
    let listener = TcpListener::bind(if self_check {
        "127.0.0.1:0"
    } else {
        "127.0.0.1:8080"
    })
    .await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");

    let (checked, until_checked) = tokio::sync::oneshot::channel::<()>();
    let checking = self_check.then(|| {
        tokio::spawn(async move {
            let result = check(address).await;
            // The server ends whatever came of it.
            let _ = checked.send(());
            result
        })
    });
    let asked_to_end = async move {
        match self_check {
            true => drop(until_checked.await),
            false => match wait_for_shutdown_signal().await {
                Ok(signal) => tracing::info!(signal, "ending"),
                Err(error) => tracing::error!(%error, "ending, because no signal would end it"),
            },
        }
    };
    // First the requests end, then what they left behind is drained.
    axum::serve(listener, router)
        .with_graceful_shutdown(asked_to_end)
        .await?;
    let report = infra.shutdown(Duration::from_secs(20)).await;
    println!("shut down: {report}");
    if let Some(checking) = checking {
        checking.await??;
        println!("self-check passed");
    }
    if report.is_clean() {
        Ok(())
    } else {
        Err("the shutdown was not clean".into())
    }
}

/// Calls the service as a client would.
async fn check(address: SocketAddr) -> Result<(), BoxError> {
    let recommend =
        |request: &str| format!(r#"{{"tenant":"acme","customer":"customer-7","request":"{request}"}}"#);
    let answer = |request: &str, rank: u32, outcome: &str| {
        format!(r#"{{"tenant":"acme","recommendation":"{request}","rank":{rank},"outcome":"{outcome}"}}"#)
    };
    let all = r#""offers":["winter-shoes","rain-coat","wool-hat"]"#;
    let stranger = r#"{"tenant":"acme","customer":"customer-8","request":"r-1"}"#.to_owned();
    let nameless = r#"{"tenant":"","customer":"customer-7","request":"r-1"}"#.to_owned();
    for (method, path, body, status, part) in [
        ("GET", "/health/live", String::new(), 200, ""),
        ("GET", "/health/ready", String::new(), 200, r#""ready":true"#),
        ("POST", "/recommend", recommend("r-1"), 200, all),
        // A retry gets what the first try was answered.
        ("POST", "/recommend", recommend("r-1"), 200, all),
        ("POST", "/recommend", stranger, 409, "another customer"),
        ("POST", "/recommend", nameless, 400, "tenant_id"),
        (
            "POST",
            "/respond",
            answer("r-1", 1, "impression"),
            200,
            r#""new":true"#,
        ),
        (
            "POST",
            "/respond",
            answer("r-1", 1, "click"),
            200,
            r#""new":true"#,
        ),
        (
            "POST",
            "/respond",
            answer("r-1", 1, "click"),
            200,
            r#""new":false"#,
        ),
        ("POST", "/respond", answer("r-1", 9, "click"), 400, "rank"),
        (
            "POST",
            "/respond",
            answer("r-9", 1, "click"),
            404,
            "recommendation_id",
        ),
        // The shoes were just seen, and rest for an hour.
        (
            "POST",
            "/recommend",
            recommend("r-2"),
            200,
            r#""offers":["rain-coat","wool-hat"]"#,
        ),
    ] {
        let answer = call(address, method, path, &body).await?;
        let good = answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(part);
        if !good {
            return Err(format!("{method} {path} {body} was answered by:\n{answer}").into());
        }
    }
    Ok(())
}

/// As much of HTTP as the check needs.
async fn call(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<String, BoxError> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
