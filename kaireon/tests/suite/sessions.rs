//! Sessions in the cache of an `Infra`.

use std::sync::Arc;

use kaireon::core::TenantId;
use tower_sessions_core::{Session, SessionStore};

use crate::support::{LONG, config, in_memory};

#[tokio::test]
async fn a_session_outlives_a_reset_that_keeps_the_cache_and_ends_with_the_infra() {
    let infra = in_memory().await;
    let sessions = Arc::new(infra.sessions(TenantId::new("acme").unwrap()));
    let session = Session::new(None, Arc::clone(&sessions), None);
    session.insert("basket", 7).await.unwrap();
    session.save().await.unwrap();
    let again = config(&[("INTERACTION_STORE", "memory")]);
    assert!(infra.reset(again).await.unwrap().is_clean());
    let later = Session::new(session.id(), Arc::clone(&sessions), None);
    assert_eq!(later.get::<u32>("basket").await.unwrap(), Some(7));
    later.delete().await.unwrap();
    assert_eq!(sessions.load(&session.id().unwrap()).await.unwrap(), None);
    assert!(infra.shutdown(LONG).await.is_clean());
    assert!(sessions.load(&session.id().unwrap()).await.is_err());
}
