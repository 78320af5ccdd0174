//! A customer is erased while their tenant is moved.

use kaireon::core::store::{Erasure, ErasureId};

use super::*;

/// Whether a file below a folder holds a text.
fn any_holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => any_holds(&path, text),
            false => String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains(text),
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_receipt_is_of_the_stores_and_of_the_archive() {
    let directory = tempfile::tempdir().unwrap();
    let infra = memory_and_embedded(directory.path()).start().await.unwrap();
    for number in 0..40 {
        record(&infra, number).await;
    }
    let operator = operator(&infra);
    move_to(&operator, "embedded").await;
    let archive = directory.path().join("archive");
    let erased = customer(3);
    let written = format!("\"{erased}\"");
    assert!(any_holds(&archive, &written));
    let request = Erasure {
        tenant: tenant(),
        customer: CustomerId::new(&erased).unwrap(),
        id: ErasureId::new("ticket-1").unwrap(),
    };
    let first = infra.erase_customer(request.clone()).await.unwrap();
    let deleted = &first.receipt.deleted;
    assert_eq!((deleted["history"], deleted["archive"]), (5, 5), "{deleted:?}");
    assert!(!any_holds(&archive, &written));
    let stores = infra.tenant_switch().unwrap().stores().clone();
    for (name, store) in stores.iter() {
        assert_eq!(rows(store, &erased).await, [], "{name}");
        assert_eq!(rows(store, &customer(4)).await.len(), 5, "{name}");
    }
    let again = infra.erase_customer(request).await.unwrap();
    assert_eq!(
        again.receipt.deleted["archive"], 5,
        "it is the receipt of the first"
    );
    // The way back brings nobody back, nor does a second move by what the archive holds.
    move_back(&operator).await;
    move_to(&operator, "embedded").await;
    assert_eq!(rows(&infra.store(), &erased).await, []);
    assert_eq!(keys(&infra.store()).await.len(), 35);
    ended(infra).await;
}
