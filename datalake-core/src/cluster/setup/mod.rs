//! A lake in a cluster: brought up, looked at before that, and taken down again.

mod apply;
mod deploy;
mod dry_run;
mod existing;
mod foreign;
mod forward;
mod plan;
mod reach;
mod ready;
mod settings;
mod teardown;

pub use deploy::SetupDone;
pub use dry_run::Checked;
pub use settings::{NodePorts, SetupSettings};
pub use teardown::TornDown;
