//! SQL expressions over the columns of one row: quality rules and reference formulas.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::{DFSchema, Result as QueryResult};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;

use crate::error::{Error, Result};
use crate::query::session::{query_error, refuse_volatile};

/// An SQL expression, checked against a schema and ready for its batches.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{Float64Array, RecordBatch};
/// use datalake_core::query::RowExpression;
///
/// let kcal = Arc::new(Float64Array::from(vec![Some(52.0), Some(-1.0), None]));
/// let batch = RecordBatch::try_from_iter([("kcal", kcal as _)]).unwrap();
/// let rule = RowExpression::new("kcal >= 0", &batch.schema())?;
/// let kept: Vec<Option<bool>> = rule.condition(&batch)?.iter().collect();
/// assert_eq!(kept, [Some(true), Some(false), None]);
/// # Ok::<(), datalake_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RowExpression {
    sql: String,
    expression: Arc<dyn PhysicalExpr>,
}

impl RowExpression {
    /// Parses `sql` and resolves its columns in `schema`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for what is no expression over these columns.
    pub fn new(sql: &str, schema: &Schema) -> Result<Self> {
        let context = SessionContext::new();
        let failed = |cause| query_error("use", format_args!("the expression `{sql}`"), cause);
        let schema = DFSchema::try_from(schema.clone()).map_err(failed)?;
        let logical = context.parse_sql_expr(sql, &schema).map_err(failed)?;
        refuse_volatile(&logical)?;
        let logical = simplified(logical, &schema).map_err(failed)?;
        let expression = context.create_physical_expr(logical, &schema).map_err(failed)?;
        Ok(Self { sql: sql.to_owned(), expression })
    }

    /// One value a row.
    ///
    /// # Errors
    /// What the evaluation says, such as a cast that fails.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        self.expression
            .evaluate(batch)
            .and_then(|value| value.into_array(batch.num_rows()))
            .map_err(|cause| query_error("evaluate", format_args!("the expression `{}`", self.sql), cause))
    }

    /// One truth value a row.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for an expression that is no condition; see [`RowExpression::evaluate`].
    pub fn condition(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let values = self.evaluate(batch)?;
        values.as_any().downcast_ref::<BooleanArray>().cloned().ok_or_else(|| {
            Error::invalid("use", format_args!("`{}` as a condition", self.sql))
                .with_reason(format_args!("its type is {}, not boolean", values.data_type()))
        })
    }

    /// One number a row.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for an expression that is no number; see [`RowExpression::evaluate`].
    pub fn numbers(&self, batch: &RecordBatch) -> Result<Float64Array> {
        let values = self.evaluate(batch)?;
        let failed = || {
            Error::invalid("use", format_args!("`{}` as a number", self.sql))
                .with_reason(format_args!("its type is {}", values.data_type()))
        };
        if !values.data_type().is_numeric() {
            return Err(failed());
        }
        let numbers = cast(&values, &DataType::Float64).map_err(|cause| failed().with_source(cause))?;
        numbers.as_any().downcast_ref::<Float64Array>().cloned().ok_or_else(failed)
    }
}

/// Some functions, such as `coalesce`, exist only until the optimizer has rewritten them.
fn simplified(expression: Expr, schema: &DFSchema) -> QueryResult<Expr> {
    let context = SimplifyContext::builder().with_schema(Arc::new(schema.clone())).build();
    let simplifier = ExprSimplifier::new(context);
    simplifier.simplify(simplifier.coerce(expression, schema)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use arrow::array::Int64Array;

    fn batch() -> RecordBatch {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        RecordBatch::try_from_iter([("n", values)]).unwrap()
    }

    #[test]
    fn numbers_are_floats_whatever_the_type() {
        let expression = RowExpression::new("4 * n + 1", &batch().schema()).unwrap();
        let numbers: Vec<Option<f64>> = expression.numbers(&batch()).unwrap().iter().collect();
        assert_eq!(numbers, [Some(5.0), None, Some(13.0)]);
    }

    #[test]
    fn functions_that_the_optimizer_rewrites_are_known() {
        let expression = RowExpression::new("coalesce(n, 0)", &batch().schema()).unwrap();
        let numbers: Vec<Option<f64>> = expression.numbers(&batch()).unwrap().iter().collect();
        assert_eq!(numbers, [Some(1.0), Some(0.0), Some(3.0)]);
    }

    #[test]
    fn what_differs_from_run_to_run_is_refused() {
        for sql in ["random() < 0.5", "n > 1 AND now() > now()"] {
            let error = RowExpression::new(sql, &batch().schema()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
        }
    }

    #[test]
    fn an_unknown_column_is_named() {
        let error = RowExpression::new("m > 1", &batch().schema()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(format!("{error:?}").contains('m'), "{error:?}");
    }

    #[test]
    fn a_number_is_no_condition() {
        let expression = RowExpression::new("n + 1", &batch().schema()).unwrap();
        assert_eq!(expression.condition(&batch()).unwrap_err().kind(), ErrorKind::Invalid);
    }
}
