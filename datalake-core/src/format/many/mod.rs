//! Many files as one table.
//!
//! Files are found in the order of their names (`find`, `file`), and what folders say of them is read like CSV (`hive`, `said`). Before the
//! first row is handed on, their columns are united (`plan`, `union`): by the types of all values or, where a wrong guess can
//! be taken back, of some files. Small files are fetched, inferred and decoded whole, each on one CPU thread and many at a
//! time (`fetch`); large ones one by one, by all threads. Rows and rejected records are handed on in the order of the files
//! (`read`), so nothing depends on the number of threads.

mod deferred;
mod fetch;
mod file;
mod find;
mod hive;
mod plan;
mod read;
mod said;
#[cfg(test)]
mod tests;
mod union;

pub(crate) use deferred::Deferred;
pub use find::Files;
pub(crate) use hive::{NULL, folder};
pub(crate) use plan::Plan;
#[cfg(feature = "sql")]
pub(crate) use said::Said;
#[cfg(feature = "pipeline")]
pub(crate) use said::{folder_of, said_of};
#[cfg(feature = "sql")]
pub(crate) use union::unite;
