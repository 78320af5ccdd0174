//! A source that is put back to an older state in the midst of a migration.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kaireon_core::InteractionStore;
use kaireon_core::outbox::Lane;
use kaireon_migrate::{Asked, Missing, Next, Phase, Side, StoreMark};
use kaireon_testkit::proxy::{Cut, Proxy, Unframed};
use kaireon_testkit::server::Shutdown;
use sqlx::{Connection, PgConnection};

use super::host::in_time;
use super::judge::are_same;
use super::ledger::Ledger;
use super::place::{FIRST, Place, server};
use super::stand::{Stand, lacks, missing_of};
use super::taken::Taken;
use crate::switch::rows_of;

/// What the callers and the stream were told.
const TOLD: [&str; 3] = ["acknowledged", "erased", "told"];

/// What was told since a backup is as lost as what was recorded.
fn copy_told(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in TOLD {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

fn copy_folder(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Takes a copy of a source in a folder, while nobody has it open.
async fn keep(stand: &mut Stand) {
    stand.rest().await;
    stand.host.close().await;
    let folder = stand.folder.path();
    copy_told(folder, &folder.join("kept"));
    copy_folder(&folder.join("data"), &folder.join("kept/data"));
    stand.open_again().await;
    stand.resume();
}

/// Puts it back.
async fn put_back(stand: &mut Stand) {
    stand.rest().await;
    are_same(&stand.host).await;
    stand.host.close().await;
    let folder = stand.folder.path();
    copy_told(&folder.join("kept"), folder);
    copy_folder(&folder.join("kept/data"), &folder.join("data"));
    stand.open_again().await;
}

fn of_the_source(missing: &Missing) -> bool {
    matches!(missing, Missing::SameStore { side: Side::Source })
}

/// A source that was put back in ready: it is shown, the tenant is not moved, and the way leads to a new backfill. The target
/// has what the source lost, which is told too; so it is made anew, and the tenant moved to it.
async fn is_noticed(mut stand: Stand, empty_target: impl AsyncFnOnce(&Stand)) {
    let before = stand.status().await;
    assert_eq!(before.phase, Phase::Ready, "nobody has looked yet");
    assert!(lacks(&before, of_the_source), "{before:?}");
    let (operator, asked) = (stand.host.operator(), Asked::by("test", "CHG-1"));
    let refused = operator.cut_over(stand.host.tenant(), &asked).await.unwrap_err();
    let missing = missing_of(&refused);
    assert!(missing.contains(&Missing::LanesInForce), "{missing:?}");
    let status = stand.status().await;
    assert_eq!((status.phase, status.next), (Phase::DualWrite, Next::Export));
    assert!(status.epoch > before.epoch);
    let last = status.last.unwrap();
    assert!(last.reason.contains("went back in time"), "{last:?}");
    stand.progress(20).await;

    stand.take(&[Taken::BeginBackfill, Taken::Backfill]).await;
    let report = stand.host.verify().await.unwrap();
    assert!(report.evidence().differences() > 0, "{report:?}");
    stand
        .is_refused(|missing| matches!(missing, Missing::Equality { .. }))
        .await;
    // Nothing that the source has is missing there, though it may be there as it was before.
    stand.rest().await;
    stand.host.emptied(Lane::Replicate).await;
    let [source, target] = [0, 1].map(|at| stand.host.stores[at].as_ref());
    let there = rows_of(target, stand.host.tenant()).await;
    for key in rows_of(source, stand.host.tenant()).await.keys() {
        assert!(there.contains_key(key), "{key} is not on the target");
    }
    operator.roll_back(stand.host.tenant(), &asked).await.unwrap();
    stand.host.close().await;
    empty_target(&stand).await;
    // It holds what the source lost as well.
    std::fs::remove_dir_all(stand.folder.path().join("archive")).unwrap();
    stand.open_again().await;
    stand.resume();
    stand
        .take(&[
            Taken::Start,
            Taken::BeginBackfill,
            Taken::Backfill,
            Taken::PassGate,
            Taken::CutOver,
        ])
        .await;
    stand.progress(20).await;
    stand.end().await;
}

async fn mark(stand: &Stand) -> StoreMark {
    let fence = stand.host.stores[0].fence(stand.host.tenant()).await.unwrap();
    StoreMark::from(&fence)
}

/// Its lane is not in force, so what is recorded now is nowhere else; and it has come further than it ever was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_source_from_before_the_migration_is_noticed_however_far_it_has_come_since() {
    let mut stand = Stand::begin(|folder| [folder, Place::on(FIRST)]).await;
    keep(&mut stand).await;
    stand
        .take(&[
            Taken::Start,
            Taken::BeginBackfill,
            Taken::Backfill,
            Taken::PassGate,
        ])
        .await;
    put_back(&mut stand).await;
    stand.resume();
    let known = stand.host.read().await.unwrap().setting;
    let known = known.under_way().unwrap().in_force.unwrap().source;
    while !mark(&stand).await.follows(known) {
        stand.progress(10).await;
    }
    is_noticed(stand, async |stand| stand.host.plan.places[1].remove().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres: set KAIREON_TEST_PG_URL"]
async fn a_source_from_the_midst_of_the_migration_is_noticed() {
    let mut stand = Stand::begin(|folder| [folder, Place::on(FIRST)]).await;
    stand.take(&[Taken::Start, Taken::BeginBackfill]).await;
    keep(&mut stand).await;
    stand.take(&[Taken::Backfill, Taken::PassGate]).await;
    let come = mark(&stand).await;
    put_back(&mut stand).await;
    assert!(!mark(&stand).await.follows(come));
    stand.resume();
    is_noticed(stand, async |stand| stand.host.plan.places[1].remove().await).await;
}

/// A base backup, which is started in the place of the server while the host goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres-bin: set KAIREON_TEST_PG_BINDIR"]
async fn a_server_that_is_started_from_a_backup_is_noticed() {
    let mut source = server().await;
    let proxy = Proxy::start::<Unframed>(source.address()).await.unwrap();
    let mut stand = Stand::begin(|folder| [Place::at(proxy.in_url(&source.url())), folder]).await;
    stand.take(&[Taken::Start, Taken::BeginBackfill]).await;
    stand.rest().await;
    copy_told(stand.folder.path(), &stand.folder.path().join("kept"));
    // It follows the server for a moment, and is a copy of it from then on.
    let mut backup = source.standby("backup", &[]).await.unwrap();
    let mut connection = PgConnection::connect(&source.url()).await.unwrap();
    let written: String = sqlx::query_scalar("SELECT pg_current_wal_lsn()::text")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let mut connection = PgConnection::connect(&backup.url()).await.unwrap();
    in_time("the copy of a server", async {
        let has_come = "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn";
        loop {
            let has_come = sqlx::query_scalar(has_come).bind(&written);
            if has_come.fetch_one(&mut connection).await.unwrap() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    connection.close().await.unwrap();
    backup.stop(Shutdown::Fast).await.unwrap();
    stand.resume();
    stand.take(&[Taken::Backfill, Taken::PassGate]).await;
    stand.rest().await;
    are_same(&stand.host).await;
    source.stop(Shutdown::Kill).await.unwrap();
    copy_told(&stand.folder.path().join("kept"), stand.folder.path());
    backup.restart().await.unwrap();
    let mut connection = PgConnection::connect(&backup.url()).await.unwrap();
    let promoted: bool = sqlx::query_scalar("SELECT pg_promote()")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(promoted);
    connection.close().await.unwrap();
    proxy.redirect(backup.address());
    proxy.cut(Cut::Reset).await;
    // The host goes on; only who was told what is read anew.
    stand.ledger = Arc::new(Ledger::at(stand.folder.path()));
    stand.resume();
    is_noticed(stand, async |stand| {
        std::fs::remove_dir_all(stand.folder.path().join("data")).unwrap();
    })
    .await;
}
