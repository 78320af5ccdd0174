//! An object store of a process that dies: from the nth change on, nothing succeeds any more.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// When the process dies around a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dies {
    Before,
    After,
}

#[derive(Debug)]
pub struct Dying {
    inner: Arc<InMemory>,
    left: AtomicI64,
    dies: Dies,
    /// Only changes of paths that contain it count and fail.
    part: String,
    /// Whether only the one change fails, and the process lives on.
    once: bool,
}

impl Dying {
    pub fn after(inner: &Arc<InMemory>, changes: i64, dies: Dies) -> Self {
        Self {
            inner: Arc::clone(inner),
            left: AtomicI64::new(changes),
            dies,
            part: String::new(),
            once: false,
        }
    }

    /// Refuses changes of some paths for so many times.
    pub fn refusing(inner: &Arc<InMemory>, part: &str, times: i64) -> Self {
        Self {
            inner: Arc::clone(inner),
            left: AtomicI64::new(-times),
            dies: Dies::Before,
            part: part.to_owned(),
            once: true,
        }
    }

    /// Whether it has died.
    pub fn is_dead(&self) -> bool {
        !self.once && self.left.load(Ordering::SeqCst) < 0
    }

    fn dead() -> Error {
        Error::Generic {
            store: "dying",
            source: "the process died".into(),
        }
    }

    fn check(&self) -> Result<()> {
        if self.is_dead() { Err(Self::dead()) } else { Ok(()) }
    }

    /// Whether this change is done, and whether it is answered.
    fn change(&self, path: &Path) -> (bool, bool) {
        if !path.as_ref().contains(&self.part) {
            return (true, true);
        }
        if self.once {
            let refused = self.left.fetch_add(1, Ordering::SeqCst) < 0;
            return (!refused, !refused);
        }
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        match (left, self.dies) {
            (1.., _) => (true, true),
            (0, Dies::After) => (true, false),
            _ => (false, false),
        }
    }
}

impl fmt::Display for Dying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dying")
    }
}

#[async_trait]
impl ObjectStore for Dying {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (done, answered) = self.change(path);
        let put = match done {
            true => self.inner.put_opts(path, payload, options).await,
            false => Err(Self::dead()),
        };
        if answered { put } else { Err(Self::dead()) }
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        unreachable!("the archive puts objects whole")
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.check()?;
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        // One after the other, so that the count is of changes.
        let inner = Arc::clone(&self.inner);
        let verdicts: Vec<_> = futures_util::FutureExt::now_or_never(paths.collect::<Vec<_>>())
            .expect("the archive names what it deletes")
            .into_iter()
            .map(|path| path.map(|path| (self.change(&path), path)))
            .collect();
        futures_util::stream::iter(verdicts)
            .then(move |verdict| {
                let inner = Arc::clone(&inner);
                async move {
                    let ((done, answered), path) = verdict?;
                    if done {
                        inner.delete(&path).await?;
                    }
                    if answered { Ok(path) } else { Err(Self::dead()) }
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures_util::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        unreachable!("the archive copies nothing")
    }
}

/// An archive's place on a store that the test looks into as well.
pub fn shared<T: ObjectStore>(store: &Arc<T>) -> kaireon_archive::Place {
    let store: Arc<T> = Arc::clone(store);
    kaireon_archive::Place::object_store(store)
}

/// Every object, with its text.
pub async fn texts(store: &InMemory) -> Vec<(String, String)> {
    let listed: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
    let mut texts = Vec::new();
    for meta in listed {
        let bytes = store.get(&meta.location).await.unwrap().bytes().await.unwrap();
        texts.push((
            meta.location.to_string(),
            String::from_utf8_lossy(&bytes).into_owned(),
        ));
    }
    texts
}

/// How often each record lies in the batches of a kind, by a member.
pub async fn counted_in(
    store: &InMemory,
    kind: &str,
    member: &str,
) -> std::collections::BTreeMap<String, u64> {
    let mut counts = std::collections::BTreeMap::new();
    for (path, text) in texts(store).await {
        let batch = path.contains("/batch-") && path.split('/').nth(2) == Some(kind);
        for line in text.lines().filter(|_| batch) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            *counts
                .entry(line[member].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    counts
}
