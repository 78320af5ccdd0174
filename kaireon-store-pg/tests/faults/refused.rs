//! Rows that a host's own constraint or trigger refuses.

use kaireon_core::store::{ItemOutcome, RecordBatch, Recorded};
use kaireon_core::{Effect, ErrorKind, Interaction, InteractionStore};
use kaireon_store_pg::PgStore;

use crate::place::{Place, event, facts};

const RECORDS: usize = 200;

/// What refuses the row of a key, in the ways in which a host says so, and what takes that away.
const REFUSALS: [[&str; 2]; 2] = [
    [
        "ALTER TABLE {s}.history ADD CONSTRAINT refuses CHECK (idempotency_key <> 'refused')",
        "ALTER TABLE {s}.history DROP CONSTRAINT refuses",
    ],
    [
        "CREATE FUNCTION {s}.refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
         CREATE TRIGGER refuses BEFORE INSERT ON {s}.history FOR EACH ROW
             WHEN (NEW.idempotency_key = 'refused') EXECUTE FUNCTION {s}.refuse()",
        "DROP TRIGGER refuses ON {s}.history",
    ],
];

async fn record(store: &PgStore, events: &[Interaction]) -> Vec<ItemOutcome<Recorded>> {
    let outcome = store.record_events(RecordBatch::live(events.to_vec())).await;
    outcome.unwrap().into_items()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_row_that_the_table_refuses_is_invalid_and_fails_alone() {
    for [refuse, allow] in REFUSALS {
        let place = Place::shared().await;
        let store = PgStore::connect(place.config()).await.unwrap();
        // Partitions and all are there.
        record(&store, &[event("anna", "first")]).await;
        place.run(refuse).await;
        let mut events: Vec<_> = (0..RECORDS)
            .map(|n| event(&format!("c{}", n % 50), &n.to_string()))
            .collect();
        let refused = RECORDS / 3;
        events[refused] = event("c7", "refused");
        for (at, outcome) in record(&store, &events).await.into_iter().enumerate() {
            match outcome {
                ItemOutcome::Done(Recorded::New { .. }) => assert_ne!(at, refused),
                ItemOutcome::Failed(error) => {
                    assert_eq!(at, refused, "{error:?}");
                    assert_eq!(
                        facts(&error),
                        (ErrorKind::InvalidInput, Effect::NotApplied, false),
                        "{error:?}"
                    );
                    assert!(!format!("{error:?}").contains("not this one"), "{error:?}");
                }
                other => panic!("{at}: {other:?}"),
            }
        }
        place.run(allow).await;
        let outcome = record(&store, &events[refused..=refused]).await;
        assert!(
            matches!(outcome[..], [ItemOutcome::Done(Recorded::New { .. })]),
            "{outcome:?}"
        );
        store.disconnect().await.unwrap();
        assert_eq!(place.rows().await.0, i64::try_from(RECORDS).unwrap() + 1);
        place.close().await;
    }
}
