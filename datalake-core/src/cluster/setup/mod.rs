//! A lake in a cluster: brought up, looked at before that, and taken down again.

mod apply;
mod check;
mod deploy;
mod dry_run;
mod existing;
mod external;
mod foreign;
mod forward;
mod named_buckets;
mod opening;
mod plan;
mod reach;
mod ready;
mod settings;
mod settled;
mod teardown;

pub use deploy::SetupDone;
pub use dry_run::Checked;
pub use opening::{NodePorts, Opening};
pub use settings::SetupSettings;
pub use teardown::TornDown;
