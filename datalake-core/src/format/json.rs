//! JSON stub.
use super::*;
/// JSON.
#[derive(Debug, Clone, Copy)]
pub struct Json {
    lines: bool,
}
impl Json {
    /// x
    #[must_use]
    pub fn lines() -> Self {
        Self { lines: true }
    }
    /// x
    #[must_use]
    pub fn document() -> Self {
        Self { lines: false }
    }
}
#[async_trait]
impl Format for Json {
    fn name(&self) -> &'static str {
        if self.lines { "ndjson" } else { "json" }
    }
    async fn infer_schema(&self, _source: &Source, _options: &ReadOptions) -> Result<Inferred> {
        Err(crate::error::Error::internal("read", "JSON"))
    }
    async fn read(&self, _source: Source, _options: ReadOptions) -> Result<Batches> {
        Err(crate::error::Error::internal("read", "JSON"))
    }
    async fn write(&self, _sink: Sink, _batches: Batches, _options: WriteOptions) -> Result<Written> {
        Err(crate::error::Error::internal("read", "JSON"))
    }
}
