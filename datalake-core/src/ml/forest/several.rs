//! Several targets as a search of splits takes them, and what cannot be asked of a forest that has them.

use super::params::{Criterion, ForestParams};
use crate::error::{Error, ErrorKind, Result};
use crate::ml::{Frame, Target};

/// Numbers row by row, one a target.
pub(super) fn numbers(targets: &[(String, Target)]) -> Vec<f64> {
    let columns: Vec<&[f64]> = targets
        .iter()
        .filter_map(|(_, target)| match target {
            Target::Numbers(values) => Some(values.as_slice()),
            Target::Labels { .. } => None,
        })
        .collect();
    let rows = columns.first().map_or(0, |column| column.len());
    (0..rows).flat_map(|row| columns.iter().map(move |column| column[row])).collect()
}

/// Classes row by row, one a target, counted from the first of all targets; and how many each target has.
pub(super) fn codes(targets: &[(String, Target)]) -> (Vec<u32>, Vec<usize>) {
    let (mut columns, mut counts, mut before) = (Vec::new(), Vec::new(), 0);
    for (_, target) in targets {
        if let Target::Labels { classes, codes } = target {
            columns.push((codes, before));
            counts.push(classes.len());
            before += classes.len() as u32;
        }
    }
    let rows = columns.first().map_or(0, |(codes, _)| codes.len());
    let code = |row: usize| columns.iter().map(move |(codes, before)| codes[row] + before);
    ((0..rows).flat_map(code).collect(), counts)
}

/// Refuses what has no meaning, or is not made, for more than one target.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported), naming the parameter.
pub(super) fn check(params: &ForestParams, table: &Frame) -> Result<()> {
    if table.targets().len() == 1 {
        return Ok(());
    }
    let bound = params.monotonic_cst.values().any(|direction| *direction != 0);
    let reason = if bound {
        "monotonic_cst says how one target moves"
    } else if params.class_weight.is_some() {
        "class_weight is for the classes of one target"
    } else if params.criterion == Some(Criterion::AbsoluteError) {
        "criterion = \"absolute_error\" finds the medians of one target"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Unsupported, "grow", format_args!("a forest for `{}`", table.target_name()))
        .with_reason(format_args!("{reason}, and there are {}", table.targets().len()))
        .with_hint("leave the parameter out, or grow a forest for each target"))
}
