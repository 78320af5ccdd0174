//! An object store before which one put waits: a writer that is stopped there, and comes back.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Semaphore;

#[derive(Debug)]
pub struct Gate {
    inner: Arc<InMemory>,
    /// The first put whose path contains it waits.
    part: String,
    met: AtomicBool,
    arrived: Semaphore,
    open: Semaphore,
}

impl Gate {
    pub fn before(inner: &Arc<InMemory>, part: &str) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            part: part.to_owned(),
            met: AtomicBool::new(false),
            arrived: Semaphore::new(0),
            open: Semaphore::new(0),
        })
    }

    /// Waits until a put stands before the gate.
    pub async fn arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    /// Whether a put came to the gate.
    pub fn was_met(&self) -> bool {
        self.met.load(Ordering::SeqCst)
    }

    /// Lets it pass.
    pub fn open(&self) {
        self.open.add_permits(1);
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gate")
    }
}

#[async_trait]
impl ObjectStore for Gate {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if path.as_ref().contains(&self.part) && !self.met.swap(true, Ordering::SeqCst) {
            self.arrived.add_permits(1);
            self.open.acquire().await.unwrap().forget();
        }
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        unreachable!("the archive puts objects whole")
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        unreachable!("the archive copies nothing")
    }
}
