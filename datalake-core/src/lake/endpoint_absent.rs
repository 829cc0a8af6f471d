//! Stands in for S3 in builds without it.

use std::sync::Arc;

use super::{Lake, LakeOptions};
use crate::error::{Error, ErrorKind, Result};

/// Refuses: this build does not speak S3.
pub(super) fn open(url: &str, _: &LakeOptions) -> Result<Arc<dyn Lake>> {
    Err(Error::new(ErrorKind::Unsupported, "open", format_args!("lake `{url}`"))
        .with_reason("this build does not speak S3")
        .with_hint("build datalake-core with the feature `s3`"))
}
