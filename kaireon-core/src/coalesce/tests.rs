use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{Effect, Error, ErrorKind};

fn small() -> CoalesceConfig {
    CoalesceConfig {
        max_batch_items: 3,
        max_batch_bytes: 100,
        max_queue_items: 4,
        max_queue_bytes: 100,
        queue_wait: Duration::from_millis(50),
    }
}

#[tokio::test]
async fn what_waits_during_a_commit_is_the_next_commit() {
    let (submitter, mut queue) = queue::<u32, u32>("test", CoalesceConfig::default());
    let callers: Vec<_> = (0..10)
        .map(|item| {
            let submitter = submitter.clone();
            tokio::spawn(async move { submitter.submit(item, 1).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let mut batch = queue.next().await.unwrap();
    let items = batch.take_items();
    assert_eq!(items.len(), 10);
    batch.answer(items.iter().map(|item| Ok(item + 100)).collect());
    for (item, caller) in callers.into_iter().enumerate() {
        assert_eq!(caller.await.unwrap().unwrap() as usize, item + 100);
    }
}

#[tokio::test]
async fn a_poisonous_item_fails_alone() {
    let (submitter, mut queue) = queue::<u32, u32>("test", CoalesceConfig::default());
    let caller = tokio::spawn(async move { submitter.submit_all(vec![(1, 1), (2, 1), (3, 1)]).await });
    let mut batch = queue.next().await.unwrap();
    let answer = |item| {
        if item == 2 {
            Err(Error::invalid("item", "is poisonous"))
        } else {
            Ok(item)
        }
    };
    let outcomes = batch.take_items().into_iter().map(answer).collect();
    batch.answer(outcomes);
    let outcomes = caller.await.unwrap();
    assert!(outcomes[0].is_ok() && outcomes[1].is_err() && outcomes[2].is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_after_queue_wait_and_applies_nothing() {
    let (submitter, mut queue) = queue::<u32, u32>("test", small());
    let waiting: Vec<_> = (0..4)
        .map(|item| {
            let submitter = submitter.clone();
            tokio::spawn(async move { submitter.submit(item, 1).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let error = submitter.submit(9, 1).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::RateLimited, Effect::NotApplied)
    );
    assert!(error.is_transient());
    // Batches are bounded too: three of the four, then the fourth.
    for expected in [3, 1] {
        let mut batch = queue.next().await.unwrap();
        let items = batch.take_items();
        assert_eq!(items.len(), expected);
        batch.answer(items.into_iter().map(Ok).collect());
    }
    for caller in waiting {
        caller.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_withdraws_what_is_queued_and_frees_its_room() {
    let (submitter, mut queue) = queue::<u32, u32>("test", small());
    for item in 0..4 {
        let submitter = submitter.clone();
        let caller = tokio::spawn(async move { submitter.submit(item, 25).await });
        tokio::task::yield_now().await;
        caller.abort();
        let _ = caller.await;
    }
    let caller = tokio::spawn(async move { submitter.submit(7, 100).await });
    let mut batch = queue.next().await.unwrap();
    assert_eq!(batch.take_items(), [7]);
    batch.answer(vec![Ok(8)]);
    assert_eq!(caller.await.unwrap().unwrap(), 8);
}

#[tokio::test]
async fn an_item_in_a_commit_is_not_withdrawn() {
    let (submitter, mut queue) = queue::<u32, u32>("test", small());
    let second = submitter.clone();
    let caller = tokio::spawn(async move { submitter.submit(1, 1).await });
    let mut batch = queue.next().await.unwrap();
    caller.abort();
    let _ = caller.await;
    assert_eq!(batch.take_items(), [1]);
    batch.answer(vec![Ok(1)]);
    let caller = tokio::spawn(async move { second.submit(2, 1).await });
    let batch = queue.next().await.unwrap();
    assert_eq!(batch.items(), [2]);
    batch.answer(vec![Ok(2)]);
    caller.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_large_group_is_divided_and_keeps_its_order() {
    let (submitter, mut queue) = queue::<u32, u32>("test", small());
    let driver = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(mut batch) = queue.next().await {
            let items = batch.take_items();
            assert!(items.len() <= 3);
            seen.extend(items.iter().copied());
            batch.answer(items.into_iter().map(Ok).collect());
        }
        seen
    });
    let outcomes = submitter
        .submit_all((0..50).map(|item| (item, 10)).collect())
        .await;
    let expected: Vec<u32> = (0..50).collect();
    assert_eq!(
        outcomes.into_iter().collect::<crate::Result<Vec<_>>>().unwrap(),
        expected
    );
    drop(submitter);
    assert_eq!(driver.await.unwrap(), expected);
}

#[tokio::test]
async fn closing_commits_what_is_queued_and_refuses_what_comes_later() {
    let (submitter, mut queue) = queue::<u32, u32>("test", small());
    let queued = submitter.clone();
    let caller = tokio::spawn(async move { queued.submit(1, 1).await });
    tokio::task::yield_now().await;
    submitter.close();
    let error = submitter.submit(2, 1).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::Unavailable, Effect::NotApplied)
    );
    queue.next().await.unwrap().answer(vec![Ok(1)]);
    assert!(queue.next().await.is_none());
    assert_eq!(caller.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_driver_that_ends_leaves_nobody_waiting() {
    let (submitter, mut queue) = queue::<u32, u32>("test", small());
    let callers: Vec<_> = (0..4)
        .map(|item| {
            let submitter = submitter.clone();
            tokio::spawn(async move { submitter.submit(item, 1).await })
        })
        .collect();
    tokio::task::yield_now().await;
    drop(queue.next().await.unwrap());
    drop(queue);
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (ErrorKind::Internal, Effect::Unknown)
        );
    }
    assert_eq!(
        submitter.submit(9, 1).await.unwrap_err().effect(),
        Effect::NotApplied
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_load_with_callers_that_leave_every_answer_reaches_its_caller() {
    let config = CoalesceConfig {
        max_queue_items: 32,
        max_batch_items: 8,
        ..CoalesceConfig::default()
    };
    let (submitter, mut queue) = queue::<usize, usize>("test", config);
    let committed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&committed);
    let driver = std::thread::spawn(move || {
        while let Some(mut batch) = queue.next_blocking() {
            let items = batch.take_items();
            counter.fetch_add(items.len(), Ordering::Relaxed);
            batch.answer(items.into_iter().map(|item| Ok(item + 1)).collect());
        }
    });
    let callers: Vec<_> = (0..64)
        .map(|caller| {
            let submitter = submitter.clone();
            tokio::spawn(async move {
                let mut answered = 0;
                for call in 0..200 {
                    let item = caller * 1_000 + call;
                    let submit = submitter.submit(item, 8);
                    if call % 7 == 0 {
                        // Polled once and dropped: withdrawn, or committed without a caller.
                        let _ = tokio::time::timeout(Duration::ZERO, submit).await;
                    } else {
                        assert_eq!(submit.await.unwrap(), item + 1);
                        answered += 1;
                    }
                }
                answered
            })
        })
        .collect();
    let mut answered = 0;
    for caller in callers {
        answered += caller.await.unwrap();
    }
    drop(submitter);
    driver.join().unwrap();
    let committed = committed.load(Ordering::Relaxed);
    assert!(
        (answered..=64 * 200).contains(&committed),
        "{answered} answered, {committed} committed"
    );
}
