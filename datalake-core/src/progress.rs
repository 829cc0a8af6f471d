//! What long work reports while it runs, and to whom.

use std::fmt::Debug;

/// Listens to long work. Every method may be called from any thread.
pub trait Progress: Debug + Send + Sync {
    /// A stage begins: what it does, and how many units it has where that is known.
    fn begin(&self, stage: &str, total: Option<u64>);
    /// So many more units of the current stage are done.
    fn advance(&self, units: u64);
    /// The current stage is over.
    fn end(&self);
    /// Something the user should read, such as a widened column.
    fn note(&self, line: &str);
    /// Whether the work should stop; asked between units.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Reports to nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _stage: &str, _total: Option<u64>) {}
    fn advance(&self, _units: u64) {}
    fn end(&self) {}
    fn note(&self, _line: &str) {}
}

#[cfg(test)]
pub(crate) use listeners::{Notes, Stopped};

#[cfg(test)]
mod listeners {
    use std::sync::Mutex;

    use super::Progress;

    /// Asks to stop from the start.
    #[derive(Debug, Clone, Copy, Default)]
    pub(crate) struct Stopped;

    impl Progress for Stopped {
        fn begin(&self, _stage: &str, _total: Option<u64>) {}
        fn advance(&self, _units: u64) {}
        fn end(&self) {}
        fn note(&self, _line: &str) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }

    /// Keeps what is noted.
    #[derive(Debug, Default)]
    pub(crate) struct Notes(pub(crate) Mutex<Vec<String>>);

    impl Progress for Notes {
        fn begin(&self, _stage: &str, _total: Option<u64>) {}
        fn advance(&self, _units: u64) {}
        fn end(&self) {}
        fn note(&self, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }
    }
}
