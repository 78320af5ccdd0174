//! Stores, settings and an archive of a test's own, and the command over them.

use std::collections::BTreeMap;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kaireon::core::outbox::Lane;
use kaireon::core::store::ScanQuery;
use kaireon::core::{Interaction, InteractionStore, TenantId};
use kaireon::{Config, Infra, TenantSwitch};
use kaireon_testkit::server::PostgresServer;
use serde_json::Value;
use tempfile::TempDir;

/// So long that only a defect takes it.
pub(super) const LONG: Duration = Duration::from_secs(120);

pub(super) const TENANT: &str = "acme";

/// Who is nobody's customer: it must show nowhere.
pub(super) const CUSTOMER: &str = "customer-hunter2";

const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// Where settings lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settings {
    Folder,
    Server,
}

/// An environment.
#[derive(Debug)]
pub(super) struct World {
    pub(super) vars: BTreeMap<String, String>,
    pub(super) server: Option<PostgresServer>,
    _folder: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl World {
    /// An embedded store alone.
    pub(super) fn alone() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let vars = [
            ("INTERACTION_STORE", "embedded".to_owned()),
            ("KAIREON_SWITCH_STORES", "embedded".to_owned()),
            ("KAIREON_SETTINGS_STORE", "embedded".to_owned()),
            ("KAIREON_ARCHIVE_URL", format!("file://{}", at("archive"))),
            ("KAIREON_DATA_DIR", at("data")),
            ("KAIREON_MASTER_KEY", KEY.to_owned()),
            ("KAIREON_AUTHOR", "ops@example.com".to_owned()),
        ];
        Self {
            vars: vars.map(|(name, value)| (name.to_owned(), value)).into(),
            server: None,
            _folder: folder,
        }
    }

    /// An embedded store, and a PostgreSQL server whose tables are made.
    pub(super) async fn with_server(settings: Settings) -> Self {
        let world = Self::with_bare_server(settings).await;
        world.run(&["tables", "--apply"]).is(0);
        world
    }

    /// The same without tables.
    pub(super) async fn with_bare_server(settings: Settings) -> Self {
        let programs =
            std::env::var("KAIREON_TEST_PG_BINDIR").expect("KAIREON_TEST_PG_BINDIR is set in service mode");
        let server = PostgresServer::start(programs, &[]).await.unwrap();
        let mut world = Self::alone();
        world.set("KAIREON_SWITCH_STORES", "embedded,postgresql");
        world.set("DATABASE_URL", &server.url());
        if settings == Settings::Server {
            world.set("KAIREON_SETTINGS_STORE", "postgresql");
        }
        world.server = Some(server);
        world
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.vars.insert(name.to_owned(), value.to_owned());
    }

    /// The command, with this environment and nothing else.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kaireon"));
        command.args(words).env_clear().envs(&self.vars);
        // What a run of all suites looks for when it is over.
        for (name, value) in std::env::vars().filter(|(name, _)| name.starts_with("KAIREON_TEST_RUN")) {
            command.env(name, value);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(super) fn run(&self, words: &[&str]) -> Ran {
        Ran::of(self.command(words).output().unwrap())
    }

    /// The command about the tenant, in JSON.
    pub(super) fn ask(&self, words: &[&str]) -> Ran {
        self.run(&[words, &["--tenant", TENANT, "--json"]].concat())
    }

    /// The same, of a command that is recorded.
    pub(super) fn step(&self, words: &[&str]) -> Ran {
        self.ask(&[words, &["--reason", "CHG-1207"]].concat())
    }

    pub(super) fn config(&self) -> Config {
        // Nobody subscribes here, ever.
        Config::from_vars(self.vars.iter()).with_leftovers_wait(Duration::from_millis(200))
    }

    /// A process that serves, for as long as `work` lasts.
    pub(super) async fn host<T>(&self, work: impl AsyncFnOnce(&Infra) -> T) -> T {
        let infra = self.config().start().await.unwrap();
        let done = work(&infra).await;
        // Nobody subscribes, so that what is to be published goes by itself; without a host it would not.
        until_published(&infra).await;
        let ended = infra.shutdown(LONG).await;
        assert!(ended.is_clean(), "{ended}");
        done
    }

    /// Records interactions, as a host does.
    pub(super) async fn record(&self, numbers: std::ops::Range<u32>) {
        self.host(async |infra| {
            for number in numbers {
                let recorded = infra.store().record_event(event(number)).await.unwrap();
                assert!(recorded.is_new(), "{number}");
            }
        })
        .await;
    }

    pub(super) async fn open(&self) -> TenantSwitch {
        kaireon::switch::open(&self.config()).await.unwrap()
    }

    /// How many interactions each store has, by its name.
    pub(super) async fn held(&self) -> BTreeMap<String, usize> {
        let switch = self.open().await;
        let mut held = BTreeMap::new();
        for (name, store) in switch.stores().iter() {
            held.insert(name.to_string(), count(store).await);
        }
        switch.disconnect().await.unwrap();
        held
    }
}

async fn until_published(infra: &Infra) {
    let tenant = TenantId::new(TENANT).unwrap();
    let switch = infra.tenant_switch().unwrap();
    let emptied = async {
        for (_, store) in switch.stores().iter() {
            let outbox = store.outbox().unwrap();
            while !outbox.backlog(Lane::Publish, &tenant).await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    tokio::time::timeout(LONG, emptied).await.unwrap();
}

async fn count(store: &Arc<dyn InteractionStore>) -> usize {
    let mut query = ScanQuery::new(TenantId::new(TENANT).unwrap());
    let mut count = 0;
    loop {
        let page = store.scan(query.clone()).await.unwrap();
        count += page.items.len();
        query.cursor = page.next;
        if query.cursor.is_none() {
            return count;
        }
    }
}

/// Interaction `number`, of one of a few days.
pub(super) fn event(number: u32) -> Interaction {
    let day = 1 + number % 20;
    // Spread over the day, so that a replay of it is no flood.
    let (hour, minute) = (number / 20 % 24, number * 7 % 60);
    let at = format!("2026-05-{day:02}T{hour:02}:{minute:02}:00Z").parse::<kaireon::core::time::Timestamp>();
    Interaction::builder(TENANT, CUSTOMER)
        .id(format!("row-{number:06}"))
        .idempotency_key(format!("key-{number}"))
        .offer(format!("offer-{}", number % 7))
        .creative("banner")
        .channel("web")
        .timestamp(at.unwrap())
        .build()
        .unwrap()
}

impl Ran {
    pub(super) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        // Whatever a command prints.
        for secret in [CUSTOMER, KEY, "hunter2"] {
            assert!(!ran.out.contains(secret) && !ran.err.contains(secret), "{ran:?}");
        }
        ran
    }

    /// It ended with this code.
    #[track_caller]
    pub(super) fn is(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n{}\n{}", self.out, self.err);
        self
    }

    /// The one document on standard output, whose code is that of the process.
    #[track_caller]
    pub(super) fn document(&self) -> Value {
        let document: Value = serde_json::from_str(&self.out).unwrap_or_else(|error| {
            panic!("{error}:\n{}\n{}", self.out, self.err);
        });
        assert_eq!(
            document["exit"].as_i64(),
            self.code.map(i64::from),
            "{document:#}"
        );
        document
    }

    #[track_caller]
    pub(super) fn report(&self) -> Value {
        let mut document = self.document();
        assert!(document.get("error").is_none(), "{document:#}");
        document["report"].take()
    }

    #[track_caller]
    pub(super) fn error(&self) -> Value {
        let mut document = self.document();
        assert!(document.get("report").is_none(), "{document:#}");
        document["error"].take()
    }
}

/// The names of what is missing.
pub(super) fn missing(error: &Value) -> Vec<&str> {
    let missing = error["refused"]["missing"].as_array();
    let names = missing.into_iter().flatten().map(|one| one["missing"].as_str());
    names.map(Option::unwrap).collect()
}

/// Writes a row to one side alone, as no host would.
pub(super) async fn intrude(store: &Arc<dyn InteractionStore>, number: u32) {
    use kaireon::core::store::{Accepted, Generation, Origin, RecordBatch};
    let accepted = Accepted {
        value: event(number),
        generation: Generation::ZERO,
    };
    let batch = RecordBatch::accepted(Origin::Replicated, [accepted]);
    let outcome = store.record_events(batch).await.unwrap();
    assert!(outcome.into_results().pop().unwrap().unwrap().is_new());
}

/// Runs a command beside the test.
pub(super) fn spawned(world: &World, words: &[&str]) -> Child {
    let mut command = world.command(&[words, &["--tenant", TENANT, "--json"]].concat());
    command.stdin(Stdio::null()).spawn().unwrap()
}

pub(super) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .arg(name)
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(sent.success());
}
