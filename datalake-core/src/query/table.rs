//! Lake objects as tables of DataFusion: every scan goes through this crate's own readers.

use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableProvider, UrlTableFactory};
use datafusion::common::{DataFusionError, Result as QueryResult};
use datafusion::datasource::TableType;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{StreamExt, TryStreamExt, stream};

use crate::error::Error;
use crate::format::{Batches, ReadOptions};
use crate::lake::Lake;
use crate::query::dataset::DataSet;
use crate::query::session::Notes;

/// Turns a quoted path in SQL into a table.
#[derive(Debug)]
pub(super) struct LakeTables {
    pub(super) lake: Arc<dyn Lake>,
    pub(super) options: ReadOptions,
    pub(super) notes: Notes,
}

#[async_trait]
impl UrlTableFactory for LakeTables {
    async fn try_new(&self, path: &str) -> QueryResult<Option<Arc<dyn TableProvider>>> {
        if !path.contains('/') {
            return Ok(None);
        }
        let data = DataSet::open(&self.lake, path, self.options.clone()).await.map_err(external)?;
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(data.notes());
        Ok(Some(Arc::new(LakeTable { data: Arc::new(data), notes: Arc::clone(&self.notes) })))
    }
}

/// One data set as a table, its columns read on demand.
#[derive(Debug)]
struct LakeTable {
    data: Arc<DataSet>,
    notes: Notes,
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.data.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> QueryResult<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let columns = match projection {
            Some(indices) => Arc::new(schema.project(indices)?),
            None => schema,
        };
        let (data, notes) = (Arc::clone(&self.data), Arc::clone(&self.notes));
        let partition = Scan { data, notes, columns: Arc::clone(&columns) };
        StreamingTable::try_new(columns, vec![Arc::new(partition)])?.scan(state, None, filters, limit).await
    }
}

/// A scan of some columns, begun when the query pulls.
#[derive(Debug)]
struct Scan {
    data: Arc<DataSet>,
    notes: Notes,
    columns: SchemaRef,
}

impl PartitionStream for Scan {
    fn schema(&self) -> &SchemaRef {
        &self.columns
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let names = self.columns.fields().iter().map(|field| field.name().clone()).collect();
        let batches = self.data.read(Some(names));
        let (tally, notes) = (Arc::clone(batches.tally()), Arc::clone(&self.notes));
        // What is seen while reading is known at the end. A table that a query reads twice says it once.
        let told = stream::once(async move {
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            for note in tally.notes() {
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
            None
        });
        let rows = batches.map_err(external).map(Some).chain(told).filter_map(futures::future::ready);
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.columns), rows.boxed()))
    }
}

/// Batches that can be read once, as a partition.
pub(super) struct Once {
    schema: SchemaRef,
    batches: Mutex<Option<Batches>>,
}

impl Once {
    pub(super) fn table(batches: Batches) -> QueryResult<StreamingTable> {
        let schema = Arc::clone(batches.schema());
        let once = Self { schema: Arc::clone(&schema), batches: Mutex::new(Some(batches)) };
        StreamingTable::try_new(schema, vec![Arc::new(once)])
    }
}

impl Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner).take();
        match batches {
            Some(batches) => adapt(Arc::clone(&self.schema), batches),
            None => {
                let again = DataFusionError::Plan("the table `scan` can be read only once in a query".into());
                let schema = Arc::clone(&self.schema);
                Box::pin(RecordBatchStreamAdapter::new(schema, stream::once(async { Err(again) }).boxed()))
            }
        }
    }
}

fn adapt(schema: SchemaRef, batches: Batches) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(schema, batches.map_err(external)))
}

/// An error of ours on its way through DataFusion; [`query_error`](super::session::query_error) takes it out again.
pub(super) fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
