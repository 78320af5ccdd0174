//! The served document, against what is answered.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use jsonschema::Validator;
use kaireon::core::settings::{SettingVersion, SettingWrite};
use kaireon::core::time::{Clock, SystemClock};
use kaireon::http::{OPENAPI, OPENAPI_PATH, SETTING_PATH, SettingsApi, TRAIL_PATH};
use kaireon::migrate::{Asked, OldRows};
use serde_json::{Value, json};

use super::{Host, request};
use crate::support::until;
use crate::switch::{keys, operator, record, tenant};

/// The document, and what of it was seen in answers.
pub(crate) struct Document {
    value: Value,
    answers: Mutex<BTreeSet<(String, String, u16)>>,
    fields: Mutex<BTreeSet<(String, String)>>,
    codes: Mutex<BTreeSet<String>>,
}

impl Document {
    pub(crate) fn read() -> Self {
        Self {
            value: serde_json::from_str(OPENAPI).unwrap(),
            answers: Mutex::default(),
            fields: Mutex::default(),
            codes: Mutex::default(),
        }
    }

    /// An answer is one that the document has, to the letter.
    pub(crate) fn holds(&self, method: &Method, path: &str, status: StatusCode, body: &Value) {
        let name = method.as_str().to_lowercase();
        let operation = match self.value["paths"][path].get(&name) {
            // Of a method that the path does not have: any of it tells what the refusal is.
            None => &self.value["paths"][path]["get"],
            Some(operation) => operation,
        };
        let response = &operation["responses"][status.as_str()];
        assert!(
            response.is_object(),
            "{method} {path} answers {status}, of which the document knows nothing"
        );
        let schema = &response["content"]["application/json"]["schema"];
        let mut whole = schema.clone();
        whole["components"] = self.value["components"].clone();
        let validator = Validator::new(&whole).unwrap();
        if let Err(error) = validator.validate(body) {
            panic!("{method} {path} {status} is not what the document says: {error} in {body}");
        }
        let answered = (path.to_owned(), name, status.as_u16());
        self.answers.lock().unwrap().insert(answered);
        self.see("", schema, body);
        if let Some(code) = body.get("error").and_then(Value::as_str) {
            self.codes.lock().unwrap().insert(code.to_owned());
        }
    }

    /// Notes which fields of which schema were there.
    fn see(&self, name: &str, schema: &Value, value: &Value) {
        if let Some(target) = schema["$ref"].as_str() {
            let name = target.rsplit('/').next().unwrap();
            return self.see(name, &self.value["components"]["schemas"][name], value);
        }
        if let Some(any) = schema["anyOf"].as_array() {
            if !value.is_null() {
                self.see(name, &any[0], value);
            }
            return;
        }
        if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
            values.iter().for_each(|value| self.see(name, items, value));
        }
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(value) = value.get(field).filter(|value| !value.is_null()) {
                self.fields
                    .lock()
                    .unwrap()
                    .insert((name.to_owned(), field.clone()));
                self.see(name, schema, value);
            }
        }
    }

    /// What the document has and no answer had.
    fn unseen(&self) -> Vec<String> {
        let mut unseen = Vec::new();
        let answers = self.answers.lock().unwrap();
        for (path, methods) in self.value["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                for status in operation["responses"].as_object().unwrap().keys() {
                    let answer = (path.clone(), method.clone(), status.parse().unwrap());
                    // Of a method that is not there nobody asks by a method that is.
                    if !answers.contains(&answer) && status != "405" {
                        unseen.push(format!("{method} {path} {status}"));
                    }
                }
            }
        }
        let fields = self.fields.lock().unwrap();
        let schemas = self.value["components"]["schemas"].as_object().unwrap();
        for (name, schema) in schemas.iter().filter(|(name, _)| *name != "SettingRequest") {
            for field in schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(field, _)| field)
            {
                if !fields.contains(&(name.clone(), field.clone())) {
                    unseen.push(format!("{name}.{field}"));
                }
            }
        }
        let codes = self.codes.lock().unwrap();
        for code in schemas["Problem"]["properties"]["error"]["enum"]
            .as_array()
            .unwrap()
        {
            if !codes.contains(code.as_str().unwrap()) {
                unseen.push(format!("error {code}"));
            }
        }
        unseen
    }
}

/// What one host is not brought to answer: a backfill that is going on has an end in sight, and a stream that hangs.
const ELSEWHERE: [&str; 2] = ["Backfilled.etaMs", "error \"not_taken\""];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_path_method_status_and_field_of_the_document_is_answered_and_nothing_else() {
    let host = Host::with(|config| config.with_variable("KAIREON_SWITCH_READ_SAMPLE", "1")).await;
    let (acme, asked) = (tenant(), Asked::by("ops@example.com", "CHG-1207"));
    for number in 0..16 {
        record(&host.infra, number).await;
    }
    assert_eq!(host.get(OPENAPI_PATH).await.body, host.document.value);

    // The whole of a migration.
    let to_embedded = |dual_write: bool| json!({ "backend": "embedded", "dualWrite": dual_write });
    assert_eq!(host.put(to_embedded(true)).await.status, 200);
    assert_eq!(host.put(to_embedded(false)).await.status, 409);
    let operator = operator(&host.infra);
    operator.export(&acme).await.unwrap();
    assert!(operator.backfill(&acme, &asked).await.unwrap().complete);
    let verified = operator.verify(&acme, &asked).await.unwrap();
    assert!(verified.clean, "{verified:?}");
    let compared = async || {
        keys(&host.infra.store()).await;
        let known = operator.migrator().note_reads(&acme).await.unwrap();
        let migration = known.setting.under_way().unwrap();
        migration.evidence.reads.is_some_and(|reads| reads.compared > 0)
    };
    until("reads are compared", compared).await;
    // Fewer than a thousand were, so that it takes force.
    let forced = json!({ "backend": "embedded", "dualWrite": false, "force": true, "reason": "CHG-1208" });
    let moved = host.put(forced).await;
    assert_eq!(moved.status, 200, "{}", moved.body);
    let overridden = moved.body["overridden"].as_array().unwrap();
    assert!(
        overridden
            .iter()
            .any(|missing| missing["missing"] == "compared_reads"),
        "{overridden:?}"
    );
    assert!(host.setting().await["migration"]["safetyLeftMs"].as_u64() > Some(0));
    let page = host.get(&format!("{TRAIL_PATH}?limit=2")).await.body;
    let next = format!("{TRAIL_PATH}?limit=2&before={}", page["next"]);
    assert_eq!(host.get(&next).await.status, 200);
    assert_eq!(host.get(&format!("{TRAIL_PATH}?limit=0")).await.status, 400);
    operator
        .finalise(&acme, OldRows::Keep, &asked.clone().forced())
        .await
        .unwrap();
    assert_eq!(host.setting().await["migration"]["oldRows"], "keep");

    // Who is not let in, on every path, and what the body may not be.
    for (path, method) in [
        (SETTING_PATH, "GET"),
        (SETTING_PATH, "PUT"),
        (TRAIL_PATH, "GET"),
        (OPENAPI_PATH, "GET"),
    ] {
        let unknown = axum::http::Request::builder().method(method).uri(path);
        assert_eq!(host.send(unknown.body(Body::empty()).unwrap()).await.status, 401);
        let nobody = request(method, path).body(Body::empty()).unwrap();
        let closed = Host {
            router: SettingsApi::new(host.infra.clone()).router(),
            document: Document::read(),
            infra: host.infra.clone(),
            _directory: tempfile::tempdir().unwrap(),
        };
        let answer = closed.send(nobody).await;
        assert_eq!(answer.status, 403, "without a hook nobody is let in");
        host.document
            .holds(&method.parse().unwrap(), path, answer.status, &answer.body);
        let wrong = request("PATCH", path).body(Body::empty()).unwrap();
        let answer = host.send(wrong).await;
        assert_eq!(answer.status, 405);
        assert!(answer.headers["allow"].to_str().unwrap().starts_with("GET, HEAD"));
    }
    assert_eq!(
        host.put(json!({ "backend": "mysql", "dualWrite": true }))
            .await
            .status,
        400
    );
    let plain = request("PUT", SETTING_PATH).body(Body::from("{}")).unwrap();
    assert_eq!(host.send(plain).await.status, 415);
    assert_eq!(
        host.put_as("ops@example.com", None, vec![b' '; 17 << 10])
            .await
            .status,
        413
    );
    assert_eq!(
        host.put_as("ops@example.com", Some("\"1\""), to_embedded(false).to_string())
            .await
            .status,
        409
    );

    // A store that is away, settings that are damaged, a host that has ended.
    assert_eq!(
        host.put(json!({ "backend": "memory", "dualWrite": true }))
            .await
            .status,
        200
    );
    let tenants = host.infra.tenant_switch().unwrap();
    for (_, store) in tenants.stores().iter() {
        store.disconnect().await.unwrap();
    }
    let away = host.setting().await;
    assert!(!away["away"].as_array().unwrap().is_empty(), "{away}");
    let version = away["version"].as_u64().unwrap();
    let write = SettingWrite::new(
        acme,
        SettingVersion(version),
        "{}",
        "somebody",
        "a mistake",
        SystemClock.now(),
    );
    tenants.settings_store().swap(write).await.unwrap();
    for path in [SETTING_PATH, TRAIL_PATH] {
        assert_eq!(host.get(path).await.status, 500);
    }
    assert_eq!(host.put(to_embedded(true)).await.status, 500);
    // Its relays cannot end well any more, so that the settings may be let go of only behind the deadline.
    let _ = host.infra.shutdown(Duration::from_secs(2)).await;
    for path in [SETTING_PATH, TRAIL_PATH] {
        until("the settings are let go of", async || {
            host.get(path).await.status == 503
        })
        .await;
    }
    assert_eq!(host.put(to_embedded(true)).await.status, 503);
    let unseen: Vec<_> = (host.document.unseen().into_iter())
        .filter(|unseen| !ELSEWHERE.contains(&unseen.as_str()))
        // The document needs no settings.
        .filter(|unseen| !unseen.starts_with(&format!("get {OPENAPI_PATH} 50")))
        .collect();
    assert!(
        unseen.is_empty(),
        "the document has what no answer had: {unseen:?}"
    );
}

#[tokio::test]
async fn the_document_knows_every_field_of_a_body() {
    let document = Document::read();
    let fields = &document.value["components"]["schemas"]["SettingRequest"]["properties"];
    let host = Host::new().await;
    let answer = host.put(json!({ "nonsense": 1 })).await;
    let mut allowed: Vec<_> = answer.body["allowed"].as_array().unwrap().iter().collect();
    allowed.sort_by_key(|field| field.as_str());
    let documented: Vec<_> = fields.as_object().unwrap().keys().collect();
    assert_eq!(allowed, documented);
}
