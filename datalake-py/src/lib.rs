//! The Python module: converts arguments, releases the interpreter, calls the engine, converts results.
//!
//! One file for each module of the engine. What users see is described in `python/datalake/_datalake.pyi`.

mod cluster;
mod convert;
mod error;
mod forest;
mod inspect;
mod lake;
mod options;
mod pipeline;
mod runtime;
mod sql;
mod table;
mod validate;

use pyo3::prelude::*;

/// The native half of the package `datalake`.
#[pymodule(gil_used = false)]
mod _datalake {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::cluster::Connection;
    #[pymodule_export]
    use crate::convert::{convert, replay, verify};
    #[pymodule_export]
    use crate::forest::{Model, train};
    #[pymodule_export]
    use crate::lake::{Lake, ObjectInfo, get_file, put_file};
    #[pymodule_export]
    use crate::pipeline::{RunLog, manifest, progress, run_pipeline, runs};
    #[pymodule_export]
    use crate::runtime::{set_threads, threads};
    #[pymodule_export]
    use crate::sql::sql;
    #[pymodule_export]
    use crate::table::{Table, read};
    #[pymodule_export]
    use crate::validate::cross_validate;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("code_version", datalake_core::pipeline::code_version())
    }
}
