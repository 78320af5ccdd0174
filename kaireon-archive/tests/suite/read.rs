//! Reading back: everything once, verified, from wherever an earlier reading ended.

use std::collections::BTreeMap;

use crate::support::{archive, batches, decision, interaction, key, store, tenant};
use kaireon_archive::{
    Archive, ArchiveConfig, Chunk, Compression, ExportConfig, Exporter, Kind, Place, ReadOptions,
    ReadProgress,
};
use kaireon_core::store::{Origin, RecordBatch};
use kaireon_core::{Decision, ErrorKind, Interaction, InteractionStore};

async fn exported(place: Place, compression: Compression, count: u64) -> Archive {
    let store = store().await;
    for number in 0..count {
        store.record_event(interaction("acme", number)).await.unwrap();
        store.record_decision(decision("acme", number)).await.unwrap();
    }
    let config = ArchiveConfig::new(place, key()).with_compression(compression);
    let archive = Archive::open(config.with_max_object_bytes(2_000)).await.unwrap();
    let exporter = Exporter::new(archive.clone(), store, ExportConfig::new("main")).unwrap();
    assert_eq!(exporter.export_once().await.unwrap().interactions, count);
    archive
}

fn small() -> ReadOptions {
    ReadOptions {
        chunk_records: 3,
        ..ReadOptions::default()
    }
}

fn tally(counts: &mut BTreeMap<String, u64>, chunk: &Chunk<Interaction>) {
    for record in &chunk.records {
        *counts
            .entry(record.value.idempotency_key.to_string())
            .or_default() += 1;
    }
}

#[tokio::test]
async fn what_was_exported_is_read_back_as_it_was_recorded() {
    for compression in [Compression::None, Compression::Zstd] {
        let archive = exported(Place::memory(), compression, 80).await;
        let acme = tenant("acme");
        let mut reader = archive
            .read::<Interaction>(&acme, &ReadProgress::start(), small())
            .await
            .unwrap();
        let mut found = BTreeMap::new();
        while let Some(chunk) = reader.next().await.unwrap() {
            assert!(chunk.bad.is_empty() && chunk.records.len() <= 3);
            for record in chunk.records {
                found.insert(record.value.idempotency_key.to_string(), record.value);
            }
        }
        assert_eq!(found.len(), 80);
        for number in 0..80 {
            assert_eq!(found[&format!("key-{number}")], interaction("acme", number));
        }
        let mut reader = archive
            .read::<Decision>(&acme, &ReadProgress::start(), small())
            .await
            .unwrap();
        let mut decisions = 0;
        while let Some(chunk) = reader.next().await.unwrap() {
            decisions += chunk.records.len();
        }
        assert_eq!(decisions, 80);
    }
}

#[tokio::test]
async fn a_reading_that_ended_anywhere_goes_on_there() {
    let archive = exported(Place::memory(), Compression::None, 80).await;
    let acme = tenant("acme");
    let (mut counts, mut progress, mut readings) = (BTreeMap::new(), ReadProgress::start(), 0);
    loop {
        readings += 1;
        let text = serde_json::to_string(&progress).unwrap();
        progress = serde_json::from_str(&text).unwrap();
        let mut reader = archive
            .read::<Interaction>(&acme, &progress, small())
            .await
            .unwrap();
        let mut applied = 0;
        while applied < 5
            && let Some(chunk) = reader.next().await.unwrap()
        {
            tally(&mut counts, &chunk);
            progress.advance(&chunk);
            applied += 1;
        }
        if applied == 0 {
            break;
        }
    }
    assert!(readings > 5, "{readings}");
    assert_eq!(counts.len(), 80);
    assert!(counts.values().all(|&count| count == 1), "{counts:?}");
}

#[tokio::test]
async fn no_line_of_an_object_with_a_wrong_checksum_is_given_out() {
    let folder = tempfile::tempdir().unwrap();
    let archive = exported(Place::folder(folder.path()).unwrap(), Compression::None, 40).await;
    let acme = tenant("acme");
    let broken = batches(folder.path(), &acme, Kind::Interactions).remove(2);
    let text = std::fs::read_to_string(&broken).unwrap();
    std::fs::write(&broken, text.replace("banner", "bannes")).unwrap();
    let name = broken.file_name().unwrap().to_string_lossy().into_owned();
    let mut reader = archive
        .read::<Interaction>(&acme, &ReadProgress::start(), small())
        .await
        .unwrap();
    let mut errors = Vec::new();
    loop {
        match reader.next().await {
            Ok(None) => break,
            Ok(Some(chunk)) => assert_ne!(chunk.object, name),
            Err(error) => errors.push(error),
        }
    }
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].kind(), ErrorKind::Corrupt);
    assert!(errors[0].to_string().contains(&name), "{}", errors[0]);
}

#[tokio::test]
async fn bad_lines_are_told_by_object_and_number_and_are_not_records() {
    let folder = tempfile::tempdir().unwrap();
    let archive = exported(Place::folder(folder.path()).unwrap(), Compression::None, 40).await;
    let acme = tenant("acme");
    let path = batches(folder.path(), &acme, Kind::Interactions).remove(0);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines[1] = lines[1].replace("\"schema\":1", "\"schema\":9");
    lines.push(lines[0].replace("acme", "other"));
    let text = lines.join("\n") + "\n";
    std::fs::write(&path, &text).unwrap();
    // Someone who edits an object by hand also edits its manifest: here the checksum and the count.
    rewrite_manifests(folder.path(), &path, &text, lines.len());
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let mut reader = archive
        .read::<Interaction>(&acme, &ReadProgress::start(), small())
        .await
        .unwrap();
    let (mut bad, mut records) = (Vec::new(), 0);
    while let Some(chunk) = reader.next().await.unwrap() {
        for (record, line) in chunk.records.iter().zip(&chunk.lines) {
            if chunk.object == name {
                let text = &lines[usize::try_from(*line).unwrap() - 1];
                assert!(text.contains(&format!("\"{}\"", record.value.idempotency_key)));
            }
        }
        assert_eq!(chunk.records.len(), chunk.lines.len());
        bad.extend(chunk.bad);
        records += chunk.records.len();
    }
    assert_eq!(records, 39);
    let told: Vec<_> = bad.iter().map(|bad| (bad.object.as_str(), bad.line)).collect();
    assert_eq!(
        told,
        [(name.as_str(), 2), (name.as_str(), lines.len() as u64)],
        "{bad:?}"
    );
    assert!(bad[0].reason.contains("schema 9"), "{bad:?}");
}

fn rewrite_manifests(folder: &std::path::Path, object: &std::path::Path, text: &str, records: usize) {
    use sha2::Digest;
    let name = object.file_name().unwrap().to_string_lossy().into_owned();
    let sum: String = (sha2::Sha256::digest(text.as_bytes()).iter())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut found = Vec::new();
    crate::support::collect(&folder.join("exports/acme/_manifests"), &mut found);
    for path in found {
        let mut manifest: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for object in manifest["objects"].as_array_mut().unwrap() {
            if object["name"] == name.as_str() {
                object["sha256"] = sum.clone().into();
                object["records"] = records.into();
                object["bytes"] = text.len().into();
                object["raw_bytes"] = text.len().into();
            }
        }
        std::fs::write(&path, manifest.to_string()).unwrap();
    }
}

#[tokio::test]
async fn what_is_read_back_fills_another_store_which_then_answers_the_same() {
    let archive = exported(Place::memory(), Compression::None, 80).await;
    let acme = tenant("acme");
    let target = kaireon_core::memory::MemoryStore::new();
    target
        .install_tombstones(&acme, archive.tombstones(&acme).await.unwrap())
        .await
        .unwrap();
    let mut reader = archive
        .read::<Interaction>(&acme, &ReadProgress::start(), small())
        .await
        .unwrap();
    while let Some(chunk) = reader.next().await.unwrap() {
        let batch = RecordBatch::accepted(Origin::Backfill, chunk.records);
        assert!(target.record_events(batch).await.unwrap().is_complete());
    }
    // A caller's late retry of any of them is recognised: the key and the identity came along.
    for number in 0..80 {
        let again = target.record_event(interaction("acme", number)).await.unwrap();
        assert!(!again.is_new(), "{number}");
    }
}

#[tokio::test]
async fn an_archive_of_another_key_is_refused() {
    let place = Place::memory();
    archive(place.clone()).await;
    let other = kaireon_core::digest::MasterKey::new([8; 32]);
    let refused = Archive::open(ArchiveConfig::new(place, other)).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.field()),
        (ErrorKind::Config, Some("master_key"))
    );
}
