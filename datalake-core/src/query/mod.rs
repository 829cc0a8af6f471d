//! SQL over lake objects, by DataFusion over this crate's own readers.
//!
//! A table in SQL is a quoted object path, with `*` where several objects make one table:
//! `SELECT name, energy_kcal FROM 'raw-data/foods/*.csv'`. The same object has the same types, rows and
//! quarantine here as in [`convert`](crate::format::convert), since both go through
//! [`Format::read`](crate::format::Format::read).
//!
//! Results are the same for any number of threads, except for SQL's transcendental functions (`ln`, `sin`, …),
//! whose last bit is the platform's.

mod dataset;
mod expression;
mod part;
mod session;
mod table;

pub use dataset::DataSet;
pub use expression::RowExpression;
pub use part::Part;
pub(crate) use part::unite;
pub use session::{Session, SessionOptions};
