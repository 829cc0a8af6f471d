//! Importances: what each column is worth to a model in the lake, by shuffling it.

use std::sync::Arc;

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;

use crate::compute;
use crate::error::{Error, Result};
use crate::ml::{PermutationImportances, PermutationParams, permutation_importance};
use crate::pipeline::predict::open_model;
use crate::pipeline::run::Context;
use crate::pipeline::step::Train;
use crate::pipeline::table::{Columns, same_table, split};

/// How much worse the model at `path` predicts without what each of its columns says: on the rows held out when it was
/// trained, or `out_of_bag`, each tree on the rows that it has not seen.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a model that does not say how it was trained, when its table has changed
/// since, for another model than a forest out of bag, and for parameters that do not suit; those of the lake.
pub async fn importances(
    path: &str,
    params: &PermutationParams,
    out_of_bag: bool,
    context: &Context,
) -> Result<PermutationImportances> {
    let (model, envelope) = open_model(context.lake.as_ref(), path).await?;
    let train = Train::of_model("measure the importances of", path, &envelope.lineage)?;
    same_table("measure the importances of", &train, &envelope.lineage, context).await?;
    let split = split(&train.with_features_of(model.as_ref()), Columns::Needed, context).await?;
    let (params, progress) = (params.clone(), Arc::clone(&context.progress));
    let subject = path.to_owned();
    compute::run(move || {
        if !out_of_bag {
            let held_out = take_record_batch(&split.table, &UInt32Array::from(split.test))
                .map_err(|cause| Error::internal("select", "rows of a table").with_source(cause))?;
            return permutation_importance(model.as_ref(), &held_out, &params, progress.as_ref());
        }
        let Some(forest) = model.as_forest() else {
            return Err(Error::invalid("measure the importances of", subject)
                .with_reason(format_args!("no row is out of bag to a `{}` model", model.name()))
                .with_hint("leave --out-of-bag out: rows held out are there for every model"));
        };
        forest.out_of_bag_importances(&split.frame.select(&split.train)?, &params, progress.as_ref())
    })
    .await
}
