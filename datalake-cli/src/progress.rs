//! Progress on a terminal: a bar on stderr, never in a pipe.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use datalake_core::progress::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::cli::Global;

/// Shows what long work does, and carries the wish to stop.
#[derive(Debug)]
pub(crate) struct Terminal {
    quiet: bool,
    verbose: bool,
    bars: Option<MultiProgress>,
    stages: Mutex<Vec<ProgressBar>>,
    cancelled: AtomicBool,
}

impl Terminal {
    pub(crate) fn new(global: &Global) -> Arc<Self> {
        let bars = (!global.quiet && io::stderr().is_terminal()).then(MultiProgress::new);
        Arc::new(Self {
            quiet: global.quiet,
            verbose: global.verbose,
            bars,
            stages: Mutex::default(),
            cancelled: AtomicBool::new(false),
        })
    }

    /// Asks the work to stop.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn stages(&self) -> std::sync::MutexGuard<'_, Vec<ProgressBar>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Terminal {
    fn begin(&self, stage: &str, total: Option<u64>) {
        if self.verbose {
            self.note(&format!("{stage} …"));
        }
        if let Some(bars) = &self.bars {
            let bar = bars.add(total.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
            bar.set_style(style(total));
            bar.set_message(stage.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            self.stages().push(bar);
        }
    }

    fn advance(&self, units: u64) {
        if let Some(bar) = self.stages().last() {
            bar.inc(units);
        }
    }

    fn end(&self) {
        if let Some(bar) = self.stages().pop() {
            bar.finish_and_clear();
        }
    }

    fn note(&self, line: &str) {
        if self.quiet {
            return;
        }
        match &self.bars {
            // A note that cannot be shown is no reason to stop the work.
            Some(bars) => drop(bars.println(line)),
            None => drop(writeln!(io::stderr(), "{line}")),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

fn style(total: Option<u64>) -> ProgressStyle {
    let template = match total {
        Some(_) => "{spinner} {msg} {wide_bar:.cyan/dim} {human_pos}/{human_len} {eta}",
        None => "{spinner} {msg} {elapsed}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
